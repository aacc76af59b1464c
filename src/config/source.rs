//! What is mounted: a bucket or an access point, and a prefix in it.

use std::ffi::OsStr;
use std::fmt;

use super::{ConfigError, pasted};
use crate::key::{Bucket, Prefix};

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
            "s3://",
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
