//! CRCs as S3 tells them: of a whole object, and of one that was uploaded in parts.

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

/// The kinds of CRC that S3 keeps of whole objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcKind {
    /// CRC-64/NVME, which AWS keeps of every object that comes without another.
    Crc64Nvme,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-32, as in zip.
    Crc32,
}

impl CrcKind {
    fn algorithm(self) -> CrcAlgorithm {
        match self {
            CrcKind::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            CrcKind::Crc32c => CrcAlgorithm::Crc32Iscsi,
            CrcKind::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
        }
    }

    fn digits(self) -> usize {
        match self {
            CrcKind::Crc64Nvme => 8,
            CrcKind::Crc32c | CrcKind::Crc32 => 4,
        }
    }
}

/// The CRC of a whole object, or of a piece of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crc {
    /// Which one.
    pub kind: CrcKind,
    value: u64,
}

impl Crc {
    /// That of some bytes, which come in two pieces.
    pub fn of(kind: CrcKind, first: &[u8], second: &[u8]) -> Self {
        let mut digest = crc_fast::Digest::new(kind.algorithm());
        digest.update(first);
        digest.update(second);
        Crc { kind, value: digest.finalize() }
    }

    /// As it stands in a header.
    fn told(kind: CrcKind, text: &str) -> Option<Self> {
        let bytes = bytes_of_base64(text.trim())?;
        let value = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        (bytes.len() == kind.digits()).then_some(Crc { kind, value })
    }

    /// That of no bytes.
    pub fn empty(kind: CrcKind) -> Self {
        Crc::of(kind, b"", b"")
    }

    /// The CRC of the CRCs of parts.
    pub fn of_parts(kind: CrcKind, parts: &[Crc]) -> Self {
        let bytes = parts.iter().flat_map(|part| {
            let bytes = part.value.to_be_bytes();
            bytes.into_iter().skip(bytes.len() - kind.digits())
        });
        Crc::of(kind, &bytes.collect::<Vec<u8>>(), b"")
    }

    /// That of this piece and of one of `bytes` bytes that follows it.
    pub fn followed_by(self, next: Crc, bytes: u64) -> Self {
        let (kind, value) = (self.kind, self.value);
        let value = crc_fast::checksum_combine(kind.algorithm(), value, next.value, bytes);
        Crc { kind, value }
    }
}

/// A sum of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// A CRC, which pieces add up to in any order.
    Crc(Crc),
    /// An MD5, which is counted from the first byte to the last.
    Md5([u8; 16]),
}

/// What a server keeps of the bytes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The sum of the whole object, or of the sums of its parts.
    pub sum: Sum,
    /// How many parts; 0 if it is the sum of the whole.
    pub parts: u32,
}

impl Kept {
    /// A CRC as it stands in a header: base64, with `-N` behind it for one of N parts.
    pub fn crc(kind: CrcKind, text: &str) -> Option<Self> {
        let (text, parts) = told_parts(text)?;
        Some(Kept { sum: Sum::Crc(Crc::told(kind, text)?), parts })
    }

    /// An ETag that is an MD5: 32 hexadecimal digits, with `-N` behind them for one of N parts.
    pub fn md5(etag: &str) -> Option<Self> {
        let (digits, parts) = told_parts(etag.trim_matches('"'))?;
        if digits.len() != 32 || !digits.is_ascii() {
            return None;
        }
        let mut md5 = [0; 16];
        for (byte, at) in md5.iter_mut().zip((0..32).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
        }
        Some(Kept { sum: Sum::Md5(md5), parts })
    }

    /// Whether it is made of the sums of parts.
    pub fn has_parts(&self) -> bool {
        self.parts > 0
    }
}

/// A sum, and of how many parts it is.
fn told_parts(text: &str) -> Option<(&str, u32)> {
    match text.rsplit_once('-') {
        None => Some((text, 0)),
        Some((sum, parts)) => Some((sum, parts.parse().ok().filter(|parts| *parts > 0)?)),
    }
}

fn bytes_of_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for digit in digits.bytes() {
        let place = DIGITS.iter().position(|known| *known == digit)?;
        bits = bits << 6 | place as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: [u8; 4]) -> String {
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
    fn checksums_of_pieces_add_up_to_that_of_the_whole() {
        // The check values of the three kinds, in base64.
        for (kind, told) in [
            (CrcKind::Crc64Nvme, "rosUhgp5mIg="),
            (CrcKind::Crc32c, "4waSgw=="),
            (CrcKind::Crc32, "y/Q5Jg=="),
        ] {
            let told = Crc::told(kind, told).unwrap();
            assert_eq!(Crc::of(kind, b"1234", b"56789"), told, "{kind:?}");
            for cut in 0..=9 {
                let (one, other) = b"123456789".split_at(cut);
                let first = Crc::of(kind, one, b"");
                let both = first.followed_by(Crc::of(kind, b"", other), other.len() as u64);
                assert_eq!(both, told, "{kind:?} {cut}");
            }
        }
        assert_eq!(bytes_of_base64(&told(0xE306_9283)).unwrap(), 0xE306_9283_u32.to_be_bytes());
    }

    #[test]
    fn what_is_no_checksum_is_none() {
        for text in [
            "",
            "4waSgw==-",
            "4waSgw==-0",
            "4waSgw==-x",
            "4waSgw",
            "4waSg!==",
            "rosUhgp5mIg=",
            "====",
            "4waSgw==",
        ] {
            let is_crc = Kept::crc(CrcKind::Crc32c, text).is_some();
            assert_eq!(is_crc, text == "4waSgw==", "{text:?}");
        }
    }

    #[test]
    fn parts_have_a_checksum_of_checksums() {
        let parts = [crc32c(b"1234"), crc32c(b"56789")];
        let joined = [parts[0].to_be_bytes(), parts[1].to_be_bytes()].concat();
        assert_eq!(told_of_parts(&parts), format!("{}-2", told(crc32c(&joined))));
        for kind in [CrcKind::Crc64Nvme, CrcKind::Crc32c, CrcKind::Crc32] {
            let of = |bytes: &[u8]| Crc::of(kind, bytes, b"");
            let parts = Crc::of_parts(kind, &[of(b"1234"), of(b"56789")]);
            let both = [of(b"1234").value.to_be_bytes(), of(b"56789").value.to_be_bytes()];
            let both = both.map(|bytes| bytes[8 - kind.digits()..].to_vec()).concat();
            assert_eq!(parts, of(&both), "{kind:?}");
        }
        let kept = Kept::crc(CrcKind::Crc32c, &told_of_parts(&parts)).unwrap();
        let crcs = [b"1234".as_slice(), b"56789"].map(|part| Crc::of(CrcKind::Crc32c, part, b""));
        assert_eq!(kept, Kept { sum: Sum::Crc(Crc::of_parts(CrcKind::Crc32c, &crcs)), parts: 2 });
    }

    #[test]
    fn an_etag_is_an_md5_if_it_looks_like_one() {
        let md5 = "\"25f9e794323b453885f5181f1b624d0b\"";
        let kept = Kept::md5(md5).unwrap();
        assert!(matches!(kept.sum, Sum::Md5([0x25, 0xf9, .., 0x0b])) && !kept.has_parts());
        assert_eq!(Kept::md5("25f9e794323b453885f5181f1b624d0b-7").unwrap().parts, 7);
        for etag in ["", "25f9", "25f9e794323b453885f5181f1b624d0g", "-1", "éééééééééééééééé"]
        {
            assert_eq!(Kept::md5(etag), None, "{etag:?}");
        }
    }
}
