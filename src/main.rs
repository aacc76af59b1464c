//! The program `s3mem`: parses, runs, and turns the outcome into an exit code. A mount
//! runs it again as its decoders, and one without privileges as its holder.

use std::process::ExitCode;

use s3mem::cli::{ParseError, SettingsAsked};
use s3mem::config::SettingPlaces;
use s3mem::{app, cli, decoders};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next().unwrap_or_default();
    if first == app::HOLDER {
        return app::hold(arguments);
    }
    if first == decoders::ARGUMENT {
        let bytes = arguments.next().and_then(|text| text.to_str()?.parse().ok());
        return bytes.map_or(ExitCode::FAILURE, decoders::work);
    }
    let places = SettingPlaces::of_process();
    let find = |asked: &SettingsAsked<'_>| places.find(asked).map_err(|error| error.to_string());
    match cli::parse(std::env::args_os(), &find) {
        Ok(command) => app::run(command),
        Err(ParseError::Usage(usage)) => usage.exit(),
        Err(ParseError::Settings(sentence)) => app::refuse(&sentence),
    }
}
