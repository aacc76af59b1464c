//! Which uploads in parts are under way, where a crash can't lose it.
//!
//! S3 keeps the parts of an upload that is never finished, and bills them. What a
//! listing of uploads says does not tell ours from others', so each mount writes
//! down its own: one file for each daemon that has any, in memory that outlives it
//! (/run), which the daemon locks. A mount of the same bucket takes over the files that
//! nobody holds any more.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::key::ObjectKey;
use crate::store::Upload;

const ENDING: &str = "uploads";

/// The uploads of this mount, and those that earlier ones left.
#[derive(Debug, Default)]
pub(super) struct Record {
    written: Option<Mutex<Written>>,
    left: Mutex<Vec<Left>>,
}

/// What this mount has under way.
#[derive(Debug)]
struct Written {
    path: PathBuf,
    /// As long as there is any.
    file: Option<File>,
    uploads: BTreeSet<(String, String)>,
}

/// The file of a mount that has ended, which we hold now.
#[derive(Debug)]
struct Left {
    _file: File,
    path: PathBuf,
    uploads: Vec<Upload>,
}

impl Record {
    /// A record in `folder`; one that can't be written is none.
    pub(super) fn open(folder: Option<&Path>, bucket: &str) -> Self {
        let Some(folder) = folder else { return Record::default() };
        let prefix = format!("{:016x}-", checksum(bucket));
        let left = take_over(folder, &prefix).unwrap_or_default();
        let path = folder.join(format!("{prefix}{}.{ENDING}", std::process::id()));
        let mut written = Written { path, file: None, uploads: BTreeSet::new() };
        let tried = fs::create_dir_all(folder).and_then(|()| written.try_out());
        let written = tried.map(|()| written).map_err(|error| {
            tracing::warn!(
                "uploads that a crash leaves unfinished can't be thrown away by the next mount: \
                 {}: {error}",
                folder.display()
            );
        });
        Record { written: written.ok().map(Mutex::new), left: Mutex::new(left) }
    }

    /// Notes an upload that was begun.
    pub(super) fn add(&self, upload: &Upload) {
        self.change(|uploads| uploads.insert(words(upload)));
    }

    /// Notes that an upload is over.
    pub(super) fn remove(&self, upload: &Upload) {
        self.change(|uploads| uploads.remove(&words(upload)));
    }

    /// What earlier mounts left unfinished.
    pub(super) fn left_behind(&self) -> Vec<Upload> {
        self.left().iter().flat_map(|left| left.uploads.clone()).collect()
    }

    /// One of those is over.
    pub(super) fn forget_left_behind(&self, upload: &Upload) {
        self.left().retain_mut(|left| {
            left.uploads.retain(|other| other != upload);
            if left.uploads.is_empty() {
                let _ = fs::remove_file(&left.path);
            }
            !left.uploads.is_empty()
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeSet<(String, String)>) -> bool) {
        let Some(written) = &self.written else { return };
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut written.uploads);
        if let Err(error) = written.write() {
            tracing::warn!("the record of uploads can't be written: {error}");
        }
    }

    fn left(&self) -> MutexGuard<'_, Vec<Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    /// Finds out now, not at the first upload, whether the file can be written.
    fn try_out(&mut self) -> io::Result<()> {
        self.file = Some(self.create()?);
        self.write()
    }

    /// Has the file say what is under way; where nothing is, there is none.
    fn write(&mut self) -> io::Result<()> {
        if self.uploads.is_empty() {
            return match self.file.take() {
                Some(_) => fs::remove_file(&self.path),
                None => Ok(()),
            };
        }
        let text: String =
            self.uploads.iter().map(|(key, id)| format!("{} {}\n", word(key), word(id))).collect();
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.create()?,
        };
        let written = file
            .rewind()
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.set_len(text.len() as u64));
        // In any case: while it is locked nobody takes it for one that a crash left.
        self.file = Some(file);
        written
    }

    /// A new file, which nobody finds before it is locked.
    fn create(&self) -> io::Result<File> {
        let unnamed = self.path.with_extension("new");
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&unnamed)?;
        file.lock()?;
        fs::rename(&unnamed, &self.path)?;
        Ok(file)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // What is not over is left to the next mount.
        if self.uploads.is_empty() {
            let _ = self.write();
        }
    }
}

fn words(upload: &Upload) -> (String, String) {
    (upload.key.as_str().to_owned(), upload.id.to_string())
}

/// A key or an id without the characters that separate them.
fn word(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The upload that a line names.
fn upload_of(line: &str) -> Option<Upload> {
    let (key, id) = line.split_once(' ')?;
    let text = |word: &str| Some(percent_decode_str(word).decode_utf8().ok()?.into_owned());
    Some(Upload { key: ObjectKey::new(text(key)?), id: Arc::from(text(id)?) })
}

/// The files of this bucket that no daemon holds.
fn take_over(folder: &Path, prefix: &str) -> io::Result<Vec<Left>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with(prefix) || !name.ends_with(ENDING) {
            continue;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
        if file.try_lock().is_err() {
            continue;
        }
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let uploads: Vec<Upload> = text.lines().filter_map(upload_of).collect();
        if uploads.is_empty() {
            let _ = fs::remove_file(&path);
        } else {
            found.push(Left { _file: file, path, uploads });
        }
    }
    Ok(found)
}

/// A name for a bucket that is no path.
fn checksum(bucket: &str) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bucket.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(key: &str, id: &str) -> Upload {
        Upload { key: ObjectKey::new(key), id: Arc::from(id) }
    }

    #[test]
    fn what_a_crash_leaves_is_found_by_the_next_mount_of_the_bucket_alone() {
        let folder = tempfile::tempdir().unwrap();
        let open = |bucket| Record::open(Some(folder.path()), bucket);
        let crashed = open("bucket");
        crashed.add(&upload("a/b\n c", "1"));
        crashed.add(&upload("d", "2"));
        crashed.remove(&upload("d", "2"));
        // A record of the same process has the same name: as after a crash, another's.
        let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().replace('-', "-9");
        assert!(open("other").left_behind().is_empty());
        fs::copy(&path, path.with_file_name(name)).unwrap();
        drop(crashed);
        fs::remove_file(&path).unwrap();
        let next = open("bucket");
        assert_eq!(next.left_behind(), [upload("a/b\n c", "1")]);
        next.forget_left_behind(&upload("a/b\n c", "1"));
        assert!(next.left_behind().is_empty());
        drop(next);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn there_is_a_file_while_an_upload_is_under_way_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let files = || fs::read_dir(folder.path()).unwrap().count();
        let record = Record::open(Some(folder.path()), "bucket");
        assert_eq!(files(), 0);
        for _ in 0..2 {
            record.add(&upload("a", "1"));
            record.add(&upload("b", "2"));
            record.remove(&upload("a", "1"));
            assert_eq!(files(), 1);
            record.remove(&upload("b", "2"));
            assert_eq!(files(), 0);
        }
    }

    #[test]
    fn a_living_daemons_uploads_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let living = Record::open(Some(folder.path()), "bucket");
        living.add(&upload("a", "1"));
        assert!(take_over(folder.path(), "").unwrap().is_empty());
    }
}
