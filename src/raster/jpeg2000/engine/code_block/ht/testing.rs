//! An HT code-block encoder for tests: T.814 in its plainest form.

use super::super::Style;
use super::super::testing::Encoded;
use super::tables::{Entry, FIRST, OTHERS};

/// Encodes integer coefficients, row by row, in one to three passes. With more than one the cleanup
/// pass leaves out the lowest bit-plane. Also returns what a decoder makes of it.
pub(crate) fn encode(
    (width, height): (u32, u32),
    values: &[i32],
    passes: usize,
    style: Style,
) -> (Encoded, Vec<i32>) {
    let (w, h) = (width as usize, height as usize);
    let plane = u32::from(passes > 1);
    let largest = values.iter().map(|value| value.unsigned_abs() >> plane).max().unwrap_or(0);
    let missing = (32 - largest.leading_zeros()).saturating_sub(1);
    let mut encoded = Encoded {
        width,
        height,
        orientation: super::super::Orientation::Ll,
        style: Style { ht: true, ..style },
        bit_planes: plane as u8 + 1,
        missing_bit_planes: missing as u8,
        segments: vec![(1, cleanup(w, h, values, plane))],
    };
    let mut expected: Vec<_> = values
        .iter()
        .map(|value| {
            let kept = (value.abs() >> plane) << plane;
            if kept == 0 { 0 } else { value.signum() * (2 * kept + (1 << plane)) }
        })
        .collect();
    if passes > 1 {
        let cleaned: Vec<_> = expected.iter().map(|value| *value != 0).collect();
        let mut data = propagation(w, h, values, &cleaned, &mut expected, style.vertically_causal);
        if passes > 2 {
            data.extend(refinement(w, h, values, &cleaned, &mut expected));
        }
        encoded.segments.push((passes as u8 - 1, data));
    }
    (encoded, expected)
}

/// Bits from the lowest of a byte up, with seven in the byte after FF.
#[derive(Default)]
struct Forward {
    bytes: Vec<u8>,
    byte: u32,
    count: u32,
}

impl Forward {
    fn put(&mut self, bits: u32, count: u32) {
        for index in 0..count {
            self.byte |= (bits >> index & 1) << self.count;
            self.count += 1;
            let capacity = if self.bytes.last() == Some(&0xFF) { 7 } else { 8 };
            if self.count == capacity {
                self.bytes.push(self.byte as u8);
                (self.byte, self.count) = (0, 0);
            }
        }
    }

    fn finish(mut self, padding: u32) -> Vec<u8> {
        while self.count > 0 {
            self.put(padding, 1);
        }
        self.bytes
    }
}

/// Bits for a stream that is read backward. The first byte may be begun.
struct Backward {
    /// In the order of reading.
    bytes: Vec<u8>,
    byte: u32,
    count: u32,
    large: bool,
}

impl Backward {
    fn put(&mut self, bits: u32, count: u32) {
        for index in 0..count {
            self.byte |= (bits >> index & 1) << self.count;
            self.count += 1;
            if self.count == 8 || (self.count == 7 && self.large && self.byte == 0x7F) {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        self.bytes.push(self.byte as u8);
        self.large = self.byte > 0x8F;
        (self.byte, self.count) = (0, 0);
    }
}

#[derive(Default)]
struct Mel {
    bytes: Vec<u8>,
    byte: u32,
    count: u32,
    state: usize,
    run: u32,
}

impl Mel {
    const EXPONENTS: [u32; 13] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5];

    fn bit(&mut self, bit: u32) {
        self.byte = self.byte << 1 | bit;
        self.count += 1;
        let capacity = if self.bytes.last() == Some(&0xFF) { 7 } else { 8 };
        if self.count == capacity {
            self.bytes.push(self.byte as u8);
            (self.byte, self.count) = (0, 0);
        }
    }

    fn symbol(&mut self, one: bool) {
        let exponent = Self::EXPONENTS[self.state];
        if one {
            self.bit(0);
            for index in (0..exponent).rev() {
                self.bit(self.run >> index & 1);
            }
            self.run = 0;
            self.state = self.state.saturating_sub(1);
        } else {
            self.run += 1;
            if self.run == 1 << exponent {
                self.bit(1);
                self.run = 0;
                self.state = (self.state + 1).min(12);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.run > 0 {
            self.bit(1);
        }
        while self.count > 0 {
            self.bit(0);
        }
        self.bytes
    }
}

/// The prefix, its length, the suffix and its length of an exponent offset.
fn offset_code(offset: u32) -> [u32; 4] {
    match offset {
        1 => [1, 1, 0, 0],
        2 => [2, 2, 0, 0],
        3 | 4 => [4, 3, offset - 3, 1],
        _ => [0, 3, offset - 5, 5],
    }
}

fn cleanup(w: usize, h: usize, values: &[i32], plane: u32) -> Vec<u8> {
    // Magnitude at (x, y), zero outside.
    let at = |x: i64, y: i64| {
        let inside = (0..w as i64).contains(&x) && (0..h as i64).contains(&y);
        if inside { values[y as usize * w + x as usize] } else { 0 }
    };
    let magnitude = |x: i64, y: i64| at(x, y).unsigned_abs() >> plane;
    let significant = |x: i64, y: i64| u32::from(magnitude(x, y) != 0);
    // The exponent: how many bits twice the magnitude less one has.
    let exponent = |x: i64, y: i64| match magnitude(x, y) {
        0 => 0,
        m => 32 - (2 * m - 1).leading_zeros(),
    };
    let (mut signs, mut mel) = (Forward::default(), Mel::default());
    let mut codes = Backward { bytes: Vec::new(), byte: 15, count: 4, large: true };
    for y in (0..h as i64).step_by(2) {
        for pair in (0..w as i64).step_by(4) {
            let mut offsets = [0; 2];
            for (index, x) in [pair, pair + 2].into_iter().enumerate() {
                if x >= w as i64 {
                    continue;
                }
                let places = [(x, y), (x, y + 1), (x + 1, y), (x + 1, y + 1)];
                let pattern =
                    (0..4).map(|n| significant(places[n].0, places[n].1) << n).sum::<u32>();
                let context = if y == 0 {
                    significant(x - 2, y)
                        | significant(x - 2, y + 1)
                        | significant(x - 1, y) << 1
                        | significant(x - 1, y + 1) << 2
                } else {
                    significant(x - 1, y - 1)
                        | significant(x, y - 1)
                        | (significant(x - 1, y) | significant(x - 1, y + 1)) << 1
                        | (significant(x + 1, y - 1) | significant(x + 2, y - 1)) << 2
                };
                let above = (x - 1..=x + 2).map(|x| exponent(x, y - 1)).max().unwrap();
                let least =
                    if pattern.count_ones() > 1 { above.saturating_sub(1).max(1) } else { 1 };
                let bound = places.iter().map(|(x, y)| exponent(*x, *y)).max().unwrap().max(least);
                offsets[index] = bound - least;
                let top = (0..4)
                    .map(|n| u32::from(exponent(places[n].0, places[n].1) == bound) << n)
                    .sum::<u32>();
                let mut entry = Entry::NONE;
                if context == 0 {
                    mel.symbol(pattern != 0);
                }
                if context != 0 || pattern != 0 {
                    let table = if y == 0 { &FIRST } else { &OTHERS };
                    let (bits, found) = (0..128)
                        .map(|bits| (bits, table[(context << 7 | bits) as usize]))
                        .filter(|(_, entry)| {
                            entry.significant() == pattern
                                && entry.has_offset() == (bound > least)
                                && top & entry.known() == entry.known_one()
                        })
                        .max_by_key(|(bits, entry)| (entry.known().count_ones(), 128 - bits))
                        .unwrap();
                    entry = found;
                    codes.put(bits, entry.length());
                }
                for (n, (x, y)) in places.into_iter().enumerate() {
                    if pattern >> n & 1 == 1 {
                        let bits = 2 * (magnitude(x, y) - 1) + u32::from(at(x, y) < 0);
                        signs.put(bits, bound - (entry.known() >> n & 1));
                    }
                }
            }
            let [one, two] = offsets;
            if y == 0 && one > 0 && two > 0 {
                mel.symbol(one > 2 && two > 2);
            }
            let (mut codes_of, mut raw) = ([None, None], None);
            if y == 0 && one > 2 && two > 2 {
                codes_of = [Some(offset_code(one - 2)), Some(offset_code(two - 2))];
            } else if y == 0 && one > 2 && two > 0 {
                codes_of[0] = Some(offset_code(one));
                raw = Some(two - 1);
            } else {
                for (code, offset) in codes_of.iter_mut().zip(offsets) {
                    *code = (offset > 0).then(|| offset_code(offset));
                }
            }
            for [prefix, length, ..] in codes_of.into_iter().flatten() {
                codes.put(prefix, length);
            }
            if let Some(bit) = raw {
                codes.put(bit, 1);
            }
            for [.., suffix, length] in codes_of.into_iter().flatten() {
                codes.put(suffix, length);
            }
        }
    }
    let mut bytes = signs.finish(1);
    if bytes.last() == Some(&0xFF) {
        bytes.pop();
    }
    let prefix = bytes.len();
    bytes.extend(mel.finish());
    if codes.count > 0 || codes.bytes.is_empty() {
        codes.flush();
    }
    bytes.extend(codes.bytes.iter().rev());
    bytes.push(0);
    let (last, suffix) = (bytes.len() - 1, bytes.len() - prefix);
    bytes[last] = (suffix >> 4) as u8;
    bytes[last - 1] = bytes[last - 1] & 0xF0 | (suffix & 15) as u8;
    bytes
}

fn propagation(
    w: usize,
    h: usize,
    values: &[i32],
    cleaned: &[bool],
    expected: &mut [i32],
    causal: bool,
) -> Vec<u8> {
    let mut now = cleaned.to_vec();
    let mut bits = Forward::default();
    for stripe in (0..h).step_by(4) {
        for four in (0..w).step_by(4) {
            let mut found = Vec::new();
            for x in four..w.min(four + 4) {
                for y in stripe..h.min(stripe + 4) {
                    let bottom = if causal { stripe + 4 } else { h };
                    let near = (y.saturating_sub(1)..bottom.min(h).min(y + 2))
                        .any(|ny| (x.saturating_sub(1)..w.min(x + 2)).any(|nx| now[ny * w + nx]));
                    if now[y * w + x] || !near {
                        continue;
                    }
                    let one = values[y * w + x].unsigned_abs() & 1;
                    bits.put(one, 1);
                    if one == 1 {
                        now[y * w + x] = true;
                        found.push(y * w + x);
                        expected[y * w + x] = 3 * values[y * w + x].signum();
                    }
                }
            }
            for place in found {
                bits.put(u32::from(values[place] < 0), 1);
            }
        }
    }
    bits.finish(0)
}

fn refinement(
    w: usize,
    h: usize,
    values: &[i32],
    cleaned: &[bool],
    expected: &mut [i32],
) -> Vec<u8> {
    let mut bits = Backward { bytes: Vec::new(), byte: 0, count: 0, large: true };
    for stripe in (0..h).step_by(4) {
        for x in 0..w {
            for y in stripe..h.min(stripe + 4) {
                let value = values[y * w + x];
                if cleaned[y * w + x] {
                    bits.put(value.unsigned_abs() & 1, 1);
                    expected[y * w + x] = 2 * value + value.signum();
                }
            }
        }
    }
    if bits.count > 0 {
        bits.flush();
    }
    bits.bytes.reverse();
    bits.bytes
}
