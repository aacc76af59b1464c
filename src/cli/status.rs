//! The arguments of `s3mem status`, and the flags of a mount about what it shows.

use std::path::PathBuf;

use clap::{Args, ValueHint};

const HEADING_STATUS: &str = "What status shows";

pub(super) const ABOUT: &str = "Shows mounts of s3mem, and what 's3mem serve' serves: what is where, since when and how, how much memory is \
    used for what, how many requests were sent, how long they took and what they cost, how much was \
    answered from memory, which files are read by which programs, and which files are not in the bucket \
    yet, and why. docs/status.md explains each line, and the names in the JSON.\n\n\
    The exit status is 0 if everything that was written is where it belongs, 3 if files are not in the \
    bucket yet, and 1 if a mount could not be asked.";

/// The arguments of `s3mem status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The folder that the bucket is mounted on [default: all your mounts and servers]
    #[arg(value_name = "MOUNTPOINT", value_hint = ValueHint::DirPath)]
    pub mount_point: Option<PathBuf>,

    /// Print a JSON object for each mount, one per line
    #[arg(long)]
    pub json: bool,

    /// Show it live, until q is pressed, with what changes in a second
    #[arg(
        long, value_name = "SECONDS", num_args = 0..=1, require_equals = true,
        default_missing_value = "1", conflicts_with = "reset",
        value_parser = clap::value_parser!(u32).range(1..=86_400),
        long_help = "Show it live, until q is pressed: how fast bytes and requests go, with their last \
            minutes as a line, the busiest files and who opened them, the slowest requests. s sorts the \
            files, p holds the screen, h tells the other keys. Asks every second, or every so many \
            seconds. Where standard output is no terminal, a line is written each time, and with --json \
            an object."
    )]
    pub watch: Option<u32>,

    /// Begin to count anew, after this report
    #[arg(
        long,
        long_help = "Begin to count anew, after this report: requests, latencies, bytes, costs, files. Metrics \
            go on, because counters there only grow."
    )]
    pub reset: bool,
}

/// What a mount tells of itself, and its costs.
#[derive(Args, Debug, Clone, Default)]
pub struct PriceArgs {
    /// Tell metrics at this address, such as 9310 or 10.0.0.7:9310 [default: nowhere]
    #[arg(
        long, value_name = "[ADDR:]PORT", help_heading = HEADING_STATUS,
        long_help = "Tell the figures of 's3mem status' at http://ADDR:PORT/metrics, as Prometheus reads \
            them (docs/metrics.md). A port alone is one of this machine, 127.0.0.1; with another address, \
            whoever reaches it may read them, without a password. They have no names of files. Port 0 \
            takes any that is free, which 's3mem status' names."
    )]
    pub metrics: Option<String>,

    /// The prices by which status says what the mount has cost [default: Amazon S3's]
    #[arg(
        long, value_name = "FILE", help_heading = HEADING_STATUS,
        long_help = "A file with the prices by which 's3mem status' says what the mount has cost, in \
            the form of src/config/prices.toml: by region and storage class, with their date. The \
            default is a list of Amazon S3's prices that comes with s3mem; for other servers no costs \
            are shown without this flag."
    )]
    pub prices: Option<PathBuf>,

    /// Count what leaves the server as free, as in its region
    #[arg(
        long, help_heading = HEADING_STATUS,
        long_help = "Count the bytes that leave the server as free in the costs that 's3mem status' \
            shows. Amazon S3 charges nothing for them to a machine in the bucket's region."
    )]
    pub egress_free: bool,
}

/// A flag that was given to a mount, for its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenFlag {
    /// Its long name, without the dashes.
    pub name: String,
    /// Its value; several are separated by spaces. `None` for a flag without one.
    pub value: Option<String>,
    /// Where the setting stands that it comes from; `None` for what was typed.
    pub from: Option<String>,
}

/// The flags of a command that were typed, or stood behind `-o`, in the order of the help.
pub(super) fn given(command: &clap::Command, typed: &clap::ArgMatches) -> Vec<GivenFlag> {
    let is_given = |argument: &&clap::Arg| {
        let source = typed.value_source(argument.get_id().as_str());
        !argument.is_hide_set()
            && !argument.is_positional()
            && source == Some(clap::parser::ValueSource::CommandLine)
    };
    let flag = |argument: &clap::Arg| {
        let values = || {
            let raw = typed.get_raw(argument.get_id().as_str()).into_iter().flatten();
            raw.map(|value| value.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        let value = argument.get_action().takes_values().then(values);
        Some(GivenFlag { name: argument.get_long()?.to_owned(), value, from: None })
    };
    command.get_arguments().filter(is_given).filter_map(flag).collect()
}
