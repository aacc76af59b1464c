//! How `s3mem run` differs from `s3mem mount`.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};

pub(super) const ABOUT: &str = "Mounts a bucket, or a folder of it, for one command, and unmounts it when the \
    command has ended.\n\n\
    The variable S3MEM_MOUNT tells the command where the files are. The exit status is the command's; \
    it is 126 if the command can't be run, 127 if there is none of that name, and 1 if the mount fails. Signals go \
    through to the command, and if s3mem is killed, so is the command.\n\n\
    You need not be allowed to mount: without fusermount3, the command gets mounts of its own (in a user \
    namespace), which no other program sees.";

/// What differs from `s3mem mount`.
pub(super) fn grammar(run: clap::Command, heading: &'static str) -> clap::Command {
    let at = |argument: clap::Arg| {
        argument
            .long("at")
            .value_name("DIR")
            .required(false)
            // Without it the path is empty, which the parser of paths would refuse.
            .value_parser(OsStringValueParser::new().map(PathBuf::from))
            .default_value("")
            .hide_default_value(true)
            .help_heading(heading)
            .help("The folder where the files appear [default: one made for them]")
            .long_help(
                "The folder where the files appear. It is made if it does not exist, and then \
                 removed after the command; one that exists must be empty. The default is a folder \
                 in that for temporary files.",
            )
    };
    run.mut_arg("source", super::rootless::source)
        .mut_arg("mount_point", at)
        .mut_arg("more", |more| more)
        .mut_arg("command", |command| command)
        .override_usage(
            "s3mem run [OPTIONS] <BUCKET[/PREFIX]>... -- <COMMAND>...\n       \
             s3mem run [OPTIONS] --all-buckets -- <COMMAND>...",
        )
        .mut_arg("foreground", |argument| argument.hide(true))
        .mut_arg("rootless", |argument| argument.hide(true).conflicts_with("command"))
        .mut_arg("link", |argument| argument.hide(true))
        .after_help("Run 's3mem run --help' (not -h) for explanations and examples.")
        .after_long_help(
            "\
Examples:
  Look at an image of a public bucket with a program that takes a file name:
    s3mem run --no-sign-request --at ~/goes noaa-goes16 -- \\
        gdalinfo ~/goes/ABI-L2-CMIPF/2024/001/00/image.nc

  Without a folder of your own:
    s3mem run data/2024 -- sh -c 'ls \"$S3MEM_MOUNT\"'

  What a command writes goes into the bucket before s3mem returns:
    s3mem run --writes upload --at ~/out results -- python train.py --out ~/out",
        )
}
