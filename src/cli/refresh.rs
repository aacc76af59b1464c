//! The arguments of `s3mem refresh`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

pub(super) const ABOUT: &str = "Forgets what is known of files and folders of a mount now, so that changes by others are seen at once and \
    not after --metadata-ttl: what exists, and how large it is. Bytes in memory stay; they belong to a \
    version of an object, and are read again if it is still the same.\n\n\
    Whoever may read the file or the folder may do this. A file that was written through the mount shows what \
    was written until --metadata-ttl is over.\n\n\
    The exit status is 0 if all is forgotten, and 1 if a path is not in a mount of s3mem or does not exist.";

/// The arguments of `s3mem refresh`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  A folder that another machine has written into, with all that is below it:
    s3mem refresh /mnt/data/2026/07

  A file that did not exist a moment ago:
    s3mem refresh /mnt/data/results.json && cat /mnt/data/results.json

  All of a mount:
    s3mem refresh /mnt/data")]
pub struct RefreshArgs {
    /// Files and folders in mounts of s3mem; of a folder, all below it
    #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
}
