//! How `s3mem doctor` differs from `s3mem mount`, whose flags it takes that say where the
//! bucket is and who asks.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};

pub(super) const ABOUT: &str = "Looks at this machine, and at the buckets that you name, and says what is wrong, what that means \
    and which command mends it: the kernel and FUSE, limits, memory, credentials, clock, region, permissions \
    one by one, what the server keeps of conditions, how long a small request takes, proxies and certificates, \
    how fast bytes come and which --memory that calls for, the folder of --cache-dir, keys whose names in a \
    mount are others, and which siblings some of the images have.\n\n\
    At most 72 MiB are fetched of a bucket, for six seconds. Nothing is changed without --write-test. The secret access key is never shown. The exit status is 0 if \
    there is no problem, 1 if there is one, and 2 for misuse.";

/// The arguments of a mount that mean something here.
const KEPT: [&str; 19] = [
    "source",
    "mount_point",
    "endpoint_url",
    "ca_bundle",
    "path_style",
    "region",
    "profile",
    "no_sign_request",
    "requester_pays",
    "expected_bucket_owner",
    "request_timeout",
    "allow_other",
    "memory",
    "cache_dir",
    "cache_size",
    "views",
    "write_test",
    "json",
    "help",
];

/// What differs from `s3mem mount`.
pub(super) fn grammar(doctor: clap::Command) -> clap::Command {
    let kept = |argument: clap::Arg| {
        let is_kept = KEPT.contains(&argument.get_id().as_str());
        if is_kept { argument } else { argument.hide(true) }
    };
    let source = |argument: clap::Arg| {
        argument
            .required(false)
            .default_value("")
            .hide_default_value(true)
            .help("The buckets to look at, as for 's3mem mount' [default: the machine alone]")
            .long_help(
                "The bucket to look at, or several, written as for 's3mem mount'; s3:// asks \
                 whether buckets may be listed. Without any the doctor looks at the machine alone.",
            )
    };
    let mount_point = |argument: clap::Arg| {
        argument
            .required(false)
            // Without it the path is empty, which the parser of paths would refuse.
            .value_parser(OsStringValueParser::new().map(PathBuf::from))
            .default_value("")
            .hide_default_value(true)
            .help("The folder that is to be mounted on")
            .long_help(
                "The folder that is to be mounted on: whether it can be. It is the last word, and \
                 begins with '/' or '.', or is there; otherwise the word is a bucket.",
            )
    };
    doctor
        .mut_args(kept)
        .mut_arg("source", source)
        .mut_arg("mount_point", mount_point)
        .mut_arg("more", |more| more)
        .after_help("Run 's3mem doctor --help' (not -h) for explanations and examples.")
        .after_long_help(
            "\
Examples:
  The machine alone:
    s3mem doctor

  Before a mount, with its flags:
    s3mem doctor --requester-pays sentinel-s2-l1c /mnt/s2

  Several buckets, of which one may be in trouble:
    s3mem doctor landsat-pds sentinel-s2-l1c/tiles/10 /mnt/s3

  With a cache on disk: whether it can be used, and is faster than the bucket:
    s3mem doctor --cache-dir /var/cache/s3 sentinel-s2-l1c

  Whether results can be written, for a script:
    s3mem doctor --write-test --json results/2026",
        )
}
