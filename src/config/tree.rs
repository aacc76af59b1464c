//! How the objects of a bucket look as files, and what programs may write.

use std::time::Duration;

use crate::decoders::Place;
use crate::key::Prefix;
use crate::publish::UploadConfig;
use crate::store::Folders;
use crate::view::ViewConfig;

/// Settings of the tree of files.
#[derive(Debug, Clone)]
pub struct FsConfig {
    /// What the root shows.
    pub prefix: Prefix,
    /// The folders at the top, if there is one for each of several buckets.
    pub top: Option<Folders>,
    /// Whether the versions that a bucket keeps of objects are shown.
    pub versions: bool,
    /// How long a listing is believed; [`Duration::MAX`] for ever.
    pub metadata_ttl: Duration,
    /// The owner of the files.
    pub uid: u32,
    /// Their group.
    pub gid: u32,
    /// Permission bits of files.
    pub file_mode: u16,
    /// Permission bits of directories.
    pub dir_mode: u16,
    /// Everything that is held, in bytes.
    pub memory_bytes: u64,
    /// Whether what is read whole is compared with the server's checksum.
    pub verify: bool,
    /// The virtual siblings of images.
    pub views: ViewConfig,
    /// Where decoders run that are not ours.
    pub decoders: Place,
    /// What programs may write.
    pub writes: Writes,
}

/// What programs may write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Writes {
    /// Nothing.
    #[default]
    Deny,
    /// Anything, into memory: the bucket never changes.
    Memory {
        /// How much all files together may take, in bytes. It is not part of
        /// [`FsConfig::memory_bytes`].
        limit_bytes: u64,
    },
    /// Anything that can be in a bucket; what is closed is put there.
    Upload {
        /// As for [`Writes::Memory`].
        limit_bytes: u64,
        /// What may be changed in the bucket, and how.
        uploads: UploadConfig,
    },
}
