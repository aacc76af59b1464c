//! Scans that refine one another (T.81, annex G).
//!
//! Contract: what a scan refines must be there to the bit before, and at the end every
//! coefficient must be complete: readers fill in what is missing each in its own way.

use super::arithmetic::Decisions;
use super::bits::{Bits, Codes};
use super::decided::{Before, Expectations};
use super::frame::{Component, Frame, Plane, Sample, Scan};
use super::tables::{Tables, ZIGZAG};
use super::transform::inverse;
use super::walk::{Units, walk};
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// The coefficients of a component.
#[derive(Debug)]
struct Coefficients {
    blocks_across: usize,
    values: Vec<[i16; 64]>,
    /// Up to which bit each is known, in coded order.
    known: [Option<u8>; 64],
    steps: Option<[u16; 64]>,
}

/// What the scans have brought so far.
#[derive(Debug)]
pub(super) struct Progress {
    components: Vec<Coefficients>,
}

impl Progress {
    /// Nothing yet.
    pub(super) fn new(frame: &Frame) -> Self {
        let of = |component: &Component| {
            let (across, down) = frame.all_units(component);
            let (across, down) = (across as usize, down as usize);
            let values = vec![[0; 64]; across * down];
            Coefficients { blocks_across: across, values, known: [None; 64], steps: None }
        };
        Progress { components: frame.components.iter().map(of).collect() }
    }

    /// Whether every coefficient is known to its last bit.
    pub(super) fn is_complete(&self) -> bool {
        self.components.iter().all(|part| part.known.iter().all(|known| *known == Some(0)))
    }

    /// Whether any scan was there of each component.
    pub(super) fn has_begun(&self) -> bool {
        self.components.iter().all(|part| part.known[0].is_some())
    }

    /// Decodes the scan that begins at `from`, and says where it ends.
    pub(super) fn scan(
        &mut self,
        frame: &Frame,
        scan: &Scan,
        tables: &Tables,
        from: (&[u8], usize),
    ) -> Result<usize, RasterError> {
        let Scan { first, last, high, low, .. } = *scan;
        let is_dc = first == 0;
        let is_legal = if is_dc { last == 0 } else { scan.parts.len() == 1 };
        if !is_legal || first > last || last > 63 || low > 13 || (high > 0 && high != low + 1) {
            return Err(corrupt("a scan header is damaged"));
        }
        for part in &scan.parts {
            let component = &mut self.components[part.component];
            let before = (high > 0).then_some(high);
            for known in &mut component.known[usize::from(first)..=usize::from(last)] {
                if *known != before {
                    return Err(corrupt("a scan refines what is not there"));
                }
                *known = Some(low);
            }
            if component.steps.is_none() {
                let number = frame.components[part.component].quantisation;
                component.steps = Some(*tables.steps(number)?);
            }
        }
        if frame.is_arithmetic {
            let mut units = Decided64 {
                progress: self,
                scan,
                expected: Expectations::new(tables),
                before: vec![Before::default(); scan.parts.len()],
            };
            return walk(frame, scan, tables.restart_interval, from, &mut units);
        }
        let mut codes = Vec::new();
        for part in &scan.parts {
            codes.push(match (is_dc, high) {
                (true, 0) => Some(tables.dc(part.dc)?),
                (true, _) => None,
                (false, _) => Some(tables.ac(part.ac)?),
            });
        }
        let mut units = Units64 {
            progress: self,
            scan,
            codes,
            last_dc: vec![0; scan.parts.len()],
            blocks_to_skip: 0,
        };
        walk(frame, scan, tables.restart_interval, from, &mut units)
    }

    /// The samples of all components.
    pub(super) fn planes<S: Sample>(self, frame: &Frame) -> Result<Vec<Plane<S>>, RasterError> {
        let mut planes = Vec::new();
        for (part, component) in self.components.into_iter().zip(&frame.components) {
            let mut plane = Plane::new(frame, component);
            let steps = part.steps.ok_or_else(|| corrupt("a component has no scan"))?;
            for (number, block) in part.values.iter().enumerate() {
                let (x, y) = (number % part.blocks_across, number / part.blocks_across);
                let Plane { stride, samples } = &mut plane;
                let at = 8 * (y * *stride + x);
                inverse(block, &steps, frame.precision, samples, at, *stride);
            }
            planes.push(plane);
        }
        Ok(planes)
    }
}

struct Units64<'a> {
    progress: &'a mut Progress,
    scan: &'a Scan,
    codes: Vec<Option<&'a Codes>>,
    last_dc: Vec<i32>,
    /// Blocks that have nothing new.
    blocks_to_skip: u32,
}

impl<'b> Units<Bits<'b>> for Units64<'_> {
    fn restart(&mut self, _unit: u32) -> Result<(), RasterError> {
        self.last_dc.fill(0);
        self.blocks_to_skip = 0;
        Ok(())
    }

    fn unit(&mut self, bits: &mut Bits<'b>, nth: usize, x: u32, y: u32) -> Result<(), RasterError> {
        let part = &mut self.progress.components[self.scan.parts[nth].component];
        let block = &mut part.values[y as usize * part.blocks_across + x as usize];
        let Scan { first, last, high, low, .. } = *self.scan;
        let band = (usize::from(first), usize::from(last));
        match (self.codes[nth], high) {
            (None, _) => {
                block[0] |= (bits.take(1)? << low) as i16;
                Ok(())
            }
            (Some(codes), _) if first == 0 => {
                let size = bits.symbol(codes)?;
                if size > 15 {
                    return Err(corrupt("a coefficient is too large"));
                }
                self.last_dc[nth] = self.last_dc[nth].wrapping_add(bits.signed(size.into())?);
                block[0] = (self.last_dc[nth] << low) as i16;
                Ok(())
            }
            (Some(codes), 0) => first_bits(bits, codes, block, band, low, &mut self.blocks_to_skip),
            (Some(codes), _) => next_bit(bits, codes, block, band, low, &mut self.blocks_to_skip),
        }
    }
}

struct Decided64<'a> {
    progress: &'a mut Progress,
    scan: &'a Scan,
    expected: Expectations,
    before: Vec<Before>,
}

impl<'d> Units<Decisions<'d>> for Decided64<'_> {
    fn restart(&mut self, _unit: u32) -> Result<(), RasterError> {
        self.expected.restart();
        self.before.fill(Before::default());
        Ok(())
    }

    fn unit(
        &mut self,
        from: &mut Decisions<'d>,
        nth: usize,
        x: u32,
        y: u32,
    ) -> Result<(), RasterError> {
        let tables = &self.scan.parts[nth];
        let part = &mut self.progress.components[tables.component];
        let block = &mut part.values[y as usize * part.blocks_across + x as usize];
        let Scan { first, last, high, low, .. } = *self.scan;
        let band = (usize::from(first), usize::from(last));
        match (first, high) {
            (0, 0) => {
                let value = self.expected.first(from, tables.dc, &mut self.before[nth])?;
                block[0] = (value << low) as i16;
                Ok(())
            }
            (0, _) => {
                block[0] |= i16::from(self.expected.bit(from)?) << low;
                Ok(())
            }
            (_, 0) => self.expected.others(from, tables.ac, block, band, low),
            _ => self.expected.refined(from, tables.ac, block, band, low),
        }
    }
}

/// Coefficients of which nothing is known (G.1.2.2).
fn first_bits(
    bits: &mut Bits<'_>,
    codes: &Codes,
    block: &mut [i16; 64],
    (first, last): (usize, usize),
    low: u8,
    blocks_to_skip: &mut u32,
) -> Result<(), RasterError> {
    if *blocks_to_skip > 0 {
        *blocks_to_skip -= 1;
        return Ok(());
    }
    let mut at = first;
    while at <= last {
        let symbol = bits.symbol(codes)?;
        let (zeros, size) = (symbol >> 4, symbol & 15);
        match (zeros, size) {
            (15, 0) => at += 16,
            (zeros, 0) => {
                *blocks_to_skip = (1 << zeros) - 1 + bits.take(zeros.into())? as u32;
                break;
            }
            (zeros, size) => {
                at += usize::from(zeros);
                if at > last {
                    return Err(corrupt("a block has too many coefficients"));
                }
                block[ZIGZAG[at]] = (bits.signed(size.into())? << low) as i16;
                at += 1;
            }
        }
    }
    Ok(())
}

/// One more bit of each coefficient (G.1.2.3).
fn next_bit(
    bits: &mut Bits<'_>,
    codes: &Codes,
    block: &mut [i16; 64],
    (first, last): (usize, usize),
    low: u8,
    blocks_to_skip: &mut u32,
) -> Result<(), RasterError> {
    let bit = 1i16 << low;
    let refine = |bits: &mut Bits<'_>, value: &mut i16| -> Result<(), RasterError> {
        if bits.take(1)? == 1 && *value & bit == 0 {
            *value = value.wrapping_add(if *value >= 0 { bit } else { -bit });
        }
        Ok(())
    };
    let mut at = first;
    if *blocks_to_skip == 0 {
        while at <= last {
            let symbol = bits.symbol(codes)?;
            let (mut zeros, size) = (symbol >> 4, symbol & 15);
            let value = match (zeros, size) {
                (15, 0) => 0,
                (zeros, 0) => {
                    *blocks_to_skip = (1 << zeros) + bits.take(zeros.into())? as u32;
                    break;
                }
                (_, 1) => {
                    if bits.take(1)? == 1 {
                        bit
                    } else {
                        -bit
                    }
                }
                _ => return Err(corrupt("a scan refines by more than a bit")),
            };
            while at <= last {
                let known = &mut block[ZIGZAG[at]];
                if *known != 0 {
                    refine(bits, known)?;
                } else if zeros == 0 {
                    *known = value;
                    break;
                } else {
                    zeros -= 1;
                }
                at += 1;
            }
            if at > last && value != 0 {
                return Err(corrupt("a block has too many coefficients"));
            }
            at += 1;
        }
    }
    if *blocks_to_skip > 0 {
        for at in at..=last {
            let known = &mut block[ZIGZAG[at]];
            if *known != 0 {
                refine(bits, known)?;
            }
        }
        *blocks_to_skip -= 1;
    }
    Ok(())
}
