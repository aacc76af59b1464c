//! A file of settings: TOML, with settings for all mounts first and profiles behind them.
//!
//! Contract: each value is turned into the text that the flag of its name would have; what
//! can't be is refused with its line. Pure.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use crate::cli::{Setting, SettingShape, SettingValue, Takes};

const BUCKET: &str = "bucket";
const PROFILES: &str = "profiles";
/// Parts of names that only secrets have.
const SECRETS: [&str; 7] =
    ["secret", "password", "passwd", "token", "credential", "access-key", "private-key"];

/// What is wrong with a setting, as a part of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The file is not TOML.
    #[error("{0}")]
    Syntax(String),
    /// Nothing has this name.
    #[error("there is no setting \"{name}\"; {hint}")]
    Unknown {
        /// The name.
        name: String,
        /// What to do.
        hint: String,
    },
    /// Something that nobody else may know.
    #[error(
        "\"{0}\" looks like a secret, which has no place in this file. Keep credentials in ~/.aws/credentials, \
         and name their profile here: profile = \"NAME\""
    )]
    Secret(String),
    /// A bucket outside of any profile.
    #[error("\"bucket\" belongs into a profile, such as [profiles.sentinel]")]
    BucketOutside,
    /// Something else in place of a table.
    #[error("\"{0}\" has to be a table, such as [profiles.sentinel]")]
    NoTable(String),
    /// The name of a profile that can't be typed behind `@`.
    #[error("\"{0}\" can't be the name of a profile: use letters, digits, '-', '_' and '.'")]
    ProfileName(String),
    /// A value that is neither on nor off.
    #[error("{name} is either true or false, not {value}")]
    NotOnOrOff {
        /// The setting.
        name: String,
        /// What it shall be.
        value: String,
    },
    /// A value of another type.
    #[error("{name} takes {takes}, not {value}")]
    NotText {
        /// The setting.
        name: String,
        /// What it takes.
        takes: &'static str,
        /// The type of what it shall be.
        value: &'static str,
    },
    /// None of the words that there are.
    #[error("{name} is one of {allowed}, not \"{value}\"")]
    NotAllowed {
        /// The setting.
        name: String,
        /// The words.
        allowed: String,
        /// What it shall be.
        value: String,
    },
}

impl Trouble {
    /// Refuses a word that is not among those that a setting takes.
    pub(super) fn unless_allowed(shape: &SettingShape, text: &str) -> Result<(), Trouble> {
        if shape.allowed.is_empty() || shape.allowed.iter().any(|allowed| allowed == text) {
            return Ok(());
        }
        Err(Trouble::NotAllowed {
            name: shape.name.clone(),
            allowed: shape.allowed.join(", "),
            value: text.to_owned(),
        })
    }
}

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SettingsFile {
    pub(super) settings: Vec<Setting>,
    pub(super) profiles: BTreeMap<String, Profile>,
}

/// The settings of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Profile {
    /// The bucket, and where it is named.
    pub(super) bucket: Option<(String, String)>,
    pub(super) settings: Vec<Setting>,
}

/// A line, from 1, and what is wrong there.
type Wrong = (usize, Trouble);

/// A file that is being read.
struct Reader<'f> {
    file: &'f str,
    text: &'f str,
    shapes: &'f [SettingShape],
}

impl SettingsFile {
    pub(super) fn parse(
        file: &str,
        text: &str,
        shapes: &[SettingShape],
    ) -> Result<SettingsFile, Wrong> {
        let reader = Reader { file, text, shapes };
        let table = DeTable::parse(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let said = error.message().lines().next().unwrap_or_default().to_owned();
            (reader.line(start), Trouble::Syntax(said))
        })?;
        reader.file(table.get_ref())
    }
}

impl Reader<'_> {
    /// The line of the byte at `offset`, from 1.
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn place(&self, line: usize) -> String {
        format!("line {line} of {}", self.file)
    }

    fn file(&self, table: &DeTable<'_>) -> Result<SettingsFile, Wrong> {
        let mut found = SettingsFile::default();
        for (key, value) in table {
            let line = self.line(key.span().start);
            match key.get_ref().as_ref() {
                PROFILES => {
                    let profiles = value.get_ref().as_table();
                    let profiles =
                        profiles.ok_or_else(|| (line, Trouble::NoTable(PROFILES.into())))?;
                    for (name, value) in profiles {
                        let (name, profile) = self.profile(name, value)?;
                        found.profiles.insert(name, profile);
                    }
                }
                BUCKET => return Err((line, Trouble::BucketOutside)),
                name => found.settings.push(self.setting(name, line, value)?),
            }
        }
        Ok(found)
    }

    fn profile(
        &self,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(String, Profile), Wrong> {
        let line = self.line(name.span().start);
        let name = name.get_ref().clone().into_owned();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(legal) {
            return Err((line, Trouble::ProfileName(name)));
        }
        let table = value.get_ref().as_table();
        let table = table.ok_or_else(|| (line, Trouble::NoTable(format!("{PROFILES}.{name}"))))?;
        let mut profile = Profile::default();
        for (key, value) in table {
            let line = self.line(key.span().start);
            if key.get_ref() != BUCKET {
                profile.settings.push(self.setting(key.get_ref(), line, value)?);
                continue;
            }
            let bucket = value.get_ref().as_str().ok_or_else(|| {
                let value = type_of(value.get_ref());
                (line, Trouble::NotText { name: BUCKET.into(), takes: "a text", value })
            })?;
            profile.bucket = Some((bucket.to_owned(), self.place(line)));
        }
        Ok((name, profile))
    }

    fn setting(
        &self,
        key: &str,
        line: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Setting, Wrong> {
        let name = key.replace('_', "-").to_ascii_lowercase();
        if SECRETS.iter().any(|secret| name.contains(secret)) {
            return Err((line, Trouble::Secret(key.to_owned())));
        }
        let Some(shape) = self.shapes.iter().find(|shape| shape.name == name) else {
            let hint = match nearest(&name, self.shapes.iter().map(|shape| shape.name.as_str())) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => "'s3mem config show' shows all".to_owned(),
            };
            return Err((line, Trouble::Unknown { name: key.to_owned(), hint }));
        };
        let value = value_of(shape, value.get_ref()).map_err(|trouble| (line, trouble))?;
        Ok(Setting { name, value, place: self.place(line) })
    }
}

fn value_of(shape: &SettingShape, value: &DeValue<'_>) -> Result<SettingValue, Trouble> {
    let wrong = |takes| Trouble::NotText { name: shape.name.clone(), takes, value: type_of(value) };
    match (shape.takes, value) {
        (Takes::Nothing | Takes::Maybe, DeValue::Boolean(true)) => Ok(SettingValue::On),
        (Takes::Nothing | Takes::Maybe, DeValue::Boolean(false)) => Ok(SettingValue::Off),
        (Takes::Nothing, other) => {
            let value =
                text(other).map_or_else(|| type_of(other).to_owned(), |text| format!("\"{text}\""));
            Err(Trouble::NotOnOrOff { name: shape.name.clone(), value })
        }
        (Takes::Many, DeValue::Array(all)) => {
            let texts = all.iter().map(|value| text(value.get_ref()));
            let texts: Option<Vec<String>> = texts.collect();
            Ok(SettingValue::Texts(texts.ok_or_else(|| wrong("a list of texts"))?))
        }
        (takes, other) => {
            let text = text(other).ok_or_else(|| {
                wrong(if takes == Takes::Many { "a text or a list of texts" } else { "a value" })
            })?;
            Trouble::unless_allowed(shape, &text)?;
            Ok(SettingValue::Texts(vec![text]))
        }
    }
}

/// What would be typed; modes of files are octal there as well.
fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => match number.radix() {
            8 => Some(format!("0o{}", number.as_str())),
            10 => Some(number.as_str().to_owned()),
            _ => None,
        },
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "this number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
