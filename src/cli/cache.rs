//! The flags of the cache on disk.

use std::path::PathBuf;

const HEADING_BEHAVIOUR: &str = "Memory and freshness";

/// Where what was read and made is kept when the mount has ended, and how much of it.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct CacheArgs {
    /// Keep what was read, and siblings that were made, in this folder, across mounts
    #[arg(
        long, value_name = "DIR", help_heading = HEADING_BEHAVIOUR,
        long_help = "Keep in this folder, across mounts, what is worth it of what programs read: bytes \
            of objects that were read twice or were still in memory when the mount ended, indexes of \
            images, and parts of virtual siblings. What is there is not fetched or decoded again, as \
            long as the object has not changed. Several mounts may share the folder; nobody else may \
            get into it (mode 0700). You may delete anything in it at any time. Files that programs \
            write never go there. By default nothing is written to disk."
    )]
    pub cache_dir: Option<PathBuf>,

    /// How much all mounts together may keep there [default: 10G]
    #[arg(
        long, value_name = "SIZE", help_heading = HEADING_BEHAVIOUR,
        long_help = "How much the folder of --cache-dir may hold, for all mounts that share it, such as \
            512M or 100G; at least 16M. When it is full, whatever has been unused for longest is \
            deleted. The default is 10G."
    )]
    pub cache_size: Option<String>,
}
