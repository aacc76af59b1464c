//! The program `s3mem`: parses, runs, and turns the outcome into an exit code.

use std::process::ExitCode;

use s3mem::{app, cli};

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(command) => app::run(command),
        Err(usage) => usage.exit(),
    }
}
