//! Settings: the command line and the environment, checked and complete.
//!
//! Contract: turns [`crate::cli`]'s texts into each module's own configuration, or
//! into a sentence that says what is wrong with which argument. Only this module
//! reads the environment, except for the AWS SDK, which reads its own variables.
//! Never touches the network or the mount point.

mod absolute;
mod cache;
mod endpoint;
mod environment;
mod error;
mod fleet;
mod machine;
mod nearest;
mod pasted;
mod prices;
mod profile_file;
mod seconds;
mod serve;
mod settings;
mod settings_file;
mod size;
mod source;
mod tree;
mod views;
mod writes;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use absolute::absolute;
pub use environment::Environment;
pub use error::ConfigError;
pub use prices::{Bill, PriceList, Pricing};
pub use serve::serve_config;
pub use settings::{SettingPlaces, SettingsError};
pub use settings_file::Trouble;
pub(crate) use size::show as show_size;
pub use source::{Shown, Source};
pub use tree::{FsConfig, Writes};
pub use writes::OnUnmount;

use crate::cli::{GivenFlag, LogFormat, LogLevels, MountArgs};
use crate::disk::DiskConfig;
use crate::fleet::FleetConfig;
use crate::fuse::MountConfig;
use crate::key::{Bucket, Prefix};
use crate::store::{RetryConfig, S3Config};
use crate::sys;

/// With less than this the read path has no room to work in.
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

/// What is logged, where and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Where lines go.
    pub target: LogTarget,
    /// The least important levels that are logged.
    pub levels: LogLevels,
    /// How lines look.
    pub format: LogFormat,
}

/// Everything that `s3mem mount` needs to know.
#[derive(Debug, Clone)]
pub struct MountSettings {
    /// What is mounted.
    pub source: Shown,
    /// The folder to mount on, as an absolute path; not yet checked.
    pub mount_point: PathBuf,
    /// How to reach the bucket.
    pub s3: S3Config,
    /// How long requests and their attempts may take.
    pub retry: RetryConfig,
    /// How objects look as files: names, owners, modes, lifetimes, memory.
    pub fs: FsConfig,
    /// What is kept on disk, and where; its place lacks the account.
    pub disk: Option<DiskConfig>,
    /// What is shared with other mounts, and where.
    pub fleet: Option<FleetConfig>,
    /// What to do with files that are not in the bucket when the mount ends.
    pub on_unmount: OnUnmount,
    /// Mount options for the kernel.
    pub mount: MountConfig,
    /// Whether symbolic links in the mount may be followed.
    pub follow_symlinks: bool,
    /// What is logged, where and how.
    pub log: LogConfig,
    /// Where the trace goes.
    pub trace_file: Option<PathBuf>,
    /// Whether this process serves the mount itself, from the terminal.
    pub foreground: bool,
    /// Whether a parent process waits for this one to be ready.
    pub daemon: bool,
    /// Whether to stop after checking, before anything is mounted.
    pub fake: bool,
    /// The AWS profile, however it was chosen, for messages.
    pub profile: Option<String>,
    /// The server's address as far as it is known here, for messages.
    pub endpoint_url: Option<String>,
    /// The variable that is not set although the other half of the access key is.
    pub missing_half: Option<&'static str>,
    /// Where metrics are told.
    pub metrics: Option<SocketAddr>,
    /// What requests cost, where that is known.
    pub pricing: Option<Pricing>,
    /// The flags that were given, for the status.
    pub given: Vec<GivenFlag>,
    /// Sentences that the user should read, though nothing is wrong.
    pub notes: Vec<String>,
}

impl MountSettings {
    /// Checks the arguments, completed by the environment.
    pub fn new(args: &MountArgs, environment: &Environment) -> Result<MountSettings, ConfigError> {
        MountSettings::checked(args, environment).map_err(|error| error.placed(&args.given))
    }

    /// The settings of a mount of one of several sources alone.
    pub fn of_one(&self, source: &Source) -> MountSettings {
        let mut settings = self.clone();
        settings.s3.bucket = source.bucket.clone();
        settings.fs.prefix = source.prefix.clone();
        settings.fs.top = None;
        settings.source = Shown::One(source.clone());
        settings
    }

    fn checked(args: &MountArgs, environment: &Environment) -> Result<MountSettings, ConfigError> {
        check_order(args)?;
        let source = Shown::parse(&args.sources(), args.all_buckets)?;
        let mount_point = absolute(&args.mount_point)?;
        let log_target = log_target(args, &mount_point)?;
        let trace_file = args.log.trace_file.as_deref();
        let trace_file = trace_file.map(|file| outside(file, &mount_point)).transpose()?;
        let endpoint_url = endpoint::endpoint_url(args, environment)?;
        let is_own_server = endpoint_url.is_some();
        let mut notes = Vec::new();
        let memory_bytes = memory_bytes(args, environment, &mut notes)?;
        let place = format!("{}/{}", endpoint_url.as_deref().unwrap_or("aws"), source.place());
        let disk = cache::cache_config(&args.cache, &place, &mount_point, memory_bytes)?;
        let server = endpoint_url.as_deref().unwrap_or("aws");
        let fleet = fleet::fleet_config(&args.cache, server, &source, memory_bytes)?;
        let writes::Shared { memory_bytes, writes } = writes::write_config(
            &args.writes,
            environment,
            &place,
            memory_bytes,
            MIN_MEMORY_BYTES,
        )?;
        let views = views::view_config(&args.views, &place, &mount_point)?;
        views::check_listed(&views, !matches!(writes, Writes::Deny))?;
        let fs = FsConfig {
            prefix: source.one().map_or_else(Prefix::root, |one| one.prefix.clone()),
            top: source.top(),
            versions: args.versions,
            metadata_ttl: metadata_ttl(args)?,
            uid: id("--uid", args.uid.as_deref(), "id -u", sys::effective_uid)?,
            gid: id("--gid", args.gid.as_deref(), "id -g", sys::effective_gid)?,
            file_mode: mode("--file-mode", args.file_mode.as_deref(), DEFAULT_FILE_MODE, "0644")?,
            dir_mode: mode("--dir-mode", args.dir_mode.as_deref(), DEFAULT_DIR_MODE, "0755")?,
            memory_bytes,
            verify: args.verify,
            views,
            decoders: views::place_of_decoders(&args.views)?,
            writes,
        };
        let s3 = S3Config {
            endpoint_url: args.endpoint_url.clone(),
            is_own_server,
            ca_bundle: ca_bundle(args, environment)?,
            path_style: args.path_style,
            region: region(args)?,
            profile: profile(args)?,
            no_sign_request: args.no_sign_request,
            requester_pays: args.requester_pays,
            expected_bucket_owner: bucket_owner(args)?,
            writes: writes::write_settings(&args.writes)?,
            ..S3Config::new(source.one().map_or_else(Bucket::none, |one| one.bucket.clone()))
        };
        let shown = args.fsname.clone().unwrap_or_else(|| source.to_string());
        let mount = MountConfig {
            source: one_option_word(&shown),
            allow_other: args.allow_other,
            allow_exec: !args.noexec,
            security_context: security_context(args, environment, &mut notes),
        };
        Ok(MountSettings {
            source,
            mount_point,
            s3,
            retry: RetryConfig::within(request_timeout(args)?),
            fs,
            disk,
            fleet,
            on_unmount: writes::on_unmount(&args.writes)?,
            mount,
            follow_symlinks: !args.nosymfollow,
            log: LogConfig {
                target: log_target,
                levels: args.log.log_level.clone(),
                format: args.log.log_format,
            },
            trace_file,
            foreground: args.foreground && !args.daemon,
            daemon: args.daemon,
            fake: args.fake,
            profile: args.profile.clone().or_else(|| environment.profile.clone()),
            endpoint_url,
            missing_half: environment.missing_half_of_key,
            metrics: metrics(args)?,
            pricing: pricing(args, is_own_server)?,
            given: args.given.clone(),
            notes,
        })
    }
}

/// The address of metrics; a port alone is one of this machine.
fn metrics(args: &MountArgs) -> Result<Option<SocketAddr>, ConfigError> {
    let Some(text) = &args.prices.metrics else { return Ok(None) };
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    let address = port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let address = address.or_else(|_| text.parse::<SocketAddr>());
    address.map(Some).map_err(|_| ConfigError::Metrics(text.clone()))
}

/// What requests cost: by the list that was given, and of AWS by ours.
fn pricing(args: &MountArgs, is_own_server: bool) -> Result<Option<Pricing>, ConfigError> {
    let file = args.prices.prices.as_deref().map(absolute).transpose()?;
    if file.is_none() && is_own_server {
        return Ok(None);
    }
    Ok(Some(Pricing {
        list: Arc::new(PriceList::load(file.as_deref())?),
        is_egress_free: args.prices.egress_free,
        written_class: args.writes.storage_class.clone(),
    }))
}

/// Says which of the two comes first where they are the wrong way round.
fn check_order(args: &MountArgs) -> Result<(), ConfigError> {
    let folder = args.source.to_string_lossy();
    let is_folder = ["/", "./", "../", "~/"].iter().any(|start| folder.starts_with(start));
    if is_folder && folder.len() > 1 {
        let bucket = args.mount_point.display().to_string();
        return Err(ConfigError::Swapped { folder: folder.into_owned(), bucket });
    }
    Ok(())
}

fn log_target(args: &MountArgs, mount_point: &Path) -> Result<LogTarget, ConfigError> {
    let Some(file) = &args.log.log_file else {
        let in_terminal = args.foreground && !args.daemon;
        return Ok(if in_terminal { LogTarget::Terminal } else { LogTarget::System });
    };
    outside(file, mount_point).map(LogTarget::File)
}

/// A file that is written while the mount is there, so not in it.
fn outside(file: &Path, mount_point: &Path) -> Result<PathBuf, ConfigError> {
    let file = absolute(file)?;
    if file.starts_with(mount_point) {
        return Err(ConfigError::LogInsideMount { log: file.display().to_string() });
    }
    Ok(file)
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

/// The words of SELinux, which a kernel without it refuses. mount(8) drops them there, too.
fn security_context(
    args: &MountArgs,
    environment: &Environment,
    notes: &mut Vec<String>,
) -> Vec<String> {
    if environment.has_selinux {
        return args.security_context.clone();
    }
    notes.extend(args.security_context.iter().map(|word| {
        format!("the mount option \"{word}\" is ignored: this system runs without SELinux")
    }));
    Vec::new()
}

fn metadata_ttl(args: &MountArgs) -> Result<Duration, ConfigError> {
    match args.metadata_ttl.as_deref() {
        None => Ok(DEFAULT_METADATA_TTL),
        Some("forever") => Ok(Duration::MAX),
        Some(text) => seconds::parse(text).ok_or_else(|| ConfigError::Seconds {
            flag: "--metadata-ttl",
            text: text.into(),
            extra: ", 0 to ask the server every time, or \"forever\"",
        }),
    }
}

fn request_timeout(args: &MountArgs) -> Result<Duration, ConfigError> {
    let Some(text) = args.request_timeout.as_deref() else { return Ok(DEFAULT_REQUEST_TIMEOUT) };
    seconds::parse(text).filter(|timeout| !timeout.is_zero()).ok_or_else(|| ConfigError::Seconds {
        flag: "--request-timeout",
        text: text.into(),
        extra: ", more than 0",
    })
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

/// The file of certificates: of the flag, of the variable, or of the profile.
fn ca_bundle(args: &MountArgs, environment: &Environment) -> Result<Option<PathBuf>, ConfigError> {
    let in_profile = || {
        let (text, profile) = profile_file::text(args, environment)?;
        profile_file::setting(&text, profile, "ca_bundle").map(PathBuf::from)
    };
    let given = args.ca_bundle.clone().or_else(|| environment.ca_bundle.clone());
    given.or_else(in_profile).map(|path| absolute(&path)).transpose()
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
