//! The arguments of `s3mem config`.

use clap::{Args, ValueEnum};

pub(super) const ABOUT: &str = "Shows the settings that hold for 's3mem mount', 'run', 'serve' and 'doctor', and where each comes \
    from.\n\n\
    Each long option of these commands is a setting of the same name. What you type wins over the variable \
    S3MEM_NAME (S3MEM_METADATA_TTL for --metadata-ttl), that over ~/.config/s3mem.toml, and that over \
    /etc/s3mem.toml. In a file, the settings of a profile win over those above. An option that takes no value is \
    turned off by false, and on the command line by --NAME=false.\n\n\
    Credentials have no place in these files: name an AWS profile instead.";

pub(super) const EXAMPLES: &str = "\
Examples:
  In ~/.config/s3mem.toml:
    memory = \"4G\"

    [profiles.sentinel]
    bucket = \"sentinel-s2-l1c/tiles\"
    requester-pays = true
    metadata-ttl = \"forever\"

  Then:
    s3mem config show @sentinel
    s3mem mount @sentinel /mnt/s2
    s3mem mount @sentinel/10/S/DG --memory 1G /mnt/dg";

/// The arguments of `s3mem config`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct ConfigArgs {
    /// What to do with the settings
    #[arg(value_name = "ACTION", value_enum)]
    pub action: ConfigAction,

    /// The profile to show, such as @sentinel [default: what holds without one]
    #[arg(value_name = "@PROFILE")]
    pub profile: Option<String>,

    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

/// What `s3mem config` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfigAction {
    /// Print what holds, and where each value comes from
    Show,
}
