//! The first frame of pixels that lie in fragments (PS3.5, A.4).

use std::ops::Range;

use crate::raster::RasterError;
use crate::raster::error::corrupt;
use crate::raster::file::File;

/// Fragments of a frame.
const MOST_FRAGMENTS: usize = 10_000;
const ITEM: [u8; 4] = [0xfe, 0xff, 0x00, 0xe0];
const SEQUENCE_END: [u8; 4] = [0xfe, 0xff, 0xdd, 0xe0];

/// Where the fragments of the first frame are, of `frames` that begin at `at`; `is_one` says
/// that each frame is one fragment.
///
/// # Errors
/// There are none, or they end early; that of the source.
pub(super) async fn first(
    file: &File,
    at: u64,
    frames: u32,
    is_one: bool,
) -> Result<Vec<Range<u64>>, RasterError> {
    let table = item(file, at).await?.ok_or_else(|| corrupt("its pixels have no table"))?;
    let start = table.end;
    // The table says where the second frame begins, if it says anything.
    let second = match table.end - table.start {
        8.. if frames > 1 => {
            let entry = file.read(table.start + 4..table.start + 8).await?;
            let offset = entry.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
            offset.filter(|offset| *offset > 0).map(|offset| start.saturating_add(offset.into()))
        }
        _ => None,
    };
    let (mut fragments, mut at): (Vec<Range<u64>>, u64) = (Vec::new(), start);
    while second.is_none_or(|second| at < second)
        && let Some(fragment) = item(file, at).await?
    {
        // Without a table the next frame begins like the first one.
        let may_be_next = second.is_none() && frames > 1 && !fragments.is_empty();
        if may_be_next && begins_image(file, &fragment).await? {
            break;
        }
        at = fragment.end;
        fragments.push(fragment);
        if fragments.len() > MOST_FRAGMENTS {
            return Err(corrupt("a frame of it has too many fragments"));
        }
        if is_one && frames > 1 {
            break;
        }
    }
    match fragments.is_empty() {
        true => Err(corrupt("it has no frame")),
        false => Ok(fragments),
    }
}

/// Whether a fragment begins as JPEG, JPEG-LS or JPEG 2000 do.
async fn begins_image(file: &File, fragment: &Range<u64>) -> Result<bool, RasterError> {
    if fragment.end - fragment.start < 4 {
        return Ok(false);
    }
    let bytes = file.read(fragment.start..fragment.start + 4).await?;
    Ok(bytes.starts_with(b"\xff\xd8\xff") || bytes.starts_with(b"\xff\x4f\xff\x51"))
}

/// Where the bytes of an item are; `None` behind the last one.
async fn item(file: &File, at: u64) -> Result<Option<Range<u64>>, RasterError> {
    if at == file.size() {
        return Ok(None);
    }
    let front = file.read(at..at.saturating_add(8)).await?;
    let length = front[4..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    if front[..4] == SEQUENCE_END {
        return Ok(None);
    }
    let range = at + 8..at + 8 + u64::from(length);
    if front[..4] != ITEM || range.end > file.size() {
        return Err(corrupt("a fragment of its pixels is damaged, or ends early"));
    }
    Ok(Some(range))
}
