//! The flags of a mount about its log.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{EnumValueParser, PossibleValue, StringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

pub(super) const HEADING_RUNNING: &str = "Running and logging";

/// The rooms of the program, which have a level of their own in the log if somebody wants that.
const ROOMS: &[&str] = &[
    "app", "catalog", "cli", "config", "decoders", "disk", "drafts", "fleet", "fs", "fuse", "key",
    "mem", "names", "publish", "raster", "reader", "serve", "stats", "store", "view",
];

/// Where the log goes, how much of it, and how it looks.
#[derive(Args, Debug, Clone, Default)]
pub struct LogArgs {
    /// Append the log to this file [default: the system's log]
    #[arg(
        long, value_name = "PATH", help_heading = HEADING_RUNNING,
        long_help = "Append the log to this file, which only you can read if it is made; after SIGHUP it is \
            opened anew. The default is the terminal with --foreground, and otherwise the system's \
            log: 'journalctl -t s3mem' (or 'grep s3mem /var/log/syslog') shows it. Where the system \
            has no log it is a file, which 's3mem status' names."
    )]
    pub log_file: Option<PathBuf>,

    /// How much to log, of rooms too: info,store=debug
    #[arg(
        long, value_name = "LEVEL[,ROOM=LEVEL]", default_value = "info", value_parser = LevelsParser,
        help_heading = HEADING_RUNNING,
        long_help = "How much to log: a level for all, and others for rooms of the program, as in \
            info,store=debug (requests) or warn,fs=trace. docs/architecture.md has the rooms. After -o, \
            write the comma as '\\,'. Credentials are never logged."
    )]
    pub log_level: LogLevels,

    /// How lines of the log look
    #[arg(
        long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text, help_heading = HEADING_RUNNING,
        long_help = "How lines of the log look: text for people, or an object of JSON for programs. Each \
            event is one line, with the server's id of the request that it is about. The journal of \
            systemd gets fields in any case ('journalctl -t s3mem -o verbose')."
    )]
    pub log_format: LogFormat,

    /// Write what is done when into this file, for Perfetto
    #[arg(
        long, value_name = "PATH", help_heading = HEADING_RUNNING,
        long_help = "Write each call of the kernel and each request to the bucket, with their times, into \
            this file, in the format of Chrome's traces: to find out why a program is slow, open it with \
            https://ui.perfetto.dev (docs/trace.md). A file that is there is replaced; it holds 256 MiB \
            at most. It has the names of files and programs, and only you can read it."
    )]
    pub trace_file: Option<PathBuf>,
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// An object of JSON on each line
    Json,
}

/// How much to log, from least to most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What has failed for good
    Error,
    /// What may need somebody's attention
    Warn,
    /// Mounting and unmounting, too
    #[default]
    Info,
    /// What helps to find a fault
    Debug,
    /// Everything
    Trace,
}

/// How much to log of what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogLevels {
    /// The level of all that has no other one.
    pub all: LogLevel,
    /// The levels of rooms.
    pub rooms: Vec<(String, LogLevel)>,
}

impl LogLevels {
    /// Reads `LEVEL`, `ROOM=LEVEL`, or several of them, separated by commas.
    fn parse(text: &str) -> Result<LogLevels, String> {
        let mut levels = LogLevels::default();
        for word in text.split(',') {
            let (room, level) = match word.split_once('=') {
                Some((room, level)) => (Some(room.trim()), level.trim()),
                None => (None, word.trim()),
            };
            let level = LogLevel::from_str(level, false).map_err(|_| {
                format!("\"{level}\" is no level; those are error, warn, info, debug and trace")
            })?;
            match room {
                None => levels.all = level,
                Some(room) if ROOMS.contains(&room) => levels.rooms.push((room.to_owned(), level)),
                Some(room) => {
                    return Err(format!(
                        "there is no room \"{room}\"; those are {}",
                        ROOMS.join(", ")
                    ));
                }
            }
        }
        Ok(levels)
    }
}

/// Reads levels, and offers those that stand alone to a shell.
#[derive(Debug, Clone)]
struct LevelsParser;

impl TypedValueParser for LevelsParser {
    type Value = LogLevels;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<LogLevels, clap::Error> {
        let parser = StringValueParser::new().try_map(|text| LogLevels::parse(&text));
        parser.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let levels = EnumValueParser::<LogLevel>::new();
        let values: Vec<PossibleValue> = levels.possible_values()?.collect();
        Some(Box::new(values.into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_for_all_or_for_a_room() {
        let levels = |text| LogLevels::parse(text).unwrap();
        assert_eq!(levels("warn"), LogLevels { all: LogLevel::Warn, rooms: Vec::new() });
        let store = ("store".to_owned(), LogLevel::Debug);
        assert_eq!(levels("store=debug"), LogLevels { all: LogLevel::Info, rooms: vec![store] });
        let several = levels("error, fs=trace,store=info");
        assert_eq!((several.all, several.rooms.len()), (LogLevel::Error, 2));
        for (text, part) in [("loud", "\"loud\" is no level"), ("stoer=info", "no room \"stoer\"")]
        {
            assert!(LogLevels::parse(text).unwrap_err().contains(part), "{text}");
        }
        assert!(LogLevels::parse("").is_err() && LogLevels::parse("info,").is_err());
    }

    #[test]
    fn the_rooms_are_those_of_the_program_that_have_a_folder() {
        let src = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        let entries = std::fs::read_dir(src).unwrap().map(Result::unwrap);
        let folders = entries.filter(|entry| entry.path().is_dir());
        let mut rooms: Vec<String> =
            folders.map(|folder| folder.file_name().into_string().unwrap()).collect();
        rooms.sort();
        assert_eq!(rooms, ROOMS);
    }
}
