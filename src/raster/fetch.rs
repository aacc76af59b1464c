//! Gets the bytes of strips, tiles or rows: neighbours in one request, all at once; also those of
//! several tiles of ours, if it is said before that these will be decoded.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::sync::OnceCell;

use super::RasterError;
use super::file::File;

/// What lies between two of them is fetched too if it is no more than this: a request costs
/// as much as some hundred KiB.
const GAP_BYTES: u64 = 64 << 10;
/// What one request is for.
const REQUEST_BYTES: u64 = 4 << 20;

/// Ranges that are fetched as one.
#[derive(Debug, PartialEq, Eq)]
struct Joined {
    range: Range<u64>,
    /// Which of the ranges lie in it.
    members: Vec<usize>,
}

/// What was said to be needed soon and has not been taken yet; the oldest is forgotten.
const RUNS_KEPT: usize = 8;

/// What several tiles of ours will take from the file.
#[derive(Debug, Default)]
pub(super) struct Expected(Mutex<VecDeque<Arc<Run>>>);

/// Ranges that are fetched as one, by whoever comes first.
#[derive(Debug)]
struct Run {
    range: Range<u64>,
    bytes: OnceCell<Bytes>,
    /// How many have not been taken yet.
    left: AtomicUsize,
}

impl Expected {
    /// Says that these ranges will be read one by one.
    pub(super) fn note(&self, ranges: &[Range<u64>]) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for joined in join(ranges) {
            let is_known = runs.iter().any(|run| is_within(&joined.range, &run.range));
            if joined.members.len() > 1 && !is_known {
                let (range, left) = (joined.range, AtomicUsize::new(joined.members.len()));
                runs.push_back(Arc::new(Run { range, bytes: OnceCell::new(), left }));
            }
        }
        while runs.len() > RUNS_KEPT {
            runs.pop_front();
        }
    }

    /// Forgets what was said: what is read from now on is read alone.
    pub(super) fn forget_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The bytes of ranges that lie in the file, in their order.
    ///
    /// # Errors
    /// That of the source.
    pub(super) async fn read(
        &self,
        file: &File,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, RasterError> {
        let joined = join(ranges);
        let read = joined.iter().map(|joined| self.one(file, joined));
        let read = try_join_all(read).await?;
        let mut all = vec![Bytes::new(); ranges.len()];
        for (joined, bytes) in joined.iter().zip(read) {
            for &member in &joined.members {
                let range = &ranges[member];
                let start = (range.start - joined.range.start) as usize;
                all[member] = bytes.slice(start..start + (range.end - range.start) as usize);
            }
        }
        Ok(all)
    }

    async fn one(&self, file: &File, joined: &Joined) -> Result<Bytes, RasterError> {
        let range = &joined.range;
        if let Some(bytes) = file.here(range) {
            return Ok(bytes);
        }
        let read = async |range: &Range<u64>| {
            file.source.read(range.clone()).await.map_err(RasterError::Source)
        };
        let Some(run) = self.run_of(range) else { return read(range).await };
        let bytes = run.bytes.get_or_try_init(|| read(&run.range)).await?;
        let start = (range.start - run.range.start) as usize;
        let bytes = bytes.slice(start..start + (range.end - range.start) as usize);
        let members = joined.members.len();
        if run.left.fetch_sub(members, Ordering::Relaxed) <= members {
            self.forget(&run);
        }
        Ok(bytes)
    }

    fn run_of(&self, range: &Range<u64>) -> Option<Arc<Run>> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.iter().find(|run| is_within(range, &run.range)).cloned()
    }

    fn forget(&self, taken: &Arc<Run>) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|run| !Arc::ptr_eq(run, taken));
    }
}

fn is_within(inner: &Range<u64>, outer: &Range<u64>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

fn join(ranges: &[Range<u64>]) -> Vec<Joined> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|&number| ranges[number].start);
    let mut joined: Vec<Joined> = Vec::new();
    for number in order {
        let range = &ranges[number];
        match joined.last_mut() {
            Some(last)
                if range.start <= last.range.end.saturating_add(GAP_BYTES)
                    && range.end.max(last.range.end) - last.range.start <= REQUEST_BYTES =>
            {
                last.range.end = last.range.end.max(range.end);
                last.members.push(number);
            }
            _ => joined.push(Joined { range: range.clone(), members: vec![number] }),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined_and_what_is_far_away_is_not() {
        const MIB: u64 = 1 << 20;
        let ranges = [200..300, 0..100, MIB..2 * MIB, 2 * MIB..5 * MIB, 5 * MIB..5 * MIB + 5];
        let joined = join(&ranges);
        let found: Vec<_> = joined.iter().map(|j| (j.range.clone(), &j.members[..])).collect();
        let expected: [(Range<u64>, &[usize]); 3] =
            [(0..300, &[1, 0]), (MIB..5 * MIB, &[2, 3]), (5 * MIB..5 * MIB + 5, &[4])];
        assert_eq!(found, expected);
    }
}
