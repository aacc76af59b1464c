//! `s3mem doctor`: looks at the machine and at a bucket, and says what is wrong.
//!
//! Contract: each check is a line that says what it means, with the command that mends it
//! where there is one. Nothing is changed, except by `--write-test`. No secret is shown.

mod buckets;
mod disk;
mod finding;
mod keys;
mod machine;
mod network;
mod server;
mod siblings;
mod speed;

use std::io::{self, Write};
use std::process::ExitCode;

use tokio::runtime;

use self::finding::{Finding, Outcome};
use crate::app::json::{list, object};

use crate::cli::DoctorArgs;
use crate::config::{ConfigError, Environment, MountSettings, Shown};

/// Why nothing was looked at. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoctorError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the system does not provide what s3mem needs to run: {0}")]
    System(#[from] io::Error),
    #[error("--write-test writes into each bucket that is named: give the name of one")]
    NoBucket,
}

/// Runs the command; fails if there is a problem.
pub(super) fn run(args: &DoctorArgs, environment: &Environment) -> Result<ExitCode, DoctorError> {
    let has_bucket = !args.buckets().is_empty() || args.mount.all_buckets;
    // Before anything is looked at: what is misspelled is said at once.
    let settings = has_bucket.then(|| MountSettings::new(&args.for_settings(), environment));
    let settings = settings.transpose()?;
    if args.write_test && settings.as_ref().is_none_or(|of| of.source == Shown::All) {
        return Err(DoctorError::NoBucket);
    }
    let mount_point = args.mount_point();
    let mut findings = machine::look(mount_point.as_deref(), args.mount.allow_other, environment);
    match &settings {
        None => {
            findings.push(Finding::skipped(
                "bucket",
                "give its name to look at it: s3mem doctor BUCKET",
            ));
        }
        Some(settings) => {
            let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
            let asked = buckets::ask(settings, environment, args.write_test);
            findings.extend(runtime.block_on(asked));
            runtime.shutdown_background();
        }
    }
    let problems = findings.iter().filter(|found| found.outcome == Outcome::Problem).count();
    let text = match args.json {
        true => {
            let all = list(findings.iter().map(Finding::for_programs));
            object([("problems", problems.to_string()), ("findings", all)]) + "\n"
        }
        false => {
            let summary = match problems {
                0 => "no problems\n".to_owned(),
                1 => "1 problem\n".to_owned(),
                count => format!("{count} problems\n"),
            };
            findings.iter().map(Finding::for_people).collect::<String>() + &summary
        }
    };
    // A reader that stops reading does not want the rest.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
