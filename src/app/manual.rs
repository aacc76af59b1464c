//! `s3mem completions` and `s3mem man`: what is made from the definitions of the flags.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cli::{self, CompletionsArgs, ManArgs};
use crate::config::Environment;

/// Why nothing was made. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum ManualError {
    #[error("the completions can't be printed: {0}")]
    Print(io::Error),
    #[error("the manual can't be written into {path}: {cause}")]
    Write { path: PathBuf, cause: io::Error },
}

/// Prints the completions of a shell.
pub(super) fn print_completions(args: &CompletionsArgs) -> Result<(), ManualError> {
    let mut out = io::stdout().lock();
    let written = out.write_all(&cli::completions(args)).and_then(|()| out.flush());
    written.map_err(ManualError::Print)
}

/// Writes the pages of the manual.
pub(super) fn write_pages(args: &ManArgs, environment: &Environment) -> Result<(), ManualError> {
    let made = environment.source_date.map_or_else(SystemTime::now, since_epoch);
    // The day, in UTC.
    let time = humantime::format_rfc3339_seconds(made).to_string();
    let date = time.get(..10).unwrap_or_default();
    let write = |folder: &Path| -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for page in cli::manual(date)? {
            fs::write(folder.join(page.file_name), page.text)?;
        }
        Ok(())
    };
    write(&args.folder).map_err(|cause| ManualError::Write { path: args.folder.clone(), cause })
}

/// The last second that has a date of four digits stands for all later ones.
fn since_epoch(seconds: u64) -> SystemTime {
    const END_OF_9999: u64 = 253_402_300_799;
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(END_OF_9999))
}
