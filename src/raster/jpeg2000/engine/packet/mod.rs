//! Packets: their headers and what they contribute to code-blocks (ITU-T T.800, B.9 and B.10; T.814 for
//! high-throughput code-blocks).

pub(crate) mod bits;
mod precinct;
pub(crate) mod walk;

pub(crate) use precinct::{Block, Chunk, Precinct, PrecinctBand};

use crate::raster::jpeg2000::engine::code_block::Style;
use bits::BitReader;

/// How many more passes belong to the codeword segment that holds pass number `passes` of a code-block.
///
/// D.4.2 and D.6: each pass is a segment of its own if the codeword is terminated on each; with bypass the first ten
/// passes are one segment, then two raw passes and a cleanup pass alternate. T.814: a cleanup pass is a segment, the two
/// refinement passes behind it are another.
#[must_use]
pub(crate) fn segment_room(style: Style, passes: u16) -> u16 {
    if style.ht {
        1 + u16::from(passes % 3 == 1)
    } else if style.terminate_all {
        1
    } else if style.bypass {
        match passes {
            0..10 => 10 - passes,
            _ => 1 + u16::from(passes % 3 == 1),
        }
    } else {
        u16::MAX
    }
}

/// The number of new passes (Table B.4).
fn read_passes(bits: &mut BitReader<'_>) -> crate::raster::jpeg2000::engine::Result<u16> {
    if !bits.bit()? {
        return Ok(1);
    }
    if !bits.bit()? {
        return Ok(2);
    }
    // at most 7 bits
    let mut number = |count: u32| bits.bits(count).map(|n| n as u16);
    Ok(match number(2)? {
        3 => match number(5)? {
            31 => 37 + number(7)?,
            n => 6 + n,
        },
        n => 3 + n,
    })
}

#[cfg(test)]
pub(crate) mod tests;
