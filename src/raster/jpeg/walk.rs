//! The order in which a scan has its units (T.81, A.2), and its restarts.

use super::frame::{Frame, Scan};
use crate::raster::RasterError;

/// What the coded bytes of a scan are read by.
pub(super) trait Reader<'a> {
    /// From the byte at `at` on.
    fn begin(data: &'a [u8], at: usize) -> Self;

    /// Where the next marker is looked for.
    fn position(&self) -> usize;

    /// Goes behind the restart marker that has to be next.
    fn restart(&mut self, number: u8) -> Result<(), RasterError>;
}

/// What is done with the units of a scan.
pub(super) trait Units<R> {
    /// Forgets what came before a restart; `unit` is the number of the next one.
    fn restart(&mut self, unit: u32) -> Result<(), RasterError>;

    /// Reads the unit at `x`, `y` of the scan's component `nth`.
    fn unit(&mut self, bits: &mut R, nth: usize, x: u32, y: u32) -> Result<(), RasterError>;
}

/// Goes through a scan that begins at `at`, and says where it ends.
pub(super) fn walk<'a, R: Reader<'a>>(
    frame: &Frame,
    scan: &Scan,
    restart_interval: u32,
    (file, at): (&'a [u8], usize),
    units: &mut impl Units<R>,
) -> Result<usize, RasterError> {
    let mut bits = R::begin(file, at);
    let alone = match scan.parts[..] {
        [part] => Some(frame.components[part.component]),
        _ => None,
    };
    let (across, down) = match &alone {
        Some(component) => frame.own_units(component),
        None => frame.units(),
    };
    let mut number = 0u32;
    for y in 0..down {
        for x in 0..across {
            if restart_interval > 0 && number > 0 && number.is_multiple_of(restart_interval) {
                bits.restart((number / restart_interval - 1) as u8)?;
                units.restart(number)?;
            }
            number += 1;
            if alone.is_some() {
                units.unit(&mut bits, 0, x, y)?;
                continue;
            }
            for (nth, part) in scan.parts.iter().enumerate() {
                let component = &frame.components[part.component];
                for v in 0..component.v {
                    for h in 0..component.h {
                        units.unit(&mut bits, nth, x * component.h + h, y * component.v + v)?;
                    }
                }
            }
        }
    }
    Ok(bits.position())
}
