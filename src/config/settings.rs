//! Settings that nobody typed: of the environment and of files, the strongest first.
//!
//! Contract: `S3MEM_NAME` wins over the user's file, and that over the system's; in a file,
//! a profile wins over what stands above it. What can't be meant is refused with the place
//! where it stands. Secrets are refused in files, which others may read. Which
//! settings there are is [`crate::cli`]'s matter, and what their values mean that of the
//! other files here.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::nearest::nearest;
use super::settings_file::{SettingsFile, Trouble};
use crate::cli::{FoundSettings, Setting, SettingShape, SettingValue, SettingsAsked, Takes};

const SYSTEM_FILE: &str = "/etc/s3mem.toml";
const PREFIX: &str = "S3MEM_";
/// Variables of ours that are no settings, and beginnings of such.
const OTHERS: [&str; 4] = ["S3MEM_MOUNT", "S3MEM_TOKEN", "S3MEM_REQUIRE_", "S3MEM_TEST_"];

/// Why settings can't be used. Each is a sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A file that is there, but not for us.
    #[error("the settings in {file} can't be read: {why}")]
    Read {
        /// Its path.
        file: String,
        /// What the system says.
        why: String,
    },
    /// Something in a file.
    #[error("line {line} of {file}: {trouble}")]
    InFile {
        /// Its path.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// What is wrong there.
        trouble: Trouble,
    },
    /// A variable that is nearly a setting's.
    #[error("the variable {variable} is no setting; did you mean {meant}?")]
    Misspelled {
        /// As it is.
        variable: String,
        /// As it was meant.
        meant: String,
    },
    /// A variable with a value that its setting does not take.
    #[error("the variable {variable}: {trouble}")]
    InVariable {
        /// Its name.
        variable: String,
        /// What is wrong with its value.
        trouble: Trouble,
    },
    /// No file has the profile.
    #[error("there is no profile \"{name}\"{known}; s3mem looks for [profiles.{name}] in {places}")]
    NoProfile {
        /// The name that was typed.
        name: String,
        /// Those that there are, as a part of a sentence.
        known: String,
        /// The files.
        places: String,
    },
}

/// Where settings may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingPlaces {
    /// Files, the strongest first.
    pub files: Vec<PathBuf>,
    /// The variables that begin with `S3MEM_`.
    pub variables: BTreeMap<String, String>,
}

impl SettingPlaces {
    /// Those of this process.
    pub fn of_process() -> SettingPlaces {
        let folder = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let own = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
        let own = own.map(|folder| folder.join("s3mem.toml"));
        let variables = env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            Some((name, value.into_string().ok().filter(|value| !value.is_empty())?))
        });
        SettingPlaces {
            files: own.into_iter().chain([SYSTEM_FILE.into()]).collect(),
            variables: variables.collect(),
        }
    }

    /// The settings that hold.
    ///
    /// # Errors
    /// Something that can't be meant, in any of the places.
    pub fn find(&self, asked: &SettingsAsked<'_>) -> Result<FoundSettings, SettingsError> {
        let mut found = FoundSettings { bucket: None, settings: self.variables(asked.shapes)? };
        let mut add = |more: &[Setting]| {
            for setting in more {
                if found.settings.iter().all(|known| known.name != setting.name) {
                    found.settings.push(setting.clone());
                }
            }
        };
        let mut bucket = None;
        let mut known: Vec<String> = Vec::new();
        for path in &self.files {
            let Some(file) = read(path, asked.shapes)? else { continue };
            known.extend(file.profiles.keys().cloned());
            let profile = asked.profile.and_then(|name| file.profiles.get(name));
            if let Some(profile) = profile {
                add(&profile.settings);
                bucket = bucket.or_else(|| profile.bucket.clone());
            }
            add(&file.settings);
        }
        if let Some(name) = asked.profile.filter(|name| !known.iter().any(|known| known == name)) {
            return Err(self.no_profile(name, known));
        }
        found.bucket = bucket;
        Ok(found)
    }

    fn no_profile(&self, name: &str, mut known: Vec<String>) -> SettingsError {
        known.sort();
        known.dedup();
        let known = match known.is_empty() {
            true => String::new(),
            false => format!(", only {}", known.join(", ")),
        };
        let places: Vec<String> =
            self.files.iter().map(|path| path.display().to_string()).collect();
        SettingsError::NoProfile { name: name.into(), known, places: places.join(" and ") }
    }

    fn variables(&self, shapes: &[SettingShape]) -> Result<Vec<Setting>, SettingsError> {
        let mut settings = Vec::new();
        for (variable, text) in &self.variables {
            if OTHERS.iter().any(|other| variable.starts_with(other)) {
                continue;
            }
            let Some(shape) = shapes.iter().find(|shape| variable_of(&shape.name) == *variable)
            else {
                let name = variable.trim_start_matches(PREFIX);
                let name = name.to_ascii_lowercase().replace('_', "-");
                let names = shapes.iter().map(|shape| shape.name.as_str());
                if let Some(meant) = nearest(&name, names) {
                    return Err(SettingsError::Misspelled {
                        variable: variable.clone(),
                        meant: variable_of(meant),
                    });
                }
                continue;
            };
            let value = value_of_variable(shape, text).map_err(|trouble| {
                SettingsError::InVariable { variable: variable.clone(), trouble }
            })?;
            let place = format!("the variable {variable}");
            settings.push(Setting { name: shape.name.clone(), value, place });
        }
        Ok(settings)
    }
}

/// The variable of a setting: `S3MEM_METADATA_TTL` of `metadata-ttl`.
fn variable_of(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

fn value_of_variable(shape: &SettingShape, text: &str) -> Result<SettingValue, Trouble> {
    let on = match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(SettingValue::On),
        "false" | "no" | "off" | "0" => Some(SettingValue::Off),
        _ => None,
    };
    let wrong = || Trouble::NotOnOrOff { name: shape.name.clone(), value: text.to_owned() };
    match shape.takes {
        Takes::Nothing => on.ok_or_else(wrong),
        Takes::Maybe if on.is_some() => on.ok_or_else(wrong),
        Takes::Many => Ok(SettingValue::Texts(text.split(',').map(str::to_owned).collect())),
        Takes::Maybe | Takes::One => {
            Trouble::unless_allowed(shape, text)?;
            Ok(SettingValue::Texts(vec![text.to_owned()]))
        }
    }
}

/// What a file says; `None` if there is none.
fn read(path: &Path, shapes: &[SettingShape]) -> Result<Option<SettingsFile>, SettingsError> {
    let file = path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        // Nobody knows whether it is there, as in the home of whoever called sudo.
        Err(_) if path.symlink_metadata().is_err() => return Ok(None),
        Err(error) => return Err(SettingsError::Read { file, why: error.to_string() }),
    };
    let read = SettingsFile::parse(&file, &text, shapes);
    read.map(Some).map_err(|(line, trouble)| SettingsError::InFile { file, line, trouble })
}

#[cfg(test)]
mod tests;
