//! The composition root: what the commands do, step by step.
//!
//! Contract: builds the layers below from checked settings, joins them, and says on
//! standard error what went wrong, in one sentence that tells what to do. Knows
//! processes, signals, the mount table and the log; never a request or an inode.

mod assemble;
mod control;
mod daemonize;
mod explain;
mod log;
mod mount;
mod mount_point;
mod mount_table;
mod prerequisites;
mod report;
mod signals;
mod status;
mod text;
mod umount;
mod unsent;

use std::io::{self, Write};
use std::process::ExitCode;

pub use assemble::{Assembled, assemble};

use crate::cli::Command;
use crate::config::{ConfigError, Environment};

/// Why a command failed. `Display` is the sentence for the user.
#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    MountPoint(#[from] mount_point::MountPointError),
    #[error(transparent)]
    Prerequisite(#[from] prerequisites::Missing),
    #[error(transparent)]
    Start(#[from] mount::StartError),
    #[error(transparent)]
    Daemon(#[from] daemonize::DaemonError),
    #[error(transparent)]
    Umount(#[from] umount::UmountError),
    #[error(transparent)]
    Status(#[from] status::StatusError),
}

/// Does what the command says, and tells the outcome.
pub fn run(command: Command) -> ExitCode {
    let environment = Environment::of_process();
    let outcome = match command {
        Command::Mount(args) => mount::run(&args, &environment).map(|()| ExitCode::SUCCESS),
        Command::Umount(args) => umount::run(&args, &environment).map(|()| ExitCode::SUCCESS),
        Command::Status(args) => status::run(&args),
    };
    match outcome {
        Ok(status) => status,
        // The daemon has said it already, on the same terminal.
        Err(AppError::Daemon(daemonize::DaemonError::AlreadyTold)) => ExitCode::FAILURE,
        Err(error) => {
            tell(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Says something to whoever typed the command.
fn tell(sentence: &str) {
    // A terminal that is gone has nobody to tell.
    let _ = writeln!(io::stderr().lock(), "s3mem: {}", text::printable(sentence));
}
