//! A bucket in memory: objects by key, and S3's listing over them.
//!
//! Contract: says what S3 would say of one bucket (ETags, roll-up of common
//! prefixes, paging, conditions). Knows nothing of HTTP; the server and
//! [`MemoryStore`](super::memory_store::MemoryStore) are both built on it.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use md5::{Digest, Md5};

use super::pattern::pattern_bytes;

/// The bytes of one object.
#[derive(Debug, Clone)]
pub enum Content {
    /// Held in memory.
    Stored(Bytes),
    /// Computed when asked for; see [`pattern`](super::pattern::pattern()).
    Pattern {
        /// The object's size in bytes.
        size: u64,
        /// Which pattern.
        seed: u64,
    },
}

impl Content {
    /// The size in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Stored(bytes) => bytes.len() as u64,
            Self::Pattern { size, .. } => *size,
        }
    }

    /// The bytes of a range that lies inside.
    pub fn slice(&self, range: Range<u64>) -> Bytes {
        match self {
            Self::Stored(bytes) => bytes.slice(range.start as usize..range.end as usize),
            Self::Pattern { seed, .. } => pattern_bytes(*seed, range),
        }
    }

    /// The MD5 of stored bytes; for a computed object a tag of the shape that
    /// S3 gives to uploads in parts, which is no MD5 of the bytes there either.
    fn etag(&self) -> String {
        match self {
            Self::Stored(bytes) => hex(&Md5::digest(bytes)),
            Self::Pattern { size, seed } => {
                let parts = size.div_ceil(8 << 20).max(1);
                format!("{}-{parts}", hex(&Md5::digest(format!("pattern {seed} {size}"))))
            }
        }
    }
}

/// What else can be said of an object when it is put.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    /// The media type; `binary/octet-stream` when absent, as on S3.
    pub content_type: Option<String>,
    /// The storage class; `STANDARD` when absent. `GLACIER` and `DEEP_ARCHIVE`
    /// make the object unreadable until it is put again.
    pub storage_class: Option<String>,
    /// The object's own metadata, without the `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// When it was written, kept to the second as S3 does; now when absent.
    pub last_modified: Option<SystemTime>,
    /// How it is encrypted: `AES256` or `aws:kms`.
    pub encryption: Option<String>,
    /// The key of the key service that it is encrypted with.
    pub kms_key: Option<String>,
}

/// One object of one bucket. Replaced, never changed.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its bytes.
    pub content: Content,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// When it was written: whole seconds.
    pub last_modified: SystemTime,
    /// Its media type.
    pub content_type: Option<String>,
    /// Its storage class, where it is not `STANDARD`.
    pub storage_class: Option<String>,
    /// Its own metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its CRC32C as S3 tells it, where whoever wrote it sent one.
    pub checksum: Option<String>,
    /// The bytes of each part, where it was uploaded in parts.
    pub parts: Vec<u64>,
    /// How it is encrypted, where whoever wrote it said so: `AES256` or `aws:kms`.
    pub encryption: Option<String>,
    /// The key of the key service that it is encrypted with.
    pub kms_key: Option<String>,
}

impl Object {
    /// An object with the ETag that its bytes give.
    pub fn new(content: Content, meta: Meta) -> Self {
        let etag = content.etag();
        Self::with_etag(content, etag, meta)
    }

    /// An object with an ETag of its own, as uploads in parts have.
    pub fn with_etag(content: Content, etag: String, meta: Meta) -> Self {
        let written = meta.last_modified.unwrap_or_else(SystemTime::now);
        let seconds = written.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Object {
            content,
            etag,
            last_modified: UNIX_EPOCH + Duration::from_secs(seconds),
            content_type: meta.content_type,
            storage_class: meta.storage_class.filter(|class| class != "STANDARD"),
            metadata: meta.metadata,
            checksum: None,
            parts: Vec::new(),
            encryption: meta.encryption,
            kms_key: meta.kms_key,
        }
    }

    /// Whether the bytes can't be had before the object is restored.
    pub fn is_archived(&self) -> bool {
        matches!(self.storage_class.as_deref(), Some("GLACIER" | "DEEP_ARCHIVE"))
    }
}

/// The objects of one bucket, by key in UTF-8 order.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    /// The objects.
    pub objects: BTreeMap<String, Arc<Object>>,
}

/// Which part of a bucket is listed.
#[derive(Debug, Clone, Default)]
pub struct Listing<'a> {
    /// Only keys that start with this.
    pub prefix: &'a str,
    /// Keys are rolled up at the next one of these behind the prefix; empty for none.
    pub delimiter: &'a str,
    /// Only what comes after this.
    pub after: After,
    /// At most so many keys and prefixes together.
    pub max_keys: usize,
}

/// Where a page of a listing starts. As text it is the continuation token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum After {
    /// At the first key.
    #[default]
    Start,
    /// Behind this key.
    Key(String),
    /// Behind all keys with this prefix.
    Prefix(String),
}

impl After {
    /// The position as an opaque token without any character that needs escaping.
    pub fn to_token(&self) -> String {
        match self {
            Self::Start => String::new(),
            Self::Key(key) => format!("k{}", hex(key.as_bytes())),
            Self::Prefix(prefix) => format!("p{}", hex(prefix.as_bytes())),
        }
    }

    /// The position that a token stands for; `None` for a token nobody gave out.
    pub fn from_token(token: &str) -> Option<Self> {
        let text = |digits: &str| String::from_utf8(unhex(digits)?).ok();
        match token.split_at_checked(1)? {
            ("k", digits) => text(digits).map(Self::Key),
            ("p", digits) => text(digits).map(Self::Prefix),
            _ => None,
        }
    }
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Objects in key order.
    pub objects: Vec<(String, Arc<Object>)>,
    /// Common prefixes in order.
    pub prefixes: Vec<String>,
    /// Where the next page starts; `None` when this was the last.
    pub next: Option<After>,
}

impl Bucket {
    /// One page of a listing. Costs as much as the page holds, however many
    /// keys hide under a common prefix.
    pub fn list(&self, listing: &Listing<'_>) -> Page {
        let mut page = Page::default();
        if listing.max_keys == 0 {
            return page;
        }
        let mut last = After::Start;
        let mut from = match &listing.after {
            After::Start => Some(Bound::Included(listing.prefix.to_owned())),
            After::Key(key) if key.as_str() < listing.prefix => {
                Some(Bound::Included(listing.prefix.to_owned()))
            }
            After::Key(key) => Some(Bound::Excluded(key.clone())),
            After::Prefix(prefix) => after_prefix(prefix).map(Bound::Included),
        };
        while let Some(start) = from.take() {
            for (key, object) in self.objects.range::<String, _>((start, Bound::Unbounded)) {
                let Some(rest) = key.strip_prefix(listing.prefix) else { break };
                if page.objects.len() + page.prefixes.len() == listing.max_keys {
                    page.next = Some(last);
                    return page;
                }
                if let Some(end) = roll_up(rest, listing.delimiter) {
                    let prefix = &key[..listing.prefix.len() + end];
                    page.prefixes.push(prefix.to_owned());
                    last = After::Prefix(prefix.to_owned());
                    from = after_prefix(prefix).map(Bound::Included);
                    break;
                }
                page.objects.push((key.clone(), Arc::clone(object)));
                last = After::Key(key.clone());
            }
        }
        page
    }

    /// As [`Bucket::list`], from the last name to the first.
    pub fn list_backwards(&self, listing: &Listing<'_>) -> Page {
        let all = Listing { after: After::Start, max_keys: usize::MAX, ..listing.clone() };
        let all = self.list(&all);
        let objects = all.objects.into_iter().map(|(key, object)| (key, Some(object)));
        let prefixes = all.prefixes.into_iter().map(|prefix| (prefix, None));
        let mut entries: Vec<_> = objects.chain(prefixes).collect();
        entries.sort_by(|a, b| b.0.cmp(&a.0));
        let passed = |name: &str| match &listing.after {
            After::Start => false,
            After::Key(last) | After::Prefix(last) => name >= last.as_str(),
        };
        entries.retain(|(name, _)| !passed(name));
        let mut page = Page::default();
        for (name, object) in entries {
            if page.objects.len() + page.prefixes.len() == listing.max_keys {
                let last = page.objects.last().map(|(key, _)| key).into_iter();
                let last = last.chain(page.prefixes.last()).min();
                page.next = last.cloned().map(After::Key);
                break;
            }
            match object {
                Some(object) => page.objects.push((name, object)),
                None => page.prefixes.push(name),
            }
        }
        page
    }
}

/// The length of the common prefix that `rest` is rolled up into.
fn roll_up(rest: &str, delimiter: &str) -> Option<usize> {
    if delimiter.is_empty() { None } else { Some(rest.find(delimiter)? + delimiter.len()) }
}

/// The smallest text behind all texts that start with `prefix`. UTF-8 sorts as
/// its characters do, so it is enough to raise the last one.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The step over the surrogates, which are no characters.
        let next =
            if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes behind hexadecimal digits.
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if digits.len() % 2 == 1 { None } else { digits.as_bytes().chunks(2).map(byte).collect() }
}
