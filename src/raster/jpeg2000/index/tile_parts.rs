//! Where the tile-parts of a codestream are: about five bytes for each.
//!
//! Contract: they follow one another without gaps, as they do in every codestream
//! (T.800 A.2), so that a length is all that has to be kept of each. An image is
//! remembered longer than its bytes are: this is what is left of it.

use std::ops::Range;

/// Tile-parts behind which an offset is kept, so that finding one is no walk through all.
const STRIDE: usize = 64;

/// One tile-part, from its SOT to the end of its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::raster::jpeg2000) struct Part {
    /// The number of its tile.
    pub(in crate::raster::jpeg2000) tile: u32,
    /// Where its SOT is, in the object.
    pub(in crate::raster::jpeg2000) offset: u64,
    /// In bytes.
    pub(in crate::raster::jpeg2000) length: u64,
}

/// All tile-parts, in the order of the codestream.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::raster::jpeg2000) struct TileParts {
    /// Their lengths; the last may be longer than that, and reaches to `end`.
    lengths: Box<[u32]>,
    /// The offset of each [`STRIDE`]th of them.
    marks: Box<[u64]>,
    end: u64,
    /// Which of them are whose, unless the nth is the only one of tile n.
    tiles: Option<Tiles>,
}

#[derive(Debug, PartialEq, Eq)]
struct Tiles {
    /// The tile of each, in the order of the codestream.
    numbers: Box<[u16]>,
    /// Their positions, sorted by tile and then as they come.
    sorted: Box<[u32]>,
}

impl TileParts {
    /// From neighbours; `None` if they are no neighbours, or have no numbers and lengths
    /// that a codestream can have.
    pub(in crate::raster::jpeg2000) fn new(parts: &[Part]) -> Option<TileParts> {
        let start = parts.first().map_or(0, |part| part.offset);
        let (mut lengths, mut marks) = (Vec::with_capacity(parts.len()), Vec::new());
        let (mut numbers, mut at) = (Vec::with_capacity(parts.len()), start);
        for (position, part) in parts.iter().enumerate() {
            let is_last = position + 1 == parts.len();
            if part.offset != at {
                return None;
            }
            if position.is_multiple_of(STRIDE) {
                marks.push(at);
            }
            lengths
                .push(u32::try_from(part.length).or(if is_last { Ok(0) } else { Err(()) }).ok()?);
            numbers.push(u16::try_from(part.tile).ok()?);
            at = at.checked_add(part.length)?;
        }
        let is_plain = numbers.iter().enumerate().all(|(n, tile)| n == usize::from(*tile));
        let tiles = (!is_plain).then(|| {
            let mut sorted: Vec<u32> = (0..numbers.len() as u32).collect();
            sorted.sort_by_key(|position| numbers.get(*position as usize).copied());
            Tiles { numbers: numbers.into(), sorted: sorted.into() }
        });
        Some(TileParts { lengths: lengths.into(), marks: marks.into(), end: at, tiles })
    }

    /// How many there are.
    pub(in crate::raster::jpeg2000) fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Where they are, all together.
    pub(in crate::raster::jpeg2000) fn range(&self) -> Range<u64> {
        self.marks.first().copied().unwrap_or(self.end)..self.end
    }

    /// Those of a tile, as they come.
    pub(in crate::raster::jpeg2000) fn of(&self, tile: u32) -> Vec<Part> {
        let Some(tiles) = &self.tiles else {
            return self.get(tile as usize).into_iter().collect();
        };
        let number = |position: &u32| tiles.numbers.get(*position as usize).map(|n| u32::from(*n));
        let start = tiles.sorted.partition_point(|position| number(position) < Some(tile));
        let own = tiles.sorted.get(start..).unwrap_or_default().iter();
        own.take_while(|position| number(position) == Some(tile))
            .filter_map(|position| self.get(*position as usize))
            .collect()
    }

    /// All of them.
    pub(in crate::raster::jpeg2000) fn iter(&self) -> impl Iterator<Item = Part> + '_ {
        let mut at = self.range().start;
        (0..self.len()).filter_map(move |position| {
            let part = Part { offset: at, ..self.known(position, at)? };
            at += part.length;
            Some(part)
        })
    }

    /// The one in which a byte of the object is.
    pub(in crate::raster::jpeg2000) fn at(&self, offset: u64) -> Option<Part> {
        if !self.range().contains(&offset) {
            return None;
        }
        let mark = self.marks.partition_point(|mark| *mark <= offset).checked_sub(1)?;
        let mut at = self.marks.get(mark).copied()?;
        for position in mark * STRIDE..self.len() {
            let part = self.known(position, at)?;
            if offset < at + part.length {
                return Some(part);
            }
            at += part.length;
        }
        None
    }

    fn get(&self, position: usize) -> Option<Part> {
        let mark = self.marks.get(position / STRIDE)?;
        let before = self.lengths.get(position / STRIDE * STRIDE..position)?;
        let at = before.iter().fold(*mark, |at, length| at + u64::from(*length));
        self.known(position, at)
    }

    /// The one at `position`, which starts at `offset`.
    fn known(&self, position: usize, offset: u64) -> Option<Part> {
        let length = *self.lengths.get(position)?;
        let is_last = position + 1 == self.lengths.len();
        let length = if is_last { self.end - offset } else { u64::from(length) };
        let tile = match &self.tiles {
            Some(tiles) => u32::from(*tiles.numbers.get(position)?),
            None => position as u32,
        };
        Some(Part { tile, offset, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn neighbours(start: u64, parts: &[(u32, u64)]) -> Vec<Part> {
        let mut at = start;
        let place = |&(tile, length): &(u32, u64)| {
            let part = Part { tile, offset: at, length };
            at += length;
            part
        };
        parts.iter().map(place).collect()
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_whichever_way_it_is_asked_for(
            start in 0u64..1000,
            parts in prop::collection::vec((0u32..50, 14u64..1000), 0..300),
            in_order: bool,
            long_last: bool,
        ) {
            let mut parts = parts;
            if in_order {
                parts.iter_mut().enumerate().for_each(|(n, part)| part.0 = n as u32);
            }
            if let Some(last) = parts.last_mut().filter(|_| long_last) {
                last.1 = 1 << 40;
            }
            let parts = neighbours(start, &parts);
            let held = TileParts::new(&parts).unwrap();
            prop_assert_eq!(held.iter().collect::<Vec<_>>(), parts.clone());
            for tile in 0..301 {
                let own: Vec<Part> =
                    parts.iter().filter(|part| part.tile == tile).copied().collect();
                prop_assert_eq!(held.of(tile), own);
            }
            for part in &parts {
                prop_assert_eq!(held.at(part.offset), Some(*part));
                prop_assert_eq!(held.at(part.offset + part.length - 1), Some(*part));
            }
            prop_assert_eq!(held.at(held.range().end), None);
        }
    }

    #[test]
    fn a_gap_or_a_number_that_is_too_large_is_no_codestream() {
        let mut parts = neighbours(10, &[(0, 100), (1, 100)]);
        parts[1].offset += 1;
        assert_eq!(TileParts::new(&parts), None);
        assert_eq!(TileParts::new(&neighbours(10, &[(65_536, 100)])), None);
        assert_eq!(TileParts::new(&neighbours(10, &[(0, 1 << 32), (1, 100)])), None);
    }

    #[test]
    fn a_band_of_sentinel_2_takes_less_than_a_kilobyte() {
        let parts = neighbours(3000, &(0..121).map(|tile| (tile, 740_000)).collect::<Vec<_>>());
        let held = TileParts::new(&parts).unwrap();
        assert!(held.tiles.is_none());
        assert!(size_of_val(&held) + 4 * held.lengths.len() + 8 * held.marks.len() < 700);
    }
}
