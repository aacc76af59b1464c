//! The flags of mounts that need no privilege, and of mounts that end with a process.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

const HEADING_ROOTLESS: &str = "Without privileges";

/// Whether to mount in mounts of one's own.
#[derive(Debug, Clone, Args)]
pub struct RootlessArgs {
    /// Mount without root and fusermount3, and print the path where the files are
    #[arg(
        long, value_name = "WHEN", value_enum, help_heading = HEADING_ROOTLESS,
        num_args = 0..=1, require_equals = true, default_missing_value = "always",
        conflicts_with_all = ["foreground", "fake"],
        long_help = "Mount without root and without fusermount3, and print the path where the files are. \
            The mount lies in a user namespace of its own, which a small process holds open. Every program \
            of yours reaches the files through that process: the path is /proc/PID/root/DIR. Other users do \
            not. MOUNTPOINT may be left out; then a folder is made for the mount. 's3mem umount' takes the \
            printed path, or the link of --link. Beware of programs that resolve links in paths (realpath): \
            to them the path leads to the bare folder. With --rootless=if-needed it is an ordinary mount \
            where you may mount, and its own path is printed."
    )]
    pub rootless: Option<Rootless>,

    /// Make a symbolic link to the files of a mount with --rootless
    #[arg(
        long, value_name = "PATH", help_heading = HEADING_ROOTLESS, requires = "rootless",
        long_help = "Make a symbolic link at this path that leads to the files of a mount with --rootless, \
            and remove it when the mount ends. One that a mount which has crashed has left there is replaced."
    )]
    pub link: Option<PathBuf>,

    /// The daemon enters the mounts of this process, and mounts there.
    #[arg(long, hide = true, value_name = "PID")]
    pub enter: Option<u32>,

    /// The mount ends when one of these processes does.
    #[arg(long, hide = true, value_name = "PID", action = clap::ArgAction::Append)]
    pub ends_with: Vec<u32>,
}

/// When to mount in mounts of one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rootless {
    /// Also where you may mount
    Always,
    /// Only where you may not mount otherwise
    IfNeeded,
}

const USAGE: &str = "s3mem mount [OPTIONS] <BUCKET[/PREFIX]>... <MOUNTPOINT>\n       \
    s3mem mount [OPTIONS] --all-buckets <MOUNTPOINT>";

/// Lets the bucket be left out where all are shown.
pub(super) fn source(argument: clap::Arg) -> clap::Arg {
    argument
        .required(false)
        .required_unless_present("all_buckets")
        .default_value("")
        .hide_default_value(true)
}

/// Lets the mount point be left out where a folder can be made for it.
pub(super) fn grammar(mount: clap::Command) -> clap::Command {
    let mount_point = |argument: clap::Arg| {
        argument
            .required(false)
            .required_unless_present_any(["rootless", "all_buckets"])
            // Without it the path is empty, which the parser of paths would refuse.
            .value_parser(OsStringValueParser::new().map(PathBuf::from))
            .default_value("")
            .hide_default_value(true)
    };
    // What is changed comes behind the others, and words are taken in this order.
    mount
        .mut_arg("source", source)
        .mut_arg("mount_point", mount_point)
        .mut_arg("more", |more| more)
        .override_usage(USAGE)
}
