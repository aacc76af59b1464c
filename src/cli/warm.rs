//! The arguments of `s3mem warm`.

use std::path::PathBuf;

use clap::{Args, ValueHint, value_parser};

pub(super) const ABOUT: &str = "Fetches files and folders of a mount into memory ahead of work, several at once, so that reading them \
    costs no request and no waiting.\n\n\
    It stops when the memory of the mount (--memory) is full, before it would drop what it has fetched, \
    and says what did not fit. Bytes stay until the memory is needed for others, longest unused first.\n\n\
    The exit status is 0 if everything is in memory, 3 if something did not fit, and 1 if something could \
    not be read.";

/// The arguments of `s3mem warm`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  A folder, with all that is below it:
    s3mem warm /mnt/s2/2026/7/1

  The previews of all images in it, and nothing else:
    s3mem warm --siblings preview /mnt/s2/2026/7/1

  What a list names, one path a line:
    find /mnt/s2 -name 'B0[234].jp2' | s3mem warm --from-file -")]
pub struct WarmArgs {
    /// Files and folders in mounts of s3mem; of a folder, all files below it
    #[arg(value_name = "PATH", required_unless_present = "from_file", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    /// Make these siblings of images, such as preview, instead of fetching the files
    #[arg(
        long,
        value_name = "LIST",
        long_help = "Make these siblings of images, some of png,preview,npy,tif,json, instead of fetching \
            the files. Files without them are left out."
    )]
    pub siblings: Option<String>,

    /// How many files to fetch at once [default: 8]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,

    /// Read more paths from this file, one a line; - is the standard input
    #[arg(long, value_name = "LIST", value_hint = ValueHint::FilePath)]
    pub from_file: Option<PathBuf>,
}
