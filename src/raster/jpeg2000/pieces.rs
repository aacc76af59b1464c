//! Pieces of a file that are at hand, and requests for what is missing.
//!
//! Contract: pieces never touch or overlap, so whoever looks for a range that was fetched
//! finds it in one of them.

use std::collections::HashSet;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_util::future::try_join_all;

use super::index::Index;
use crate::raster::RasterError;

/// What lies between two ranges is fetched too if it is no more than this: a request costs as
/// much as some hundred KiB.
const GAP_BYTES: u64 = 64 << 10;

/// So many requests are under way at a time: more wait for the end of others.
const AT_ONCE: usize = 16;
/// What that costs, in bytes: wider gaps are fetched too, as long as all of them are no more than this
/// together and none is wider than half of it.
const ROUND_BYTES: u64 = 1 << 20;

/// Bytes of a file, each piece with its offset, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces(Vec<(u64, Bytes)>);

impl Pieces {
    /// Fetches those of these ranges that are not here, neighbours in one request.
    ///
    /// # Errors
    /// What reading failed with.
    pub(super) async fn fetch(
        &mut self,
        index: &Index,
        wanted: Vec<Range<u64>>,
    ) -> Result<(), RasterError> {
        let ranges = joined(self.missing(wanted));
        let read = ranges.iter().map(|range| index.more(range.clone()));
        let read = try_join_all(read).await?;
        self.add(ranges.iter().map(|range| range.start).zip(read));
        Ok(())
    }

    /// How many bytes are here.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// The pieces that lie in a range, as far as they do.
    pub(super) fn within(&self, range: Range<u64>) -> impl Iterator<Item = (u64, Bytes)> {
        self.0.iter().filter_map(move |(offset, bytes)| {
            let start = range.start.max(*offset);
            let end = range.end.min(offset + bytes.len() as u64);
            let part = || bytes.slice((start - offset) as usize..(end - offset) as usize);
            (start < end).then(|| (start, part()))
        })
    }

    /// The parts of ranges that are not here.
    fn missing(&self, wanted: Vec<Range<u64>>) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        for mut range in wanted {
            let behind =
                self.0.partition_point(|(at, bytes)| at + bytes.len() as u64 <= range.start);
            for (offset, bytes) in self.0.get(behind..).unwrap_or_default() {
                if *offset >= range.end {
                    break;
                }
                if range.start < *offset {
                    missing.push(range.start..*offset);
                }
                range.start = (offset + bytes.len() as u64).min(range.end);
            }
            if range.start < range.end {
                missing.push(range);
            }
        }
        missing
    }

    fn add(&mut self, more: impl Iterator<Item = (u64, Bytes)>) {
        let mut all = std::mem::take(&mut self.0);
        all.extend(more);
        all.sort_by_key(|(offset, _)| *offset);
        // Those of a run touch or overlap.
        let mut run: Vec<(u64, Bytes)> = Vec::new();
        let mut end = 0;
        for piece in all {
            if piece.0 > end {
                self.0.extend(one(std::mem::take(&mut run)));
            }
            end = end.max(piece.0 + piece.1.len() as u64);
            run.push(piece);
        }
        self.0.extend(one(run));
    }
}

/// One piece of a run of them.
fn one(mut run: Vec<(u64, Bytes)>) -> Option<(u64, Bytes)> {
    if run.len() < 2 {
        return run.pop();
    }
    let start = run.first()?.0;
    let mut bytes = BytesMut::new();
    for (offset, piece) in run {
        let have = start + bytes.len() as u64;
        if let Some(new) = piece.get((have - offset) as usize..) {
            bytes.extend_from_slice(new);
        }
    }
    Some((start, bytes.freeze()))
}

/// Ranges in order, those that lie close together as one.
fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_BYTES) => {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    joined_over(joined)
}

/// Fewer ranges, if there are more than go at once: over the narrowest gaps first.
fn joined_over(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let more = ranges.len().saturating_sub(AT_ONCE);
    if more == 0 {
        return ranges;
    }
    let pairs = ranges.iter().zip(ranges.iter().skip(1));
    let mut gaps: Vec<(u64, usize)> =
        pairs.enumerate().map(|(at, (a, b))| (b.start.saturating_sub(a.end), at + 1)).collect();
    gaps.sort_unstable();
    let mut bytes = 0;
    let affordable = gaps.into_iter().take(more).take_while(|(gap, _)| {
        bytes += gap;
        *gap <= ROUND_BYTES / 2 && bytes <= ROUND_BYTES
    });
    // Those that go on from the one in front of them.
    let going_on: HashSet<usize> = affordable.map(|(_, at)| at).collect();
    let mut fewer: Vec<Range<u64>> = Vec::new();
    for (at, range) in ranges.into_iter().enumerate() {
        match fewer.last_mut().filter(|_| going_on.contains(&at)) {
            Some(last) => last.end = range.end,
            None => fewer.push(range),
        }
    }
    fewer
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn piece(range: Range<u64>) -> (u64, Bytes) {
        (range.start, range.map(|at| (at * 7 % 251) as u8).collect())
    }

    proptest! {
        #[test]
        fn what_was_added_is_found_in_one_piece_and_the_rest_is_missing(
            ranges in prop::collection::vec((0u64..300, 1u64..60), 1..12),
            asked in (0u64..300, 1u64..90),
        ) {
            let mut pieces = Pieces::default();
            let mut here = [false; 500];
            for (n, (start, length)) in ranges.iter().enumerate() {
                // Some one by one, some together.
                pieces.add([piece(*start..start + length)].into_iter());
                if n % 3 == 2 {
                    let (a, b) = (ranges[n - 1], ranges[n - 2]);
                    pieces.add([piece(a.0..a.0 + a.1), piece(b.0..b.0 + b.1)].into_iter());
                }
                here[*start as usize..(start + length) as usize].fill(true);
            }
            for ((a, bytes), (b, _)) in pieces.0.iter().zip(pieces.0.iter().skip(1)) {
                prop_assert!(a + (bytes.len() as u64) < *b);
            }
            let asked = asked.0..asked.0 + asked.1;
            let mut found = [false; 500];
            for (offset, bytes) in pieces.within(asked.clone()) {
                prop_assert_eq!(&bytes, &piece(offset..offset + bytes.len() as u64).1);
                found[offset as usize..offset as usize + bytes.len()].fill(true);
            }
            for range in pieces.missing(vec![asked.clone()]) {
                for at in range {
                    prop_assert!(!found[at as usize]);
                    found[at as usize] = true;
                    prop_assert!(!here[at as usize]);
                }
            }
            prop_assert!(found[asked.start as usize..asked.end as usize].iter().all(|f| *f));
            prop_assert_eq!(found.iter().filter(|f| **f).count() as u64, asked.end - asked.start);
        }
    }

    #[test]
    fn neighbours_are_one_request_and_what_is_far_away_is_another() {
        let far = 200 + GAP_BYTES;
        let ranges = vec![far + 1..far + 9, 0..100, 50..200, far..far + 1, 3 * far..3 * far + 1];
        assert_eq!(joined(ranges), [0..far + 9, 3 * far..3 * far + 1]);
    }
    #[test]
    fn more_requests_than_go_at_once_are_joined_over_the_narrowest_gaps() {
        let every = |count: u64, gap: u64| -> Vec<Range<u64>> {
            (0..count).map(|n| n * (1000 + gap)..n * (1000 + gap) + 1000).collect()
        };
        // As many as go at once stay as they are.
        assert_eq!(joined(every(16, 100_000)), every(16, 100_000));
        // As many fewer as that takes, as far as they cost less than waiting does.
        assert_eq!(joined(every(20, 100_000)).len(), 16);
        assert_eq!(joined(every(40, 100_000)).len(), 30);
        assert_eq!(joined(every(40, 600_000)).len(), 40);
        // The narrowest ones: rows of precincts of ever lower resolutions.
        let mut ranges = Vec::new();
        let mut at = 0;
        for (rows, gap) in [(3, 70_000), (3, 140_000), (3, 280_000), (4, 900_000), (6, 2_000_000)] {
            for _ in 0..rows {
                ranges.push(at..at + 30_000);
                at += 30_000 + gap;
            }
        }
        let all = joined(ranges.clone());
        let bytes = |ranges: &[Range<u64>]| ranges.iter().map(|r| r.end - r.start).sum::<u64>();
        assert_eq!((ranges.len(), all.len()), (19, 16));
        assert!(bytes(&all) - bytes(&ranges) <= 3 * 70_000);
    }
}
