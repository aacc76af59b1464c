//! JPEG-LS (T.87): lossless and near-lossless, by prediction and Golomb codes.
//!
//! Contract: all three ways of interleaving, 2 to 16 bits, presets of parameters. Restarts
//! and mapping tables are refused.

use super::frame::{Frame, Plane, Sample, Scan};
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// How many contexts regular samples have; two more are for the ends of runs.
const REGULAR: usize = 365;
/// Exponents of the lengths of runs (A.2.1).
#[rustfmt::skip]
const RUN_BITS: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3,
    4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];

/// The parameters of a preset segment (C.2.4.1.1); 0 where they are the usual.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Preset {
    most: i32,
    thresholds: [i32; 3],
    reset: i32,
}

impl Preset {
    /// Takes what a segment says.
    pub(super) fn define(&mut self, body: &[u8]) -> Result<(), RasterError> {
        match body {
            [1, rest @ ..] => {
                let numbers = rest.as_chunks::<2>().0;
                let [most, t1, t2, t3, reset] = *numbers else {
                    return Err(corrupt("its preset parameters are cut short"));
                };
                let number = |bytes| i32::from(u16::from_be_bytes(bytes));
                self.most = number(most);
                self.thresholds = [t1, t2, t3].map(number);
                self.reset = number(reset);
                Ok(())
            }
            // Tables that scans name if they use them.
            [2 | 3, ..] => Ok(()),
            _ => Err(RasterError::Unsupported(
                "JPEG-LS with more than 65535 rows or columns is not converted".into(),
            )),
        }
    }
}

/// What is learnt about the samples in one kind of neighbourhood.
#[derive(Debug, Clone, Copy)]
struct Context {
    /// Sum of the errors' sizes, sum of errors, correction, count (A, B, C, N).
    size: i32,
    bias: i32,
    correction: i32,
    count: i32,
    /// In the two contexts of runs: negative errors (Nn).
    negative: i32,
}

/// What a scan is decoded with.
struct Coder<'a> {
    bits: Bits<'a>,
    most: i32,
    near: i32,
    thresholds: [i32; 3],
    reset: i32,
    /// How many values errors have, and the bits of one (RANGE, qbpp).
    range: i32,
    range_bits: u32,
    limit: u32,
    contexts: Vec<Context>,
}

/// Decodes the scan that begins at `at`, and says where it ends.
pub(super) fn scan<S: Sample>(
    frame: &Frame,
    scan: &Scan,
    preset: &Preset,
    (file, at): (&[u8], usize),
    planes: &mut [Plane<S>],
) -> Result<usize, RasterError> {
    if scan.parts.iter().any(|part| part.dc != 0 || part.ac != 0) {
        let why = "JPEG-LS with mapping tables is not converted";
        return Err(RasterError::Unsupported(why.into()));
    }
    let is_known = match scan.last {
        0 => scan.parts.len() == 1,
        1 | 2 => true,
        _ => false,
    };
    if !is_known || scan.low != 0 || scan.high != 0 {
        return Err(corrupt("a scan header is damaged"));
    }
    let mut coder = Coder::new(frame.precision, scan.first.into(), preset, Bits::new(file, at))?;
    let (width, height) = (frame.width as usize, frame.height as usize);
    let count = scan.parts.len();
    let mut above = vec![vec![0i32; width + 2]; count];
    let mut lines = vec![vec![0i32; width + 2]; count];
    let mut run_indexes = vec![0usize; count];
    for y in 0..height {
        for (above, line) in above.iter_mut().zip(&mut lines) {
            // Beyond the edges the nearest sample counts (A.2.1).
            above[width + 1] = above[width];
            line[0] = above[1];
        }
        if scan.last == 2 {
            coder.samples(&above, &mut lines, &mut run_indexes[0], width)?;
        } else {
            for ((above, line), index) in above.iter().zip(&mut lines).zip(&mut run_indexes) {
                let one = std::slice::from_mut(line);
                coder.samples(std::slice::from_ref(above), one, index, width)?;
            }
        }
        for (part, line) in scan.parts.iter().zip(&lines) {
            let plane = &mut planes[part.component];
            let row = &mut plane.samples[y * plane.stride..y * plane.stride + width];
            for (sample, value) in row.iter_mut().zip(&line[1..]) {
                *sample = S::of(*value);
            }
        }
        std::mem::swap(&mut above, &mut lines);
    }
    Ok(coder.bits.end())
}

impl<'a> Coder<'a> {
    fn new(precision: u8, near: i32, preset: &Preset, bits: Bits<'a>) -> Result<Self, RasterError> {
        let most = if preset.most > 0 { preset.most } else { (1 << precision) - 1 };
        let mut thresholds = usual_thresholds(most, near);
        for (threshold, given) in thresholds.iter_mut().zip(preset.thresholds) {
            if given > 0 {
                *threshold = given;
            }
        }
        let [t1, t2, t3] = thresholds;
        let is_right = most < 1 << precision
            && near <= most / 2
            && near < t1
            && t1 <= t2
            && t2 <= t3
            && t3 <= most;
        if !is_right {
            return Err(corrupt("its parameters are out of range"));
        }
        let range = (most + 2 * near) / (2 * near + 1) + 1;
        let bits_of = |values: i32| 32 - (values - 1).leading_zeros();
        let sample_bits = bits_of(most + 1).max(2);
        let context = Context {
            size: ((range + 32) / 64).max(2),
            bias: 0,
            correction: 0,
            count: 1,
            negative: 0,
        };
        Ok(Coder {
            bits,
            most,
            near,
            thresholds,
            reset: if preset.reset > 0 { preset.reset } else { 64 },
            range,
            range_bits: bits_of(range),
            limit: 2 * (sample_bits + sample_bits.max(8)),
            contexts: vec![context; REGULAR + 2],
        })
    }

    /// One line of one component, or of all that are interleaved sample by sample. Lines
    /// have a sample before and one behind them.
    fn samples(
        &mut self,
        above: &[Vec<i32>],
        lines: &mut [Vec<i32>],
        run_index: &mut usize,
        width: usize,
    ) -> Result<(), RasterError> {
        let mut x = 1;
        let mut contexts = [0i32; 4];
        while x <= width {
            let mut is_run = true;
            for ((above, line), context) in above.iter().zip(lines.iter()).zip(&mut contexts) {
                let gradients =
                    [above[x + 1] - above[x], above[x] - above[x - 1], above[x - 1] - line[x - 1]];
                let [q1, q2, q3] = gradients.map(|gradient| self.level(gradient));
                *context = (q1 * 9 + q2) * 9 + q3;
                is_run &= *context == 0;
            }
            if is_run {
                x = self.run(above, lines, run_index, x, width)?;
                continue;
            }
            for ((above, line), context) in above.iter().zip(lines.iter_mut()).zip(contexts) {
                line[x] = self.regular(context, line[x - 1], above[x], above[x - 1])?;
            }
            x += 1;
        }
        Ok(())
    }

    /// A gradient as one of nine (A.3.3).
    fn level(&self, gradient: i32) -> i32 {
        let [t1, t2, t3] = self.thresholds;
        let size = gradient.abs();
        let level = match size {
            _ if size <= self.near => 0,
            _ if size < t1 => 1,
            _ if size < t2 => 2,
            _ if size < t3 => 3,
            _ => 4,
        };
        level * gradient.signum()
    }

    /// A sample by its neighbours left, above, and above left (A.4 to A.6).
    fn regular(
        &mut self,
        context: i32,
        left: i32,
        above: i32,
        corner: i32,
    ) -> Result<i32, RasterError> {
        let sign = if context < 0 { -1 } else { 1 };
        let (low, high) = (left.min(above), left.max(above));
        let predicted = match corner {
            _ if corner >= high => low,
            _ if corner <= low => high,
            _ => left + above - corner,
        };
        // Of opposite neighbourhoods one is kept.
        let place = context.unsigned_abs() as usize;
        let Some(Context { size, bias, correction, count, .. }) = self.contexts.get(place).copied()
        else {
            return Err(corrupt("a sample has no context"));
        };
        let predicted = (predicted + sign * correction).clamp(0, self.most);
        let k = golomb_bits(count, size)?;
        let coded = self.golomb(k, self.limit)?;
        let is_odd = coded & 1 == 1;
        let is_turned = self.near == 0 && k == 0 && 2 * bias <= -count;
        let error = match (is_turned, is_odd) {
            (false, false) => coded / 2,
            (false, true) => -(coded + 1) / 2,
            (true, true) => (coded - 1) / 2,
            (true, false) => -(coded / 2) - 1,
        };
        let (reset, step) = (self.reset, 2 * self.near + 1);
        let known = &mut self.contexts[place];
        known.bias = known.bias.saturating_add(error.saturating_mul(step));
        known.size = known.size.saturating_add(error.abs());
        if known.count == reset {
            known.size >>= 1;
            known.bias >>= 1;
            known.count >>= 1;
        }
        known.count += 1;
        if known.bias <= -known.count {
            known.bias = (known.bias + known.count).max(1 - known.count);
            known.correction = (known.correction - 1).max(-128);
        } else if known.bias > 0 {
            known.bias = (known.bias - known.count).min(0);
            known.correction = (known.correction + 1).min(127);
        }
        Ok(self.corrected(predicted, sign * error))
    }

    /// A run of the sample to the left, and what interrupts it (A.7); the next place.
    fn run(
        &mut self,
        above: &[Vec<i32>],
        lines: &mut [Vec<i32>],
        index: &mut usize,
        start: usize,
        width: usize,
    ) -> Result<usize, RasterError> {
        let mut x = start;
        loop {
            let bits = RUN_BITS[*index];
            let is_whole = self.bits.take(1)? == 1;
            let length = if is_whole { 1 << bits } else { self.bits.take(bits)? as usize };
            let left = width + 1 - x;
            if !is_whole && length >= left {
                return Err(corrupt("a run is longer than its line"));
            }
            for line in lines.iter_mut() {
                let value = line[x - 1];
                line[x..x + length.min(left)].fill(value);
            }
            x += length.min(left);
            if !is_whole {
                break;
            }
            if length <= left {
                *index = (*index + 1).min(31);
            }
            if x > width {
                return Ok(x);
            }
        }
        let is_single = lines.len() == 1;
        for (above, line) in above.iter().zip(lines.iter_mut()) {
            let (left, above) = (line[x - 1], above[x]);
            let is_level = is_single && (left - above).abs() <= self.near;
            let (predicted, sign) = match is_level {
                true => (left, 1),
                false => (above, if left > above { -1 } else { 1 }),
            };
            let error = self.interruption(is_level, RUN_BITS[*index])?;
            line[x] = self.corrected(predicted, sign * error);
        }
        *index = index.saturating_sub(1);
        Ok(x + 1)
    }

    /// The error of a sample that ends a run (A.7.2).
    fn interruption(&mut self, is_level: bool, run_bits: u32) -> Result<i32, RasterError> {
        let kind = i32::from(is_level);
        let place = REGULAR + usize::from(is_level);
        let Context { size, count, negative, .. } = self.contexts[place];
        let k = golomb_bits(count, if is_level { size + (count >> 1) } else { size })?;
        let coded = self.golomb(k, self.limit - run_bits - 1)?;
        let shifted = coded + kind;
        let is_odd = shifted & 1 == 1;
        let error = (shifted + 1) / 2;
        let is_likely_negative = k != 0 || 2 * negative >= count;
        let error = if is_likely_negative == is_odd { -error } else { error };
        let reset = self.reset;
        let known = &mut self.contexts[place];
        known.negative += i32::from(error < 0);
        known.size = known.size.saturating_add((coded + 1 - kind) >> 1);
        if known.count == reset {
            known.size >>= 1;
            known.count >>= 1;
            known.negative >>= 1;
        }
        known.count += 1;
        Ok(error)
    }

    /// A number in a Golomb code of `k` bits, of limited length (A.5.3).
    fn golomb(&mut self, k: u32, limit: u32) -> Result<i32, RasterError> {
        let most = limit.saturating_sub(self.range_bits + 1);
        let mut zeros = 0;
        while self.bits.take(1)? == 0 {
            zeros += 1;
            if zeros > most {
                return Err(corrupt("a scan has an unknown code"));
            }
        }
        if zeros < most {
            return Ok((zeros << k) as i32 + self.bits.take(k)? as i32);
        }
        Ok(self.bits.take(self.range_bits)? as i32 + 1)
    }

    /// What was predicted with its error, within the range of samples.
    fn corrected(&self, predicted: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let value = predicted.saturating_add(error.saturating_mul(step));
        let value = match value {
            _ if value < -self.near => value.saturating_add(self.range * step),
            _ if value > self.most + self.near => value - self.range * step,
            _ => value,
        };
        value.clamp(0, self.most)
    }
}

/// The bits of a Golomb code for errors of this size on average.
fn golomb_bits(count: i32, size: i32) -> Result<u32, RasterError> {
    let fits = |k: &u32| i64::from(count) << k >= i64::from(size);
    (0..=24).find(fits).ok_or_else(|| corrupt("its errors are too large"))
}

/// Limits between gradients (C.2.4.1.1.1).
fn usual_thresholds(most: i32, near: i32) -> [i32; 3] {
    let clamped = |value: i32, low: i32| if value > most || value < low { low } else { value };
    let usual = if most >= 128 {
        let factor = (most.min(4095) + 128) / 256;
        [factor + 2, factor * 4 + 3, factor * 17 + 4]
    } else {
        let factor = 256 / (most + 1);
        [3 / factor, 7 / factor, 21 / factor]
    };
    let [a, b, c] = usual;
    let (a, b, c) = (a + 3 * near, b + 5 * near, c + 7 * near);
    let (a, b, c) = if most >= 128 { (a, b, c) } else { (a.max(2), b.max(3), c.max(4)) };
    let t1 = clamped(a, near + 1);
    let t2 = clamped(b, t1);
    [t1, t2, clamped(c, t2)]
}

/// Reads bits; behind a byte of ones, a byte has seven (A.1).
#[derive(Debug)]
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    bits: u64,
    count: u32,
    is_after_ones: bool,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8], at: usize) -> Self {
        Bits { data, at, bits: 0, count: 0, is_after_ones: false }
    }

    /// So many bits, at most 32.
    fn take(&mut self, bits: u32) -> Result<u32, RasterError> {
        while self.count < bits {
            let byte = self
                .data
                .get(self.at)
                .copied()
                .filter(|byte| !(self.is_after_ones && byte & 0x80 != 0));
            let byte = byte.ok_or_else(|| corrupt("a scan ends early"))?;
            // The ones of a marker are no data.
            let is_marker =
                byte == 0xff && self.data.get(self.at + 1).is_none_or(|next| next & 0x80 != 0);
            if is_marker {
                return Err(corrupt("a scan ends early"));
            }
            let width = if self.is_after_ones { 7 } else { 8 };
            self.bits = self.bits << width | u64::from(byte);
            self.count += width;
            self.is_after_ones = byte == 0xff;
            self.at += 1;
        }
        self.count -= bits;
        Ok((self.bits >> self.count) as u32 & ((1u64 << bits) - 1) as u32)
    }

    /// Where the marker behind the scan is.
    fn end(&self) -> usize {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let marker = rest.windows(2).position(|pair| pair[0] == 0xff && pair[1] & 0x80 != 0);
        self.at + marker.unwrap_or(rest.len())
    }
}
