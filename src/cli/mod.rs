//! The command line: names, shapes and help texts of its arguments.
//!
//! Contract: syntax only. Every value arrives as the text that was typed, and
//! [`crate::config`] judges it. Each flag is described once, here; the `-o` words
//! of mount(8) and the calls of mount helpers are rewritten into these flags
//! before they are read (see `helper.rs` and `options.rs`), so there is no second
//! table of options to keep in step. Settings of files and variables become flags in the same
//! way (`settings.rs`).

mod cache;
mod config;
mod doctor;
mod helper;
mod log;
mod manual;
mod misuse;
mod mount;
mod options;
mod refresh;
mod rootless;
mod run;
mod serve;
mod settings;
mod status;
mod views;
mod warm;
mod writes;

pub use cache::CacheArgs;
pub use config::{ConfigAction, ConfigArgs};
pub use log::{LogArgs, LogFormat, LogLevel, LogLevels};
pub use manual::{CompletedShell, CompletionsArgs, ManArgs, ManualPage};
pub use mount::MountArgs;
pub use refresh::RefreshArgs;
pub use rootless::{Rootless, RootlessArgs};
pub use serve::ListenArgs;
pub use settings::{FoundSettings, Setting, SettingShape, SettingValue, SettingsAsked, Takes};
pub use status::{GivenFlag, PriceArgs, StatusArgs};
pub use views::ViewArgs;
pub use warm::WarmArgs;
pub use writes::WriteArgs;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use self::settings::Glance;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};

/// The widest that help texts get, in columns, on a wider terminal too.
const HELP_COLUMNS: usize = 100;

#[derive(Debug, Parser)]
#[command(
    name = "s3mem",
    version,
    about = "Mounts an S3 bucket so that any program that takes a file name reads objects from memory",
    long_about = "s3mem mounts an S3 bucket as a folder, so that any program that takes a file name can open \
        an object. It is fetched into memory as it is read, piece by piece, and nothing is written to disk unless you ask for it. \
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

const UMOUNT_ABOUT: &str = "Unmounts what s3mem has mounted, and waits until its daemon has ended.\n\n\
    If the mount is in use, it stays, and the programs that use it are named: close them, or leave \
    the folder ('cd'), and try again.\n\n\
    With --writes upload, the command waits for files that could not be uploaded yet, unless the \
    mount has another --on-unmount. Ctrl-C stops the waiting and leaves the mount as it is.";

/// The subcommands of `s3mem`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Mount a bucket, or a folder of it
    #[command(long_about = mount::ABOUT)]
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
    #[command(long_about = status::ABOUT)]
    Status(StatusArgs),
    /// Fetch files and folders into memory, ahead of work
    #[command(long_about = warm::ABOUT)]
    Warm(WarmArgs),
    /// Forget what is known of files and folders, to see what others have changed
    #[command(long_about = refresh::ABOUT)]
    Refresh(RefreshArgs),
    /// Look at this machine and a bucket, and say what is wrong
    #[command(long_about = doctor::ABOUT)]
    Doctor(Box<DoctorArgs>),
    /// Show the settings of files and variables, and where each comes from
    #[command(long_about = config::ABOUT)]
    Config(ConfigArgs),
    /// Print what has a shell complete these commands
    #[command(long_about = manual::COMPLETIONS_ABOUT)]
    Completions(CompletionsArgs),
    /// Write the pages of the manual into a folder
    #[command(long_about = manual::MAN_ABOUT)]
    Man(ManArgs),
}

/// The arguments of `s3mem run`, as typed.
#[derive(Debug, Args)]
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
pub struct UmountArgs {
    /// The folder that the bucket is mounted on
    #[arg(value_name = "MOUNTPOINT", value_hint = ValueHint::DirPath)]
    pub mount_point: PathBuf,
}

/// Why a command line means nothing. `Display` is the text for the user.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It is misuse, or asks for help.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The settings beside it can't be used.
    #[error("{0}")]
    Settings(String),
}

/// Reads a command line in any of its forms: `s3mem COMMAND ...`, the
/// call of a mount helper (`mount.s3mem SOURCE DIR -o ...`), or that of mount.fuse3
/// (`s3mem SOURCE DIR -o ...`). What was not typed is asked of `find`, by the commands that
/// settings are for.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    find: &dyn Fn(&SettingsAsked<'_>) -> Result<FoundSettings, String>,
) -> Result<Command, ParseError> {
    let words: Vec<OsString> = args.into_iter().collect();
    read(words.clone(), find).map_err(|error| {
        let told = misuse::printable(&words).and_then(|printable| read(printable, find).err());
        told.unwrap_or(error)
    })
}

fn read(
    words: Vec<OsString>,
    find: &dyn Fn(&SettingsAsked<'_>) -> Result<FoundSettings, String>,
) -> Result<Command, ParseError> {
    let mut words = rewritten(words)?;
    let program = grammar();
    let Some(glance) = Glance::at(&program, &words) else { return Ok(parsed(&words)?) };
    if !glance.options().is_empty() {
        let known = mount_flags(&program);
        let flags = options::flags_of(&glance.options(), glance.is_sloppy(), &known);
        // Right after `s3mem mount`: a flag that was typed comes later, and wins.
        words.splice(2..2, flags.map_err(usage_error)?);
    }
    let shapes = settings::shapes(&program);
    let off = settings::turned_off(&mut words, &shapes);
    let Some(glance) = Glance::at(&program, &words) else { return Ok(parsed(&words)?) };
    let profile = glance.profile();
    let name = profile.as_ref().map(|(name, _)| name.as_str());
    let found = find(&SettingsAsked { profile: name, shapes: &shapes });
    let FoundSettings { bucket, settings } = found.map_err(ParseError::Settings)?;
    let used = glance.used(&off, settings);
    let mut command = parsed(&settings::with_flags(words, &used))?;
    if let Some(mount) = mount_in(&mut command) {
        settings::note_places(&mut mount.given, &used);
        if let Some((name, prefix)) = profile {
            mount.source = source_of(&name, prefix.as_deref(), bucket)?;
        }
    }
    Ok(command)
}

/// What `@NAME/PREFIX` stands for.
fn source_of(
    name: &str,
    prefix: Option<&str>,
    bucket: Option<(String, String)>,
) -> Result<OsString, ParseError> {
    let Some((bucket, _)) = bucket else {
        return Err(ParseError::Settings(format!(
            "the profile \"{name}\" names no bucket: add a line such as bucket = \"BUCKET/PREFIX\" to it"
        )));
    };
    Ok(match prefix {
        Some(prefix) => format!("{}/{prefix}", bucket.trim_end_matches('/')).into(),
        None => bucket.into(),
    })
}

/// The arguments of a mount, of a command that has them.
fn mount_in(command: &mut Command) -> Option<&mut MountArgs> {
    match command {
        Command::Mount(mount) => Some(mount),
        Command::Run(run) => Some(&mut run.mount),
        Command::Serve(serve) => Some(&mut serve.mount),
        Command::Doctor(doctor) => Some(&mut doctor.mount),
        Command::Umount(_)
        | Command::Status(_)
        | Command::Warm(_)
        | Command::Refresh(_)
        | Command::Config(_)
        | Command::Completions(_)
        | Command::Man(_) => None,
    }
}

/// All settings that there are, in the order of the help.
pub fn setting_shapes() -> Vec<SettingShape> {
    settings::shapes(&grammar())
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
    if let Command::Mount(mount) = &mut command {
        mount.put_in_place().map_err(usage_error)?;
    }
    if let Some(mount) = mount_in(&mut command) {
        mount.given = given.unwrap_or_default();
    }
    Ok(command)
}

/// All commands with their arguments.
fn grammar() -> clap::Command {
    Cli::command()
        .mut_subcommands(|command| command.max_term_width(HELP_COLUMNS))
        .mut_subcommand("mount", rootless::grammar)
        .mut_subcommand("run", |run| run::grammar(run, log::HEADING_RUNNING))
        .mut_subcommand("serve", serve::grammar)
        .mut_subcommand("doctor", doctor::grammar)
}

impl MountArgs {
    /// Takes the last word for the mount point, where there are more than the grammar has
    /// places for, and the only one where no bucket is to be named.
    fn put_in_place(&mut self) -> Result<(), String> {
        if let Some(last) = self.more.pop() {
            let first = std::mem::replace(&mut self.mount_point, last.into());
            self.more.insert(0, first.into());
        } else if self.all_buckets && self.folder().is_none() {
            self.mount_point = std::mem::take(&mut self.source).into();
        }
        if self.folder().is_none() && self.rootless.rootless.is_none() {
            return Err("the mount point is missing: s3mem mount --all-buckets MOUNTPOINT".into());
        }
        Ok(())
    }

    /// What to mount, in the order in which it was typed.
    pub fn sources(&self) -> Vec<OsString> {
        let first = Some(&self.source).filter(|source| !source.is_empty() || !self.all_buckets);
        first.into_iter().chain(&self.more).cloned().collect()
    }

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
            // It may have been left out, or left empty.
            words.pop_if(|last| last.is_empty());
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
    /// The buckets, as they were typed; none for the machine alone.
    pub fn buckets(&self) -> Vec<OsString> {
        let mut words = self.words();
        if self.mount_point().is_some() {
            words.pop();
        }
        words.retain(|word| !word.is_empty());
        words
    }

    /// The folder to mount on, if one is named: the last word, unless it is the only one or
    /// looks like a bucket.
    pub fn mount_point(&self) -> Option<PathBuf> {
        let words = self.words();
        let last = words.last().filter(|_| words.len() > 1).map(PathBuf::from)?;
        let is_path = last.as_os_str().as_encoded_bytes().starts_with(b"/")
            || last.as_os_str().as_encoded_bytes().starts_with(b".")
            || last.is_dir();
        is_path.then_some(last)
    }

    /// The arguments of a mount of the buckets; without a folder on a file, which nothing that
    /// a flag names can lie in.
    pub fn for_settings(&self) -> MountArgs {
        let mut buckets = self.buckets().into_iter();
        MountArgs {
            source: buckets.next().unwrap_or_default(),
            more: buckets.collect(),
            mount_point: self.mount_point().unwrap_or_else(|| PathBuf::from("/dev/null")),
            ..self.mount.clone()
        }
    }

    /// What was typed beside flags. Without a bucket the first word is empty.
    fn words(&self) -> Vec<OsString> {
        let second = Some(self.mount.mount_point.as_os_str()).filter(|word| !word.is_empty());
        let second = second.map(OsStr::to_owned);
        [self.mount.source.clone()]
            .into_iter()
            .chain(second)
            .chain(self.mount.more.clone())
            .collect()
    }
}

/// The long flags of `s3mem mount` that may be given with `-o`, without the dashes.
fn mount_flags(program: &clap::Command) -> Vec<String> {
    let mount = program.find_subcommand("mount");
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
