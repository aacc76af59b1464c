//! Whether an object is the one that a write of ours made.
//!
//! A conditional write whose answer was lost may have happened; when it is sent
//! again, the server finds our own object in the way and refuses. What a HEAD says
//! of that object decides. It is ours only if its bytes are, as far as a checksum or
//! an ETag can tell: a foreign object is never taken for ours because of its size.

use md5::{Digest, Md5};

use super::checksum::{crc32c, told, told_of_parts};
use super::{CompleteRequest, CopyRequest, ObjectHead, PutRequest};
use crate::key::ETag;

/// What tells the object that a write makes from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Print {
    /// The size in bytes; `None` for parts, which don't say theirs.
    size: Option<u64>,
    /// The checksum as a HEAD tells it. Parts and copies that the server makes have none.
    checksum: Option<String>,
    /// The ETag that servers give an object of these bytes, unless they encrypt it with a
    /// key of a key service.
    etag: Option<ETag>,
}

/// How an object compares with what a write makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// It is that.
    Ours,
    /// It is something else.
    Foreign,
    /// The server tells nothing that could be compared.
    Unknown,
}

impl Print {
    /// Of what this PUT writes.
    pub(super) fn of_put(request: &PutRequest) -> Self {
        Print {
            size: Some(request.body.len() as u64),
            checksum: Some(told(crc32c(&request.body))),
            etag: Some(etag_of(&Md5::digest(&request.body))),
        }
    }

    /// Of what these parts make. Parts that the server copied have no checksums to tell by.
    pub(super) fn of_parts(request: &CompleteRequest) -> Self {
        let checksums: Option<Vec<u32>> = request.parts.iter().map(|part| part.checksum).collect();
        let etags = request.parts.iter().map(|part| part.etag.as_str());
        Print {
            size: None,
            checksum: checksums.as_deref().map(told_of_parts),
            etag: etag_of_parts(etags),
        }
    }

    /// Of this copy. S3 does not promise for every copy that it keeps its source's ETag.
    pub(super) fn of_copy(request: &CopyRequest) -> Self {
        let (size, etag) = (Some(request.from.size), request.from.etag.clone());
        Print { size, checksum: None, etag }
    }

    /// Whether an object is the one that the write makes.
    pub(super) fn likeness(&self, head: &ObjectHead) -> Likeness {
        if self.size.is_some() && self.size != head.size {
            return Likeness::Foreign;
        }
        let of = |is_ours| if is_ours { Likeness::Ours } else { Likeness::Foreign };
        // A checksum of parts and one of the whole can't be compared.
        let is_of_parts = |checksum: &String| checksum.contains('-');
        match (&head.checksum, &self.checksum) {
            (Some(theirs), Some(ours)) if is_of_parts(theirs) == is_of_parts(ours) => {
                return of(theirs == ours);
            }
            _ => {}
        }
        match (&head.etag, &self.etag) {
            (Some(theirs), Some(ours)) if theirs == ours => Likeness::Ours,
            // Made of the bytes in the same way, and of others.
            (Some(theirs), Some(ours))
                if self.checksum.is_some()
                    && head.checksum.is_none()
                    && parts_of_md5(theirs).is_some()
                    && parts_of_md5(theirs) == parts_of_md5(ours) =>
            {
                Likeness::Foreign
            }
            _ => Likeness::Unknown,
        }
    }
}

/// How many parts an ETag says that it is of, if it is an MD5 or one of MD5s; 0 if it is
/// of the whole.
fn parts_of_md5(etag: &ETag) -> Option<u32> {
    let (digest, parts) = match etag.as_str().trim_matches('"').split_once('-') {
        Some((digest, parts)) => (digest, parts.parse().ok()?),
        None => (etag.as_str().trim_matches('"'), 0),
    };
    (digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(parts)
}

fn etag_of(digest: &[u8]) -> ETag {
    ETag::new(&hex(digest))
}

/// The MD5 of the parts' MD5s with their number behind it; `None` where the parts'
/// ETags are no MD5s, as with keys of a key service.
fn etag_of_parts<'p>(etags: impl Iterator<Item = &'p str>) -> Option<ETag> {
    let (mut digests, mut count) = (Vec::new(), 0);
    for etag in etags {
        count += 1;
        let digits = etag.trim_matches('"');
        if digits.len() != 32 || !digits.is_ascii() {
            return None;
        }
        for at in (0..32).step_by(2) {
            digests.push(u8::from_str_radix(&digits[at..at + 2], 16).ok()?);
        }
    }
    let digest = hex(&Md5::digest(&digests));
    Some(ETag::new(&format!("{digest}-{count}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    use bytes::Bytes;

    use super::super::{Condition, Part, Upload};
    use super::*;
    use crate::key::{ObjectKey, ObjectVersion};

    fn head(size: u64, etag: &str, checksum: Option<&str>) -> ObjectHead {
        ObjectHead {
            kept: None,
            size: Some(size),
            etag: Some(ETag::new(etag)),
            last_modified: None,
            content_type: None,
            storage_class: None,
            metadata: BTreeMap::new(),
            checksum: checksum.map(str::to_owned),
        }
    }

    fn put(body: &'static [u8]) -> PutRequest {
        let (key, body) = (ObjectKey::new("k"), Bytes::from_static(body));
        PutRequest { key, body, content_type: None, condition: Condition::Absent }
    }

    fn is_put(head: &ObjectHead, request: &PutRequest) -> bool {
        Print::of_put(request).likeness(head) == Likeness::Ours
    }

    fn is_parts(head: &ObjectHead, request: &CompleteRequest) -> bool {
        Print::of_parts(request).likeness(head) == Likeness::Ours
    }

    fn is_copy(head: &ObjectHead, request: &CopyRequest) -> bool {
        Print::of_copy(request).likeness(head) == Likeness::Ours
    }

    #[test]
    fn what_cannot_be_compared_is_not_called_foreign() {
        let ours = Print::of_put(&put(b"123456789"));
        let likeness = |etag, checksum| ours.likeness(&head(9, etag, checksum));
        assert_eq!(likeness("opaque", None), Likeness::Unknown);
        assert_eq!(likeness("opaque", Some("AAAAAA==")), Likeness::Foreign);
        assert_eq!(likeness("25f9e794323b453885f5181f1b624d0c", None), Likeness::Foreign);
        assert_eq!(likeness("25f9e794323b453885f5181f1b624d0c-1", None), Likeness::Unknown);
        assert_eq!(ours.likeness(&head(8, "opaque", None)), Likeness::Foreign);
    }

    #[test]
    fn a_put_is_known_by_size_and_checksum() {
        let ours = put(b"123456789");
        assert!(is_put(&head(9, "not an md5", Some("4waSgw==")), &ours));
        assert!(!is_put(&head(8, "x", Some("4waSgw==")), &ours));
        assert!(!is_put(&head(9, "x", Some("AAAAAA==")), &ours));
    }

    #[test]
    fn a_put_without_a_checksum_is_known_by_its_md5() {
        let ours = put(b"123456789");
        assert!(is_put(&head(9, "25f9e794323b453885f5181f1b624d0b", None), &ours));
        assert!(!is_put(&head(9, "25f9e794323b453885f5181f1b624d0c", None), &ours));
        // The checksum is believed before the ETag.
        let other = head(9, "25f9e794323b453885f5181f1b624d0b", Some("AAAAAA=="));
        assert!(!is_put(&other, &ours));
    }

    #[test]
    fn parts_are_known_by_their_common_checksum_or_etag() {
        let part = |number, etag: &str, bytes: &[u8]| Part {
            number,
            etag: ETag::new(etag),
            checksum: Some(crc32c(bytes)),
        };
        let upload = Upload { key: ObjectKey::new("k"), id: "u".into() };
        let md5 = "25f9e794323b453885f5181f1b624d0b";
        let parts = vec![part(1, md5, b"1234"), part(2, md5, b"56789")];
        let mut ours = CompleteRequest { upload, parts, condition: Condition::Absent };
        let checksum = told_of_parts(&[crc32c(b"1234"), crc32c(b"56789")]);
        assert!(is_parts(&head(9, "x", Some(&checksum)), &ours));
        assert!(!is_parts(&head(9, "x", Some("4waSgw==")), &ours));
        let bytes = [0x25, 0xf9, 0xe7, 0x94, 0x32, 0x3b, 0x45, 0x38]
            .into_iter()
            .chain([0x85, 0xf5, 0x18, 0x1f, 0x1b, 0x62, 0x4d, 0x0b]);
        let twice: Vec<u8> = bytes.clone().chain(bytes).collect();
        let etag = format!("{}-2", hex(&Md5::digest(&twice)));
        assert!(is_parts(&head(9, &etag, None), &ours));
        assert!(!is_parts(&head(9, "x-2", None), &ours));
        // Copied parts have no checksums, so the object's own says nothing of them.
        let copied = ours.parts.iter().cloned().map(|part| Part { checksum: None, ..part });
        let mut copied = CompleteRequest { parts: copied.collect(), ..ours.clone() };
        assert!(is_parts(&head(9, &etag, Some("4waSgw==")), &copied));
        assert!(is_parts(&head(9, &etag, None), &copied));
        assert!(!is_parts(&head(9, "x-2", Some(&checksum)), &copied));
        copied.parts[1].etag = ETag::new("no md5");
        assert!(!is_parts(&head(9, &etag, None), &copied));
        ours.parts[0].etag = ETag::new("no md5");
        assert!(!is_parts(&head(9, &etag, None), &ours));
    }

    #[test]
    fn a_copy_is_known_by_the_sources_etag_and_size() {
        let from = ObjectVersion {
            key: ObjectKey::new("a"),
            size: 9,
            etag: Some(ETag::new("tag")),
            last_modified: SystemTime::UNIX_EPOCH,
        };
        let (to, condition) = (ObjectKey::new("b"), Condition::Absent);
        let mut ours = CopyRequest { from, to, condition, content_type: None };
        assert!(is_copy(&head(9, "tag", None), &ours));
        assert!(!is_copy(&head(8, "tag", None), &ours));
        assert!(!is_copy(&head(9, "other", None), &ours));
        ours.from.etag = None;
        assert!(!is_copy(&head(9, "tag", None), &ours));
    }
}
