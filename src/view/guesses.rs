//! Reads that the kernel makes on its own account, and which of them are refused.
//!
//! The kernel reads 128 KiB around a page of a mapped file that a program touches, and as much
//! behind what a program has read. In a file of rows that is all columns of some rows, in a file
//! of tiles the tile behind the last one: tiles that nobody wants, and each is a request. No flag
//! says so of a read, but such a read may fail: the program is told nothing. If it needs one of
//! the pages, the kernel asks for that page alone ([`fs/open_file`] rests on that, too).
//!
//! So a read is refused that is as long as the kernel's own, if tiles would be decoded for it.
//! A page alone never is, nor any page that was refused before, by whichever handle, nor a handle
//! that reads in order, nor one that was wrongly refused: then the first page of what it wanted
//! is asked for, not one in the middle.
//!
//! [`fs/open_file`]: ../../fs/open_file/index.html

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// The kernel's readahead, unless an administrator has changed it.
const READ_AHEAD_BYTES: u64 = 128 << 10;
/// What the kernel makes of a read of up to 8 KiB from a file's start, which is where programs
/// look for a header.
const OPENING_BYTES: u64 = 16 << 10;
/// How far the kernel reads ahead in all, about.
const NEAR_BYTES: u64 = 512 << 10;
/// Of so many ranges it is remembered that they were refused. Then nothing more is.
const MOST_REFUSED: usize = 4096;

/// What was refused of a file.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<BTreeMap<u64, u64>>);

impl Refused {
    /// Notes a range; `false` if it may not be refused: part of it was already, or too many were.
    pub(super) fn note(&self, range: &Range<u64>) -> bool {
        let mut ranges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = ranges.range(..range.end).next_back().map(|(&start, &end)| start..end);
        if before.as_ref().is_some_and(|before| before.end > range.start) {
            return false;
        }
        if ranges.len() >= MOST_REFUSED {
            return false;
        }
        let start = match before {
            Some(before) if before.end == range.start => before.start,
            _ => range.start,
        };
        let end = ranges.remove(&range.end).unwrap_or(range.end);
        ranges.insert(start, end);
        true
    }
}

/// A read that is the kernel's own, perhaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guess {
    /// Whether it lies close behind what was read, so that nothing says that any of it is wanted.
    pub(super) is_near: bool,
    /// Whether it begins right there.
    goes_on: bool,
    is_opening: bool,
}

/// What the reads of a handle have shown.
#[derive(Debug, Default)]
pub(super) struct Hunch {
    /// The file is mapped: pages in the middle of what was refused were asked for.
    is_mapped: bool,
    /// A program has read just as much.
    is_exact: bool,
    /// What was refused last, until a page is asked for.
    last: Option<(Range<u64>, Guess)>,
    /// Where that ended.
    refused_to: u64,
}

impl Hunch {
    /// Whether a read of several pages may be the kernel's own; the run of the handle's reads has
    /// come to `end`.
    pub(super) fn guess(&self, range: &Range<u64>, end: u64) -> Option<Guess> {
        let length = range.end - range.start;
        if range.start == 0 {
            let guess = Guess { is_near: false, goes_on: false, is_opening: true };
            return (length <= OPENING_BYTES).then_some(guess);
        }
        // The kernel goes on from there before it knows that it was refused.
        let goes_on = range.start == end || range.start == self.refused_to;
        // Several of its reads may overtake each other.
        let behind = range.start.checked_sub(end);
        let is_near = goes_on || behind.is_some_and(|behind| behind <= NEAR_BYTES);
        if self.is_mapped {
            return Some(Guess { is_near: true, goes_on: true, is_opening: false });
        }
        // Around a page that is near the start there is less.
        let is_whole = length == READ_AHEAD_BYTES || range.end == READ_AHEAD_BYTES;
        let guess = Guess { is_near, goes_on, is_opening: false };
        (is_whole && (goes_on || !self.is_exact)).then_some(guess)
    }

    /// Notes that a read was refused.
    pub(super) fn note_refused(&mut self, range: Range<u64>, guess: Guess) {
        self.refused_to = range.end;
        self.last = Some((range, guess));
    }

    /// Notes that one page is asked for; the range that was wrongly refused, if that shows it.
    pub(super) fn note_page(&mut self, offset: u64) -> Option<Range<u64>> {
        let (range, guess) = self.last.take_if(|(range, _)| range.contains(&offset))?;
        let is_first = offset == range.start;
        if guess.is_opening || (guess.goes_on && is_first) {
            return None;
        }
        self.is_mapped = !is_first;
        self.is_exact |= is_first;
        is_first.then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGE: u64 = 4096;
    const AT: u64 = 1000 * PAGE;

    fn around(page: u64) -> Range<u64> {
        (page - 16) * PAGE..(page + 16) * PAGE
    }

    #[test]
    fn a_mapped_file_shows_by_the_page_in_the_middle() {
        let mut hunch = Hunch::default();
        let guess = hunch.guess(&around(1000), 0).unwrap();
        assert!(!guess.is_near);
        hunch.note_refused(around(1000), guess);
        assert_eq!(hunch.note_page(AT), None);
        assert!(hunch.guess(&(AT..AT + 3 * PAGE), 0).is_some(), "also what is shorter");
    }

    #[test]
    fn a_program_that_reads_as_much_is_refused_once() {
        let mut hunch = Hunch::default();
        let wanted = AT..AT + READ_AHEAD_BYTES;
        let guess = hunch.guess(&wanted, 0).unwrap();
        hunch.note_refused(wanted.clone(), guess);
        assert_eq!(hunch.note_page(AT), Some(wanted), "all of it is wanted");
        assert_eq!(hunch.note_page(AT + PAGE), None);
        assert_eq!(hunch.guess(&around(3000), 0), None);
    }

    #[test]
    fn what_lies_behind_the_reads_is_refused_each_time() {
        let mut hunch = Hunch::default();
        for start in [AT, 3 * AT] {
            let behind = start..start + READ_AHEAD_BYTES;
            let guess = hunch.guess(&behind, start).unwrap();
            assert!(guess.goes_on);
            hunch.note_refused(behind.clone(), guess);
            let further = behind.end..behind.end + READ_AHEAD_BYTES;
            assert!(hunch.guess(&further, start).unwrap().goes_on, "before it is told");
            assert_eq!(hunch.note_page(start), None);
        }
    }

    #[test]
    fn who_looks_at_a_header_gets_a_page_and_who_copies_gets_all() {
        let mut hunch = Hunch::default();
        let guess = hunch.guess(&(0..4 * PAGE), 0).unwrap();
        hunch.note_refused(0..4 * PAGE, guess);
        assert_eq!(hunch.note_page(0), None);
        assert!(!hunch.is_mapped && !hunch.is_exact);
        assert_eq!(hunch.guess(&(0..READ_AHEAD_BYTES), 0), None);
        assert_eq!(hunch.guess(&(AT..AT + 9 * PAGE), 0), None, "a read of nine pages");
    }

    proptest! {
        #[test]
        fn no_page_is_refused_twice(
            ranges in prop::collection::vec((0u64..200, 1u64..40), 1..200),
        ) {
            let refused = Refused::default();
            let mut pages = std::collections::HashSet::new();
            for (start, length) in ranges {
                let own: Vec<u64> = (start..start + length).collect();
                let is_new = own.iter().all(|page| !pages.contains(page));
                prop_assert_eq!(refused.note(&(start * PAGE..(start + length) * PAGE)), is_new);
                if is_new {
                    pages.extend(own);
                }
            }
        }
    }

    #[test]
    fn in_the_end_nothing_more_is_refused() {
        let refused = Refused::default();
        let range = |number: u64| number * 2 * PAGE..(number * 2 + 1) * PAGE;
        for number in 0..MOST_REFUSED as u64 {
            assert!(refused.note(&range(number)));
        }
        assert!(!refused.note(&range(MOST_REFUSED as u64)));
    }
}
