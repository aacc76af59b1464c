//! A code-block encoder for tests: T.800 Annexes C.2 and D, as plain as the decoder beside it.

pub(crate) use super::ht::testing::encode as ht_encode;
use super::mq::{INITIAL, STATES};
use super::plain::{Coder, Scratch};
use super::{Coded, Orientation, Segment, Style, context, is_raw, pass_at};

/// A code-block that the encoder made.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) orientation: Orientation,
    pub(crate) style: Style,
    /// The coded bit-planes: those of the largest magnitude.
    pub(crate) bit_planes: u8,
    /// The others, which only the HT cleanup pass has.
    pub(crate) missing_bit_planes: u8,
    /// Passes and bytes of each codeword segment.
    pub(crate) segments: Vec<(u8, Vec<u8>)>,
}

impl Encoded {
    /// Hands the code-block to `use_it` in the decoder's form.
    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&Coded<'_>) -> R) -> R {
        let segments: Vec<_> =
            self.segments.iter().map(|(passes, data)| Segment { passes: *passes, data }).collect();
        use_it(&Coded {
            width: self.width,
            height: self.height,
            orientation: self.orientation,
            style: self.style,
            bit_planes: self.bit_planes,
            missing_bit_planes: self.missing_bit_planes,
            segments: &segments,
        })
    }
}

/// Encodes integer coefficients, row by row, in all passes or the first few.
pub(crate) fn encode(
    (width, height): (u32, u32),
    orientation: Orientation,
    style: Style,
    values: &[i32],
    most_passes: usize,
) -> Encoded {
    assert_eq!(values.len(), (width * height) as usize);
    if style.ht {
        return ht_encode((width, height), values, most_passes.clamp(1, 3), style).0;
    }
    let largest = values.iter().map(|value| value.unsigned_abs()).max().unwrap_or(0);
    let bit_planes = u8::try_from(32 - largest.leading_zeros()).unwrap_or(0);
    let mut encoded = Encoded {
        width,
        height,
        orientation,
        style,
        bit_planes,
        missing_bit_planes: 0,
        segments: Vec::new(),
    };
    let mut scratch = Scratch::start_new(width as usize, height as usize);
    for (known, value) in scratch.known.iter_mut().zip(values) {
        *known = (value.unsigned_abs() << 1, *value < 0);
    }
    let coded = Coded {
        width,
        height,
        orientation,
        style,
        bit_planes,
        missing_bit_planes: 0,
        segments: &[],
    };
    let passes = most_passes.min((3 * usize::from(bit_planes)).saturating_sub(2));
    let mut coder = Encoder::new();
    let mut in_segment = 0;
    for number in 0..passes {
        let raw = is_raw(style, number);
        if in_segment == 0 {
            coder.start();
        }
        let (pass, depth) = pass_at(number);
        let plane = usize::from(bit_planes) - 1 - depth;
        scratch.pass(&mut coder, &coded, pass, plane, raw).expect("an encoder's symbols are right");
        if style.reset {
            coder.reset();
        }
        in_segment += 1;
        if number + 1 == passes || ends_segment(style, number) {
            encoded.segments.push((in_segment, coder.finish(raw, style.predictable_termination)));
            in_segment = 0;
        }
    }
    encoded
}

/// Whether the codeword ends after the coding pass with this number (T.800 Tables D.8 and D.9).
pub(crate) fn ends_segment(style: Style, number: usize) -> bool {
    style.ends_segment(number)
}

struct Encoder {
    states: [(u8, u8); context::COUNT],
    /// The bytes so far, with one in front that stands for the byte before the first.
    bytes: Vec<u8>,
    a: u32,
    c: u32,
    ct: u32,
    raw_bits: u32,
    raw_left: u32,
}

impl Encoder {
    fn new() -> Self {
        let mut new = Self {
            states: [(0, 0); context::COUNT],
            bytes: Vec::new(),
            a: 0,
            c: 0,
            ct: 0,
            raw_bits: 0,
            raw_left: 0,
        };
        new.reset();
        new
    }

    fn reset(&mut self) {
        self.states = INITIAL.map(|index| (index, 0));
    }

    /// INITENC (Figure C.10).
    fn start(&mut self) {
        self.bytes = vec![0];
        self.a = 0x8000;
        self.c = 0;
        self.ct = 12;
        self.raw_bits = 0;
        self.raw_left = 8;
    }

    fn last(&mut self) -> &mut u8 {
        self.bytes.last_mut().expect("there is a byte in front")
    }

    /// BYTEOUT (Figure C.8).
    fn byte_out(&mut self) {
        let stuff = if *self.last() == 0xFF {
            true
        } else if self.c < 0x800_0000 {
            false
        } else {
            *self.last() += 1;
            self.c &= 0x7FF_FFFF;
            *self.last() == 0xFF
        };
        let (shift, ct) = if stuff { (20, 7) } else { (19, 8) };
        self.bytes.push(u8::try_from(self.c >> shift).expect("a byte"));
        self.c &= (1 << shift) - 1;
        self.ct = ct;
    }

    fn renormalise(&mut self) {
        loop {
            self.a <<= 1;
            self.c <<= 1;
            self.ct -= 1;
            if self.ct == 0 {
                self.byte_out();
            }
            if self.a & 0x8000 != 0 {
                break;
            }
        }
    }

    /// Ends a codeword: FLUSH (Figure C.11), or the way of D.4.2, or the padding of raw bits.
    fn finish(&mut self, raw: bool, predictable: bool) -> Vec<u8> {
        if raw {
            let mut padding = 0;
            while self.raw_left != 8 && !(self.raw_left == 7 && *self.last() == 0xFF) {
                self.raw(padding);
                padding ^= 1;
            }
        } else if predictable {
            let mut left = 12 - i64::from(self.ct);
            while left > 0 {
                self.c <<= self.ct;
                self.byte_out();
                left -= i64::from(self.ct);
            }
        } else {
            let top = self.c + self.a;
            self.c |= 0xFFFF;
            if self.c >= top {
                self.c -= 0x8000;
            }
            for _ in 0..2 {
                self.c <<= self.ct;
                self.byte_out();
            }
        }
        if *self.last() == 0xFF {
            self.bytes.pop();
        }
        self.bytes.remove(0);
        std::mem::take(&mut self.bytes)
    }
}

impl Coder for Encoder {
    fn decision(&mut self, context: u8, known: u8) -> u8 {
        let (index, mps) = self.states[usize::from(context)];
        let state = STATES[usize::from(index)];
        let qe = u32::from(state.qe);
        self.a -= qe;
        if known == mps {
            if self.a & 0x8000 != 0 {
                self.c += qe;
                return known;
            }
            if self.a < qe {
                self.a = qe;
            } else {
                self.c += qe;
            }
            self.states[usize::from(context)] = (state.nmps, mps);
        } else {
            if self.a < qe {
                self.c += qe;
            } else {
                self.a = qe;
            }
            self.states[usize::from(context)] = (state.nlps, mps ^ state.switch);
        }
        self.renormalise();
        known
    }

    fn raw(&mut self, known: u8) -> u8 {
        self.raw_left -= 1;
        self.raw_bits |= u32::from(known) << self.raw_left;
        if self.raw_left == 0 {
            let byte = u8::try_from(self.raw_bits).expect("a byte");
            self.bytes.push(byte);
            self.raw_bits = 0;
            self.raw_left = if byte == 0xFF { 7 } else { 8 };
        }
        known
    }
}

impl Scratch {
    fn start_new(width: usize, height: usize) -> Self {
        let mut scratch = Self::default();
        scratch.start(width, height);
        scratch
    }
}

/// A generator of numbers that look random (xorshift).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }
}

/// Coefficients as sub-bands of pictures have them: mostly small, large ones in clusters.
pub(crate) fn natural((width, height): (u32, u32), planes: u32, random: &mut Random) -> Vec<i32> {
    let centres: Vec<_> =
        (0..4).map(|_| (random.below(u64::from(width)), random.below(u64::from(height)))).collect();
    let mut values = Vec::new();
    for y in 0..u64::from(height) {
        for x in 0..u64::from(width) {
            let nearest =
                centres.iter().map(|(cx, cy)| cx.abs_diff(x) + cy.abs_diff(y)).min().unwrap_or(0);
            let scale = planes.saturating_sub(u32::try_from(nearest / 4).unwrap_or(31));
            let bits = random.below(u64::from(scale) + 1);
            let magnitude = i32::try_from(random.below(1 << bits)).unwrap_or(0);
            values.push(if random.below(2) == 1 { -magnitude } else { magnitude });
        }
    }
    values
}
