//! What an object of the shared cache holds: the name of what it is about, its bytes, and what
//! shows that they are those that were written.
//!
//! An entry: `s3mem shared 1\n`; the length of its name in 4 bytes, and the name; the length of
//! its body in 8 bytes, and the body; the CRC-64/NVME of all that in 8 bytes; and, where mounts
//! have a key, the HMAC-SHA-256 of all that in 32 bytes. Numbers are little-endian. What is
//! longer or shorter than it says is no entry, nor is one with a signature for a mount without a
//! key, or one without for a mount that has one.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use crc_fast::CrcAlgorithm;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const MAGIC: &[u8] = b"s3mem shared 1\n";
const CHECKSUM_BYTES: usize = 8;
const SIGNATURE_BYTES: usize = 32;
/// A name is a server, a bucket, a key and a few words.
const MAX_NAME_BYTES: usize = 8 << 10;
/// No entry is longer.
pub(super) const MAX_ENTRY_BYTES: usize = 32 << 20;
/// What a key is asked for its own name.
const WHICH_KEY: &[u8] = b"s3mem: which key of a shared cache this is";

/// The secret that entries are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Box<[u8]>);

impl SigningKey {
    /// A key with fewer bytes could be guessed.
    pub const MIN_BYTES: usize = 16;

    /// The key with these bytes; `None` if they are too few.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::MIN_BYTES).then(|| SigningKey(bytes.into()))
    }

    /// A few digits that tell it from other keys, and nothing about it.
    pub(super) fn digits(&self) -> String {
        let of_it = self.mac(WHICH_KEY).finalize().into_bytes();
        of_it.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        // Any length will do: keys longer than a block are digested.
        let begun = Hmac::<Sha256>::new_from_slice(&self.0);
        let mut mac = begun.unwrap_or_else(|_| Hmac::new(&Default::default()));
        mac.update(bytes);
        mac
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No secret ever reaches a log.
        f.write_str("SigningKey(...)")
    }
}

/// The entry of this name; `None` if it would be too long.
pub(super) fn form(name: &str, body: &[u8], key: Option<&SigningKey>) -> Option<Bytes> {
    let around = MAGIC.len() + 4 + name.len() + 8 + CHECKSUM_BYTES + SIGNATURE_BYTES;
    if name.len() > MAX_NAME_BYTES || around + body.len() > MAX_ENTRY_BYTES {
        return None;
    }
    let mut bytes = BytesMut::with_capacity(around + body.len());
    bytes.put_slice(MAGIC);
    bytes.put_u32_le(name.len() as u32);
    bytes.put_slice(name.as_bytes());
    bytes.put_u64_le(body.len() as u64);
    bytes.put_slice(body);
    bytes.put_u64_le(checksum(&bytes));
    if let Some(key) = key {
        let signature = key.mac(&bytes).finalize().into_bytes();
        bytes.put_slice(&signature);
    }
    Some(bytes.freeze())
}

/// The body of the entry of this name, if these bytes are one.
pub(super) fn parse(bytes: &Bytes, name: &str, key: Option<&SigningKey>) -> Option<Bytes> {
    let unsigned = match key {
        None => bytes.clone(),
        Some(key) => {
            let (unsigned, signature) =
                bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE_BYTES)?)?;
            key.mac(unsigned).verify_slice(signature).ok()?;
            bytes.slice(..unsigned.len())
        }
    };
    let checked = unsigned.len().checked_sub(CHECKSUM_BYTES)?;
    let (checked, mut sum) = unsigned.split_at_checked(checked)?;
    if checksum(checked) != sum.try_get_u64_le().ok()? {
        return None;
    }
    let mut rest = checked.strip_prefix(MAGIC)?;
    let length = rest.try_get_u32_le().ok()? as usize;
    let (said, mut rest) = rest.split_at_checked(length)?;
    let length = usize::try_from(rest.try_get_u64_le().ok()?).ok()?;
    (said == name.as_bytes() && rest.len() == length)
        .then(|| unsigned.slice(checked.len() - length..checked.len()))
}

/// What tells bodies apart.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "aws/b\nk\n\"1\"\n9\nindex tile-parts";

    fn key(text: &str) -> SigningKey {
        SigningKey::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_entry_is_what_was_written_under_its_name_and_its_key() {
        let (one, two) = (key("a secret of sixteen"), key("another secret, as long"));
        for with in [None, Some(&one)] {
            for body in [&b""[..], b"x", &[7; 5000]] {
                let entry = form(NAME, body, with).unwrap();
                assert_eq!(parse(&entry, NAME, with).as_deref(), Some(body));
                assert_eq!(parse(&entry, "aws/b\nother", with), None);
                assert_eq!(parse(&entry, NAME, Some(&two)), None, "somebody else's signature");
            }
        }
        let (plain, signed) = (form(NAME, b"x", None).unwrap(), form(NAME, b"x", Some(&one)));
        assert_eq!(parse(&plain, NAME, Some(&one)), None, "no signature");
        assert_eq!(parse(&signed.unwrap(), NAME, None), None, "one that nobody can check");
        assert_ne!(one.digits(), two.digits());
        assert_eq!(
            (SigningKey::new(&[1; 15]), format!("{one:?}")),
            (None, "SigningKey(...)".into())
        );
    }

    #[test]
    fn no_byte_can_be_flipped_cut_or_added_without_being_found_out() {
        let secret = key("a secret of sixteen");
        for with in [None, Some(&secret)] {
            let right = form(NAME, b"some bytes that were made", with).unwrap();
            for at in 0..right.len() {
                for bit in 0..8 {
                    let mut damaged = right.to_vec();
                    damaged[at] ^= 1 << bit;
                    assert_eq!(parse(&damaged.into(), NAME, with), None, "bit {bit} of byte {at}");
                }
                assert_eq!(parse(&right.slice(..at), NAME, with), None, "cut at {at}");
                let mut zeros = right.to_vec();
                zeros[at..].fill(0);
                assert!(zeros == right || parse(&zeros.into(), NAME, with).is_none());
            }
            assert_eq!(parse(&[&right[..], b"x"].concat().into(), NAME, with), None);
            assert_eq!(parse(&[&right[..], &right[..]].concat().into(), NAME, with), None);
        }
    }

    #[test]
    fn another_version_and_junk_are_no_entries() {
        // As another version would write it, with a checksum that is right.
        let mut other = form(NAME, b"body", None).unwrap()[..].to_vec();
        other[MAGIC.len() - 2] = b'2';
        let checked = other.len() - CHECKSUM_BYTES;
        let sum = checksum(&other[..checked]);
        other[checked..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(parse(&other.into(), NAME, None), None);
        // Lengths that nobody wrote cost no memory.
        for number in [u32::MAX, 1 << 30, 8193] {
            let mut junk = [MAGIC, &number.to_le_bytes(), &[0; 64]].concat();
            let sum = checksum(&junk);
            junk.extend(sum.to_le_bytes());
            assert_eq!(parse(&junk.into(), NAME, None), None);
        }
        for junk in [&b""[..], b"<html>please sign in</html>", &[0; 4000]] {
            assert_eq!(parse(&Bytes::from_static(junk), NAME, None), None);
        }
        assert_eq!(form(&"n".repeat(9000), b"", None), None);
        assert_eq!(form(NAME, &vec![0; MAX_ENTRY_BYTES], None), None);
    }
}
