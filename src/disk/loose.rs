//! A folder of small entries without a size and without an owner (`--index-cache`), which may be
//! on a file server that several users and machines share.
//!
//! Contract: an entry is what [`super::entry`] says, so what is torn, damaged, of another version
//! or of another program is no entry. It is written beside its place and moved there. Everything
//! in the folder may be deleted at any time.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle as Runtime;
use tokio::time::timeout;

use super::entry::{self, Header};
use super::folder::Name;
use crate::sync::ToldOnce;

/// No entry is longer.
const MAX_ENTRY_BYTES: u64 = 16 << 20;
/// How long the folder, which may be on a server, may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The folder.
#[derive(Debug)]
pub struct Loose {
    folder: PathBuf,
    runtime: Runtime,
    /// Whether the log says that nothing can be written.
    told: ToldOnce,
    written: AtomicU64,
}

impl Loose {
    /// A folder; it is made when the first entry is written.
    pub fn new(folder: PathBuf, runtime: Runtime) -> Arc<Self> {
        Arc::new(Loose { folder, runtime, told: ToldOnce::new(), written: AtomicU64::new(0) })
    }

    /// What an entry has.
    pub async fn load(&self, name: Name) -> Option<Bytes> {
        let path = self.path(&name);
        let read = self.runtime.spawn_blocking(move || read(&path, &name));
        timeout(PATIENCE, read).await.ok()?.ok()?
    }

    /// Has an entry written. It is not waited for.
    pub fn save(self: &Arc<Self>, name: Name, bytes: Bytes) {
        if bytes.len() as u64 > MAX_ENTRY_BYTES {
            return;
        }
        let loose = self.clone();
        self.runtime.spawn_blocking(move || {
            let Err(error) = loose.write(&loose.path(&name), &name, &bytes) else { return };
            loose.told.tell(|| {
                let folder = loose.folder.display();
                tracing::warn!(
                    "--index-cache: nothing can be written into {folder} ({error}); indexes are \
                     kept in memory alone"
                );
            });
        });
    }

    /// Where an entry lies.
    pub fn path(&self, name: &Name) -> PathBuf {
        let (folder, file) = name.place();
        self.folder.join(folder).join(file)
    }

    fn write(&self, path: &Path, name: &Name, bytes: &[u8]) -> io::Result<()> {
        let pieces = [(0, bytes)];
        let pieces = if bytes.is_empty() { &[][..] } else { &pieces[..] };
        let Some(header) = entry::header(name.text(), pieces) else { return Ok(()) };
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let beside = path.with_extension(format!("{}-{number}.new", std::process::id()));
        let moved = File::create(&beside)
            .and_then(|file| entry::write(&file, &header, pieces))
            .and_then(|()| fs::rename(&beside, path));
        if moved.is_err() {
            let _ = fs::remove_file(&beside);
        }
        moved
    }
}

/// What a file says, if it is an entry of this name.
fn read(path: &Path, name: &Name) -> Option<Bytes> {
    let file = File::open(path).ok()?;
    if file.metadata().ok()?.len() > MAX_ENTRY_BYTES {
        return None;
    }
    let known = Header::read(&file, name.text()).and_then(|header| header.whole(&file));
    if known.is_none() {
        tracing::debug!("{} is no entry of the index cache", path.display());
    }
    known
}
