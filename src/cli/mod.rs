//! What may stand on the command line: names, shapes and help texts.
//!
//! Contract: syntax only. Every value arrives as the text that was typed, and
//! [`crate::config`] judges it. Each flag is described once, here; the `-o` words
//! of mount(8) and the calls of mount helpers are rewritten into these flags
//! before they are read (see `helper.rs` and `options.rs`), so there is no second
//! table of options to keep in step.

mod helper;
mod options;
mod views;
mod writes;

pub use views::ViewArgs;
pub use writes::WriteArgs;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

/// How wide a help text gets, however wide the terminal is.
const HELP_COLUMNS: usize = 100;

#[derive(Debug, Parser)]
#[command(
    name = "s3mem",
    version,
    about = "Mounts an S3 bucket so that any program that takes a file name reads objects from memory",
    long_about = "s3mem mounts an S3 bucket as a folder. Any program that takes a file name can then open \
        an object: it is fetched into memory as it is read, piece by piece, and nothing is written to disk. \
        The mount is read-only: nothing in the bucket can be changed through it.",
    after_help = "Run 's3mem mount --help' for all options with examples.",
    after_long_help = "\
Examples:
  Mount a public bucket, look around, and unmount it:
    mkdir -p ~/s2
    s3mem mount --no-sign-request noaa-goes16 ~/s2
    ls ~/s2
    s3mem umount ~/s2

  Mount one folder of a bucket that bills its readers, with your AWS credentials:
    s3mem mount --requester-pays sentinel-s2-l1c/tiles/10/S/DG ~/s2

  Then, in Python:
    import matplotlib.image as mpimg
    img = mpimg.imread('/home/me/s2/2015/12/7/0/B01.jp2')

Run 's3mem mount --help' for all options.",
    max_term_width = HELP_COLUMNS,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const MOUNT_ABOUT: &str = "Mounts a bucket, or a folder of it, so that its objects can be opened by file name.\n\n\
    The command returns when the mount is usable, with exit status 0, or it says what is wrong and \
    returns 1. The daemon that serves the files goes on in the background until 's3mem umount', \
    SIGTERM or SIGINT.\n\n\
    Credentials, region and endpoint are found as the AWS tools find them: environment variables \
    (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...), ~/.aws/config and \
    ~/.aws/credentials, single sign-on, assumed roles, and the role of an EC2 instance or a container. \
    The region of the bucket is found out where it is not given.";

const UMOUNT_ABOUT: &str = "Unmounts what s3mem has mounted, and waits until its daemon has ended.\n\n\
    A mount that is in use is left as it is, and the programs that use it are named: close them, or \
    leave the folder ('cd'), and try again.\n\n\
    Files that could not be put into the bucket (--writes upload) are waited for, unless the mount \
    has another --on-unmount. Ctrl-C ends the waiting, and leaves the mount as it is.";

const STATUS_ABOUT: &str = "Shows mounts of s3mem: what is mounted where, what programs may write, the \
    memory that written files take, the requests that were sent, and the files that are not in the \
    bucket yet, with the reason.\n\n\
    The exit status is 0 when all that was written is where it belongs, 3 when files are not in the \
    bucket yet, and 1 when a mount could not be asked.";

/// What s3mem is asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Mount a bucket, or a folder of it
    #[command(long_about = MOUNT_ABOUT)]
    Mount(Box<MountArgs>),
    /// Unmount what s3mem has mounted
    #[command(visible_alias = "unmount", long_about = UMOUNT_ABOUT)]
    Umount(UmountArgs),
    /// Show mounts, and which files are not in the bucket yet
    #[command(long_about = STATUS_ABOUT)]
    Status(StatusArgs),
}

/// The arguments of `s3mem mount`, as typed.
#[derive(Debug, Args)]
#[command(
    after_help = "Run 's3mem mount --help' (not -h) for explanations and examples.",
    after_long_help = "\
Examples:
  A public bucket, without an AWS account:
    s3mem mount --no-sign-request noaa-goes16 /mnt/goes

  One folder of a bucket that bills its readers (charged to your account):
    s3mem mount --requester-pays s3://sentinel-s2-l1c/tiles/10/S/DG /mnt/s2

  A server of your own (MinIO, Ceph, a university's object store):
    s3mem mount --endpoint-url https://s3.example.org --path-style data /mnt/data

  An access point, with the credentials of a profile:
    s3mem mount --profile lab arn:aws:s3:eu-central-1:123456789012:accesspoint/tiles /mnt/tiles

  At every start of the machine, as a line in /etc/fstab:
    s3://data/2024  /mnt/data  fuse.s3mem  _netdev,nofail,allow_other,memory=4G  0  0

  In the foreground, with the log on the terminal, until Ctrl-C:
    s3mem mount -f --log-level debug data /mnt/data",
    args_override_self = true,
    max_term_width = HELP_COLUMNS
)]
pub struct MountArgs {
    /// What to mount: BUCKET, BUCKET/PREFIX, s3://BUCKET/PREFIX, or an access point's ARN
    #[arg(
        value_name = "BUCKET[/PREFIX]",
        long_help = "What to mount: the name of a bucket, s3://BUCKET, or the ARN of an access point. \
            With /PREFIX behind it, only the objects under that prefix are seen, as if that \
            folder were the bucket."
    )]
    pub source: OsString,

    /// An empty folder, where the files will appear
    #[arg(
        value_name = "MOUNTPOINT",
        long_help = "The folder where the files will appear. It has to exist and to be empty, and nothing \
            may be mounted on it. A dead mount that a crashed s3mem left there is replaced."
    )]
    pub mount_point: PathBuf,

    /// The server, if it is not AWS, such as https://s3.example.org
    #[arg(
        long, value_name = "URL", help_heading = HEADING_WHERE,
        long_help = "The address of the server, if the bucket is not on AWS, such as \
            https://s3.example.org or http://localhost:9000. Also taken from AWS_ENDPOINT_URL \
            and from the AWS profile."
    )]
    pub endpoint_url: Option<String>,

    /// Ask for URL/BUCKET/KEY instead of BUCKET.URL/KEY
    #[arg(
        long, help_heading = HEADING_WHERE,
        long_help = "Ask the server for URL/BUCKET/KEY instead of BUCKET.URL/KEY. Most servers that are \
            not AWS (MinIO, Ceph) need this."
    )]
    pub path_style: bool,

    /// The AWS region of the bucket [default: found out]
    #[arg(
        long, value_name = "REGION", help_heading = HEADING_WHERE,
        long_help = "The AWS region of the bucket, such as eu-central-1. If it is not given, it is taken \
            from the environment or the profile, and a bucket that turns out to be elsewhere is \
            followed there."
    )]
    pub region: Option<String>,

    /// The AWS profile whose credentials are used
    #[arg(
        long, value_name = "NAME", help_heading = HEADING_ACCESS,
        long_help = "The profile in ~/.aws/config and ~/.aws/credentials whose credentials and settings \
            are used, instead of AWS_PROFILE or the default one."
    )]
    pub profile: Option<String>,

    /// Send no credentials: for public buckets
    #[arg(
        long, help_heading = HEADING_ACCESS,
        long_help = "Send requests without any credentials. Public buckets can be read so without an AWS \
            account."
    )]
    pub no_sign_request: bool,

    /// Agree to be charged for requests and transfer
    #[arg(
        long, help_heading = HEADING_ACCESS,
        long_help = "Agree to be charged for the requests and the transfer, as buckets of the kind \
            \"requester pays\" demand (sentinel-s2-l1c is one)."
    )]
    pub requester_pays: bool,

    /// Refuse a bucket that another account owns
    #[arg(
        long, value_name = "ID", help_heading = HEADING_ACCESS,
        long_help = "The number (12 digits) of the AWS account that the bucket must belong to. If it \
            belongs to another, every request is refused."
    )]
    pub expected_bucket_owner: Option<String>,

    /// Memory for all that is held, such as 2G [default: a quarter of the RAM]
    #[arg(
        long, value_name = "SIZE", help_heading = HEADING_BEHAVIOUR,
        long_help = "How much memory s3mem may use for all that it holds (objects, listings, names), such \
            as 512M, 2G or 1.5GiB; at least 64M. When it is full, what has not been used for \
            longest is dropped and fetched again when needed. The default is a quarter of the \
            machine's memory, or of what the container or batch job (the cgroup) is allowed."
    )]
    pub memory: Option<String>,

    /// How long a listing is believed; 0 and forever too [default: 60]
    #[arg(
        long, value_name = "SECONDS", help_heading = HEADING_BEHAVIOUR,
        long_help = "For how many seconds a listing of a folder is believed before the server is asked \
            again. 0 asks every time; \"forever\" never asks again: right for data that does not \
            change, and fastest. The default is 60."
    )]
    pub metadata_ttl: Option<String>,

    /// How long a request may stay without any answer [default: 30]
    #[arg(
        long, value_name = "SECONDS", help_heading = HEADING_BEHAVIOUR,
        long_help = "For how many seconds a request may stay without any answer, repeated attempts \
            included, before the program that reads gets an input/output error. The default is 30."
    )]
    pub request_timeout: Option<String>,

    /// Never change anything in the bucket (the default)
    #[arg(
        long, help_heading = HEADING_BEHAVIOUR,
        long_help = "Never change anything in the bucket. This is the default; the flag is there to say \
            it in scripts and in /etc/fstab."
    )]
    pub read_only: bool,

    /// What programs may write.
    #[command(flatten)]
    pub writes: WriteArgs,

    /// Virtual siblings of images.
    #[command(flatten)]
    pub views: ViewArgs,

    /// The number of the user who owns the files [default: you]
    #[arg(
        long, value_name = "NUMBER", help_heading = HEADING_OWNER,
        long_help = "The number of the user whom the files seem to belong to ('id -u NAME' prints it). \
            The default is the user who mounts."
    )]
    pub uid: Option<String>,

    /// The number of the group that owns the files [default: yours]
    #[arg(
        long, value_name = "NUMBER", help_heading = HEADING_OWNER,
        long_help = "The number of the group that the files seem to belong to ('id -g NAME' prints it). \
            The default is the main group of the user who mounts."
    )]
    pub gid: Option<String>,

    /// The permissions of files, in octal [default: 0644]
    #[arg(
        long, value_name = "MODE", help_heading = HEADING_OWNER,
        long_help = "The permissions that files show, in octal. Whatever they say, nothing can be \
            written. The default, 0644, lets everybody read, and gives copies that their owner can \
            edit and delete."
    )]
    pub file_mode: Option<String>,

    /// The permissions of folders, in octal [default: 0755]
    #[arg(
        long, value_name = "MODE", help_heading = HEADING_OWNER,
        long_help = "The permissions that folders show, in octal. Whatever they say, nothing can be \
            written. The default is 0755."
    )]
    pub dir_mode: Option<String>,

    /// Let other users of this machine see the files
    #[arg(
        long, help_heading = HEADING_OWNER,
        long_help = "Let all users of this machine see the files, as far as the permissions allow; \
            without it only the user who mounts sees them, not even root. As an ordinary user \
            this needs the line user_allow_other in /etc/fuse.conf."
    )]
    pub allow_other: bool,

    /// Stay in the foreground, until Ctrl-C
    #[arg(
        short = 'f', long, help_heading = HEADING_RUNNING,
        long_help = "Stay in the foreground and log to the terminal, until Ctrl-C. For trying things out, \
            for containers and for service managers."
    )]
    pub foreground: bool,

    /// Append the log to this file [default: the system's log]
    #[arg(
        long, value_name = "PATH", help_heading = HEADING_RUNNING,
        long_help = "Append the log to this file. The default is the terminal in the foreground, and else \
            the system's log, where 'journalctl -t s3mem' (or 'grep s3mem /var/log/syslog') \
            shows it."
    )]
    pub log_file: Option<PathBuf>,

    /// How much is logged
    #[arg(
        long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info, help_heading = HEADING_RUNNING,
        long_help = "How much is logged. Credentials are not logged at any level."
    )]
    pub log_level: LogLevel,

    /// Options as mount(8) and /etc/fstab write them
    #[arg(
        short = 'o', value_name = "OPT[,OPT]", action = clap::ArgAction::Append, help_heading = HEADING_RUNNING,
        long_help = "Options as mount(8) and /etc/fstab write them, with commas between them. Each long \
            option of this page can be given so, with its value behind '=' and with '_' or '-' \
            inside the name: -o allow_other,memory=4G. A comma inside a value is written '\\,'. \
            The general words of mount(8) (ro, noexec, _netdev, nofail, user, x-systemd...) are \
            understood; rw is accepted, because mount(8) adds it to every call, and the mount is \
            read-only all the same."
    )]
    pub options: Vec<String>,

    /// The name that mount(8) and df show, where mount(8) asks for another one than the source.
    #[arg(long, hide = true)]
    pub fsname: Option<String>,

    /// Run no programs from the mount: `-o noexec`.
    #[arg(long, hide = true)]
    pub noexec: bool,

    /// Check everything that can be checked without mounting, and mount nothing: `mount --fake`.
    #[arg(long, hide = true)]
    pub fake: bool,

    /// Pass over words behind -o that mean nothing: `mount -s`.
    #[arg(long, hide = true)]
    pub sloppy: bool,

    /// This process is the daemon: its parent waits at the other end of standard output for one
    /// byte that says that the mount is usable.
    #[arg(long, hide = true)]
    pub daemon: bool,
}

const HEADING_WHERE: &str = "Where the bucket is";
const HEADING_ACCESS: &str = "Who is asking";
const HEADING_BEHAVIOUR: &str = "Memory and freshness";
const HEADING_OWNER: &str = "Owner and permissions";
const HEADING_RUNNING: &str = "Running and logging";

/// The arguments of `s3mem umount`.
#[derive(Debug, Args)]
#[command(max_term_width = HELP_COLUMNS)]
pub struct UmountArgs {
    /// The folder that the bucket is mounted on
    #[arg(value_name = "MOUNTPOINT")]
    pub mount_point: PathBuf,
}

/// The arguments of `s3mem status`.
#[derive(Debug, Args)]
#[command(max_term_width = HELP_COLUMNS)]
pub struct StatusArgs {
    /// The folder that the bucket is mounted on [default: all mounts of yours]
    #[arg(value_name = "MOUNTPOINT")]
    pub mount_point: Option<PathBuf>,

    /// Print a JSON object for each mount, one a line
    #[arg(long)]
    pub json: bool,
}

/// How much is logged, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What failed for good
    Error,
    /// What may need somebody's attention
    Warn,
    /// Mounting and unmounting too
    Info,
    /// What helps to find a fault
    Debug,
    /// Everything
    Trace,
}

/// Reads a command line, whichever of its forms it has: `s3mem COMMAND ...`, the
/// call of a mount helper (`mount.s3mem SOURCE DIR -o ...`), or that of mount.fuse3
/// (`s3mem SOURCE DIR -o ...`).
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let mut words = helper::rewrite(args.into_iter().collect()).map_err(usage_error)?;
    let command = Cli::try_parse_from(&words)?.command;
    let Command::Mount(mount) = &command else { return Ok(command) };
    if mount.options.is_empty() {
        return Ok(command);
    }
    let flags =
        options::flags_of(&mount.options, mount.sloppy, &mount_flags()).map_err(usage_error)?;
    // Right behind `s3mem mount`: a flag that was typed comes later, and wins.
    words.splice(2..2, flags);
    Ok(Cli::try_parse_from(&words)?.command)
}

impl MountArgs {
    /// The words to call this program with so that it mounts what was asked for
    /// as the daemon, started by a process that waits for it.
    pub fn daemon_call(mut typed: Vec<OsString>) -> Result<Vec<OsString>, clap::Error> {
        if typed.is_empty() {
            typed.push("s3mem".into());
        }
        let mut words = helper::rewrite(typed).map_err(usage_error)?;
        words.splice(2..2, ["--daemon".into()]);
        Ok(words.split_off(1))
    }
}

/// The long flags of `s3mem mount` that may be given with `-o`, without the dashes.
fn mount_flags() -> Vec<String> {
    let command = Cli::command();
    let mount = command.find_subcommand("mount");
    mount
        .into_iter()
        .flat_map(|mount| mount.get_arguments())
        .filter(|argument| !argument.is_hide_set())
        .filter_map(|argument| argument.get_long())
        .map(str::to_owned)
        .collect()
}

/// A usage error of `s3mem mount`.
fn usage_error(sentence: String) -> clap::Error {
    let mut command = Cli::command();
    // Gives the subcommands their full names.
    command.build();
    match command.find_subcommand_mut("mount") {
        Some(mount) => mount.error(ErrorKind::InvalidValue, sentence),
        None => command.error(ErrorKind::InvalidValue, sentence),
    }
}

#[cfg(test)]
mod tests;
