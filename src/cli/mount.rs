//! The arguments of `s3mem mount`, most of which `run`, `serve` and `doctor` take too.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::cache::CacheArgs;
use super::log::{HEADING_RUNNING, LogArgs};
use super::rootless::RootlessArgs;
use super::status::{GivenFlag, PriceArgs};
use super::views::ViewArgs;
use super::writes::WriteArgs;

pub(super) const ABOUT: &str = "Mounts a bucket, or a folder of it, so that its objects can be opened by file name.\n\n\
    The command returns with exit status 0 when the mount is usable. If it fails, it says what is \
    wrong and returns 1. The daemon that serves the files keeps running in the background until \
    's3mem umount', SIGTERM or SIGINT. SIGHUP has it open its log anew.\n\n\
    s3mem finds credentials, region and endpoint as the AWS tools do: in environment variables \
    (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...), ~/.aws/config and \
    ~/.aws/credentials, single sign-on, assumed roles, and the role of an EC2 instance or a container. \
    If you give no region, it detects the bucket's.";

const HEADING_WHERE: &str = "Where the bucket is";
const HEADING_ACCESS: &str = "Who is asking";
const HEADING_BEHAVIOUR: &str = "Memory and freshness";
const HEADING_OWNER: &str = "Owner and permissions";

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

  Several buckets side by side, as /mnt/s3/landsat and /mnt/s3/2024:
    s3mem mount landsat data/2024 /mnt/s3

  All of your buckets, each as a folder:
    s3mem mount s3:// /mnt/s3

  In the foreground, with the log on the terminal, until Ctrl-C:
    s3mem mount -f --log-level debug data /mnt/data",
    args_override_self = true
)]
pub struct MountArgs {
    /// What to mount: BUCKET, BUCKET/PREFIX, s3://BUCKET/PREFIX, or an access point's ARN; several for a folder of each; s3:// for all
    #[arg(
        value_name = "BUCKET[/PREFIX]",
        long_help = "What to mount: the name of a bucket, s3://BUCKET, or the ARN of an access point. \
            With /PREFIX after it you see only the objects under that prefix, as if that folder \
            were the bucket. Give several, and each is a folder of its name (the last one of its \
            prefix, or else the bucket's). s3:// alone shows all your buckets, as --all-buckets does."
    )]
    pub source: OsString,

    /// An empty folder, where the files will appear
    #[arg(
        value_name = "MOUNTPOINT", value_hint = ValueHint::DirPath,
        long_help = "The folder where the files will appear. It must exist and be empty, and nothing may \
            be mounted on it. A dead mount left there by a crashed s3mem is replaced. /dev/fd/N is a \
            FUSE device that another program has opened and mounted, and hands over: s3mem only \
            serves it."
    )]
    pub mount_point: PathBuf,

    /// What follows the first two words: further buckets, and the mount point as the last one.
    #[arg(hide = true, value_hint = ValueHint::DirPath)]
    pub more: Vec<OsString>,

    /// Show each bucket as a folder
    #[arg(
        long, help_heading = HEADING_WHERE,
        long_help = "Show each of your buckets as a folder, and any other bucket that you may read by \
            its name: it is found when a program asks for it, although the top folder does not list \
            it. Without the permission s3:ListAllMyBuckets the top folder can't be listed, and \
            buckets are found by their names alone."
    )]
    pub all_buckets: bool,

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

    /// The cache on disk.
    #[command(flatten)]
    pub cache: CacheArgs,

    /// How long to trust a listing, in seconds; "forever" is allowed [default: 60]
    #[arg(
        long, value_name = "SECONDS", help_heading = HEADING_BEHAVIOUR,
        long_help = "For how many seconds to trust the listing of a folder before asking the server \
            again. 0 asks every time. \"forever\" never asks again: it is the fastest, and right for \
            data that does not change. The default is 60."
    )]
    pub metadata_ttl: Option<String>,

    /// Show the versions that the bucket keeps of X in the folder X%%versions
    #[arg(
        long, help_heading = HEADING_BEHAVIOUR,
        long_help = "Show the versions that the bucket keeps of each object: those of X are in the folder \
            X%%versions, which 'ls' does not show beside X, as 2026-05-01T09:30:00Z-1/X (its time in UTC, \
            and a number among those of one second), with all siblings. A deletion is an empty folder \
            whose name ends in -deleted. Old versions are read-only. The folder costs one LIST for each \
            thousand versions, when you look into it, and needs s3:ListBucketVersions; reading a version \
            needs s3:GetObjectVersion."
    )]
    pub versions: bool,

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

    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,

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
