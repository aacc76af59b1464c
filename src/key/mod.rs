//! The nouns of S3: bucket, key, prefix, ETag, object version; and how long a name
//! may be that stands for a key.
//!
//! Contract: a value of one of these types is valid by construction; inside the
//! program there is no raw `&str` that means a key. Knows nothing of files,
//! inodes or the network.

mod versions;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

pub use versions::{AmongVersions, is_marked};

/// The longest name that Linux allows in a directory, in bytes (`NAME_MAX`). A segment
/// of a key may be longer.
pub const MAX_NAME_BYTES: usize = 255;

/// Why a bucket, an access point ARN or a prefix does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bucket's name breaks the rules of S3.
    #[error(
        "\"{0}\" is not a bucket name: S3 allows 3 to 63 lower-case letters, digits, dots and hyphens"
    )]
    Bucket(String),
    /// The text starts with `arn:` and is no access point ARN.
    #[error(
        "\"{0}\" is not an access point ARN: it should look like \
         arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME"
    )]
    Arn(String),
}

/// A bucket's name or an access point's ARN: what requests are addressed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bucket(Arc<str>);

impl Bucket {
    /// None in particular, as where a server is spoken to about all of its buckets.
    pub fn none() -> Self {
        Bucket("".into())
    }

    /// The name or ARN as S3 knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is one that AWS allows; other servers allow more.
    pub fn is_legal_on_aws(&self) -> bool {
        let is_none = self.0.is_empty();
        is_none || self.0.starts_with("arn:") || (self.0.len() >= 3 && !self.0.contains(':'))
    }

    /// Whether a bucket that is made today may have this name: in small letters, and at least
    /// three of them.
    pub fn is_usual_name(name: &str) -> bool {
        let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = name.as_bytes();
        (3..=63).contains(&bytes.len())
            && [bytes.first(), bytes.last()].iter().flatten().all(|end| is_inner(**end))
            && bytes.iter().all(|b| is_inner(*b) || matches!(b, b'-' | b'.' | b'_'))
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
        // Underscores and capitals are legal in old us-east-1 buckets; short names and
        // Ceph's TENANT:BUCKET on other servers. Only what can never be a bucket is refused.
        let (tenant, name) = text.split_once(':').unwrap_or(("", text));
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if (1..=255).contains(&name.len())
            && [tenant, name].iter().all(|part| part.chars().all(legal))
            && tenant.is_empty() != text.contains(':')
            && ![text, name].iter().any(|part| part.starts_with(['.', '-']))
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
    // They become parts of a host's name and of messages.
    let is_word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if is_word(partition) && service_ok && is_word(region) && account_ok && name_ok {
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
        ObjectKey::new(format!("{}{rest}", self.0))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The full key of one object, as S3 knows it: any Unicode text of 1 to 1,024 bytes; and,
/// where that matters, which of the versions that a bucket keeps under it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    text: Arc<str>,
    version_id: Option<Arc<str>>,
}

impl ObjectKey {
    /// The key exactly as given, of the version that is current.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        ObjectKey { text: text.into(), version_id: None }
    }

    /// The version of this id under the same key.
    pub fn at_version(&self, id: impl Into<Arc<str>>) -> Self {
        ObjectKey { text: self.text.clone(), version_id: Some(id.into()) }
    }

    /// The same version under another key.
    pub fn with_text(&self, text: impl Into<Arc<str>>) -> Self {
        ObjectKey { text: text.into(), version_id: self.version_id.clone() }
    }

    /// The text as S3 knows it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text of the key in the bucket, also of one that stands among the versions of it.
    pub fn in_bucket(&self) -> &str {
        AmongVersions::of(&self.text).map_or(&self.text, |among| among.key)
    }

    /// Whether it stands among the versions of another one, as [`AmongVersions`] has them.
    pub fn is_among_versions(&self) -> bool {
        AmongVersions::of(&self.text).is_some()
    }

    /// Which version it is; `None` for the one that is current.
    pub fn version_id(&self) -> Option<&str> {
        self.version_id.as_deref()
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An entity tag, with its quotes. Two are equal if they stand for the same version, however
/// a server or a proxy in front of it writes them: weak (`W/"..."`), without quotes, with
/// the digits of a checksum in capitals, or with the name of a compression behind it.
#[derive(Debug, Clone)]
pub struct ETag {
    /// The strong tag with its quotes, in the case in which it came.
    text: Arc<str>,
    /// Whether If-Match takes it without its quotes.
    is_bare: bool,
}

impl ETag {
    /// The tag that a server sent.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let text = ["W/", "w/"].iter().find_map(|weak| text.strip_prefix(weak)).unwrap_or(text);
        let text = text.strip_prefix('"').unwrap_or(text);
        let text = text.strip_suffix('"').unwrap_or(text);
        const COMPRESSIONS: [&str; 6] = ["-gzip", "--gzip", ";gzip", "-br", "-zstd", "-deflate"];
        let behind = COMPRESSIONS.iter().find_map(|name| text.strip_suffix(name));
        let text = behind.filter(|text| !text.is_empty()).unwrap_or(text);
        ETag { text: format!("\"{text}\"").into(), is_bare: false }
    }

    /// The tag that a server sent; `None` if it sent an empty one.
    pub fn told(text: &str) -> Option<Self> {
        let etag = ETag::new(text);
        (etag.opaque() != "").then_some(etag)
    }

    /// The same tag for a server whose If-Match takes it without quotes.
    pub fn bare(&self) -> Self {
        ETag { is_bare: true, ..self.clone() }
    }

    /// The tag with its quotes.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The tag as If-Match takes it.
    pub fn condition(&self) -> &str {
        if self.is_bare { self.opaque() } else { &self.text }
    }

    /// The tag without its quotes.
    pub fn opaque(&self) -> &str {
        self.text.trim_matches('"')
    }

    /// Whether it is a checksum in hexadecimal digits, perhaps with a number of parts
    /// behind it: then the case means nothing.
    fn is_checksum(&self) -> bool {
        let digits = self.opaque().split('-').next().unwrap_or_default();
        digits.len() >= 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl PartialEq for ETag {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
            || (self.is_checksum() && self.text.eq_ignore_ascii_case(&other.text))
    }
}

impl Eq for ETag {}

impl Hash for ETag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.to_ascii_lowercase().hash(state);
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
            "a",
            "tenant:bucket",
            "arn:aws:s3:eu-central-1:123456789012:accesspoint/tiles",
        ] {
            assert!(good.parse::<Bucket>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a b c",
            "tenant:",
            ":bucket",
            "a:b:c",
            "tenant:.x",
            "a/b",
            ".abc",
            "arn:aws:s3",
            "arn:aws:s3:::bucket",
            "arn:aws:s3:eu-central-1:12:accesspoint/x",
            "arn:aws:s3:eu-central-1:123456789012:accesspoint/",
            "arn:aws:s3:evil.example/:123456789012:accesspoint/x",
            "arn:aws:s3:\u{1b}[2J:123456789012:accesspoint/x",
        ] {
            assert!(bad.parse::<Bucket>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_access_point_names_its_region() {
        let arn: Bucket = "arn:aws:s3:eu-central-1:123456789012:accesspoint/tiles".parse().unwrap();
        assert_eq!(arn.arn_region(), Some("eu-central-1"));
        assert_eq!("plain".parse::<Bucket>().unwrap().arn_region(), None);
        let is_legal = |name: &str| name.parse::<Bucket>().unwrap().is_legal_on_aws();
        assert!(is_legal("plain") && !is_legal("ab") && !is_legal("tenant:bucket"));
    }

    #[test]
    fn what_programs_look_for_in_every_folder_is_no_usual_name() {
        for name in ["sentinel-s2-l1c", "my.bucket", "a_b", "abc", "1234"] {
            assert!(Bucket::is_usual_name(name), "{name}");
        }
        for name in [".git", "Thumbs.db", "README", "__pycache__", "ab", "a b", "abc-", ".Trash-0"]
        {
            assert!(!Bucket::is_usual_name(name), "{name}");
        }
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

    #[test]
    fn a_tag_is_the_same_however_a_proxy_writes_it_and_no_two_are_confused() {
        const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e-3";
        let etag = ETag::new(&format!("\"{MD5}\""));
        for text in [
            MD5.to_owned(),
            format!("W/\"{MD5}\""),
            format!("W/{MD5}"),
            format!("\"{}\"", MD5.to_uppercase()),
            format!(" \"{MD5}-gzip\""),
            format!("\"{MD5};gzip\""),
        ] {
            assert_eq!(ETag::told(&text).as_ref(), Some(&etag), "{text}");
        }
        assert_ne!(etag, ETag::new(&MD5.replace("-3", "-4")));
        // No checksum: its case may mean something.
        assert_ne!(ETag::new("abc"), ETag::new("ABC"));
        assert_ne!(ETag::new("abc"), ETag::new("abcd"));
        for text in ["", "\"\"", "W/\"\"", "W/", " "] {
            assert_eq!(ETag::told(text), None, "{text}");
        }
        assert_eq!(ETag::new("-gzip").as_str(), "\"-gzip\"");
    }
}
