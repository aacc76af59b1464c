//! How a program goes through the parts of a file, and what it will want next: arithmetic alone.

use std::ops::Range;

use crate::mem::page_bytes;
use crate::raster::{FileParts, header_pages_end};

/// Reads up to here look for a header; longer ones read what is behind it.
const SMALL_BYTES: u64 = 32 << 10;
/// How far the kernel's requests of one reader in order may be apart.
const OVERTAKING_BYTES: u64 = 1 << 20;
/// Steps from part to part before a program is known to go through all of them.
const STEPS: u32 = 2;
/// The front of a part: its header.
const FRONT_BYTES: u64 = 8 << 10;
/// Fronts that are fetched ahead of a program that steps through them.
const FRONTS_AHEAD: usize = 256;
/// A longer part is not fetched as one piece.
const LARGE_PART_BYTES: u64 = 8 << 20;
/// How far the kernel reads on by itself.
const CROSSING_BYTES: u64 = 256 << 10;
/// What is fetched at most ahead of a program that goes through the parts in order.
const AHEAD_BYTES: u64 = 32 << 20;
/// So many parts of which less than half was read: so it will be with the next ones.
const PARTLY: u32 = 2;
/// Parts of which the same beginning is fetched ahead then.
const PARTLY_AHEAD: usize = 8;

/// What to do for a read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// What to fetch together with it. If there is none, it is a read like any other.
    pub(super) around: Option<Range<u64>>,
    /// What will be wanted next, nearest first.
    pub(super) ahead: Vec<Range<u64>>,
    /// Whether all parts should be found.
    pub(super) finds: bool,
}

/// How a program has gone through the parts until now.
#[derive(Debug)]
pub(super) struct Steps {
    /// The part whose front comes next, for a program that steps through all.
    next: u64,
    /// Where the last read ended.
    end: u64,
    /// How often it has jumped to the next one.
    count: u32,
    /// Up to where fronts were fetched.
    fronts_end: u64,
    /// The part that was read last, and up to where.
    last: Range<u64>,
    reached: u64,
    /// How many parts one behind the other were read whole.
    in_order: u32,
    /// Whether the part is the first one that was read behind another.
    is_crossing: bool,
    /// How many were left before their middle, and how much was read of them at most.
    partly: (u32, u64),
}

impl Steps {
    pub(super) fn new(parts: &dyn FileParts) -> Steps {
        Steps {
            next: parts.first(),
            end: 0,
            count: 0,
            fronts_end: 0,
            last: 0..0,
            reached: 0,
            in_order: 0,
            is_crossing: false,
            partly: (0, 0),
        }
    }

    /// Sees a read, which goes on from the last one if it `is_near`; `peek` gives bytes that
    /// are in memory.
    pub(super) fn see<B: AsRef<[u8]>>(
        &mut self,
        parts: &dyn FileParts,
        peek: impl Fn(Range<u64>) -> Option<B>,
        read: &Range<u64>,
        is_near: bool,
    ) -> Plan {
        // A read comes from where the kernel's page starts, a little in front of the part.
        while self.next < read.start {
            let front = peek(self.next..self.next + parts.front());
            let Some(length) = front.and_then(|front| parts.length(front.as_ref())) else { break };
            self.next += length;
        }
        let is_at_next = read.contains(&self.next);
        let is_small = read.end - read.start <= SMALL_BYTES;
        // The kernel's long requests of a program that reads in order overtake each other.
        let is_jump = match is_small {
            true => !is_near,
            false => read.start > self.end + OVERTAKING_BYTES,
        };
        self.end = read.end;
        if is_at_next && is_jump && self.next != parts.first() {
            self.count += 1;
        }
        let is_stepping = self.count >= STEPS;
        let Some(part) = part_of(parts, read, is_near) else {
            let is_step = is_stepping && is_at_next && is_small;
            return Plan {
                around: is_step.then(|| front(self.next, parts)),
                ahead: Vec::new(),
                finds: is_stepping,
            };
        };
        let front = front(part.start, parts);
        // What shares its pages with the file's header, or may be a step, is not wanted yet.
        let is_first = part.start == parts.first();
        let is_rest_of_header = read.start > part.start && read.end == header_pages_end(part.start);
        let is_of_front = is_first || is_rest_of_header || (is_at_next && is_jump);
        if !is_stepping && read.end <= front.end && is_of_front {
            return Plan { around: Some(front), ..Plan::default() };
        }
        if is_stepping && is_small && read.start < front.end {
            // The kernel asks for a few pages more where a header lies across two.
            let ahead = self.fronts(parts, &part);
            let around = front.start..front.end.max(read.end);
            return Plan { around: Some(around), ahead, finds: false };
        }
        if part.end - part.start > LARGE_PART_BYTES {
            return Plan::default();
        }
        self.body(parts, part, read, is_near)
    }

    /// A read in a part, behind its front or of a program that knows where it is.
    fn body(
        &mut self,
        parts: &dyn FileParts,
        part: Range<u64>,
        read: &Range<u64>,
        is_near: bool,
    ) -> Plan {
        if part != self.last {
            self.leave(&part, is_near);
        }
        self.reached = self.reached.max(read.end);
        let from = read.start;
        if self.is_crossing && self.reached - part.start <= CROSSING_BYTES {
            return Plan { around: Some(read.clone()), ahead: Vec::new(), finds: false };
        }
        if self.partly.0 >= PARTLY {
            let depth = self.partly.1 + self.partly.1 / 4;
            let beginning = |part: &Range<u64>| part.start..(part.start + depth).min(part.end);
            let mut ahead = Vec::new();
            let mut next = part.end;
            while ahead.len() < PARTLY_AHEAD
                && let Some(part) = parts.at(next)
            {
                ahead.push(beginning(&part));
                next = part.end;
            }
            let around = from..beginning(&part).end.max(read.end);
            return Plan { around: Some(around), ahead, finds: false };
        }
        // As many parts ahead as were read in order, in one piece.
        let (mut end, mut left) = (part.end, (1u64 << self.in_order.min(16)) - 1);
        while left > 0
            && let Some(next) = parts.at(end)
            && next.end - part.end <= AHEAD_BYTES
        {
            end = next.end;
            left -= 1;
        }
        let end = end.next_multiple_of(page_bytes() as u64).min(parts.end()).max(read.end);
        Plan { around: Some(from..end), ahead: Vec::new(), finds: false }
    }

    /// Goes from the last part to another one.
    fn leave(&mut self, part: &Range<u64>, is_near: bool) {
        if !self.last.is_empty() {
            let (read, length) = (self.reached - self.last.start, self.last.end - self.last.start);
            match read < length / 2 {
                true => self.partly = (self.partly.0 + 1, self.partly.1.max(read)),
                false => self.partly = (0, 0),
            }
        }
        let follows = is_near && self.last.end == part.start && self.reached >= self.last.end;
        // The kernel reads on behind the end of what a program wants: the first time, wait.
        self.is_crossing = follows && self.in_order == 0;
        self.in_order = if follows { self.in_order + 1 } else { 0 };
        self.last = part.clone();
        self.reached = part.start;
    }

    /// The fronts of the parts behind one, if they were not fetched yet.
    fn fronts(&mut self, parts: &dyn FileParts, from: &Range<u64>) -> Vec<Range<u64>> {
        let mut fronts = Vec::new();
        if from.end < self.fronts_end {
            return fronts;
        }
        self.fronts_end = u64::MAX;
        let mut at = from.end;
        while let Some(part) = parts.at(at) {
            if fronts.len() == FRONTS_AHEAD {
                self.fronts_end = at;
                break;
            }
            fronts.push(front(part.start, parts));
            at = part.end;
        }
        fronts
    }
}

/// The part that a read is of. A jump to the last page of a part is to the front of the next.
fn part_of(parts: &dyn FileParts, read: &Range<u64>, is_near: bool) -> Option<Range<u64>> {
    let first = parts.at(read.start);
    let is_of = |part: &Range<u64>| {
        is_near || read.end <= part.end || read.start + page_bytes() as u64 <= part.end
    };
    first.filter(is_of).or_else(|| parts.at(read.end - 1))
}

/// The pages that the front of a part is in: what the kernel asks for.
fn front(start: u64, parts: &dyn FileParts) -> Range<u64> {
    let page = page_bytes() as u64;
    let end = (start + FRONT_BYTES).next_multiple_of(page).max(header_pages_end(start));
    start / page * page..end.min(parts.end())
}

#[cfg(test)]
mod tests;
