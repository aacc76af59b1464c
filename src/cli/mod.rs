//! The command line: names, shapes and help texts of its arguments.
//!
//! Contract: syntax only. Every value arrives as the text that was typed, and
//! [`crate::config`] judges it. Each flag is described once, here; the `-o` words
//! of mount(8) and the calls of mount helpers are rewritten into these flags
//! before they are read (see `helper.rs` and `options.rs`), so there is no second
//! table of options to keep in step.

mod doctor;
mod helper;
mod manual;
mod misuse;
mod options;
mod rootless;
mod run;
mod serve;
mod status;
mod views;
mod writes;

pub use manual::{CompletedShell, CompletionsArgs, ManArgs, ManualPage};
pub use rootless::{Rootless, RootlessArgs};
pub use serve::ListenArgs;
pub use status::{GivenFlag, PriceArgs, StatusArgs};
pub use views::ViewArgs;
pub use writes::WriteArgs;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};

/// The widest that help texts get, in columns, on a wider terminal too.
const HELP_COLUMNS: usize = 100;

#[derive(Debug, Parser)]
#[command(
    name = "s3mem",
    version,
    about = "Mounts an S3 bucket so that any program that takes a file name reads objects from memory",
    long_about = "s3mem mounts an S3 bucket as a folder, so that any program that takes a file name can open \
        an object. It is fetched into memory as it is read, piece by piece, and nothing is written to disk. \
        Without --writes the mount is read-only.",
    after_help = "Run 's3mem mount --help' for all options with examples.",
    after_long_help = "\
Examples:
  Mount a public bucket, look around, and unmount it:
    mkdir -p ~/s2
    s3mem mount --no-sign-request noaa-goes16 ~/s2
    ls ~/s2
    s3mem umount ~/s2

  Mount one folder of a bucket that charges its readers, with your AWS credentials:
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
    The command returns with exit status 0 when the mount is usable. If it fails, it says what is \
    wrong and returns 1. The daemon that serves the files keeps running in the background until \
    's3mem umount', SIGTERM or SIGINT. SIGHUP has it open its log anew.\n\n\
    s3mem finds credentials, region and endpoint as the AWS tools do: in environment variables \
    (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...), ~/.aws/config and \
    ~/.aws/credentials, single sign-on, assumed roles, and the role of an EC2 instance or a container. \
    If you give no region, it detects the bucket's.";

const UMOUNT_ABOUT: &str = "Unmounts what s3mem has mounted, and waits until its daemon has ended.\n\n\
    If the mount is in use, it stays, and the programs that use it are named: close them, or leave \
    the folder ('cd'), and try again.\n\n\
    With --writes upload, the command waits for files that could not be uploaded yet, unless the \
    mount has another --on-unmount. Ctrl-C stops the waiting and leaves the mount as it is.";

/// The subcommands of `s3mem`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Mount a bucket, or a folder of it
    #[command(long_about = MOUNT_ABOUT)]
    Mount(Box<MountArgs>),
    /// Mount a bucket for one command, and unmount it after the command
    #[command(long_about = run::ABOUT)]
    Run(Box<RunArgs>),
    /// Serve a bucket by HTTP, with a gallery for the browser
    #[command(long_about = serve::ABOUT)]
    Serve(Box<ServeArgs>),
    /// Unmount what s3mem has mounted
    #[command(visible_alias = "unmount", long_about = UMOUNT_ABOUT)]
    Umount(UmountArgs),
    /// Show mounts, and which files are not in the bucket yet
    #[command(long_about = status::ABOUT, max_term_width = HELP_COLUMNS)]
    Status(StatusArgs),
    /// Look at this machine and a bucket, and say what is wrong
    #[command(long_about = doctor::ABOUT)]
    Doctor(Box<DoctorArgs>),
    /// Print what has a shell complete these commands
    #[command(long_about = manual::COMPLETIONS_ABOUT, max_term_width = HELP_COLUMNS)]
    Completions(CompletionsArgs),
    /// Write the pages of the manual into a folder
    #[command(long_about = manual::MAN_ABOUT, max_term_width = HELP_COLUMNS)]
    Man(ManArgs),
}

/// The arguments of `s3mem mount`, as typed.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Run 's3mem mount --help' (not -h) for explanations and examples.",
    after_long_help = "\
Examples:
  A public bucket, without an AWS account:
    s3mem mount --no-sign-request noaa-goes16 /mnt/goes

  One folder of a bucket that charges its readers (here, you):
    s3mem mount --requester-pays s3://sentinel-s2-l1c/tiles/10/S/DG /mnt/s2

  A server of your own (MinIO, Ceph, a university's object store):
    s3mem mount --endpoint-url https://s3.example.org --path-style data /mnt/data

  An access point, with the credentials of a profile:
    s3mem mount --profile lab arn:aws:s3:eu-central-1:123456789012:accesspoint/tiles /mnt/tiles

  At boot, as a line in /etc/fstab:
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
            With /PREFIX after it you see only the objects under that prefix, as if that folder \
            were the bucket."
    )]
    pub source: OsString,

    /// An empty folder, where the files will appear
    #[arg(
        value_name = "MOUNTPOINT", value_hint = ValueHint::DirPath,
        long_help = "The folder where the files will appear. It must exist and be empty, and nothing may \
            be mounted on it. A dead mount left there by a crashed s3mem is replaced."
    )]
    pub mount_point: PathBuf,

    /// The server, if it is not AWS, such as https://s3.example.org
    #[arg(
        long, value_name = "URL", help_heading = HEADING_WHERE,
        long_help = "The address of the server, if the bucket is not on AWS, such as \
            https://s3.example.org or http://localhost:9000. The default comes from \
            AWS_ENDPOINT_URL or the AWS profile."
    )]
    pub endpoint_url: Option<String>,

    /// Trust the certificate authorities in this file too
    #[arg(
        long, value_name = "FILE", help_heading = HEADING_WHERE,
        long_help = "Trust the certificate authorities in this file (PEM) besides those of the \
            system. Otherwise the file that AWS_CA_BUNDLE or the profile's ca_bundle names."
    )]
    pub ca_bundle: Option<PathBuf>,

    /// Request URL/BUCKET/KEY instead of BUCKET.URL/KEY
    #[arg(
        long, help_heading = HEADING_WHERE,
        long_help = "Request URL/BUCKET/KEY instead of BUCKET.URL/KEY. Most servers other than AWS \
            (MinIO, Ceph) need this. It is on if the endpoint is localhost or an IP address."
    )]
    pub path_style: bool,

    /// The AWS region of the bucket [default: detected]
    #[arg(
        long, value_name = "REGION", help_heading = HEADING_WHERE,
        long_help = "The AWS region of the bucket, such as eu-central-1. The default comes from the \
            environment or the profile; if the bucket turns out to be elsewhere, s3mem follows it \
            there."
    )]
    pub region: Option<String>,

    /// The AWS profile to take credentials from
    #[arg(
        long, value_name = "NAME", help_heading = HEADING_ACCESS,
        long_help = "The profile in ~/.aws/config and ~/.aws/credentials to take credentials and settings \
            from, instead of the one in AWS_PROFILE or the default one."
    )]
    pub profile: Option<String>,

    /// Send no credentials: for public buckets
    #[arg(
        long, help_heading = HEADING_ACCESS,
        long_help = "Send requests without any credentials, to read public buckets without an AWS \
            account."
    )]
    pub no_sign_request: bool,

    /// Agree to be charged for requests and transfer
    #[arg(
        long, help_heading = HEADING_ACCESS,
        long_help = "Agree to be charged for the requests and the transfer. Buckets with \"requester \
            pays\" (sentinel-s2-l1c is one) demand this."
    )]
    pub requester_pays: bool,

    /// Refuse a bucket that another account owns
    #[arg(
        long, value_name = "ID", help_heading = HEADING_ACCESS,
        long_help = "The AWS account (12 digits) that the bucket must belong to. If it belongs to \
            another, every request is refused."
    )]
    pub expected_bucket_owner: Option<String>,

    /// Memory for everything that is held, such as 2G [default: a quarter of the RAM]
    #[arg(
        long, value_name = "SIZE", help_heading = HEADING_BEHAVIOUR,
        long_help = "How much memory s3mem may use for everything that it holds (objects, listings, \
            names), such as 512M, 2G or 1.5GiB; at least 64M. When it is full, whatever has been \
            unused for longest is dropped, and fetched again when needed. The default is a quarter \
            of the machine's memory, or of what the container or batch job (the cgroup) may use."
    )]
    pub memory: Option<String>,

    /// How long to trust a listing, in seconds; "forever" is allowed [default: 60]
    #[arg(
        long, value_name = "SECONDS", help_heading = HEADING_BEHAVIOUR,
        long_help = "For how many seconds to trust the listing of a folder before asking the server \
            again. 0 asks every time. \"forever\" never asks again: it is the fastest, and right for \
            data that does not change. The default is 60."
    )]
    pub metadata_ttl: Option<String>,

    /// How long a request may go without any answer, in seconds [default: 30]
    #[arg(
        long, value_name = "SECONDS", help_heading = HEADING_BEHAVIOUR,
        long_help = "For how many seconds a request may go without any answer, retries included, before \
            the program that waits for it gets an input/output error. The default is 30."
    )]
    pub request_timeout: Option<String>,

    /// Compare objects that are read whole with the server's checksum
    #[arg(
        long, help_heading = HEADING_BEHAVIOUR,
        long_help = "Compare each object that a program reads from its first byte to its last with \
            the checksum that the server keeps of it: a CRC of the whole object or of its parts, or \
            an ETag that is an MD5. If they differ, the read that needs the last bytes fails with an \
            input/output error, and the next one fetches all of it again; what was read before \
            can't be taken back. Costs a HEAD for each object, and two for one that was uploaded in \
            parts. The log names objects that can't be compared."
    )]
    pub verify: bool,

    /// Never change anything in the bucket (the default)
    #[arg(
        long, help_heading = HEADING_BEHAVIOUR,
        long_help = "Never change anything in the bucket. This is the default; use the flag to say so in \
            scripts and in /etc/fstab."
    )]
    pub read_only: bool,

    /// The flags under "Writing".
    #[command(flatten)]
    pub writes: WriteArgs,

    /// The flags under "Virtual siblings of images".
    #[command(flatten)]
    pub views: ViewArgs,

    /// The flags under "What status shows".
    #[command(flatten)]
    pub prices: PriceArgs,

    /// The user ID that files show [default: yours]
    #[arg(
        long, value_name = "NUMBER", help_heading = HEADING_OWNER,
        long_help = "The user ID that files show as their owner ('id -u NAME' prints it). The default is \
            yours."
    )]
    pub uid: Option<String>,

    /// The group ID that files show [default: yours]
    #[arg(
        long, value_name = "NUMBER", help_heading = HEADING_OWNER,
        long_help = "The group ID that files show ('id -g NAME' prints it). The default is that of your \
            main group."
    )]
    pub gid: Option<String>,

    /// The permissions that files show, in octal [default: 0644]
    #[arg(
        long, value_name = "MODE", help_heading = HEADING_OWNER,
        long_help = "The permissions that files show, in octal. Without --writes, nothing can be written \
            whatever they say. The default, 0644, lets everybody read, and a copy of a file can be \
            edited and deleted by its owner."
    )]
    pub file_mode: Option<String>,

    /// The permissions that folders show, in octal [default: 0755]
    #[arg(
        long, value_name = "MODE", help_heading = HEADING_OWNER,
        long_help = "The permissions that folders show, in octal. Without --writes, nothing can be \
            written whatever they say. The default is 0755."
    )]
    pub dir_mode: Option<String>,

    /// Let other users of this machine see the files
    #[arg(
        long, help_heading = HEADING_OWNER,
        long_help = "Let all users of this machine see the files, as far as the permissions allow. \
            Without it only you see them; not even root does. Ordinary users need the line \
            user_allow_other in /etc/fuse.conf for this."
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
        long_help = "Append the log to this file, which only you can read if it is made; after SIGHUP it is \
            opened anew. The default is the terminal with --foreground, and otherwise the system's \
            log: 'journalctl -t s3mem' (or 'grep s3mem /var/log/syslog') shows it. Where the system \
            has no log it is a file, which 's3mem status' names."
    )]
    pub log_file: Option<PathBuf>,

    /// How much to log
    #[arg(
        long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info, help_heading = HEADING_RUNNING,
        long_help = "How much to log. Credentials are never logged."
    )]
    pub log_level: LogLevel,

    /// Allow core dumps and debuggers, which see the credentials
    #[arg(
        long, help_heading = HEADING_RUNNING,
        long_help = "Let the daemon leave a core dump when it crashes, and let debuggers of its user look \
            into it, to find a fault in s3mem. Both show the secret access key and what programs \
            read and wrote. Without this flag only root can look into the daemon."
    )]
    pub allow_core_dumps: bool,

    /// The flags under "Without privileges".
    #[command(flatten)]
    pub rootless: RootlessArgs,

    /// Options in the notation of mount(8) and /etc/fstab
    #[arg(
        short = 'o', value_name = "OPT[,OPT]", action = clap::ArgAction::Append, help_heading = HEADING_RUNNING,
        long_help = "Options in the notation of mount(8) and /etc/fstab, separated by commas. You can \
            give each long option of this page like this, with '_' or '-' inside the name: \
            -o allow_other,memory=4G. Write a comma inside a value as '\\,'. The general words of \
            mount(8) (ro, noexec, nosymfollow, _netdev, nofail, user, context=..., x-systemd...) are \
            understood. rw is \
            accepted, because mount(8) adds it to every call, but makes nothing writable."
    )]
    pub options: Vec<String>,

    /// The name that mount(8) and df show, if mount(8) asks for another one than the source.
    #[arg(long, hide = true)]
    pub fsname: Option<String>,

    /// Run no programs from the mount: `-o noexec`.
    #[arg(long, hide = true)]
    pub noexec: bool,

    /// Follow no symbolic link in the mount: `-o nosymfollow`.
    #[arg(long, hide = true)]
    pub nosymfollow: bool,

    /// Words of SELinux for the kernel: `-o context=...` and its kin.
    #[arg(long, hide = true, action = clap::ArgAction::Append)]
    pub security_context: Vec<String>,

    /// Check everything that can be checked without mounting, and mount nothing: `mount --fake`.
    #[arg(long, hide = true)]
    pub fake: bool,

    /// Ignore unknown words after -o: `mount -s`.
    #[arg(long, hide = true)]
    pub sloppy: bool,

    /// This process is the daemon: its parent reads from its standard output and waits for one
    /// byte, which says that the mount is usable.
    #[arg(long, hide = true)]
    pub daemon: bool,

    /// This process ends when the one that has started it does.
    #[arg(long, hide = true)]
    pub ends_with_parent: bool,

    /// The flags among these that were given.
    #[arg(skip)]
    pub given: Vec<GivenFlag>,
}

const HEADING_WHERE: &str = "Where the bucket is";
const HEADING_ACCESS: &str = "Who is asking";
const HEADING_BEHAVIOUR: &str = "Memory and freshness";
const HEADING_OWNER: &str = "Owner and permissions";
const HEADING_RUNNING: &str = "Running and logging";

/// The arguments of `s3mem run`, as typed.
#[derive(Debug, Args)]
#[command(max_term_width = HELP_COLUMNS)]
pub struct RunArgs {
    /// What to mount, and how.
    #[command(flatten)]
    pub mount: MountArgs,

    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The arguments of `s3mem serve`, as typed.
#[derive(Debug, Args)]
#[command(max_term_width = HELP_COLUMNS)]
pub struct ServeArgs {
    /// What to serve, and how.
    #[command(flatten)]
    pub mount: MountArgs,

    /// Where, and to whom.
    #[command(flatten)]
    pub listen: ListenArgs,
}

/// The arguments of `s3mem doctor`.
#[derive(Debug, Args)]
#[command(max_term_width = HELP_COLUMNS)]
pub struct DoctorArgs {
    /// Where the bucket is, and who asks.
    #[command(flatten)]
    pub mount: MountArgs,

    /// Try to write and delete an object, too
    #[arg(
        long,
        long_help = "Write an object of a name of its own into the bucket, try to write it again, delete it, \
            and begin and abandon an upload in parts: whether all of that is allowed."
    )]
    pub write_test: bool,

    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `s3mem umount`.
#[derive(Debug, Args)]
#[command(max_term_width = HELP_COLUMNS)]
pub struct UmountArgs {
    /// The folder that the bucket is mounted on
    #[arg(value_name = "MOUNTPOINT", value_hint = ValueHint::DirPath)]
    pub mount_point: PathBuf,
}

/// How much to log, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What has failed for good
    Error,
    /// What may need somebody's attention
    Warn,
    /// Mounting and unmounting, too
    Info,
    /// What helps to find a fault
    Debug,
    /// Everything
    Trace,
}

/// Reads a command line in any of its forms: `s3mem COMMAND ...`, the
/// call of a mount helper (`mount.s3mem SOURCE DIR -o ...`), or that of mount.fuse3
/// (`s3mem SOURCE DIR -o ...`).
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let words: Vec<OsString> = args.into_iter().collect();
    read(words.clone()).map_err(|error| {
        let told = misuse::printable(&words).and_then(|printable| read(printable).err());
        told.unwrap_or(error)
    })
}

fn read(words: Vec<OsString>) -> Result<Command, clap::Error> {
    let mut words = rewritten(words)?;
    let command = parsed(&words)?;
    let mount = match &command {
        Command::Mount(mount) => mount.as_ref(),
        Command::Run(run) => &run.mount,
        Command::Serve(serve) => &serve.mount,
        Command::Umount(_)
        | Command::Status(_)
        | Command::Doctor(_)
        | Command::Completions(_)
        | Command::Man(_) => return Ok(command),
    };
    if mount.options.is_empty() {
        return Ok(command);
    }
    let flags =
        options::flags_of(&mount.options, mount.sloppy, &mount_flags()).map_err(usage_error)?;
    // Right after `s3mem mount`: a flag that was typed comes later, and wins.
    words.splice(2..2, flags);
    parsed(&words)
}

/// The call of a mount helper, rewritten as `s3mem mount ...`.
fn rewritten(typed: Vec<OsString>) -> Result<Vec<OsString>, clap::Error> {
    let program = grammar();
    let is_command = |word: &str| word == "help" || program.find_subcommand(word).is_some();
    helper::rewrite(typed, is_command).map_err(usage_error)
}

/// What has a shell complete our commands and flags.
pub fn completions(args: &CompletionsArgs) -> Vec<u8> {
    manual::completions(args.shell, &grammar())
}

/// The pages of the manual, made on `date` (YYYY-MM-DD).
///
/// # Errors
/// Help texts that can't be written; there are none.
pub fn manual(date: &str) -> io::Result<Vec<ManualPage>> {
    manual::pages(&grammar(), date)
}

fn parsed(words: &[OsString]) -> Result<Command, clap::Error> {
    let program = grammar();
    let mut matches = program.clone().try_get_matches_from(words)?;
    let typed = matches.subcommand().zip(matches.subcommand_name());
    let given = typed
        .and_then(|((_, typed), name)| Some(status::given(program.find_subcommand(name)?, typed)));
    let mut command = Cli::from_arg_matches_mut(&mut matches)?.command;
    match &mut command {
        Command::Mount(mount) => mount.given = given.unwrap_or_default(),
        Command::Run(run) => run.mount.given = given.unwrap_or_default(),
        Command::Serve(serve) => serve.mount.given = given.unwrap_or_default(),
        Command::Umount(_)
        | Command::Status(_)
        | Command::Doctor(_)
        | Command::Completions(_)
        | Command::Man(_) => {}
    }
    Ok(command)
}

/// All commands with their arguments.
fn grammar() -> clap::Command {
    Cli::command()
        .mut_subcommand("mount", rootless::grammar)
        .mut_subcommand("run", |run| run::grammar(run, HEADING_RUNNING))
        .mut_subcommand("serve", serve::grammar)
        .mut_subcommand("doctor", doctor::grammar)
}

impl MountArgs {
    /// The arguments that make this program mount the same as the daemon, started by a
    /// process that waits for it; without the program's own name.
    pub fn daemon_call(mut typed: Vec<OsString>) -> Result<Vec<OsString>, clap::Error> {
        if typed.is_empty() {
            typed.push("s3mem".into());
        }
        let mut words = rewritten(typed)?;
        words.splice(2..2, ["--daemon".into()]);
        Ok(words.split_off(1))
    }

    /// As [`MountArgs::daemon_call`], for a mount on `folder` in the mounts of process `holder`,
    /// which ends with that.
    pub fn rootless_daemon_call(
        &self,
        typed: Vec<OsString>,
        folder: &Path,
        holder: u32,
    ) -> Result<Vec<OsString>, clap::Error> {
        let mut words = MountArgs::daemon_call(typed)?;
        let flags = ["--enter", "--ends-with"].map(|flag| format!("{flag}={holder}").into());
        words.splice(2..2, flags);
        if self.folder().is_none() {
            words.push(folder.into());
        }
        Ok(words)
    }

    /// The folder to mount on, if one is named.
    pub fn folder(&self) -> Option<&Path> {
        Some(self.mount_point.as_path()).filter(|path| !path.as_os_str().is_empty())
    }
}

impl RunArgs {
    /// The folder for the files, if one is named.
    pub fn at(&self) -> Option<&Path> {
        self.mount.folder()
    }

    /// The arguments that make this program mount for the command, as the daemon, on
    /// `folder`, in the mounts of process `holder` if there is one; without the program's own
    /// name. `typed` are those of `s3mem run`.
    pub fn daemon_call(
        typed: Vec<OsString>,
        folder: &Path,
        holder: Option<u32>,
    ) -> Result<Vec<OsString>, clap::Error> {
        let words = rewritten(typed)?;
        let mut call = vec!["mount".into(), "--daemon".into(), "--ends-with-parent".into()];
        call.extend(holder.map(|holder| format!("--enter={holder}").into()));
        let mut typed = words.into_iter().skip(2);
        while let Some(word) = typed.next() {
            if word == OsStr::new("--") {
                break;
            }
            if word == OsStr::new("--at") {
                typed.next();
            } else if !word.as_encoded_bytes().starts_with(b"--at=") {
                call.push(word);
            }
        }
        call.extend(["--".into(), folder.into()]);
        Ok(call)
    }
}

impl DoctorArgs {
    /// The bucket, if one is named.
    pub fn bucket(&self) -> Option<&OsStr> {
        Some(self.mount.source.as_os_str()).filter(|source| !source.is_empty())
    }

    /// The folder to mount on, if one is named.
    pub fn mount_point(&self) -> Option<&Path> {
        Some(self.mount.mount_point.as_path()).filter(|path| !path.as_os_str().is_empty())
    }

    /// The arguments of a mount of the bucket, on some folder.
    pub fn for_settings(&self) -> MountArgs {
        let mount_point = self.mount_point().unwrap_or(Path::new("."));
        MountArgs { mount_point: mount_point.to_owned(), ..self.mount.clone() }
    }
}

/// The long flags of `s3mem mount` that may be given with `-o`, without the dashes.
fn mount_flags() -> Vec<String> {
    let command = grammar();
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
    let mut command = grammar();
    // Gives the subcommands their full names.
    command.build();
    match command.find_subcommand_mut("mount") {
        Some(mount) => mount.error(ErrorKind::InvalidValue, sentence),
        None => command.error(ErrorKind::InvalidValue, sentence),
    }
}

#[cfg(test)]
mod tests;
