//! Settings: what was typed and what the environment says, checked and complete.
//!
//! Contract: turns [`crate::cli`]'s texts into each module's own configuration, or
//! into a sentence that says what is wrong with which argument. The only place
//! that reads the environment, besides the AWS SDK, which reads its own variables.
//! Never touches the network or the mount point.

mod machine;
mod size;
mod source;
mod views;
mod writes;

use std::env;
use std::ffi::OsString;
use std::path::{self, Path, PathBuf};
use std::time::Duration;

pub(crate) use size::show as show_size;
pub use source::Source;
pub use writes::OnUnmount;

use crate::cli::{LogLevel, MountArgs};
use crate::fs::FsConfig;
use crate::fuse::MountConfig;
use crate::key::KeyError;
use crate::store::{RetryConfig, S3Config};
use crate::sys;
use crate::view::UnknownView;

/// Under this the read path has no room to work in.
const MIN_MEMORY_BYTES: u64 = 64 << 20;
/// A machine that does not say how much memory it has gets this.
const FALLBACK_MEMORY_BYTES: u64 = 1 << 30;
const DEFAULT_METADATA_TTL: Duration = Duration::from_secs(60);
const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Like every other S3 mount (mountpoint-s3, rclone, goofys, gcsfuse). Modes without
/// write bits would say "read-only" once more than EROFS does, but `cp -r` copies
/// them, and then the copy can be neither edited nor deleted by its owner.
const DEFAULT_FILE_MODE: u16 = 0o644;
const DEFAULT_DIR_MODE: u16 = 0o755;

/// Why an argument or a variable can't be used. Each is a sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The source is neither a bucket nor an access point.
    #[error(
        "\"{0}\" does not name a bucket: give BUCKET, BUCKET/PREFIX, s3://BUCKET/PREFIX or the ARN of \
         an access point; the address of a server goes into --endpoint-url"
    )]
    Source(String),
    /// The bucket's name or the ARN does not parse.
    #[error("{0}")]
    Bucket(KeyError),
    /// A multi-region access point, which needs another way of signing.
    #[error(
        "\"{0}\" is a multi-region access point, which s3mem does not support; \
         mount one of the buckets behind it, or an access point in one region"
    )]
    MultiRegion(String),
    /// A bucket's ARN instead of an access point's.
    #[error("a bucket is mounted by its name, not by its ARN: give s3://{0}")]
    BucketArn(String),
    /// `--memory` is no size.
    #[error("--memory \"{0}\" is no size: write a number and a unit, such as 512M, 2G or 1.5GiB")]
    Memory(String),
    /// `--memory` is too little.
    #[error("--memory \"{0}\" is too little: s3mem needs at least 64M")]
    MemoryTooSmall(String),
    /// `--endpoint-url` or its variable is no URL of a server.
    #[error(
        "{from} \"{url}\" is no address of a server: it should look like https://s3.example.org or \
         http://localhost:9000"
    )]
    Endpoint {
        /// The flag or the variable.
        from: &'static str,
        /// What it says.
        url: String,
    },
    /// A URL with a password in it, which would end up in logs.
    #[error(
        "{0} contains a user name or a password; take it out, and give the credentials in \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or in a profile"
    )]
    EndpointWithPassword(&'static str),
    /// `--region` can't be a region's name.
    #[error("--region \"{0}\" is no name of a region: it should look like eu-central-1")]
    Region(String),
    /// `--views` names no views.
    #[error("--views: {0}")]
    Views(#[from] UnknownView),
    /// `--preview-size` is no size of a picture.
    #[error(
        "--preview-size \"{0}\" is no size of a picture: give a number of pixels from 16 to 16384"
    )]
    PreviewSize(String),
    /// `--png-compression` is none that there is.
    #[error("--png-compression \"{0}\" is unknown: give 'none' or 'fast'")]
    PngCompression(String),
    /// A limit is no number.
    #[error("{flag} \"{text}\" is no number: write one above 0, such as 20000, 16M or 2G")]
    Number {
        /// The flag.
        flag: &'static str,
        /// What it says.
        text: String,
    },
    /// `--writes` is none that there is.
    #[error("--writes \"{0}\" is unknown: give 'deny', 'memory' or 'upload'")]
    Writes(String),
    /// `--write-memory` is no size, or too little.
    #[error(
        "--write-memory \"{text}\" is no size of {least} or more: write a number and a unit, such as \
         512M or 2G"
    )]
    WriteMemory {
        /// What it says.
        text: String,
        /// The least that will do.
        least: String,
    },
    /// A flag of writing where nothing of that kind is written.
    #[error("{0} means nothing without --writes {1}")]
    WritesAlone(&'static str, &'static str),
    /// `--memory-only` is no pattern.
    #[error("--memory-only \"{0}\" is no pattern: write a name with * and ?, such as '*.aux.xml'")]
    MemoryOnly(String),
    /// `--on-unmount` is none that there is.
    #[error("--on-unmount \"{0}\" is unknown: give 'wait', 'refuse' or 'discard'")]
    OnUnmount(String),
    /// `--sse` is none that there is.
    #[error("--sse \"{0}\" is unknown: give 'AES256' or 'aws:kms'")]
    Sse(String),
    /// A KMS key for an encryption that has none.
    #[error("--sse-kms-key-id is for --sse aws:kms, not for AES256")]
    SseKey,
    /// Too little is left to read with.
    #[error(
        "--write-memory {write_memory} leaves too little of --memory {memory}: 64M are needed to read \
         with. Give more --memory, or less --write-memory"
    )]
    NoMemoryToRead {
        /// What there is in all.
        memory: String,
        /// What written files may take.
        write_memory: String,
    },
    /// `--profile` is empty.
    #[error(
        "--profile is empty: give the name of a profile in ~/.aws/config, or leave the flag out"
    )]
    Profile,
    /// `--expected-bucket-owner` is no account.
    #[error("--expected-bucket-owner \"{0}\" is no AWS account: it should be 12 digits")]
    BucketOwner(String),
    /// A duration does not parse.
    #[error("{flag} \"{text}\" is no time: give a number of seconds{extra}")]
    Seconds {
        /// The flag.
        flag: &'static str,
        /// What it says.
        text: String,
        /// What else is allowed.
        extra: &'static str,
    },
    /// A user or group is no number.
    #[error("{flag} \"{text}\" is no number; '{command}' prints the number of a name")]
    Id {
        /// The flag.
        flag: &'static str,
        /// What it says.
        text: String,
        /// The command that prints the number.
        command: String,
    },
    /// A mode is no octal permission.
    #[error("{flag} \"{text}\" is no permission in octal: it should look like {example}")]
    Mode {
        /// The flag.
        flag: &'static str,
        /// What it says.
        text: String,
        /// A value that works.
        example: &'static str,
    },
    /// The current folder is gone, so that relative paths mean nothing.
    #[error(
        "\"{0}\" can't be looked up, because the folder that you are in does not exist any more"
    )]
    RelativePath(String),
    /// The log would be written into the mount itself.
    #[error("the log file {log} lies inside the mount point; put it somewhere else")]
    LogInsideMount {
        /// The log file.
        log: String,
    },
}

/// What the environment says that matters here.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Where programs are searched (`PATH`).
    pub path: OsString,
    /// The program that mounts for ordinary users, if `FUSERMOUNT_PATH` names one.
    pub fusermount: Option<PathBuf>,
    /// The AWS profile, if a variable names one.
    pub profile: Option<String>,
    /// The endpoint for S3, if a variable names one.
    pub endpoint_url: Option<String>,
    /// The bytes of memory that the machine or the control group allows.
    pub memory_limit_bytes: Option<u64>,
    /// Where an ordinary user's programs keep what is gone with the session.
    pub runtime_folder: Option<PathBuf>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let text = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Environment {
            path: env::var_os("PATH").unwrap_or_default(),
            fusermount: env::var_os("FUSERMOUNT_PATH").map(PathBuf::from),
            profile: text("AWS_PROFILE"),
            endpoint_url: text("AWS_ENDPOINT_URL_S3").or_else(|| text("AWS_ENDPOINT_URL")),
            memory_limit_bytes: machine::memory_limit(Path::new("/")),
            runtime_folder: env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
        }
    }

    /// The program that mounts and unmounts for ordinary users, if it is installed.
    pub fn fusermount(&self) -> Option<PathBuf> {
        if let Some(path) = &self.fusermount {
            return Some(path.clone());
        }
        let folders: Vec<PathBuf> =
            env::split_paths(&self.path).chain(["/usr/bin".into(), "/bin".into()]).collect();
        // Version 3 first, as the kernel library searches too.
        ["fusermount3", "fusermount"]
            .iter()
            .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
            .find(|path| path.is_file())
    }
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error, in the foreground.
    Terminal,
    /// The end of a file.
    File(PathBuf),
    /// The system's log.
    System,
}

/// Everything that `s3mem mount` needs to know.
#[derive(Debug, Clone)]
pub struct MountSettings {
    /// What is mounted.
    pub source: Source,
    /// Where, as an absolute path; whether it can be used is not known yet.
    pub mount_point: PathBuf,
    /// How to reach the bucket.
    pub s3: S3Config,
    /// How long to try.
    pub retry: RetryConfig,
    /// How objects look as files.
    pub fs: FsConfig,
    /// What happens to files that are not in the bucket when the mount is to end.
    pub on_unmount: OnUnmount,
    /// How the kernel mounts it.
    pub mount: MountConfig,
    /// Where log lines go.
    pub log_target: LogTarget,
    /// Which of them.
    pub log_level: LogLevel,
    /// Whether this process serves the mount itself, on the terminal.
    pub foreground: bool,
    /// Whether a parent process waits for this one to be ready.
    pub daemon: bool,
    /// Whether to stop before anything is mounted.
    pub fake: bool,
    /// The AWS profile, however it was chosen, for messages.
    pub profile: Option<String>,
    /// The server's address as far as it is known here, for messages.
    pub endpoint_url: Option<String>,
    /// What the user should know and what hinders nothing.
    pub notes: Vec<String>,
}

impl MountSettings {
    /// Checks the arguments, completed by the environment.
    pub fn new(args: &MountArgs, environment: &Environment) -> Result<MountSettings, ConfigError> {
        let source = Source::parse(&args.source)?;
        let mount_point = absolute(&args.mount_point)?;
        let log_target = log_target(args, &mount_point)?;
        let endpoint_url = endpoint_url(args, environment)?;
        let mut notes = Vec::new();
        let memory_bytes = memory_bytes(args, environment, &mut notes)?;
        let place = format!("{}/{}", endpoint_url.as_deref().unwrap_or("aws"), source.bucket);
        let writes::Shared { memory_bytes, writes } = writes::write_config(
            &args.writes,
            environment,
            &place,
            memory_bytes,
            MIN_MEMORY_BYTES,
        )?;
        let fs = FsConfig {
            prefix: source.prefix.clone(),
            metadata_ttl: metadata_ttl(args)?,
            uid: id("--uid", args.uid.as_deref(), "id -u", sys::effective_uid)?,
            gid: id("--gid", args.gid.as_deref(), "id -g", sys::effective_gid)?,
            file_mode: mode("--file-mode", args.file_mode.as_deref(), DEFAULT_FILE_MODE, "0644")?,
            dir_mode: mode("--dir-mode", args.dir_mode.as_deref(), DEFAULT_DIR_MODE, "0755")?,
            memory_bytes,
            views: views::view_config(&args.views)?,
            writes,
        };
        let s3 = S3Config {
            endpoint_url: args.endpoint_url.clone(),
            path_style: args.path_style,
            region: region(args)?,
            profile: profile(args)?,
            no_sign_request: args.no_sign_request,
            requester_pays: args.requester_pays,
            expected_bucket_owner: bucket_owner(args)?,
            writes: writes::write_settings(&args.writes)?,
            ..S3Config::new(source.bucket.clone())
        };
        let shown = args.fsname.clone().unwrap_or_else(|| source.to_string());
        let mount = MountConfig {
            source: one_option_word(&shown),
            allow_other: args.allow_other,
            allow_exec: !args.noexec,
        };
        Ok(MountSettings {
            source,
            mount_point,
            s3,
            retry: RetryConfig::within(request_timeout(args)?),
            fs,
            on_unmount: writes::on_unmount(&args.writes)?,
            mount,
            log_target,
            log_level: args.log_level,
            foreground: args.foreground && !args.daemon,
            daemon: args.daemon,
            fake: args.fake,
            profile: args.profile.clone().or_else(|| environment.profile.clone()),
            endpoint_url,
            notes,
        })
    }
}

/// An absolute path without touching the disk: the mount point may be dead, and
/// then looking at it fails.
pub(crate) fn absolute(typed: &Path) -> Result<PathBuf, ConfigError> {
    path::absolute(typed).map_err(|_| ConfigError::RelativePath(typed.display().to_string()))
}

fn log_target(args: &MountArgs, mount_point: &Path) -> Result<LogTarget, ConfigError> {
    let Some(file) = &args.log_file else {
        let in_terminal = args.foreground && !args.daemon;
        return Ok(if in_terminal { LogTarget::Terminal } else { LogTarget::System });
    };
    let file = absolute(file)?;
    if file.starts_with(mount_point) {
        return Err(ConfigError::LogInsideMount { log: file.display().to_string() });
    }
    Ok(LogTarget::File(file))
}

/// The endpoint that requests will go to, as far as the SDK's own files do not say
/// otherwise. What the SDK reads from a variable by itself is checked here too.
fn endpoint_url(
    args: &MountArgs,
    environment: &Environment,
) -> Result<Option<String>, ConfigError> {
    let given = match (&args.endpoint_url, &environment.endpoint_url) {
        (Some(url), _) => Some(("--endpoint-url", url)),
        (None, Some(url)) => Some(("AWS_ENDPOINT_URL", url)),
        (None, None) => None,
    };
    let Some((from, url)) = given else { return Ok(None) };
    let authority = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))
        .map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match authority {
        Some(authority) if authority.contains('@') => Err(ConfigError::EndpointWithPassword(from)),
        Some(authority) if is_host_and_port(authority) => Ok(Some(url.clone())),
        _ => Err(ConfigError::Endpoint { from, url: url.clone() }),
    }
}

fn is_host_and_port(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        // An IPv6 address in brackets has colons of its own.
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (address, None),
            Some((address, port)) => (address, port.strip_prefix(':').or(Some("?"))),
            None => return false,
        },
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let host_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    !host.is_empty()
        && host.chars().all(host_char)
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn memory_bytes(
    args: &MountArgs,
    environment: &Environment,
    notes: &mut Vec<String>,
) -> Result<u64, ConfigError> {
    let limit = environment.memory_limit_bytes;
    let Some(text) = &args.memory else {
        let quarter = limit.map_or(FALLBACK_MEMORY_BYTES, |bytes| bytes / 4);
        return Ok(quarter.max(MIN_MEMORY_BYTES));
    };
    let bytes = size::parse(text).ok_or_else(|| ConfigError::Memory(text.clone()))?;
    if bytes < MIN_MEMORY_BYTES {
        return Err(ConfigError::MemoryTooSmall(text.clone()));
    }
    if let Some(limit) = limit.filter(|limit| bytes > *limit) {
        notes.push(format!(
            "--memory {text} is more than the {} that this machine, container or job has; \
             when they are used up, the system will kill a program",
            size::show(limit)
        ));
    }
    Ok(bytes)
}

fn metadata_ttl(args: &MountArgs) -> Result<Duration, ConfigError> {
    match args.metadata_ttl.as_deref() {
        None => Ok(DEFAULT_METADATA_TTL),
        Some("forever") => Ok(Duration::MAX),
        Some(text) => seconds(text).ok_or_else(|| ConfigError::Seconds {
            flag: "--metadata-ttl",
            text: text.into(),
            extra: ", 0 to ask the server every time, or \"forever\"",
        }),
    }
}

fn request_timeout(args: &MountArgs) -> Result<Duration, ConfigError> {
    let Some(text) = args.request_timeout.as_deref() else { return Ok(DEFAULT_REQUEST_TIMEOUT) };
    seconds(text).filter(|timeout| !timeout.is_zero()).ok_or_else(|| ConfigError::Seconds {
        flag: "--request-timeout",
        text: text.into(),
        extra: ", more than 0",
    })
}

/// A number of seconds, perhaps with decimals. Numbers beyond a century are cut to
/// it, so that arithmetic on times stays in range.
fn seconds(text: &str) -> Option<Duration> {
    const CENTURY_SECONDS: f64 = 3_155_760_000.0;
    if !text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(number.min(CENTURY_SECONDS)).ok()
}

fn id(
    flag: &'static str,
    text: Option<&str>,
    command: &str,
    default: impl FnOnce() -> u32,
) -> Result<u32, ConfigError> {
    let Some(text) = text else { return Ok(default()) };
    // u32::MAX is the kernel's "no such user".
    text.parse().ok().filter(|id| *id != u32::MAX).ok_or_else(|| ConfigError::Id {
        flag,
        text: text.into(),
        command: format!("{command} NAME"),
    })
}

fn mode(
    flag: &'static str,
    text: Option<&str>,
    default: u16,
    example: &'static str,
) -> Result<u16, ConfigError> {
    let Some(text) = text else { return Ok(default) };
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = digits.chars().all(|c| c.is_digit(8)).then(|| u16::from_str_radix(digits, 8).ok());
    octal.flatten().filter(|mode| *mode <= 0o777).ok_or_else(|| ConfigError::Mode {
        flag,
        text: text.into(),
        example,
    })
}

fn region(args: &MountArgs) -> Result<Option<String>, ConfigError> {
    let Some(region) = &args.region else { return Ok(None) };
    // It becomes part of a host name.
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if region.is_empty() || region.len() > 63 || !region.chars().all(legal) {
        return Err(ConfigError::Region(region.clone()));
    }
    Ok(Some(region.clone()))
}

fn profile(args: &MountArgs) -> Result<Option<String>, ConfigError> {
    match args.profile.as_deref() {
        Some("") => Err(ConfigError::Profile),
        profile => Ok(profile.map(str::to_owned)),
    }
}

fn bucket_owner(args: &MountArgs) -> Result<Option<String>, ConfigError> {
    let Some(owner) = &args.expected_bucket_owner else { return Ok(None) };
    if owner.len() != 12 || !owner.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ConfigError::BucketOwner(owner.clone()));
    }
    Ok(Some(owner.clone()))
}

/// The text with everything escaped that would end it in a list of mount options
/// (fusermount3 takes one) or confuse a reader of /proc/mounts.
fn one_option_word(text: &str) -> String {
    let needs_escape = |c: char| c.is_control() || matches!(c, ',' | '\\');
    let mut word = String::with_capacity(text.len());
    for c in text.chars() {
        if needs_escape(c) {
            let mut utf8 = [0; 4];
            word.extend(c.encode_utf8(&mut utf8).bytes().map(|byte| format!("%{byte:02X}")));
        } else {
            word.push(c);
        }
    }
    word
}

#[cfg(test)]
mod tests;
