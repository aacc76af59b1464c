//! Which bytes of a version readers were given lately, through whichever handle.
//!
//! The kernel caches a file once for all who read it, so that each of several
//! readers asks for a part only. What one of them leaves out and another was given
//! is no jump. A few ranges are remembered; they are evidence, not a promise.

use std::ops::Range;

/// More places than programs read one file at.
const RANGES: usize = 32;
/// Who has read so much in one place goes on there.
const READER_BYTES: u64 = 8 << 20;

/// Ranges that were read, the one extended last at the end.
#[derive(Debug, Default)]
pub(super) struct Delivered(Vec<Range<u64>>);

impl Delivered {
    /// Notes that `read` was asked for.
    pub(super) fn note(&mut self, read: &Range<u64>) {
        let mut whole = read.clone();
        self.0.retain(|range| {
            let touches = range.start <= whole.end && whole.start <= range.end;
            if touches {
                whole = range.start.min(whole.start)..range.end.max(whole.end);
            }
            !touches
        });
        if self.0.len() == RANGES {
            self.0.remove(0);
        }
        self.0.push(whole);
    }

    /// Where another reader begins behind `at`, who has read on from there.
    pub(super) fn reader_behind(&self, at: u64) -> Option<u64> {
        let is_reader = |range: &&Range<u64>| range.end - range.start >= READER_BYTES;
        let behind = self.0.iter().filter(|range| range.start > at).filter(is_reader);
        behind.map(|range| range.start).min()
    }

    /// Whether all of `range` was read.
    pub(super) fn holds(&self, range: &Range<u64>) -> bool {
        self.0.iter().any(|held| held.start <= range.start && range.end <= held.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_reads_are_one_range_whatever_their_order() {
        let mut delivered = Delivered::default();
        for read in [0..10, 20..30, 40..50, 30..40] {
            delivered.note(&read);
        }
        assert!(delivered.holds(&(20..50)));
        assert!(!delivered.holds(&(5..25)));
        delivered.note(&(8..22));
        assert!(delivered.holds(&(0..50)));
        assert!(!delivered.holds(&(0..51)));
    }

    #[test]
    fn who_reads_on_from_somewhere_is_a_reader_and_touches_are_not() {
        let mut delivered = Delivered::default();
        for at in (0..3 * READER_BYTES).step_by(1 << 20) {
            delivered.note(&(READER_BYTES + at..READER_BYTES + at + (1 << 20)));
        }
        delivered.note(&(100..200));
        assert_eq!(delivered.reader_behind(0), Some(READER_BYTES));
        assert_eq!(delivered.reader_behind(READER_BYTES), None, "it is there");
    }

    #[test]
    fn only_the_latest_places_are_remembered() {
        let mut delivered = Delivered::default();
        for n in 0..100 {
            delivered.note(&(n * 10..n * 10 + 5));
        }
        assert!(!delivered.holds(&(0..5)));
        assert!(delivered.holds(&(990..995)));
        assert_eq!(delivered.0.len(), RANGES);
    }
}
