//! What each call of a file system means, without a kernel.
//!
//! Contract: the operations of a file system on inode numbers and handles. A call that
//! needs no request is answered when it is first polled, so whoever polls it on the
//! kernel's thread needs no second way to ask. What a name stands for is `names`' to say,
//! what programs wrote is in `drafts`, and `publish` changes the bucket; built and joined
//! by `app`. Never names the kernel library.
//!
//! | file | calls |
//! |---|---|
//! | `lookup` | lookup, forget, getattr, readlink |
//! | `list` | opendir, readdir, releasedir |
//! | `open` | open, read, release |
//! | `write` | write, fallocate, lseek, setattr, flush, fsync, statfs |
//! | `copied` | whether a program copies siblings, and what it finds then |
//! | `copy` | an object becomes a draft before it is written to |
//! | `create` | create, mknod, mkdir, symlink, link |
//! | `remove` | unlink, rmdir |
//! | `rename` | rename |
//! | `traced` | calls in the trace of `--trace-file` |
//! | `web` | what a server of HTTP asks besides |
//! | `xattr` | getxattr, listxattr, setxattr, removexattr |
//!
//! Who goes through a directory in order finds what comes next in memory (`ahead`).
//!
//! Whoever calls may drop what waits, unless the call has said that it has begun to change
//! something (`begun`).

mod ahead;
mod begun;
mod content;
mod copied;
mod copy;
mod copying;
mod create;
mod credit;
mod error;
mod handles;
mod list;
mod lookup;
mod makers;
mod open;
mod open_dir;
mod open_file;
mod passed;
mod program;
mod publishing;
mod refusals;
mod remove;
mod rename;
mod sequence;
mod traced;
mod web;
mod write;
mod xattr;
mod xattr_name;

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::runtime::Handle as Runtime;

pub use begun::Begun;
pub use create::{Maker, NewNode};
pub use error::FsError;
pub use list::{DirSink, SinkEntry};
pub use open::{OpenHow, OpenedFile};
pub use open_file::ReadAnswer;
pub use web::{Trouble, Web, WebImage};
pub use xattr_name::{CACHED, REFRESH, ROOM};

pub use crate::drafts::{AttrChange, Attributes, XattrSet};
pub use crate::mem::{MemFile, Seek};
pub use crate::names::{Attr, Ino, Kind, Notice, Outdated, ROOT, RenameHow};
pub use crate::reader::ReadBytes;
pub use crate::stats::Span;
pub use crate::view::{PictureFacts, Place, Ranges, Shot, ShownBands, has_image_name};

use content::Readers;
use copying::Copying;
use handles::{Handles, OpenFiles};
use makers::Makers;
use open_dir::OpenDir;
use publishing::Publishing;

use crate::drafts::Drafts;
use crate::names::Names;
use crate::publish::Publisher;
use crate::reader::{BlockCache, Opener};
use crate::stats::Stats;
use crate::store::ObjectStore;
use crate::view::Views;

/// What a [`FileSystem`] is built of.
#[derive(Debug)]
pub struct FsParts {
    /// What names stand for.
    pub names: Arc<Names>,
    /// What programs write; `None` for a mount that is read-only.
    pub drafts: Option<Arc<Drafts>>,
    /// What makes objects of it; `None` where it stays in memory.
    pub publisher: Option<Arc<Publisher>>,
    /// The siblings of images.
    pub views: Arc<Views>,
    /// The bytes of objects.
    pub cache: Arc<BlockCache>,
    /// The bucket.
    pub store: Arc<dyn ObjectStore>,
    /// Where requests run.
    pub runtime: Runtime,
    /// Where reads are counted.
    pub stats: Arc<Stats>,
}

/// A file system over one bucket.
#[derive(Debug)]
pub struct FileSystem {
    names: Arc<Names>,
    drafts: Option<Arc<Drafts>>,
    publishing: Publishing,
    readers: Readers,
    files: OpenFiles,
    dirs: Handles<OpenDir>,
    copying: Copying,
    makers: Makers,
}

impl FileSystem {
    /// A file system of these parts.
    pub fn new(parts: FsParts) -> Self {
        let FsParts { names, drafts, publisher, views, cache, store, runtime, stats } = parts;
        FileSystem {
            files: OpenFiles::new(drafts.clone()),
            readers: Readers::new(names.clone(), views, Opener::new(cache, store, runtime), stats),
            names,
            drafts,
            publishing: Publishing::new(publisher),
            dirs: Handles::default(),
            copying: Copying::default(),
            makers: Makers::default(),
        }
    }

    /// Takes the receiver of names that the kernel should forget; `None` after the first
    /// call.
    pub fn outdated_names(&self) -> Option<Receiver<Notice>> {
        self.names.notices().outdated()
    }

    /// The runtime that requests run on, for whoever has to wait for an answer.
    pub fn runtime(&self) -> &Runtime {
        self.readers.objects.runtime()
    }

    /// How many inodes the kernel remembers, the root among them.
    pub fn inode_count(&self) -> usize {
        self.names.inodes().count()
    }

    /// How many files are open; a program may have one open more than once.
    pub fn open_count(&self) -> usize {
        self.files.count()
    }

    /// How many changes were refused that a flag of the mount would have allowed.
    pub fn refused_count(&self) -> u64 {
        self.publishing.refused_count()
    }

    /// Whether programs may write at all.
    pub fn is_writable(&self) -> bool {
        self.drafts.is_some()
    }

    /// What programs write into, where they may.
    ///
    /// # Errors
    /// EROFS where they may not.
    fn drafts(&self) -> Result<&Arc<Drafts>, FsError> {
        self.drafts.as_ref().ok_or(FsError::ReadOnly)
    }
}
