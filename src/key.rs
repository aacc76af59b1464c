//! The nouns of S3: bucket, key, prefix, ETag, object version; and how long a name
//! may be that stands for a key.
//!
//! Contract: a value of one of these types is valid by construction; inside the
//! program there is no raw `&str` that means a key. Knows nothing of files,
//! inodes or the network.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

/// The longest name that Linux allows in a directory, in bytes (`NAME_MAX`). A segment
/// of a key may be longer.
pub const MAX_NAME_BYTES: usize = 255;

/// Why a bucket, an access point ARN or a prefix does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bucket's name breaks the rules of S3.
    #[error(
        "\"{0}\" is no bucket name: S3 allows 3 to 63 lower-case letters, digits, dots and hyphens"
    )]
    Bucket(String),
    /// The text starts with `arn:` and is no access point ARN.
    #[error(
        "\"{0}\" is no access point ARN: it should look like \
         arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME"
    )]
    Arn(String),
}

/// A bucket's name or an access point's ARN: what requests are addressed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bucket(Arc<str>);

impl Bucket {
    /// The name or ARN as S3 knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region that an access point's ARN names; `None` for a plain bucket.
    pub fn arn_region(&self) -> Option<&str> {
        let mut parts = self.0.strip_prefix("arn:")?.split(':');
        parts.nth(2).filter(|region| !region.is_empty())
    }
}

impl FromStr for Bucket {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.starts_with("arn:") {
            return parse_arn(text);
        }
        // Underscores and capitals are legal in old us-east-1 buckets and on
        // other servers, so only what can never be a bucket is refused.
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if (3..=255).contains(&text.len())
            && text.chars().all(legal)
            && !text.starts_with(['.', '-'])
        {
            Ok(Bucket(text.into()))
        } else {
            Err(KeyError::Bucket(text.into()))
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn parse_arn(text: &str) -> Result<Bucket, KeyError> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [_, partition, service, region, account, resource] = parts[..] else {
        return Err(KeyError::Arn(text.into()));
    };
    let name =
        resource.strip_prefix("accesspoint/").or_else(|| resource.strip_prefix("accesspoint:"));
    let name_ok = name.is_some_and(|n| {
        !n.is_empty() && n.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
    });
    let service_ok = matches!(service, "s3" | "s3-object-lambda" | "s3-outposts");
    let account_ok = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    if !partition.is_empty() && service_ok && !region.is_empty() && account_ok && name_ok {
        Ok(Bucket(text.into()))
    } else {
        Err(KeyError::Arn(text.into()))
    }
}

/// A key prefix that stands for a directory. Empty for the bucket's root, or
/// any text; `a/b/` is the directory `a/b`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// The whole bucket.
    pub fn root() -> Self {
        Prefix("".into())
    }

    /// The prefix of the directory that a user named: `a/b` and `a/b/` are both
    /// `a/b/`, and nothing at all is the root.
    pub fn from_user(text: &str) -> Self {
        if text.is_empty() || text.ends_with('/') {
            Prefix(text.into())
        } else {
            Prefix(format!("{text}/").into())
        }
    }

    /// The prefix exactly as given.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Prefix(text.into())
    }

    /// The text as S3 knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key that is this prefix followed by `rest`.
    pub fn key(&self, rest: &str) -> ObjectKey {
        ObjectKey(format!("{}{rest}", self.0).into())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The full key of one object, as S3 knows it: any Unicode text of 1 to 1,024 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(Arc<str>);

impl ObjectKey {
    /// The key exactly as given.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        ObjectKey(text.into())
    }

    /// The text as S3 knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entity tag, with its quotes, as the server sent it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag(Arc<str>);

impl ETag {
    /// The tag as the server sent it; quotes are added where a server omits them.
    pub fn new(text: &str) -> Self {
        if text.starts_with('"') || text.starts_with("W/") {
            ETag(text.into())
        } else {
            ETag(format!("\"{text}\"").into())
        }
    }

    /// The tag with its quotes, as If-Match takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One version of one object: what a listing says of it, and what every GET is
/// pinned to. Two values that are equal have the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectVersion {
    /// The object's key.
    pub key: ObjectKey,
    /// Its size in bytes.
    pub size: u64,
    /// Its entity tag; some servers leave it out of listings.
    pub etag: Option<ETag>,
    /// When it was written, to the second or the millisecond.
    pub last_modified: SystemTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_arns_parse_and_nonsense_does_not() {
        for good in [
            "sentinel-s2-l1c",
            "abc",
            "My_Old.Bucket",
            "arn:aws:s3:eu-central-1:123456789012:accesspoint/tiles",
        ] {
            assert!(good.parse::<Bucket>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "a b c",
            "a/b",
            ".abc",
            "arn:aws:s3",
            "arn:aws:s3:::bucket",
            "arn:aws:s3:eu-central-1:12:accesspoint/x",
            "arn:aws:s3:eu-central-1:123456789012:accesspoint/",
        ] {
            assert!(bad.parse::<Bucket>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_access_point_names_its_region() {
        let arn: Bucket = "arn:aws:s3:eu-central-1:123456789012:accesspoint/tiles".parse().unwrap();
        assert_eq!(arn.arn_region(), Some("eu-central-1"));
        assert_eq!("plain".parse::<Bucket>().unwrap().arn_region(), None);
    }

    #[test]
    fn a_users_prefix_ends_in_a_slash() {
        assert_eq!(Prefix::from_user("a/b").as_str(), "a/b/");
        assert_eq!(Prefix::from_user("a/b/").as_str(), "a/b/");
        assert_eq!(Prefix::from_user("").as_str(), "");
    }

    #[test]
    fn etags_are_quoted_once() {
        assert_eq!(ETag::new("abc").as_str(), "\"abc\"");
        assert_eq!(ETag::new("\"abc\"").as_str(), "\"abc\"");
    }
}
