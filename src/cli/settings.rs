//! Settings that nobody typed: which ones there are, and how they become flags.
//!
//! Contract: syntax only. Every visible long flag of `mount` and `serve` is a setting of
//! the same name, so there is no second list. Where values come from is up to
//! [`crate::config`]; here they become flags of a command, except where something was
//! typed, and where the command has no use for them.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};

use super::status::GivenFlag;
use super::writes;

/// Flags that are about one call alone, or secret.
const NOT_SETTINGS: [&str; 4] = ["help", "options", "token", "version"];
/// The commands that settings are for.
const COMMANDS: [&str; 4] = ["mount", "run", "serve", "doctor"];

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it is on or off.
    Nothing,
    /// A value, or nothing.
    Maybe,
    /// A value.
    One,
    /// Any number of values.
    Many,
}

/// A setting that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingShape {
    /// Its long flag, without the dashes.
    pub name: String,
    /// What it takes.
    pub takes: Takes,
    /// The only values that it takes, if they are told apart here.
    pub allowed: Vec<String>,
    /// What holds without it, as the help says.
    pub default: Option<String>,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// As without the flag.
    Off,
    /// The flag, without a value.
    On,
    /// The flag, once with each of these.
    Texts(Vec<String>),
}

/// A setting that somebody has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its long flag, without the dashes.
    pub name: String,
    /// What it is.
    pub value: SettingValue,
    /// Where it was made, such as `line 3 of /etc/s3mem.toml`.
    pub place: String,
}

/// What a command asks for.
#[derive(Debug, Clone, Copy)]
pub struct SettingsAsked<'a> {
    /// The name behind `@`, if one was typed.
    pub profile: Option<&'a str>,
    /// All settings that there are.
    pub shapes: &'a [SettingShape],
}

/// What is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundSettings {
    /// The bucket of the profile, and where it is named.
    pub bucket: Option<(String, String)>,
    /// Each setting once; the one that wins over another comes before it.
    pub settings: Vec<Setting>,
}

impl Setting {
    /// The flags that it stands for.
    fn flags(&self) -> Vec<OsString> {
        let name = &self.name;
        match &self.value {
            SettingValue::Off => Vec::new(),
            SettingValue::On => vec![format!("--{name}").into()],
            SettingValue::Texts(texts) => {
                texts.iter().map(|text| format!("--{name}={text}").into()).collect()
            }
        }
    }
}

/// The settings that there are, in the order of the help.
pub(super) fn shapes(program: &clap::Command) -> Vec<SettingShape> {
    let mut shapes: Vec<SettingShape> = Vec::new();
    for command in ["mount", "serve"] {
        let command = program.find_subcommand(command);
        let arguments = command.into_iter().flat_map(clap::Command::get_arguments);
        for argument in arguments.filter(|argument| !argument.is_hide_set()) {
            let Some(shape) = shape(argument) else { continue };
            if shapes.iter().all(|known| known.name != shape.name) {
                shapes.push(shape);
            }
        }
    }
    shapes
}

fn shape(argument: &Arg) -> Option<SettingShape> {
    let name = argument.get_long().filter(|name| !NOT_SETTINGS.contains(name))?;
    let is_optional = argument.get_num_args().is_some_and(|range| range.min_values() == 0);
    let takes = match argument.get_action() {
        ArgAction::Append => Takes::Many,
        _ if !argument.get_action().takes_values() => Takes::Nothing,
        _ if is_optional => Takes::Maybe,
        _ if argument.get_num_args().is_some_and(|range| range.max_values() > 1) => Takes::Many,
        _ => Takes::One,
    };
    let possible = match takes {
        Takes::Nothing => Vec::new(),
        _ => argument.get_possible_values(),
    };
    let ours = argument.get_default_values().first();
    let told = || {
        let help = argument.get_help()?.to_string();
        Some(help.split_once("[default: ")?.1.split_once(']')?.0.to_owned())
    };
    let default = ours.filter(|_| takes != Takes::Nothing);
    Some(SettingShape {
        name: name.to_owned(),
        takes,
        allowed: possible.iter().map(|value| value.get_name().to_owned()).collect(),
        default: default.map(|value| value.to_string_lossy().into_owned()).or_else(told),
    })
}

/// What was typed for a command that settings are for, as far as it can be understood.
pub(super) struct Glance<'p> {
    command: &'p clap::Command,
    matches: ArgMatches,
}

impl<'p> Glance<'p> {
    pub(super) fn at(program: &'p clap::Command, words: &[OsString]) -> Option<Glance<'p>> {
        let lenient = program.clone().ignore_errors(true);
        let mut matches = lenient.try_get_matches_from(words).ok()?;
        let (name, matches) = matches.remove_subcommand()?;
        let name = COMMANDS.into_iter().find(|known| *known == name)?;
        Some(Glance { command: program.find_subcommand(name)?, matches })
    }

    /// The words after `-o`.
    pub(super) fn options(&self) -> Vec<String> {
        self.matches.get_many("options").into_iter().flatten().cloned().collect()
    }

    /// Whether unknown words after `-o` are ignored.
    pub(super) fn is_sloppy(&self) -> bool {
        self.matches.get_flag("sloppy")
    }

    /// The source, if it has the form `@PROFILE` or `@PROFILE/PREFIX`: both.
    pub(super) fn profile(&self) -> Option<(String, Option<String>)> {
        let source: &OsString = self.matches.get_one("source")?;
        let (profile, prefix) = match source.to_str()?.strip_prefix('@')?.split_once('/') {
            Some((profile, prefix)) => (profile, Some(prefix.to_owned())),
            None => (source.to_str()?.strip_prefix('@')?, None),
        };
        Some((profile.to_owned(), prefix))
    }

    fn is_typed(&self, argument: &Arg) -> bool {
        let source = self.matches.value_source(argument.get_id().as_str());
        source == Some(ValueSource::CommandLine)
    }

    /// The settings of which the command makes use: not what was typed, in any form, or
    /// contradicts that; not what it does not know, and not what is for uploads without any.
    pub(super) fn used(&self, off: &BTreeSet<String>, found: Vec<Setting>) -> Vec<Setting> {
        let mut taken: Vec<&Arg> =
            self.command.get_arguments().filter(|argument| self.is_typed(argument)).collect();
        let mut used = Vec::new();
        for setting in found {
            let argument = self.command.get_arguments().find(|argument| {
                argument.get_long() == Some(&setting.name) && !argument.is_hide_set()
            });
            let Some(argument) = argument.filter(|_| !off.contains(&setting.name)) else {
                continue;
            };
            let contradicts = |other: &&Arg| {
                let conflicts = |one, other: &Arg| {
                    let all = self.command.get_arg_conflicts_with(one);
                    all.iter().any(|against| against.get_id() == other.get_id())
                };
                other.get_id() == argument.get_id()
                    || conflicts(argument, other)
                    || conflicts(other, argument)
            };
            if taken.iter().any(contradicts) {
                continue;
            }
            if setting.value != SettingValue::Off {
                taken.push(argument);
            }
            used.push(setting);
        }
        let typed = self.matches.get_one::<String>("writes").map(String::as_str);
        let set = used.iter().find(|setting| setting.name == "writes");
        let set = set.and_then(|setting| match &setting.value {
            SettingValue::Texts(texts) => texts.first().cloned(),
            _ => None,
        });
        let writes = typed.map(str::to_owned).or(set);
        used.retain(|setting| writes::means_something(&setting.name, writes.as_deref()));
        used
    }
}

/// Takes `--NAME=true` and `--NAME=false` out of what was typed: a flag that is on or off
/// becomes plain, or goes. Those that are off are returned.
pub(super) fn turned_off(words: &mut Vec<OsString>, shapes: &[SettingShape]) -> BTreeSet<String> {
    let mut off = BTreeSet::new();
    let mut kept: Vec<OsString> = Vec::with_capacity(words.len());
    let end = words.iter().position(|word| word == OsStr::new("--")).unwrap_or(words.len());
    for (index, word) in words.drain(..).enumerate() {
        let flag = word.to_str().filter(|_| index < end).and_then(|word| word.strip_prefix("--"));
        let Some(flag) = flag else {
            kept.push(word);
            continue;
        };
        let (name, value) = flag.split_once('=').map_or((flag, ""), |(name, value)| (name, value));
        let takes = shapes.iter().find(|shape| shape.name == name).map(|shape| shape.takes);
        match (takes, value) {
            (Some(Takes::Nothing | Takes::Maybe), "false") => {
                let is_same = |word: &OsString| {
                    let word = word.to_str().and_then(|word| word.strip_prefix("--"));
                    word.is_some_and(|word| word.split('=').next() == Some(name))
                };
                kept.retain(|word| !is_same(word));
                off.insert(name.to_owned());
            }
            (Some(Takes::Nothing | Takes::Maybe), "true") => {
                off.remove(name);
                kept.push(format!("--{name}").into());
            }
            _ => {
                off.remove(name);
                kept.push(word);
            }
        }
    }
    *words = kept;
    off
}

/// The words of a command line with the flags of `used` in it, right after the command: a
/// flag that was typed comes later.
pub(super) fn with_flags(mut words: Vec<OsString>, used: &[Setting]) -> Vec<OsString> {
    words.splice(2..2, used.iter().flat_map(Setting::flags));
    words
}

/// Says of each flag that was not typed where it comes from.
pub(super) fn note_places(given: &mut [GivenFlag], used: &[Setting]) {
    for flag in given {
        let setting = used.iter().find(|setting| setting.name == flag.name);
        flag.from = setting.map(|setting| setting.place.clone());
    }
}
