//! Where the frames are whose pixels lie in fragments (PS3.5, A.4).
//!
//! Contract: a table in the file says where a frame begins, the extended one before the basic
//! one; without any, fragments are stepped over from the first one on, once for all frames.
//! Nothing is read of frames that nobody asks for but where they begin.

use std::ops::Range;

use tokio::sync::Mutex;

use crate::raster::RasterError;
use crate::raster::error::corrupt;
use crate::raster::file::File;

/// Fragments of a frame.
const MOST_FRAGMENTS: usize = 10_000;
/// Fragments that are stepped over to find a frame.
const MOST_STEPS: usize = 1_000_000;
const ITEM: [u8; 4] = [0xfe, 0xff, 0x00, 0xe0];
const SEQUENCE_END: [u8; 4] = [0xfe, 0xff, 0xdd, 0xe0];

/// The frames of a file.
#[derive(Debug)]
pub(super) struct Frames {
    /// Where the item of the basic table is.
    pub(super) at: u64,
    /// How many the file says that it has.
    pub(super) count: u32,
    /// Whether each frame is one fragment.
    pub(super) is_one: bool,
    /// The extended table: offsets of 64 bits.
    pub(super) extended: Option<Range<u64>>,
    /// What was found by stepping.
    pub(super) stepped: Mutex<Stepped>,
}

/// How far fragments were stepped over.
#[derive(Debug, Default)]
pub(super) struct Stepped {
    /// Where the first fragment of each frame is.
    starts: Vec<u64>,
    /// The next fragment; 0 before the first step.
    next: u64,
    steps: usize,
    is_all: bool,
    /// What was read last on the way, and nothing else.
    file: Option<File>,
}

impl Frames {
    /// Where the fragments of a frame are, from 1 on.
    ///
    /// # Errors
    /// There are none, or they end early; that of the source.
    pub(super) async fn fragments(
        &self,
        file: &File,
        number: u32,
    ) -> Result<Vec<Range<u64>>, RasterError> {
        let table =
            item(file, self.at).await?.ok_or_else(|| corrupt("its pixels have no table"))?;
        let start = table.end;
        if self.count == 1 {
            return fragments(file, start, None).await;
        }
        let before = u64::from(number.saturating_sub(1));
        let entries = |table: &Range<u64>, width: u64| (table.end - table.start) / width;
        if let Some(extended) = &self.extended
            && entries(extended, 8) > before
        {
            let at = extended.start + before * 8;
            let offset = little(&file.read(at..at + 8).await?);
            let fragment = item(file, start.saturating_add(offset)).await?;
            return Ok(vec![fragment.ok_or_else(|| corrupt("a frame of it is missing"))?]);
        }
        if entries(&table, 4) > before && entries(&table, 4) > 1 {
            let at = table.start + before * 4;
            let end = (at + 8).min(table.end);
            let bytes = file.read(at..end).await?;
            let (first, next) = bytes.split_at(4);
            let first = start.saturating_add(little(first));
            let next = (!next.is_empty()).then(|| start.saturating_add(little(next)));
            if next.is_some_and(|next| next <= first) {
                return Err(corrupt("its table of frames is damaged"));
            }
            return fragments(file, first, next).await;
        }
        let (first, next) = self.step_to(file, start, number).await?;
        fragments(file, first, next).await
    }

    /// Where a frame begins, and the one behind it, if there is one.
    async fn step_to(
        &self,
        file: &File,
        start: u64,
        number: u32,
    ) -> Result<(u64, Option<u64>), RasterError> {
        let mut stepped = self.stepped.lock().await;
        let Stepped { starts, next, steps, is_all, file: way } = &mut *stepped;
        let wanted = number as usize;
        if *next == 0 {
            *next = start;
        }
        let way = way.get_or_insert_with(|| file.again());
        while starts.len() <= wanted && !*is_all {
            let Some(fragment) = item(way, *next).await? else {
                *is_all = true;
                break;
            };
            // Without a table the next frame begins like the first one.
            let begins = starts.is_empty() || self.is_one || begins_image(way, &fragment).await?;
            *steps += 1;
            if *steps > MOST_STEPS {
                return Err(corrupt("it has too many fragments"));
            }
            // From here on nothing fails: who gives up waiting before comes here again.
            if begins {
                starts.push(*next);
            }
            *next = fragment.end;
            way.keep_last();
        }
        let first = starts.get(wanted.saturating_sub(1)).copied();
        let first = first.ok_or_else(|| corrupt("it has fewer frames than its header says"))?;
        Ok((first, starts.get(wanted).copied()))
    }
}

/// The fragments from one on, up to another one or to the last.
async fn fragments(
    file: &File,
    mut at: u64,
    end: Option<u64>,
) -> Result<Vec<Range<u64>>, RasterError> {
    let mut found: Vec<Range<u64>> = Vec::new();
    while end.is_none_or(|end| at < end)
        && let Some(fragment) = item(file, at).await?
    {
        at = fragment.end;
        found.push(fragment);
        if found.len() > MOST_FRAGMENTS {
            return Err(corrupt("a frame of it has too many fragments"));
        }
    }
    match found.is_empty() {
        true => Err(corrupt("it has no frame")),
        false => Ok(found),
    }
}

/// Whether a fragment begins as JPEG, JPEG-LS, JPEG 2000 or JPEG XL do.
async fn begins_image(file: &File, fragment: &Range<u64>) -> Result<bool, RasterError> {
    if fragment.end - fragment.start < 4 {
        return Ok(false);
    }
    let bytes = file.read(fragment.start..fragment.start + 4).await?;
    let begins = |signature: &[u8]| bytes.starts_with(signature);
    Ok(begins(b"\xff\xd8\xff")
        || begins(b"\xff\x4f\xff\x51")
        || begins(b"\xff\x0a")
        || begins(b"\0\0\0\x0c"))
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// Where the bytes of an item are; `None` behind the last one.
async fn item(file: &File, at: u64) -> Result<Option<Range<u64>>, RasterError> {
    if at == file.size() {
        return Ok(None);
    }
    let front = file.read(at..at.saturating_add(8)).await?;
    let length = little(&front[4..]);
    if front[..4] == SEQUENCE_END {
        return Ok(None);
    }
    let range = at + 8..at + 8 + length;
    if front[..4] != ITEM || range.end > file.size() {
        return Err(corrupt("a fragment of its pixels is damaged, or ends early"));
    }
    Ok(Some(range))
}
