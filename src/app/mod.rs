//! The composition root: what the commands do, step by step.
//!
//! Contract: builds the layers below from checked settings, joins them, and says on
//! standard error what went wrong, in one sentence that tells what to do. Knows
//! processes, signals, the mount table and the log; never a request or an inode.

mod account;
mod ask_status;
mod assemble;
mod blocking;
mod buckets;
mod config_show;
mod control;
mod counted;
mod daemonize;
mod deadline;
mod detach;
mod doctor;
mod ends_with;
mod explain;
mod folder;
mod handed;
mod holder;
mod json;
mod log;
mod log_file;
mod log_format;
mod manual;
mod message;
mod metrics;
mod metrics_server;
mod mount;
mod mount_point;
mod mount_table;
mod namespace;
mod prerequisites;
mod progress;
mod refresh;
mod rootless;
mod run;
mod runtime_folder;
mod serve;
mod serve_figures;
mod signals;
mod start_lock;
mod status_facts;
mod status_json;
mod status_report;
mod status_text;
mod text;
mod umount;
mod unsent;
mod warm;
mod watch;

use std::process::ExitCode;

pub use assemble::{Assembled, Caches, assemble};
pub use holder::{HOLDER, hold};

use self::daemonize::DaemonError;
use self::mount::StartError;
use self::rootless::RootlessError;
use self::run::RunError;
use self::text::tell;
use crate::cli::Command;
use crate::config::Environment;

/// Why a command failed. `Display` is the sentence for the user.
#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Start(#[from] mount::StartError),
    #[error(transparent)]
    Rootless(#[from] rootless::RootlessError),
    #[error(transparent)]
    Run(#[from] run::RunError),
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    #[error(transparent)]
    Umount(#[from] umount::UmountError),
    #[error(transparent)]
    Status(#[from] ask_status::StatusError),
    #[error(transparent)]
    Doctor(#[from] doctor::DoctorError),
    #[error(transparent)]
    Manual(#[from] manual::ManualError),
    #[error(transparent)]
    Warm(#[from] warm::WarmError),
    #[error(transparent)]
    Refresh(#[from] refresh::RefreshError),
    #[error(transparent)]
    ConfigShow(#[from] config_show::ConfigShowError),
}

/// Does what the command says, and tells the outcome.
pub fn run(command: Command) -> ExitCode {
    let environment = Environment::of_process();
    match do_it(command, &environment) {
        Ok(status) => status,
        // The daemon has said it already, on the same terminal.
        Err(
            AppError::Start(StartError::Daemon(DaemonError::AlreadyTold))
            | AppError::Rootless(RootlessError::Daemon(DaemonError::AlreadyTold))
            | AppError::Run(RunError::Daemon(DaemonError::AlreadyTold)),
        ) => ExitCode::FAILURE,
        Err(error) => {
            tell(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Says why a command is not done.
pub fn refuse(sentence: &str) -> ExitCode {
    tell(sentence);
    ExitCode::FAILURE
}

fn do_it(command: Command, environment: &Environment) -> Result<ExitCode, AppError> {
    match command {
        Command::Mount(args) => match args.rootless.rootless {
            // The daemon is called with the flag too.
            Some(when) if !args.daemon => rootless::run(&args, when, environment)?,
            _ => mount::run(&args, environment)?,
        },
        Command::Run(args) => return Ok(run::run(&args, environment)?),
        Command::Serve(args) => serve::run(&args, environment)?,
        Command::Umount(args) => umount::run(&args, environment)?,
        Command::Status(args) => return Ok(ask_status::run(&args, environment)?),
        Command::Doctor(args) => return Ok(doctor::run(&args, environment)?),
        Command::Warm(args) => return Ok(warm::run(&args)?),
        Command::Refresh(args) => refresh::run(&args)?,
        Command::Config(args) => config_show::run(&args, environment)?,
        Command::Completions(args) => manual::print_completions(&args)?,
        Command::Man(args) => manual::write_pages(&args, environment)?,
    }
    Ok(ExitCode::SUCCESS)
}
