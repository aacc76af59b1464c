use async_trait::async_trait;

use super::*;
use crate::raster::RasterError;

const PAGE_BYTES: u64 = 4096;

/// Parts of 700,000 bytes from 10,000 on; a byte in front of each says nothing, so lengths are
/// known from where it is.
#[derive(Debug)]
struct Parts {
    are_known: bool,
}

const FIRST: u64 = 10_000;
const LENGTH: u64 = 700_000;
const COUNT: u64 = 100;

fn part(number: u64) -> Range<u64> {
    FIRST + number * LENGTH..FIRST + (number + 1) * LENGTH
}

fn page(number: u64) -> Range<u64> {
    let start = part(number).start / PAGE_BYTES * PAGE_BYTES;
    start..start + PAGE_BYTES
}

#[async_trait]
impl FileParts for Parts {
    fn first(&self) -> u64 {
        FIRST
    }

    fn end(&self) -> u64 {
        FIRST + COUNT * LENGTH
    }

    fn length(&self, front: &[u8]) -> Option<u64> {
        (front == [1]).then_some(LENGTH)
    }

    fn front(&self) -> u64 {
        1
    }

    fn are_known(&self) -> bool {
        self.are_known
    }

    fn at(&self, offset: u64) -> Option<Range<u64>> {
        let number = offset.checked_sub(FIRST)? / LENGTH;
        (self.are_known && number < COUNT).then(|| part(number))
    }

    async fn find(&self) -> Result<(), RasterError> {
        Ok(())
    }
}

/// To the end of a part, in whole pages.
fn end(number: u64) -> u64 {
    part(number).end.next_multiple_of(PAGE_BYTES)
}

/// All of the file is in memory.
fn here(range: Range<u64>) -> Option<[u8; 1]> {
    let is_front = range.start >= FIRST && (range.start - FIRST).is_multiple_of(LENGTH);
    Some([u8::from(is_front)])
}

const UNKNOWN: Parts = Parts { are_known: false };
const KNOWN: Parts = Parts { are_known: true };

#[test]
fn the_second_jump_to_where_a_part_starts_is_a_step() {
    let mut steps = Steps::new(&UNKNOWN);
    assert_eq!(steps.see(&UNKNOWN, here, &page(1), false), Plan::default());
    let plan = steps.see(&UNKNOWN, here, &page(2), false);
    let front = page(2).start..page(2).start + 3 * PAGE_BYTES;
    assert_eq!(plan, Plan { around: Some(front), ahead: Vec::new(), finds: true });
}

#[test]
fn jumps_to_anywhere_else_and_reads_in_order_are_none() {
    let mut steps = Steps::new(&UNKNOWN);
    for number in 1..50 {
        let elsewhere = page(number).start + 40_960..page(number).start + 45_056;
        assert_eq!(steps.see(&UNKNOWN, here, &elsewhere, false), Plan::default());
    }
    let mut steps = Steps::new(&UNKNOWN);
    for at in (0..50 * LENGTH).step_by(128 << 10) {
        // The kernel's requests overtake each other.
        let at = if at % 3 == 0 { at + (256 << 10) } else { at };
        let is_near = at % 3 != 0;
        let plan = steps.see(&UNKNOWN, here, &(at..at + (128 << 10)), is_near);
        assert_eq!(plan, Plan::default());
    }
}

#[test]
fn what_is_not_in_memory_says_nothing_about_the_next_part() {
    let mut steps = Steps::new(&UNKNOWN);
    let nothing = |_: Range<u64>| None::<[u8; 1]>;
    for number in 1..10 {
        assert_eq!(steps.see(&UNKNOWN, nothing, &page(number), false), Plan::default());
    }
}

#[test]
fn a_program_that_steps_has_all_fronts_fetched_once() {
    let mut steps = Steps::new(&KNOWN);
    steps.see(&KNOWN, here, &page(1), false);
    let plan = steps.see(&KNOWN, here, &page(2), false);
    assert_eq!(plan.ahead.len(), COUNT as usize - 3);
    // A header that lies across two pages comes with four that the kernel reads on.
    let pages = |number| match part(number).start % PAGE_BYTES > PAGE_BYTES - 1024 {
        true => 5 * PAGE_BYTES,
        false => 3 * PAGE_BYTES,
    };
    let fronts = || plan.ahead.iter().zip(3..);
    assert!(fronts().all(|(front, number)| front.end - front.start == pages(number)));
    assert!((20..30).contains(&fronts().filter(|(_, number)| pages(*number) > 12_288).count()));
    assert_eq!(plan.ahead[0].start, page(3).start);
    for number in 3..COUNT {
        let plan = steps.see(&KNOWN, here, &page(number), false);
        assert!(
            plan.ahead.is_empty()
                && plan.around.is_some_and(|front| front.contains(&part(number).start))
        );
    }
}

#[test]
fn a_header_that_lies_across_two_pages_is_no_reason_to_fetch_its_part() {
    let across = (1..COUNT).find(|n| part(*n).start % PAGE_BYTES > PAGE_BYTES - 1024).unwrap();
    let mut steps = Steps::new(&KNOWN);
    steps.see(&KNOWN, here, &page(across), false);
    let front = page(across).start..page(across).end + (16 << 10);
    let rest = page(across).end..front.end;
    assert_eq!(steps.see(&KNOWN, here, &rest, true).around, Some(front));
    // Whoever goes on wants the part.
    let more = rest.end..rest.end + (32 << 10);
    assert_eq!(steps.see(&KNOWN, here, &more, true).around, Some(more.start..end(across)));
}

#[test]
fn the_front_of_the_first_part_and_what_may_be_a_step_are_not_whole_parts() {
    let mut steps = Steps::new(&KNOWN);
    for number in [0, 1] {
        let plan = steps.see(&KNOWN, here, &page(number), false);
        let front = page(number).start..page(number).start + 3 * PAGE_BYTES;
        assert_eq!(plan, Plan { around: Some(front), ..Plan::default() });
    }
    // It goes on in it: that is what it wanted.
    let more = page(1).end + 8192..page(1).end + 16_384;
    assert_eq!(steps.see(&KNOWN, here, &more, true).around, Some(more.start..end(1)));
}

#[test]
fn a_part_that_is_read_is_fetched_whole_and_the_next_ones_if_they_follow() {
    let mut steps = Steps::new(&KNOWN);
    let read = |from: u64| from..from + (128 << 10);
    let plan = steps.see(&KNOWN, here, &read(part(40).start), false);
    assert_eq!(plan.around, Some(part(40).start..end(40)));
    // To its end, and into the next one: the kernel reads on by itself.
    let mut at = part(40).start;
    let mut plans = Vec::new();
    while at < part(44).end {
        plans.push((at, steps.see(&KNOWN, here, &read(at), true)));
        at += 128 << 10;
    }
    let end_at =
        |at: u64| plans.iter().rfind(|plan| plan.0 <= at).unwrap().1.around.clone().unwrap().end;
    assert!(end_at(part(41).start + 100_000) < part(41).start + 400_000, "it waits");
    assert_eq!(end_at(part(41).start + 400_000), end(42));
    assert_eq!(end_at(part(42).start + 400_000), end(45));
    assert_eq!(end_at(part(43).start + 400_000), end(50));
}

#[test]
fn of_parts_that_are_read_in_part_the_beginnings_are_fetched() {
    let mut steps = Steps::new(&KNOWN);
    let beginning = |number: u64| part(number).start..part(number).start + 60_000;
    for number in [10, 20] {
        let whole = part(number).start..end(number);
        assert_eq!(steps.see(&KNOWN, here, &beginning(number), false).around, Some(whole));
    }
    let plan = steps.see(&KNOWN, here, &beginning(30), false);
    assert_eq!(plan.around, Some(part(30).start..part(30).start + 75_000));
    assert_eq!(plan.ahead.len(), PARTLY_AHEAD);
    assert_eq!(plan.ahead[0], part(31).start..part(31).start + 75_000);
}
