//! The flags of the cache on disk, and of the one that mounts share.

use std::path::PathBuf;

const HEADING_BEHAVIOUR: &str = "Memory and freshness";

/// Where what was read and made is kept when the mount has ended, how much of it, and for whom.
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

    /// Share what is made of images with other mounts, through this folder of a bucket
    #[arg(
        long, value_name = "s3://BUCKET/PREFIX", help_heading = HEADING_BEHAVIOUR,
        long_help = "Put what this mount makes of images into a folder of a bucket, and take from there \
            what others have made: indexes and packet lengths of JPEG 2000 files, previews, compressed \
            PNGs. The bucket is on the same server, with the same credentials, and may be another one \
            than what you mount. Each question is a GET, each thing that is made a PUT, once for all \
            mounts; the status counts them. If the bucket can't be read or written, the mount works \
            without it. Nothing is ever deleted there: give the bucket a lifecycle rule. Whoever may \
            write there can change what you see, unless there is a --shared-cache-key."
    )]
    pub shared_cache: Option<String>,

    /// Sign what goes to --shared-cache with the key in this file, and take nothing else
    #[arg(
        long, value_name = "FILE", help_heading = HEADING_BEHAVIOUR,
        long_help = "Sign what goes to --shared-cache with the key in this file (HMAC-SHA-256), and \
            take nothing from there that is not signed with it. The key is all bytes of the file, at \
            least 16; all mounts that share need the same. To make one: head -c 32 /dev/urandom > FILE"
    )]
    pub shared_cache_key: Option<PathBuf>,

    /// Put decoded tiles into --shared-cache, too
    #[arg(
        long, help_heading = HEADING_BEHAVIOUR,
        long_help = "Put every tile that is decoded into --shared-cache, too, so that no other mount \
            decodes it. Tiles are larger than the pieces of the image that they are made of, and each \
            is a PUT and, for each mount that wants it, a GET."
    )]
    pub shared_cache_tiles: bool,
}
