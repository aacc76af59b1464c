//! `s3mem doctor`: looks at the machine and at a bucket, and says what is wrong.
//!
//! Contract: each check is a line that says what it means, with the command that mends it
//! where there is one. Nothing is changed, except by `--write-test`. No secret is shown.

use std::io::{self, Write};
use std::process::ExitCode;

use tokio::runtime;

use super::doctor_finding::{Finding, Outcome};
use super::json::{list, object};
use super::{doctor_machine, doctor_server};
use crate::cli::DoctorArgs;
use crate::config::{ConfigError, Environment, MountSettings};

/// Why nothing was looked at. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoctorError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the system does not provide what s3mem needs to run: {0}")]
    System(#[from] io::Error),
    #[error("--write-test writes into a bucket: give its name")]
    NoBucket,
}

/// Runs the command; fails if there is a problem.
pub(super) fn run(args: &DoctorArgs, environment: &Environment) -> Result<ExitCode, DoctorError> {
    let (bucket, mount_point) = (args.bucket(), args.mount_point());
    if args.write_test && bucket.is_none() {
        return Err(DoctorError::NoBucket);
    }
    // Before anything is looked at: what is misspelled is said at once.
    let settings = bucket.map(|_| MountSettings::new(&args.for_settings(), environment));
    let settings = settings.transpose()?;
    if settings.as_ref().is_some_and(|settings| settings.source.one().is_none()) {
        return Err(ConfigError::DoctorOfSeveral.into());
    }
    let mut findings = doctor_machine::look(mount_point, args.mount.allow_other, environment);
    match &settings {
        None => {
            findings.push(Finding::skipped(
                "bucket",
                "give its name to look at it: s3mem doctor BUCKET",
            ));
        }
        Some(settings) => {
            let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
            findings.extend(runtime.block_on(doctor_server::ask(settings, args.write_test)));
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
