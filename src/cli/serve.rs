//! How `s3mem serve` differs from `s3mem mount`, and the flags that it alone has.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};

const HEADING_SERVE: &str = "Who may ask";
/// Nothing is mounted. No path lies below this one.
const NO_FOLDER: &str = "/dev/null";

pub(super) const ABOUT: &str = "Serves a bucket, or a folder of it, by HTTP: the same files that a mount shows, \
    and a gallery of its images for a browser.\n\n\
    It needs neither FUSE nor root. Whatever reads from URLs can read from it (GDAL's /vsicurl/, pandas, \
    curl, ffmpeg, QGIS on another system), in ranges, without a copy of the whole file. Nothing can be \
    changed through it.\n\n\
    It prints its address when it is ready, and serves until Ctrl-C or SIGTERM. Only programs of this \
    machine reach it, unless you let it listen elsewhere.";

/// Where it listens, and who may ask.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct ListenArgs {
    /// Where to listen [default: 127.0.0.1:8337]
    #[arg(
        long, value_name = "ADDRESS:PORT", help_heading = HEADING_SERVE,
        long_help = "Where to listen, as an address in numbers and a port; port 0 takes any that is free. \
            The default, 127.0.0.1:8337, is reached from this machine alone, by any of its users. For \
            another address give --token or --allow-anyone too."
    )]
    pub listen: Option<String>,

    /// What everybody has to know who asks
    #[arg(
        long, value_name = "TOKEN", help_heading = HEADING_SERVE,
        long_help = "What everybody has to know who asks: at least 16 letters, digits, '-', '_', '.' or '~'. \
            Give it to a browser once as ?token=TOKEN, and to programs in the same way or as the \
            password of any user name. Other users of this machine can see it in the list of \
            processes; the variable S3MEM_TOKEN takes its place and is seen by nobody else."
    )]
    pub token: Option<String>,

    /// Listen on an address of the network, without a token
    #[arg(
        long, help_heading = HEADING_SERVE,
        long_help = "Let everybody read who can reach the address, at the cost of your credentials. Needed \
            for an address other than this machine's own, if there is no --token."
    )]
    pub allow_anyone: bool,

    /// Another name of this server, such as a proxy's
    #[arg(
        long, value_name = "NAME", help_heading = HEADING_SERVE, action = clap::ArgAction::Append,
        long_help = "Another name by which it is asked, such as that of the proxy of a JupyterHub; can be \
            repeated. Without it, it answers to localhost and to addresses in numbers, so that no page \
            in your browser can read from it by a name that it has made lead here."
    )]
    pub allow_host: Vec<String>,

    /// Let pages of this origin read, such as https://example.org
    #[arg(
        long, value_name = "ORIGIN", help_heading = HEADING_SERVE, action = clap::ArgAction::Append,
        long_help = "Let pages of this origin read (CORS), such as https://example.org or \
            http://localhost:3000; can be repeated. Pages of other origins can't."
    )]
    pub cors: Vec<String>,
}

/// Flags of a mount that mean nothing here.
const HIDDEN: &[&str] = &[
    "writes",
    "write_memory",
    "allow_overwrite",
    "allow_delete",
    "memory_only",
    "rename_directories",
    "on_close",
    "on_unmount",
    "content_type",
    "storage_class",
    "sse",
    "rootless",
    "link",
    "sse_kms_key_id",
    "uid",
    "gid",
    "file_mode",
    "dir_mode",
    "allow_other",
    "options",
];

/// What differs from `s3mem mount`.
pub(super) fn grammar(serve: clap::Command) -> clap::Command {
    let folder = |argument: clap::Arg| {
        argument
            .long("no-folder")
            .required(false)
            .value_parser(OsStringValueParser::new().map(PathBuf::from))
            .default_value(NO_FOLDER)
            .hide(true)
    };
    let serve = HIDDEN
        .iter()
        .fold(serve, |serve, name| serve.mut_arg(*name, |argument| argument.hide(true)));
    serve
        .mut_arg("source", super::rootless::source)
        .mut_arg("mount_point", folder)
        .mut_arg("more", |more| more)
        .override_usage(
            "s3mem serve [OPTIONS] <BUCKET[/PREFIX]>...\n       \
             s3mem serve [OPTIONS] --all-buckets",
        )
        .mut_arg("foreground", |argument| argument.default_value("true").hide(true))
        .after_help("Run 's3mem serve --help' (not -h) for explanations and examples.")
        .after_long_help(
            "\
Examples:
  Look at a public bucket in a browser, at http://127.0.0.1:8337/:
    s3mem serve --no-sign-request noaa-goes16

  Open an image from another program:
    s3mem serve --requester-pays sentinel-s2-l1c/tiles/10/S/DG
    gdalinfo /vsicurl/http://127.0.0.1:8337/2015/12/7/0/B04.jp2.tif

  For other machines, who have to know a token:
    S3MEM_TOKEN=$(openssl rand -hex 16) s3mem serve --listen 0.0.0.0:8337 data",
        )
}
