//! The flags of writing.

use super::HEADING_WRITES;

/// What programs may write, and where it goes.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct WriteArgs {
    /// What programs may write: deny or memory [default: deny]
    #[arg(
        long, value_name = "WHERE", help_heading = HEADING_WRITES, conflicts_with = "read_only",
        long_help = "What programs may write. With 'deny', the default, nothing: they are told that \
            the file system is read-only. With 'memory' they can create, overwrite, rename and delete \
            anything; it stays in memory for as long as the mount lasts, and nothing in the bucket \
            changes."
    )]
    pub writes: Option<String>,

    /// How much memory written files may take [default: half of --memory]
    #[arg(
        long, value_name = "SIZE", help_heading = HEADING_WRITES,
        long_help = "How much memory all files that programs write may take together, such as 512M or \
            4G. It is taken off --memory. When it is full, programs are told that no space is left. \
            The default is half of --memory."
    )]
    pub write_memory: Option<String>,
}
