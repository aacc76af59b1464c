//! Scans whose blocks are complete: baseline and extended (T.81, F.2).

use super::bits::{Bits, Codes};
use super::frame::{Frame, Plane, Sample, Scan};
use super::tables::{Tables, ZIGZAG};
use super::transform::inverse;
use super::walk::{Units, walk};
use crate::raster::RasterError;
use crate::raster::error::corrupt;

struct Part<'a, S> {
    dc: &'a Codes,
    ac: &'a Codes,
    steps: &'a [u16; 64],
    last_dc: i32,
    plane: &'a mut Plane<S>,
}

struct Sequential<'a, S> {
    precision: u8,
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
    let mut places: Vec<Option<&mut Plane<S>>> = planes.iter_mut().map(Some).collect();
    let mut parts = Vec::new();
    for part in &scan.parts {
        let plane = places.get_mut(part.component).and_then(Option::take);
        parts.push(Part {
            dc: tables.dc(part.dc)?,
            ac: tables.ac(part.ac)?,
            steps: tables.steps(frame.components[part.component].quantisation)?,
            last_dc: 0,
            plane: plane.ok_or_else(|| corrupt("a scan has a component twice"))?,
        });
    }
    let mut units = Sequential { precision: frame.precision, parts };
    walk(frame, scan, tables.restart_interval, from, &mut units)
}

impl<'b, S: Sample> Units<Bits<'b>> for Sequential<'_, S> {
    fn restart(&mut self, _unit: u32) -> Result<(), RasterError> {
        self.parts.iter_mut().for_each(|part| part.last_dc = 0);
        Ok(())
    }

    fn unit(&mut self, bits: &mut Bits<'b>, nth: usize, x: u32, y: u32) -> Result<(), RasterError> {
        let part = &mut self.parts[nth];
        let mut block = [0i16; 64];
        let size = bits.symbol(part.dc)?;
        if size > 15 {
            return Err(corrupt("a coefficient is too large"));
        }
        part.last_dc = part.last_dc.wrapping_add(bits.signed(size.into())?);
        block[0] = part.last_dc as i16;
        let mut at = 1;
        while at < 64 {
            let symbol = bits.symbol(part.ac)?;
            let (zeros, size) = (usize::from(symbol >> 4), symbol & 15);
            if size == 0 {
                if zeros < 15 {
                    break;
                }
                at += 16;
                continue;
            }
            at += zeros;
            let value = bits.signed(size.into())? as i16;
            *ZIGZAG
                .get(at)
                .and_then(|place| block.get_mut(*place))
                .ok_or_else(|| corrupt("a block has more than 64 coefficients"))? = value;
            at += 1;
        }
        let Plane { stride, samples } = &mut *part.plane;
        let at = 8 * (y as usize * *stride + x as usize);
        inverse(&block, part.steps, self.precision, samples, at, *stride);
        Ok(())
    }
}
