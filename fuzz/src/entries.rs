//! Entries of caches, which others may have written or damaged: what is found in any bytes has been
//! written so.

use std::fs::File;
use std::io::Write;

use bytes::Bytes;

use crate::disk_entry::{self, Header};
use crate::fleet_entry::{self, SigningKey};

/// The key of those who have one.
const KEY: &[u8] = b"the key of the fuzzer";

/// An entry of the shared cache.
///
/// # Panics
/// It is not found as it was written, or what was damaged is found.
pub fn shared(name: &str, bytes: &[u8], damage: (u32, u8)) {
    for key in [None, SigningKey::new(KEY)] {
        let key = key.as_ref();
        // Whatever it is, it is what somebody has written under this name.
        if let Some(body) = fleet_entry::parse(&Bytes::copy_from_slice(bytes), name, key) {
            assert_eq!(fleet_entry::form(name, &body, key).as_deref(), Some(bytes));
        }
        let Some(entry) = fleet_entry::form(name, bytes, key) else { continue };
        assert_eq!(fleet_entry::parse(&entry, name, key).as_deref(), Some(bytes));
        let (at, with) = (damage.0 as usize % entry.len(), damage.1);
        let mut damaged = entry.to_vec();
        damaged[at] ^= with;
        assert_eq!(fleet_entry::parse(&damaged.into(), name, key).is_some(), with == 0);
        assert_eq!(fleet_entry::parse(&entry.slice(..at), name, key), None);
        assert_eq!(fleet_entry::parse(&entry, &format!("{name}x"), key), None);
    }
}

/// An entry of the cache on disk, of `file`.
///
/// # Panics
/// It is not found as it was written, or other bytes are.
pub fn on_disk(file: &File, name: &str, bytes: &[u8], damage: (u32, u8)) {
    let put = |bytes: &[u8]| {
        file.set_len(0).unwrap();
        let mut file = file;
        std::io::Seek::rewind(&mut file).unwrap();
        file.write_all(bytes).unwrap();
    };
    // Any bytes, and bytes behind a beginning that is right.
    for junk in [bytes.to_vec(), [b"s3mem cache 1\n", bytes].concat()] {
        put(&junk);
        if let Some(header) = Header::read(file, name) {
            header.whole(file);
        }
    }
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    let pieces = [(0, first), (first.len() as u64, rest)];
    let pieces: Vec<(u64, &[u8])> =
        pieces.into_iter().filter(|(_, piece)| !piece.is_empty()).collect();
    let Some(mut entry) = disk_entry::header(name, &pieces) else { return };
    entry.extend_from_slice(bytes);
    put(&entry);
    let whole = |name: &str| Header::read(file, name).and_then(|header| header.whole(file));
    let right = (!bytes.is_empty()).then_some(bytes);
    assert_eq!(whole(name).as_deref(), right);
    assert_eq!(whole(&format!("{name}x")), None);
    let (at, with) = (damage.0 as usize % entry.len(), damage.1);
    entry[at] ^= with;
    put(&entry);
    assert!(with == 0 || whole(name).is_none());
    put(&entry[..at]);
    assert_eq!(whole(name), None);
}
