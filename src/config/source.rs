//! What is mounted: a bucket or an access point, and a prefix in it; several of these; or all
//! buckets.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;

use super::{ConfigError, pasted};
use crate::key::{Bucket, MAX_NAME_BYTES, Prefix};
use crate::store::Folders;

/// What stands for all buckets.
const ALL: &str = "s3://";
/// So many are shown where it is said what is mounted.
const MOST_SHOWN: usize = 3;
/// A folder's name leaves room for a number.
const MOST_NAME_BYTES: usize = MAX_NAME_BYTES / 2;

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// What is in a bucket, or below a prefix.
    One(Source),
    /// A folder for each of these.
    Several(Vec<Source>),
    /// A folder for each bucket.
    All,
}

impl Shown {
    /// Parses what was typed before the mount point.
    pub(super) fn parse(typed: &[OsString], is_all: bool) -> Result<Shown, ConfigError> {
        let means_all =
            |word: &OsString| word.to_str().is_some_and(|word| word.eq_ignore_ascii_case(ALL));
        match typed {
            [] if is_all => Ok(Shown::All),
            [word] if means_all(word) => Ok(Shown::All),
            [one] if !is_all => Ok(Shown::One(Source::parse(one)?)),
            several if is_all || several.iter().any(means_all) => Err(ConfigError::AllAndOthers),
            several => {
                let sources = several.iter().map(|one| Source::parse(one));
                Ok(Shown::Several(sources.collect::<Result<_, _>>()?))
            }
        }
    }

    /// The one that is mounted alone.
    pub fn one(&self) -> Option<&Source> {
        match self {
            Shown::One(source) => Some(source),
            Shown::Several(_) | Shown::All => None,
        }
    }

    /// The folders at the top, where there are several buckets: each has the last name of its
    /// prefix, or else that of its bucket. Those that follow one of the same name get a number.
    pub fn folders(&self) -> BTreeMap<String, Source> {
        let mut folders = BTreeMap::new();
        let Shown::Several(sources) = self else { return folders };
        for source in sources {
            let name = source.folder_name();
            let numbered = (2..).map(|number| format!("{name}-{number}"));
            let free = std::iter::once(name.clone()).chain(numbered);
            if let Some(name) = free.into_iter().find(|name| !folders.contains_key(name)) {
                folders.insert(name, source.clone());
            }
        }
        folders
    }

    /// The folders at the top of the mount; `None` for what is in one bucket.
    pub(super) fn top(&self) -> Option<Folders> {
        match self {
            Shown::One(_) => None,
            Shown::Several(_) => {
                let names: BTreeSet<String> = self.folders().into_keys().collect();
                Some(Folders::Named(names))
            }
            Shown::All => Some(Folders::All),
        }
    }

    /// What stands for the buckets in names of what is kept beyond a mount: two mounts have
    /// the same only if their keys mean the same objects.
    pub(super) fn place(&self) -> String {
        match self {
            Shown::One(source) => source.bucket.to_string(),
            // No bucket's name has a slash in it.
            Shown::Several(_) => {
                let folders = self.folders();
                let places = folders.iter().map(|(name, of)| format!("/{name}={of}"));
                places.collect()
            }
            Shown::All => "/".to_owned(),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shown::One(source) => source.fmt(f),
            Shown::Several(sources) => {
                let shown = sources.iter().take(MOST_SHOWN).map(Source::to_string);
                f.write_str(&shown.collect::<Vec<_>>().join(" "))?;
                match sources.len().saturating_sub(MOST_SHOWN) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Shown::All => f.write_str(ALL),
        }
    }
}

/// A bucket and the part of it that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The bucket's name, or the access point's ARN.
    pub bucket: Bucket,
    /// The folder in it that becomes the root of the mount.
    pub prefix: Prefix,
}

impl Source {
    /// Reads BUCKET, BUCKET/PREFIX, either with s3:// before it, ARN or ARN/PREFIX.
    pub(super) fn parse(typed: &OsStr) -> Result<Source, ConfigError> {
        let Some(text) = typed.to_str() else {
            return Err(ConfigError::Source(typed.to_string_lossy().into_owned()));
        };
        let rest = match text.get(..5) {
            Some(scheme) if scheme.eq_ignore_ascii_case("s3://") => &text[5..],
            _ => text,
        };
        if let Some(command) = pasted::command_for(text).filter(|_| rest == text) {
            return Err(ConfigError::Pasted { url: text.into(), command });
        }
        if rest.is_empty() || rest.contains("://") {
            return Err(ConfigError::Source(text.into()));
        }
        let (bucket, prefix) =
            if rest.starts_with("arn:") { split_arn(rest)? } else { split(rest) };
        let bucket = bucket.parse().map_err(ConfigError::Bucket)?;
        Ok(Source { bucket, prefix: Prefix::from_user(prefix) })
    }

    /// What its folder among others is called.
    fn folder_name(&self) -> String {
        let last = self.prefix.as_str().trim_end_matches('/').rsplit('/').next();
        let last = last.filter(|name| !name.is_empty() && name.len() <= MOST_NAME_BYTES);
        let bucket = || match self.bucket.as_str().rsplit_once(['/', ':']) {
            // An access point's ARN, or another tenant's bucket.
            Some((_, name)) => name,
            None => self.bucket.as_str(),
        };
        last.unwrap_or_else(bucket).chars().take(MOST_NAME_BYTES).collect()
    }
}

/// Splits at the first slash. What follows it is the prefix exactly: a second
/// slash belongs to the keys.
fn split(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or((text, ""))
}

/// Splits after the access point's name: `arn:...:accesspoint/NAME/PREFIX`.
fn split_arn(text: &str) -> Result<(&str, &str), ConfigError> {
    let resource_at = text.match_indices(':').nth(4).map(|(at, _)| at + 1);
    let Some(resource_at) = resource_at else { return Ok((text, "")) };
    let (fields, resource) = (&text[..resource_at], &text[resource_at..]);
    if resource.ends_with(".mrap") || resource.contains(".mrap/") {
        return Err(ConfigError::MultiRegion(text.into()));
    }
    if fields.ends_with(":s3:::") {
        return Err(ConfigError::BucketArn(resource.into()));
    }
    let name_at = resource.find(['/', ':']).map_or(resource.len(), |at| at + 1);
    let end = resource[name_at..].find('/').map_or(resource.len(), |at| name_at + at);
    Ok((&text[..resource_at + end], resource[end..].strip_prefix('/').unwrap_or_default()))
}

impl fmt::Display for Source {
    /// As mount(8) and df show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.bucket.as_str().starts_with("arn:") { "" } else { "s3://" };
        write!(f, "{scheme}{}", self.bucket)?;
        if self.prefix.as_str().is_empty() {
            return Ok(());
        }
        write!(f, "/{}", self.prefix.as_str().strip_suffix('/').unwrap_or(self.prefix.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:s3:eu-central-1:123456789012:accesspoint/tiles";

    fn parse(text: &str) -> Result<(String, String), ConfigError> {
        let source = Source::parse(OsStr::new(text))?;
        Ok((source.bucket.to_string(), source.prefix.to_string()))
    }

    #[test]
    fn buckets_prefixes_and_access_points_are_told_apart() {
        for (text, bucket, prefix) in [
            ("sentinel-s2-l1c", "sentinel-s2-l1c", ""),
            ("s3://sentinel-s2-l1c/", "sentinel-s2-l1c", ""),
            ("S3://tiles/10/S", "tiles", "10/S/"),
            ("tiles/10/S/", "tiles", "10/S/"),
            ("tiles//10", "tiles", "/10/"),
            (ARN, ARN, ""),
            (&format!("{ARN}/10/S"), ARN, "10/S/"),
            (&format!("s3://{ARN}/10/S/"), ARN, "10/S/"),
        ] {
            assert_eq!(parse(text).unwrap(), (bucket.into(), prefix.into()), "{text}");
        }
    }

    #[test]
    fn what_names_no_bucket_is_refused() {
        for text in [
            "",
            "/",
            "a b",
            "https://s3.amazonaws.com/tiles",
            "https://s3.amazonaws.com",
            "arn:aws:s3",
            "arn:aws:s3:eu-central-1:12:accesspoint/x",
            "arn:aws:s3:::tiles/10",
            "arn:aws:s3::123456789012:accesspoint/m.mrap",
            "arn:é:é:é:é:é/é",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    fn shown(words: &[&str], is_all: bool) -> Result<Shown, ConfigError> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Shown::parse(&words, is_all)
    }

    #[test]
    fn one_several_and_all_buckets_are_told_apart() {
        assert!(shown(&["tiles/10"], false).unwrap().one().is_some());
        assert!(
            matches!(shown(&["a", "s3://b/c"], false), Ok(Shown::Several(both)) if both.len() == 2)
        );
        for all in [shown(&["s3://"], false), shown(&["S3://"], true), shown(&[], true)] {
            assert_eq!(all, Ok(Shown::All));
        }
        for refused in [shown(&["a"], true), shown(&["s3://", "a"], false)] {
            assert_eq!(refused, Err(ConfigError::AllAndOthers));
        }
        assert!(shown(&[""], false).is_err());
    }

    #[test]
    fn folders_have_the_last_name_of_what_they_show_and_then_a_number() {
        let words =
            ["tiles", "tiles/10/S", "maps/S/", "other//", ARN, "team:tiles", "s3://tiles-2"];
        let shown = shown(&words, false).unwrap();
        let folders = shown.folders();
        let named = |name: &str| folders[name].to_string();
        assert_eq!(folders.len(), words.len());
        assert_eq!(named("tiles"), "s3://tiles");
        assert_eq!((named("S"), named("S-2")), ("s3://tiles/10/S".into(), "s3://maps/S".into()));
        assert_eq!((named("other"), named("tiles-2")), ("s3://other/".into(), ARN.into()));
        assert_eq!(named("tiles-3"), "s3://team:tiles");
        assert_eq!(named("tiles-2-2"), "s3://tiles-2");
        assert_eq!(shown.to_string(), "s3://tiles s3://tiles/10/S s3://maps/S and 4 more");
    }

    #[test]
    fn what_is_kept_of_one_mount_is_another_ones_only_if_keys_mean_the_same() {
        let place = |words: &[&str]| shown(words, false).unwrap().place();
        assert_eq!(place(&["tiles"]), "tiles");
        let places = [&["tiles"][..], &["s3://"], &["a", "b"], &["a", "c/b"], &["b/a", "b"]];
        let different: BTreeSet<String> = places.into_iter().map(place).collect();
        assert_eq!(different.len(), places.len());
    }

    #[test]
    fn a_buckets_arn_is_answered_with_the_form_that_works() {
        let sentence = parse("arn:aws:s3:::tiles/10").unwrap_err().to_string();
        assert!(sentence.contains("s3://tiles/10"), "{sentence}");
    }

    #[test]
    fn a_source_is_shown_as_it_would_be_typed() {
        let show = |text: &str| Source::parse(OsStr::new(text)).unwrap().to_string();
        assert_eq!(show("tiles/10/"), "s3://tiles/10");
        assert_eq!(show("s3://tiles"), "s3://tiles");
        assert_eq!(show(&format!("{ARN}/10")), format!("{ARN}/10"));
    }
}
