//! `s3mem config show`: which settings hold, and where each comes from.
//!
//! Contract: what it prints is itself a file of settings; what has its default stands in
//! comments. Wrong values are refused as a mount would refuse them.

use std::ffi::OsString;
use std::io::{self, Write};

use super::json::{list, maybe, object, string};
use super::text::printable;
use crate::cli::{self, Command, ConfigArgs, FoundSettings, ParseError, Setting};
use crate::cli::{SettingShape, SettingValue, SettingsAsked, Takes};
use crate::config::{ConfigError, Environment, MountSettings, SettingPlaces, SettingsError};

/// Where comments begin, if what stands before them leaves room.
const COMMENT_COLUMN: usize = 36;

/// Why nothing is shown, or what is shown can't be used. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigShowError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("\"{0}\" is no profile: write it as @NAME, as for 's3mem mount'")]
    NoName(String),
    #[error("these settings make no mount: {0}")]
    Refused(ParseError),
}

/// Runs the command.
pub(super) fn run(args: &ConfigArgs, environment: &Environment) -> Result<(), ConfigShowError> {
    let profile = args.profile.as_deref().map(|typed| {
        typed.strip_prefix('@').ok_or_else(|| ConfigShowError::NoName(typed.to_owned()))
    });
    let profile = profile.transpose()?;
    let places = SettingPlaces::of_process();
    let shapes = cli::setting_shapes();
    let found = places.find(&SettingsAsked { profile, shapes: &shapes })?;
    let mount = mount_with(profile, &found)?;
    let is_used = |setting: &Setting| {
        setting.value == SettingValue::Off
            || mount.given.iter().any(|given| given.name == setting.name)
    };
    let shown = Shown { profile, places: &places, shapes: &shapes, found: &found };
    let text = match args.json {
        true => shown.for_programs(&is_used),
        false => shown.for_people(&is_used),
    };
    // A reader that stops reading does not want the rest.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    MountSettings::new(&mount, environment)?;
    Ok(())
}

/// The arguments of a mount with these settings, to see which of them it takes.
fn mount_with(
    profile: Option<&str>,
    found: &FoundSettings,
) -> Result<Box<cli::MountArgs>, ConfigShowError> {
    let source = match (&found.bucket, profile) {
        (Some(_), Some(profile)) => format!("@{profile}"),
        _ => "bucket".to_owned(),
    };
    let words = ["s3mem", "mount", &source, "/"].map(OsString::from);
    match cli::parse(words, &|_| Ok(found.clone())) {
        Ok(Command::Mount(mount)) => Ok(mount),
        Ok(_) => Err(ConfigShowError::NoName(source)),
        Err(error) => Err(ConfigShowError::Refused(error)),
    }
}

/// What is shown.
struct Shown<'s> {
    profile: Option<&'s str>,
    places: &'s SettingPlaces,
    shapes: &'s [SettingShape],
    found: &'s FoundSettings,
}

impl Shown<'_> {
    fn setting(&self, shape: &SettingShape) -> Option<&Setting> {
        self.found.settings.iter().find(|setting| setting.name == shape.name)
    }

    fn for_people(&self, is_used: &dyn Fn(&Setting) -> bool) -> String {
        let mut text = String::new();
        for path in &self.places.files {
            let is_there = if path.exists() { "" } else { " (there is none)" };
            text += &format!("# {}{is_there}\n", path.display());
        }
        text.push('\n');
        if let (Some(profile), Some((bucket, place))) = (self.profile, &self.found.bucket) {
            text += &line(&format!("[profiles.{profile}]"), "");
            text += &line(&format!("bucket = {}", quoted(bucket)), place);
        }
        for shape in self.shapes {
            let Some(setting) = self.setting(shape) else { continue };
            let said = format!("{} = {}", shape.name, toml_value(shape, &setting.value));
            text += &match is_used(setting) {
                true => line(&said, &setting.place),
                false => line(
                    &format!("# {said}"),
                    &format!("{}; of no use to this mount", setting.place),
                ),
            };
        }
        text += "\n# These have their defaults:\n";
        for shape in self.shapes.iter().filter(|shape| self.setting(shape).is_none()) {
            text += &match (&shape.default, shape.takes) {
                (Some(default), _) => format!("# {}: {default}\n", shape.name),
                (None, Takes::Nothing | Takes::Maybe) => format!("# {}: off\n", shape.name),
                (None, _) => format!("# {}: not set\n", shape.name),
            };
        }
        text
    }

    fn for_programs(&self, is_used: &dyn Fn(&Setting) -> bool) -> String {
        let file = |path: &std::path::PathBuf| {
            object([
                ("path", string(&path.display().to_string())),
                ("exists", path.exists().to_string()),
            ])
        };
        let one = |shape: &SettingShape| {
            let setting = self.setting(shape);
            object([
                ("name", string(&shape.name)),
                ("value", maybe(setting.map(|setting| json_value(&setting.value)))),
                ("from", maybe(setting.map(|setting| string(&setting.place)))),
                ("used", setting.is_some_and(is_used).to_string()),
                ("default", maybe(shape.default.as_deref().map(string))),
            ])
        };
        let bucket = self.found.bucket.as_ref();
        object([
            ("profile", maybe(self.profile.map(string))),
            ("bucket", maybe(bucket.map(|(bucket, _)| string(bucket)))),
            ("files", list(self.places.files.iter().map(file))),
            ("settings", list(self.shapes.iter().map(one))),
        ]) + "\n"
    }
}

/// A line with a comment.
fn line(said: &str, comment: &str) -> String {
    match comment {
        "" => format!("{said}\n"),
        _ => format!("{said:COMMENT_COLUMN$} # {}\n", printable(comment)),
    }
}

fn toml_value(shape: &SettingShape, value: &SettingValue) -> String {
    match value {
        SettingValue::Off => "false".to_owned(),
        SettingValue::On => "true".to_owned(),
        SettingValue::Texts(texts) if shape.takes == Takes::Many => {
            list(texts.iter().map(|text| quoted(text)))
        }
        SettingValue::Texts(texts) => quoted(&texts.concat()),
    }
}

/// A text as TOML has it, which JSON writes alike.
fn quoted(text: &str) -> String {
    string(text)
}

fn json_value(value: &SettingValue) -> String {
    match value {
        SettingValue::Off => "false".to_owned(),
        SettingValue::On => "true".to_owned(),
        SettingValue::Texts(texts) => list(texts.iter().map(|text| string(text))),
    }
}
