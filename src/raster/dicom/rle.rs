//! RLE Lossless (PS3.5, annex G): for each byte of a sample a segment of runs, the highest
//! byte first.

use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// The segments that a frame can have.
const MOST_SEGMENTS: usize = 15;
const HEADER_BYTES: usize = 64;

/// The samples of a frame, pixel by pixel, in the byte order of the machine.
///
/// # Errors
/// It has other segments than that takes, or one ends early.
pub(super) fn decode(
    frame: &[u8],
    pixels: usize,
    bands: usize,
    sample_bytes: usize,
) -> Result<Vec<u8>, RasterError> {
    let number = |at: usize| {
        let bytes = frame.get(at..at + 4).and_then(|bytes| bytes.first_chunk());
        bytes.map(|bytes| u32::from_le_bytes(*bytes) as usize)
    };
    let count = number(0).ok_or_else(|| corrupt("it ends early"))?;
    if count != bands * sample_bytes || count > MOST_SEGMENTS {
        return Err(corrupt(format!("a frame of it has {count} segments, which is wrong")));
    }
    let mut samples = vec![0; pixels * bands * sample_bytes];
    for segment in 0..count {
        let start = number(4 + 4 * segment).filter(|start| *start >= HEADER_BYTES);
        let end = match segment + 1 < count {
            true => number(8 + 4 * segment),
            false => Some(frame.len()),
        };
        let runs = start.zip(end).and_then(|(start, end)| frame.get(start..end));
        let runs = runs.ok_or_else(|| corrupt("a segment of it is not there"))?;
        let (band, byte) = (segment / sample_bytes, segment % sample_bytes);
        let byte = if cfg!(target_endian = "little") { sample_bytes - 1 - byte } else { byte };
        let first = band * sample_bytes + byte;
        let places = samples[first..].iter_mut().step_by(bands * sample_bytes);
        expand(runs, places).ok_or_else(|| corrupt("a segment of it ends early"))?;
    }
    Ok(samples)
}

/// Fills all places from runs; what follows fills up the segment. `None` if it ends before.
fn expand<'p>(runs: &[u8], mut places: impl ExactSizeIterator<Item = &'p mut u8>) -> Option<()> {
    let mut runs = runs.iter();
    while places.len() > 0 {
        match *runs.next()? {
            // So many bytes, and one more, as they are.
            more @ 0..=127 => {
                for place in places.by_ref().take(usize::from(more) + 1) {
                    *place = *runs.next()?;
                }
            }
            128 => {}
            times => {
                let byte = *runs.next()?;
                places.by_ref().take(257 - usize::from(times)).for_each(|place| *place = byte);
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(segments: &[&[u8]]) -> Vec<u8> {
        let mut header = vec![segments.len() as u32];
        let mut at = HEADER_BYTES as u32;
        for segment in segments {
            header.push(at);
            at += segment.len() as u32;
        }
        header.resize(16, 0);
        let bytes = header.into_iter().flat_map(u32::to_le_bytes);
        bytes.chain(segments.concat()).collect()
    }

    #[test]
    fn bytes_of_samples_come_together_from_their_segments() {
        // A run of three and one as it is; then all as they are, and one that fills up.
        let frame = frame(&[&[254, 1, 0, 2], &[3, 10, 11, 12, 13, 128]]);
        let expected: Vec<u8> =
            [0x010au16, 0x010b, 0x010c, 0x020d].into_iter().flat_map(u16::to_ne_bytes).collect();
        assert_eq!(decode(&frame, 4, 1, 2).unwrap(), expected);
        assert!(decode(&frame, 5, 1, 2).is_err(), "a pixel is missing");
        assert!(decode(&frame, 4, 3, 2).is_err(), "segments are missing");
        for end in 0..frame.len() - 1 {
            assert!(decode(&frame[..end], 4, 1, 2).is_err(), "{end}");
        }
    }
}
