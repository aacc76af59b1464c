//! Scans of differences to neighbours (T.81, annex H).

use super::bits::{Bits, Codes};
use super::frame::{Frame, Plane, Sample, Scan};
use super::tables::Tables;
use super::walk::{Units, walk};
use crate::raster::RasterError;
use crate::raster::error::corrupt;

struct Part<'a, S> {
    codes: &'a Codes,
    plane: &'a mut Plane<S>,
    /// The row and the column in which prediction begins anew.
    first_row: u32,
}

struct Differences<'a, S> {
    predictor: u8,
    /// Prediction of the very first sample.
    middle: i32,
    mask: i32,
    low: u8,
    /// Units of a row, and rows of each component in one.
    across: u32,
    rows: Vec<u32>,
    parts: Vec<Part<'a, S>>,
}

/// Decodes the scan that begins at `from`, and says where it ends.
pub(super) fn scan<S: Sample>(
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    from: (&[u8], usize),
    planes: &mut [Plane<S>],
) -> Result<usize, RasterError> {
    if !(1..=7).contains(&scan.first) || scan.low >= frame.precision {
        return Err(corrupt("a scan header is damaged"));
    }
    let is_alone = scan.parts.len() == 1;
    let across = match scan.parts[..] {
        [part] => frame.own_units(&frame.components[part.component]).0,
        _ => frame.units().0,
    };
    if !tables.restart_interval.is_multiple_of(across.max(1)) {
        return Err(corrupt("it restarts within a row"));
    }
    let mut places: Vec<Option<&mut Plane<S>>> = planes.iter_mut().map(Some).collect();
    let (mut parts, mut rows) = (Vec::new(), Vec::new());
    for part in &scan.parts {
        let plane = places.get_mut(part.component).and_then(Option::take);
        let plane = plane.ok_or_else(|| corrupt("a scan has a component twice"))?;
        parts.push(Part { codes: tables.dc(part.dc)?, plane, first_row: 0 });
        rows.push(if is_alone { 1 } else { frame.components[part.component].v });
    }
    let bits = frame.precision - scan.low;
    let mut units = Differences {
        predictor: scan.first,
        middle: 1 << (bits - 1),
        mask: (1 << bits) - 1,
        low: scan.low,
        across,
        rows,
        parts,
    };
    walk(frame, scan, tables.restart_interval, from, &mut units)
}

impl<'b, S: Sample> Units<Bits<'b>> for Differences<'_, S> {
    fn restart(&mut self, unit: u32) -> Result<(), RasterError> {
        for (part, rows) in self.parts.iter_mut().zip(&self.rows) {
            part.first_row = unit / self.across.max(1) * rows;
        }
        Ok(())
    }

    fn unit(&mut self, bits: &mut Bits<'b>, nth: usize, x: u32, y: u32) -> Result<(), RasterError> {
        let part = &mut self.parts[nth];
        let size = bits.symbol(part.codes)?;
        let difference = match size {
            16 => 32_768,
            0..16 => bits.signed(size.into())?,
            _ => return Err(corrupt("a difference is too large")),
        };
        let Plane { stride, samples } = &mut *part.plane;
        let at = y as usize * *stride + x as usize;
        let low = self.low;
        let before = |back: usize| {
            let sample = at.checked_sub(back).and_then(|at| samples.get(at));
            sample.map_or(0, |sample| sample.value() >> low)
        };
        let (left, above, corner) = (1, *stride, *stride + 1);
        let predicted = match (x, y == part.first_row) {
            (0, true) => self.middle,
            (_, true) => before(left),
            (0, false) => before(above),
            _ => match self.predictor {
                1 => before(left),
                2 => before(above),
                3 => before(corner),
                4 => before(left) + before(above) - before(corner),
                5 => before(left) + ((before(above) - before(corner)) >> 1),
                6 => before(above) + ((before(left) - before(corner)) >> 1),
                _ => (before(left) + before(above)) >> 1,
            },
        };
        // Modulo 2^16 (H.1.2.1); valid files stay within their precision.
        let value = predicted.wrapping_add(difference) & 0xffff;
        if value > self.mask {
            return Err(corrupt("a sample has too many bits"));
        }
        if let Some(sample) = samples.get_mut(at) {
            *sample = S::of(value << low);
        }
        Ok(())
    }
}
