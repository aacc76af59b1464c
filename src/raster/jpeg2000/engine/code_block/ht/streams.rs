//! The bit streams of an HT code-block: T.814 7.1.
//!
//! A stream's stuffed bits are taken out once, in bulk, so that what reads it needs no state but a
//! position in bits. All streams but MEL have their first bit lowest in a byte.

/// What follows where a stream ends is read as ones or zeros up to here. No decoder reads more: the
/// most are 4096 magnitudes of 31 bits.
const BYTES: usize = 1 << 14;

/// A stream without its stuffed bits.
#[derive(Debug)]
pub(super) struct Stream {
    bytes: Box<[u8; BYTES + 8]>,
}

impl Default for Stream {
    fn default() -> Self {
        Self { bytes: Box::new([0; BYTES + 8]) }
    }
}

impl Stream {
    /// At least 57 bits from a position on.
    #[inline(always)]
    pub(super) fn peek(&self, position: u32) -> u64 {
        let first = (position >> 3) as usize & (BYTES - 1);
        let bytes = self.bytes[first..].first_chunk().copied().unwrap_or([0; 8]);
        u64::from_le_bytes(bytes).wrapping_shr(position & 7)
    }

    /// Takes a stream that runs forward. After a byte FF there are seven bits in the next. Returns
    /// how many bits there are, or nothing if a stuffed bit is one.
    pub(super) fn forward(&mut self, source: &[u8], filling: u8) -> Option<u32> {
        let mut writer = Writer::new(&mut self.bytes, 0, 0);
        let mut position = 0;
        let mut full = false;
        while position < source.len() && writer.at < BYTES {
            if let Some(eight) = source[position..].first_chunk::<8>() {
                let eight = u64::from_le_bytes(*eight);
                let any =
                    (!eight).wrapping_sub(0x0101_0101_0101_0101) & eight & 0x8080_8080_8080_8080;
                if !full && any == 0 {
                    writer.put_seven(eight);
                    position += 7;
                    continue;
                }
            }
            let byte = source[position];
            if full && byte > 0x7F {
                return None;
            }
            writer.put(byte, if full { 7 } else { 8 });
            full = byte == 0xFF;
            position += 1;
        }
        Some(writer.finish(filling))
    }

    /// Takes a stream that runs backward from the end of the bytes. A byte has seven bits if they are
    /// all ones and the byte before it was larger than 8F. The stream begins with some `bits` of a
    /// byte. Returns how many bits there are.
    pub(super) fn backward(&mut self, source: &[u8], first: (u8, u32), was_large: bool) -> u32 {
        let mut writer = Writer::new(&mut self.bytes, first.0, first.1);
        let mut rest = source;
        let mut large = was_large;
        while writer.at < BYTES {
            if let Some(eight) = rest.last_chunk::<8>() {
                let eight = u64::from_be_bytes(*eight);
                let low = eight & 0x7F7F_7F7F_7F7F_7F7F;
                if low.wrapping_add(0x0101_0101_0101_0101) & 0x8080_8080_8080_8080 == 0 {
                    writer.put_seven(eight);
                    large = (eight >> 48) as u8 > 0x8F;
                    rest = &rest[..rest.len() - 7];
                    continue;
                }
            }
            let Some((&byte, before)) = rest.split_last() else { break };
            writer.put(byte, if large && byte & 0x7F == 0x7F { 7 } else { 8 });
            large = byte > 0x8F;
            rest = before;
        }
        writer.finish(0)
    }
}

/// Puts bits one behind the other.
struct Writer<'a> {
    bytes: &'a mut [u8; BYTES + 8],
    at: usize,
    bits: u64,
    /// How many bits are not written, fewer than eight.
    count: u32,
}

impl<'a> Writer<'a> {
    fn new(bytes: &'a mut [u8; BYTES + 8], first: u8, count: u32) -> Self {
        let bits = u64::from(first) & ((1 << count) - 1);
        Self { bytes, at: 0, bits, count }
    }

    fn put(&mut self, byte: u8, bits: u32) {
        self.bits |= (u64::from(byte) & ((1 << bits) - 1)) << self.count;
        self.count += bits;
        if self.count >= 8 {
            self.bytes[self.at] = self.bits as u8;
            self.at += 1;
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    /// Puts the lowest seven bytes.
    fn put_seven(&mut self, bytes: u64) {
        self.bits |= (bytes << 8 >> 8).wrapping_shl(self.count);
        if let Some(place) = self.bytes[self.at..].first_chunk_mut() {
            *place = self.bits.to_le_bytes();
        }
        self.at += 7;
        self.bits >>= 56;
    }

    /// Fills the rest, and returns how many bits there are.
    fn finish(self, filling: u8) -> u32 {
        let length = 8 * self.at as u32 + self.count;
        let last = self.bits | u64::from(filling).wrapping_shl(self.count);
        let (_, rest) = self.bytes.split_at_mut(self.at.min(BYTES + 8));
        rest.fill(filling);
        if let Some(first) = rest.first_mut() {
            *first = last as u8;
        }
        length
    }
}

/// The adaptive run-length decoder of the MEL stream (T.814 7.3.3).
pub(super) struct Mel<'a> {
    data: &'a [u8],
    position: usize,
    byte: u8,
    left: u32,
    state: usize,
    /// Symbols of zero that are to come.
    zeros: u32,
    /// Whether a one comes after them.
    one: bool,
}

/// The exponents of the run lengths.
const EXPONENTS: [u8; 13] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5];

impl<'a> Mel<'a> {
    /// The bytes are those of the code-block's suffix. The last is the upper part of its length and
    /// the lower half of the one before the lower part: they count as ones.
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0, byte: 0, left: 0, state: 0, zeros: 0, one: false }
    }

    fn bit(&mut self) -> u32 {
        if self.left == 0 {
            self.left = if self.byte == 0xFF { 7 } else { 8 };
            let fixed = self.data.len().saturating_sub(2);
            self.byte = match self.data.get(self.position) {
                Some(&byte) if self.position < fixed => byte,
                Some(&byte) if self.position == fixed => byte | 0x0F,
                _ => 0xFF,
            };
            self.position = self.position.saturating_add(1);
        }
        self.left -= 1;
        u32::from(self.byte >> (self.left & 7)) & 1
    }

    /// The next symbol.
    #[inline(always)]
    pub(super) fn symbol(&mut self) -> bool {
        if self.zeros == 0 && !self.one {
            self.run();
        }
        if self.zeros > 0 {
            self.zeros -= 1;
            false
        } else {
            self.one = false;
            true
        }
    }

    fn run(&mut self) {
        let exponent = u32::from(EXPONENTS[self.state]);
        if self.bit() == 1 {
            self.zeros = 1 << exponent;
            self.state = (self.state + 1).min(EXPONENTS.len() - 1);
        } else {
            self.zeros = 0;
            for _ in 0..exponent {
                self.zeros = self.zeros << 1 | self.bit();
            }
            self.one = true;
            self.state = self.state.saturating_sub(1);
        }
    }
}
