//! CRC32C as S3 tells it: of a whole object, and of one that was uploaded in parts.

use crc_fast::CrcAlgorithm;

/// The CRC32C of some bytes.
pub fn crc32c(bytes: &[u8]) -> u32 {
    // A CRC of 32 bits in the low half.
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// A CRC32C as it stands in `x-amz-checksum-crc32c`.
pub fn told(crc: u32) -> String {
    base64(crc.to_be_bytes())
}

/// What S3 tells of an object that was uploaded in parts with these CRC32Cs: the
/// CRC32C of them all, and their number.
pub fn told_of_parts(parts: &[u32]) -> String {
    let joined: Vec<u8> = parts.iter().flat_map(|crc| crc.to_be_bytes()).collect();
    format!("{}-{}", told(crc32c(&joined)), parts.len())
}

fn base64(bytes: [u8; 4]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // Six digits of six bits each; the last has two bits of the number.
    let bits = u64::from(u32::from_be_bytes(bytes)) << 4;
    let digit = |place: u64| char::from(DIGITS[((bits >> (6 * place)) & 63) as usize]);
    (0..6).rev().map(digit).chain("==".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_castagnoli_crc() {
        // The check value of CRC-32/ISCSI, and what AWS's own tools make of it.
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(told(0xE306_9283), "4waSgw==");
        assert_eq!(told(crc32c(b"")), "AAAAAA==");
    }

    #[test]
    fn parts_have_a_checksum_of_checksums() {
        let parts = [crc32c(b"1234"), crc32c(b"56789")];
        let joined = [parts[0].to_be_bytes(), parts[1].to_be_bytes()].concat();
        assert_eq!(told_of_parts(&parts), format!("{}-2", told(crc32c(&joined))));
    }
}
