//! Scans whose coefficients are coded in decisions (T.81, F.1.4 and G.1.3): sequential ones,
//! and those that refine one another.

use super::arithmetic::{Decisions, EVEN, State};
use super::frame::{Frame, Plane, Sample, Scan};
use super::tables::{Conditioning, Tables, ZIGZAG};
use super::transform::inverse;
use super::walk::{Units, walk};
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// States of a table for first coefficients, and for all others.
const DC_STATES: usize = 64;
const AC_STATES: usize = 256;
/// What a number may grow to.
const TOO_LARGE: i32 = 0x8000;

/// What is expected of the decisions of a scan.
pub(super) struct Expectations {
    dc: Vec<[State; DC_STATES]>,
    ac: Vec<[State; AC_STATES]>,
    even: State,
    conditioning: Conditioning,
}

/// What one component of a scan has of the blocks before.
#[derive(Clone, Copy, Default)]
pub(super) struct Before {
    last: i32,
    context: usize,
}

impl Expectations {
    pub(super) fn new(tables: &Tables) -> Self {
        Expectations {
            dc: vec![[0; DC_STATES]; 16],
            ac: vec![[0; AC_STATES]; 16],
            even: EVEN,
            conditioning: tables.conditioning.clone(),
        }
    }

    /// Forgets what was learned.
    pub(super) fn restart(&mut self) {
        self.dc.fill([0; DC_STATES]);
        self.ac.fill([0; AC_STATES]);
    }

    /// A first coefficient (F.1.4.1).
    pub(super) fn first(
        &mut self,
        from: &mut Decisions<'_>,
        table: u8,
        before: &mut Before,
    ) -> Result<i32, RasterError> {
        let number = usize::from(table & 15);
        let (low, high) = self.conditioning.dc[number];
        let states = &mut self.dc[number];
        let mut at = before.context;
        if !from.take(&mut states[at])? {
            before.context = 0;
            return Ok(before.last);
        }
        let is_negative = from.take(&mut states[at + 1])?;
        at += 2 + usize::from(is_negative);
        let mut size = i32::from(from.take(&mut states[at])?);
        if size > 0 {
            at = 20;
            while from.take(&mut states[at])? {
                size <<= 1;
                if size == TOO_LARGE {
                    return Err(corrupt("a coefficient is too large"));
                }
                at += 1;
            }
        }
        let sign = 4 * usize::from(is_negative);
        before.context = match size {
            small if small < (1 << low) >> 1 => 0,
            large if large > (1 << high) >> 1 => 12 + sign,
            _ => 4 + sign,
        };
        let value = bits_of(from, &mut states[at + 14], size, is_negative)?;
        before.last = before.last.wrapping_add(value);
        Ok(before.last)
    }

    /// All coefficients from one on, of which nothing is known (F.1.4.2), shifted so far up.
    pub(super) fn others(
        &mut self,
        from: &mut Decisions<'_>,
        table: u8,
        block: &mut [i16; 64],
        (first, last): (usize, usize),
        low: u8,
    ) -> Result<(), RasterError> {
        let number = usize::from(table & 15);
        let small = usize::from(self.conditioning.ac[number]);
        let states = &mut self.ac[number];
        let mut k = first;
        while k <= last {
            let mut at = 3 * (k - 1);
            if from.take(&mut states[at])? {
                break;
            }
            while !from.take(&mut states[at + 1])? {
                at += 3;
                k += 1;
                if k > last {
                    return Err(corrupt("a block has too many coefficients"));
                }
            }
            let is_negative = from.take(&mut self.even)?;
            at += 2;
            let mut size = i32::from(from.take(&mut states[at])?);
            if size > 0 && from.take(&mut states[at])? {
                size <<= 1;
                at = if k <= small { 189 } else { 217 };
                while from.take(&mut states[at])? {
                    size <<= 1;
                    if size == TOO_LARGE {
                        return Err(corrupt("a coefficient is too large"));
                    }
                    at += 1;
                }
            }
            let value = bits_of(from, &mut states[at + 14], size, is_negative)?;
            block[ZIGZAG[k]] = (value << low) as i16;
            k += 1;
        }
        Ok(())
    }

    /// One more bit of a first coefficient.
    pub(super) fn bit(&mut self, from: &mut Decisions<'_>) -> Result<bool, RasterError> {
        from.take(&mut self.even)
    }

    /// One more bit of all coefficients from one on (G.1.3.3).
    pub(super) fn refined(
        &mut self,
        from: &mut Decisions<'_>,
        table: u8,
        block: &mut [i16; 64],
        (first, last): (usize, usize),
        low: u8,
    ) -> Result<(), RasterError> {
        let states = &mut self.ac[usize::from(table & 15)];
        let bit = 1i16 << low;
        // Up to here the scans before had something.
        let known = (1..=last).rev().find(|k| block[ZIGZAG[*k]] != 0).unwrap_or(0);
        let mut k = first;
        while k <= last {
            let mut at = 3 * (k - 1);
            if k > known && from.take(&mut states[at])? {
                break;
            }
            loop {
                let value = &mut block[ZIGZAG[k]];
                if *value != 0 {
                    if from.take(&mut states[at + 2])? {
                        *value = value.wrapping_add(if *value < 0 { -bit } else { bit });
                    }
                    break;
                }
                if from.take(&mut states[at + 1])? {
                    *value = if from.take(&mut self.even)? { -bit } else { bit };
                    break;
                }
                at += 3;
                k += 1;
                if k > last {
                    return Err(corrupt("a block has too many coefficients"));
                }
            }
            k += 1;
        }
        Ok(())
    }
}

/// A number of this size, from its bits below the highest one, and its sign.
fn bits_of(
    from: &mut Decisions<'_>,
    state: &mut State,
    size: i32,
    is_negative: bool,
) -> Result<i32, RasterError> {
    let (mut value, mut bit) = (size, size >> 1);
    while bit > 0 {
        if from.take(state)? {
            value |= bit;
        }
        bit >>= 1;
    }
    Ok(if is_negative { -(value + 1) } else { value + 1 })
}

struct Part<'a, S> {
    dc: u8,
    ac: u8,
    steps: &'a [u16; 64],
    before: Before,
    plane: &'a mut Plane<S>,
}

struct Sequential<'a, S> {
    precision: u8,
    expected: Expectations,
    parts: Vec<Part<'a, S>>,
}

/// Decodes the sequential scan that begins at `from`, and says where it ends.
pub(super) fn scan<S: Sample>(
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    from: (&[u8], usize),
    planes: &mut [Plane<S>],
) -> Result<usize, RasterError> {
    let mut places: Vec<Option<&mut Plane<S>>> = planes.iter_mut().map(Some).collect();
    let mut parts = Vec::new();
    for part in &scan.parts {
        let plane = places.get_mut(part.component).and_then(Option::take);
        parts.push(Part {
            dc: part.dc,
            ac: part.ac,
            steps: tables.steps(frame.components[part.component].quantisation)?,
            before: Before::default(),
            plane: plane.ok_or_else(|| corrupt("a scan has a component twice"))?,
        });
    }
    let expected = Expectations::new(tables);
    let mut units = Sequential { precision: frame.precision, expected, parts };
    walk(frame, scan, tables.restart_interval, from, &mut units)
}

impl<'d, S: Sample> Units<Decisions<'d>> for Sequential<'_, S> {
    fn restart(&mut self, _unit: u32) -> Result<(), RasterError> {
        self.expected.restart();
        self.parts.iter_mut().for_each(|part| part.before = Before::default());
        Ok(())
    }

    fn unit(
        &mut self,
        from: &mut Decisions<'d>,
        nth: usize,
        x: u32,
        y: u32,
    ) -> Result<(), RasterError> {
        let part = &mut self.parts[nth];
        let mut block = [0i16; 64];
        block[0] = self.expected.first(from, part.dc, &mut part.before)? as i16;
        self.expected.others(from, part.ac, &mut block, (1, 63), 0)?;
        let Plane { stride, samples } = &mut *part.plane;
        let at = 8 * (y as usize * *stride + x as usize);
        inverse(&block, part.steps, self.precision, samples, at, *stride);
        Ok(())
    }
}
