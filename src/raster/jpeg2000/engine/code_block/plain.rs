//! The coding passes of T.800 Annex D as the standard's text has them, with nothing done for speed.

use super::context;
use super::mq::{INITIAL, STATES};
use super::{Coded, Pass, Style, is_raw, pass_at};

/// What codes the decisions of the passes: a decoder finds them out, an encoder knows them.
pub(super) trait Coder {
    /// Codes one decision in a context.
    fn decision(&mut self, context: u8, known: u8) -> u8;
    /// Codes one raw bit.
    fn raw(&mut self, known: u8) -> u8;
}

/// The coefficients and flags of one code-block. Flags have a border of one on each side.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    width: usize,
    height: usize,
    significant: Vec<bool>,
    negative: Vec<bool>,
    visited: Vec<bool>,
    refined: Vec<bool>,
    /// Magnitudes with one fractional bit.
    pub(super) magnitude: Vec<u32>,
    /// Magnitudes with one fractional bit and signs that an encoder knows.
    pub(super) known: Vec<(u32, bool)>,
}

impl Scratch {
    pub(super) fn start(&mut self, width: usize, height: usize) {
        self.width = width;
        self.height = height;
        let bordered = (width + 2) * (height + 2);
        for flags in
            [&mut self.significant, &mut self.negative, &mut self.visited, &mut self.refined]
        {
            flags.clear();
            flags.resize(bordered, false);
        }
        self.magnitude.clear();
        self.magnitude.resize(width * height, 0);
        self.known.clear();
        self.known.resize(width * height, (0, false));
    }

    fn at(&self, x: usize, y: usize) -> usize {
        (y + 1) * (self.width + 2) + x + 1
    }

    /// The significance of the eight neighbours and the sums of the sign contributions.
    fn neighbours(&self, x: usize, y: usize, style: Style) -> ([u32; 3], [i32; 2]) {
        let stride = self.width + 2;
        let at = self.at(x, y);
        let below = !(style.vertically_causal && y % 4 == 3);
        let is = |at: usize, seen: bool| u32::from(seen && self.significant[at]);
        let sign = |at: usize, seen: bool| match (seen && self.significant[at], self.negative[at]) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => -1,
        };
        let horizontal = is(at - 1, true) + is(at + 1, true);
        let vertical = is(at - stride, true) + is(at + stride, below);
        let diagonal = is(at - stride - 1, true)
            + is(at - stride + 1, true)
            + is(at + stride - 1, below)
            + is(at + stride + 1, below);
        let signs = [
            sign(at - 1, true) + sign(at + 1, true),
            sign(at - stride, true) + sign(at + stride, below),
        ];
        ([horizontal, vertical, diagonal], signs)
    }

    fn zero_context(&self, x: usize, y: usize, coded: &Coded<'_>) -> u8 {
        let ([h, v, d], _) = self.neighbours(x, y, coded.style);
        context::zero(coded.orientation, h, v, d)
    }

    /// The bit of the known magnitude in a bit-plane.
    fn known_bit(&self, x: usize, y: usize, plane: usize) -> u8 {
        u8::from((self.known[y * self.width + x].0 >> (plane + 1)) & 1 == 1)
    }

    fn code_sign(
        &mut self,
        coder: &mut impl Coder,
        coded: &Coded<'_>,
        x: usize,
        y: usize,
        plane: usize,
        raw: bool,
    ) {
        let (_, [h, v]) = self.neighbours(x, y, coded.style);
        let (context, flip) = context::sign(h, v);
        let known = u8::from(self.known[y * self.width + x].1);
        let negative =
            if raw { coder.raw(known) } else { coder.decision(context, known ^ flip) ^ flip };
        let at = self.at(x, y);
        self.negative[at] = negative == 1;
        self.significant[at] = true;
        self.magnitude[y * self.width + x] = 3 << plane;
    }

    /// One coding pass over the whole code-block.
    pub(super) fn pass(
        &mut self,
        coder: &mut impl Coder,
        coded: &Coded<'_>,
        pass: Pass,
        plane: usize,
        raw: bool,
    ) -> Result<(), &'static str> {
        for stripe in (0..self.height).step_by(4) {
            let end = (stripe + 4).min(self.height);
            for x in 0..self.width {
                match pass {
                    Pass::Significance => {
                        self.significance(coder, coded, x, stripe..end, plane, raw)
                    }
                    Pass::Refinement => self.refinement(coder, coded, x, stripe..end, plane, raw),
                    Pass::Cleanup => self.cleanup(coder, coded, x, stripe..end, plane),
                }
            }
        }
        if pass == Pass::Cleanup {
            self.visited.fill(false);
            if coded.style.segmentation_symbols {
                for known in [1, 0, 1, 0] {
                    if coder.decision(context::UNIFORM, known) != known {
                        return Err("a code-block's segmentation symbol is wrong");
                    }
                }
            }
        }
        Ok(())
    }

    fn significance(
        &mut self,
        coder: &mut impl Coder,
        coded: &Coded<'_>,
        x: usize,
        rows: std::ops::Range<usize>,
        plane: usize,
        raw: bool,
    ) {
        for y in rows {
            let at = self.at(x, y);
            let context = self.zero_context(x, y, coded);
            if self.significant[at] || context == 0 {
                continue;
            }
            self.visited[at] = true;
            let known = self.known_bit(x, y, plane);
            let bit = if raw { coder.raw(known) } else { coder.decision(context, known) };
            if bit == 1 {
                self.code_sign(coder, coded, x, y, plane, raw);
            }
        }
    }

    fn refinement(
        &mut self,
        coder: &mut impl Coder,
        coded: &Coded<'_>,
        x: usize,
        rows: std::ops::Range<usize>,
        plane: usize,
        raw: bool,
    ) {
        for y in rows {
            let at = self.at(x, y);
            if !self.significant[at] || self.visited[at] {
                continue;
            }
            let context = if self.refined[at] {
                2
            } else {
                let ([h, v, d], _) = self.neighbours(x, y, coded.style);
                u8::from(h + v + d > 0)
            };
            let known = self.known_bit(x, y, plane);
            let bit = if raw {
                coder.raw(known)
            } else {
                coder.decision(context::MAGNITUDE + context, known)
            };
            self.refined[at] = true;
            let magnitude = &mut self.magnitude[y * self.width + x];
            // The old midpoint was a one in this bit-plane; the new one is just below.
            *magnitude ^= u32::from(1 - bit) << (plane + 1);
            *magnitude |= 1 << plane;
        }
    }

    fn cleanup(
        &mut self,
        coder: &mut impl Coder,
        coded: &Coded<'_>,
        x: usize,
        rows: std::ops::Range<usize>,
        plane: usize,
    ) {
        let (start, end) = (rows.start, rows.end);
        let mut y = start;
        let mut found = false;
        let untouched = |y: usize| {
            let at = self.at(x, y);
            !self.significant[at] && !self.visited[at] && self.zero_context(x, y, coded) == 0
        };
        if end - start == 4 && (start..end).all(untouched) {
            let first = (start..end).find(|&y| self.known_bit(x, y, plane) == 1);
            if coder.decision(context::RUN, u8::from(first.is_some())) == 0 {
                return;
            }
            let known = first.unwrap_or(start) - start;
            let high = coder.decision(context::UNIFORM, u8::from(known & 2 != 0));
            let low = coder.decision(context::UNIFORM, u8::from(known & 1 != 0));
            y += usize::from(high * 2 + low);
            found = true;
        }
        while y < end {
            let at = self.at(x, y);
            if !self.significant[at] && !self.visited[at] {
                let bit = if found {
                    1
                } else {
                    let context = self.zero_context(x, y, coded);
                    coder.decision(context, self.known_bit(x, y, plane))
                };
                if bit == 1 {
                    self.code_sign(coder, coded, x, y, plane, false);
                }
            }
            found = false;
            y += 1;
        }
    }
}

/// The decoder of one segment: MQ or raw, with the bytes' position.
struct Plain<'a> {
    data: &'a [u8],
    position: usize,
    states: [(u8, u8); context::COUNT],
    a: u32,
    c: u32,
    ct: u32,
    raw_byte: u8,
    raw_left: u32,
}

impl<'a> Plain<'a> {
    fn reset(&mut self) {
        self.states = INITIAL.map(|index| (index, 0));
    }

    fn byte(&self, at: usize) -> u32 {
        self.data.get(at).map_or(0xFF, |&byte| u32::from(byte))
    }

    fn start(&mut self, data: &'a [u8], raw: bool) {
        self.data = data;
        self.position = 0;
        self.raw_byte = 0;
        self.raw_left = 0;
        if !raw {
            self.c = self.byte(0) << 16;
            self.byte_in();
            self.c <<= 7;
            self.ct -= 7;
            self.a = 0x8000;
        }
    }

    /// BYTEIN (Figure C.19).
    fn byte_in(&mut self) {
        let next = self.byte(self.position + 1);
        if self.byte(self.position) == 0xFF {
            if next > 0x8F {
                self.c = self.c.wrapping_add(0xFF00);
                self.ct = 8;
            } else {
                self.position += 1;
                self.c = self.c.wrapping_add(next << 9);
                self.ct = 7;
            }
        } else {
            self.position += 1;
            self.c = self.c.wrapping_add(next << 8);
            self.ct = 8;
        }
    }

    /// RENORMD (Figure C.18).
    fn renormalise(&mut self) {
        loop {
            if self.ct == 0 {
                self.byte_in();
            }
            self.a <<= 1;
            self.c <<= 1;
            self.ct -= 1;
            if self.a & 0x8000 != 0 {
                break;
            }
        }
    }
}

impl Coder for Plain<'_> {
    /// DECODE (Figures C.15 to C.17).
    fn decision(&mut self, context: u8, _known: u8) -> u8 {
        let (index, mps) = self.states[usize::from(context)];
        let state = STATES[usize::from(index)];
        let qe = u32::from(state.qe);
        self.a -= qe;
        let less = if (self.c >> 16) < qe {
            let less = self.a >= qe;
            self.a = qe;
            less
        } else {
            self.c -= qe << 16;
            if self.a & 0x8000 != 0 {
                return mps;
            }
            self.a < qe
        };
        let bit = if less {
            self.states[usize::from(context)] = (state.nlps, mps ^ state.switch);
            1 - mps
        } else {
            self.states[usize::from(context)] = (state.nmps, mps);
            mps
        };
        self.renormalise();
        bit
    }

    /// A bit of a raw segment (D.6): after a byte FF comes a stuffed bit.
    fn raw(&mut self, _known: u8) -> u8 {
        if self.raw_left == 0 {
            let next = self.data.get(self.position).copied().unwrap_or(0xFF);
            let full = self.raw_byte == 0xFF;
            self.raw_left = if full && next <= 0x8F { 7 } else { 8 };
            if !full || next <= 0x8F {
                self.raw_byte = next;
                self.position += 1;
            }
        }
        self.raw_left -= 1;
        (self.raw_byte >> self.raw_left) & 1
    }
}

/// Decodes a code-block whose parameters were checked.
pub(super) fn decode(
    scratch: &mut Scratch,
    coded: &Coded<'_>,
    out: &mut [i32],
) -> Result<(), &'static str> {
    let (width, height) = (coded.width as usize, coded.height as usize);
    scratch.start(width, height);
    let mut plain = Plain {
        data: &[],
        position: 0,
        states: [(0, 0); context::COUNT],
        a: 0,
        c: 0,
        ct: 0,
        raw_byte: 0,
        raw_left: 0,
    };
    plain.reset();
    let mut number = 0;
    for segment in coded.segments {
        let first_raw = is_raw(coded.style, number);
        plain.start(segment.data, first_raw);
        for _ in 0..segment.passes {
            let raw = is_raw(coded.style, number);
            if raw != first_raw {
                return Err("a codeword segment mixes raw and arithmetic coding passes");
            }
            let (pass, depth) = pass_at(number);
            let plane = usize::from(coded.bit_planes) - 1 - depth;
            scratch.pass(&mut plain, coded, pass, plane, raw)?;
            if coded.style.reset {
                plain.reset();
            }
            number += 1;
        }
    }
    for (i, (out, &magnitude)) in out.iter_mut().zip(&scratch.magnitude).enumerate() {
        let value = magnitude.cast_signed();
        *out = if scratch.negative[scratch.at(i % width, i / width)] { -value } else { value };
    }
    Ok(())
}
