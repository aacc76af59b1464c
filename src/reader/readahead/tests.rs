use super::*;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const KERNEL: u64 = 128 << 10;

fn limits(size: u64) -> Limits {
    Limits { size, window_bytes: 32 * MIB, part_bytes: 8 * MIB, stop: size, is_whole: false }
}

/// What a cache that never evicts would fetch for these reads: the number of
/// GETs (of at most a part each) and their bytes.
fn fetched(reads: impl IntoIterator<Item = Range<u64>>, limits: Limits) -> (u64, u64) {
    let mut pattern = Pattern::default();
    let mut have: Vec<Range<u64>> = Vec::new();
    let (mut gets, mut bytes) = (0, 0);
    for read in reads {
        let plan = pattern.on_read(read, limits, false);
        let mut wanted = vec![plan.demand];
        for ahead in plan.ahead {
            match wanted.last_mut() {
                Some(last) if last.end == ahead.start => last.end = ahead.end,
                _ => wanted.push(ahead),
            }
        }
        for range in wanted {
            for gap in gaps(&have, range) {
                gets += (gap.end - gap.start).div_ceil(limits.part_bytes);
                bytes += gap.end - gap.start;
                have.push(gap);
                have.sort_by_key(|r| r.start);
            }
        }
    }
    (gets, bytes)
}

fn gaps(have: &[Range<u64>], range: Range<u64>) -> Vec<Range<u64>> {
    let mut at = range.start;
    let mut found = Vec::new();
    for held in have.iter().filter(|h| h.end > range.start && h.start < range.end) {
        if held.start > at {
            found.push(at..held.start);
        }
        at = at.max(held.end);
    }
    if at < range.end {
        found.push(at..range.end);
    }
    found
}

fn in_order(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    range.clone().step_by(KERNEL as usize).map(move |at| at..(at + KERNEL).min(range.end))
}

#[test]
fn a_first_read_fetches_what_was_asked_for() {
    assert_eq!(fetched(Some(0..KERNEL), limits(1 << 30)), (1, KERNEL));
    assert_eq!(fetched(Some(5 * MIB..5 * MIB + 65536), limits(1 << 30)), (1, 65536));
}

#[test]
fn a_small_read_is_widened_to_its_unit_and_a_small_object_is_fetched_whole() {
    assert_eq!(fetched(Some(70_000..74_096), limits(1 << 30)), (1, 65536));
    assert_eq!(fetched([0..4096, 4096..200_000], limits(200_000)), (1, 200_000));
    assert_eq!(fetched(Some((1 << 30) - 10..1 << 30), limits(1 << 30)), (1, 65536));
}

#[test]
fn in_order_256_mib_take_at_most_40_gets_and_no_byte_twice() {
    let (gets, bytes) = fetched(in_order(0..256 * MIB), limits(256 * MIB));
    assert!(gets <= 40, "{gets} GETs");
    assert_eq!(bytes, 256 * MIB);
}

#[test]
fn an_object_of_4_mib_that_is_read_from_its_start_takes_two_gets() {
    assert_eq!(fetched(in_order(0..4 * MIB), limits(4 * MIB)), (2, 4 * MIB));
    // Half of it is as good a reason to fetch the rest, and more than that is too much.
    assert_eq!(fetched(in_order(0..2 * MIB), limits(4 * MIB)), (2, 4 * MIB));
    assert_eq!(fetched(in_order(0..256 << 10), limits(64 * MIB)), (1 + 1, 2304 << 10));
    assert_eq!(fetched(in_order(MIB..MIB + (256 << 10)), limits(64 * MIB)), (2, 768 << 10));
}

#[test]
fn a_file_like_others_that_were_read_whole_takes_one_get() {
    let limits = |size| Limits { is_whole: true, ..limits(size) };
    assert_eq!(fetched(in_order(0..7 * MIB), limits(7 * MIB)), (1, 7 * MIB));
    // Whoever begins elsewhere, or was somewhere else before, does not read it whole.
    assert_eq!(fetched(Some(MIB..2 * MIB), limits(7 * MIB)), (1, MIB));
    assert_eq!(fetched([6 * MIB..7 * MIB, 0..MIB], limits(7 * MIB)), (2, 2 * MIB));
}

#[test]
fn a_window_never_passes_the_end_or_the_limit() {
    let mut pattern = Pattern::default();
    let limits = Limits { window_bytes: 3 * MIB, ..limits(100 * MIB + 17) };
    for read in in_order(0..limits.size) {
        let plan = pattern.on_read(read.clone(), limits, false);
        for ahead in plan.ahead {
            assert!(ahead.end <= limits.size && ahead.end <= read.end + 4 * MIB, "{ahead:?}");
        }
    }
}

#[test]
fn random_reads_fetch_what_they_touch() {
    let mut random = fastrand::Rng::with_seed(7);
    let reads: Vec<_> = (0..200)
        .map(|_| random.u64(0..(2048 * MIB - 65536) / 4096) * 4096)
        .map(|at| at..at + 65536)
        .collect();
    let (gets, bytes) = fetched(reads, limits(2048 * MIB));
    assert!((195..=202).contains(&gets), "{gets}");
    assert!(bytes <= 200 * 65536 * 11 / 10, "{bytes}");
}

#[test]
fn a_skip_pattern_learns_the_run_and_needs_no_new_ramp_up() {
    // The kernel asks one readahead unit past each run of 4 MiB.
    let size = 1024 * MIB;
    let reads: Vec<_> = (0..size)
        .step_by(5 * MIB as usize)
        .flat_map(|at| in_order(at..(at + 4 * MIB + KERNEL).min(size)))
        .collect();
    let runs = size.div_ceil(5 * MIB);
    let asked = runs * 4 * MIB;
    let (gets, bytes) = fetched(reads, limits(size));
    assert!(bytes * 100 <= asked * 105, "{bytes} for {asked}");
    assert!(gets <= runs + 10, "{gets} GETs for {runs} runs");
}

#[test]
fn a_strided_pattern_is_fetched_ahead() {
    let mut pattern = Pattern::default();
    let limits = limits(1 << 30);
    let mut planned_ahead = 0;
    for at in (0..100 * MIB).step_by(MIB as usize) {
        planned_ahead += pattern.on_read(at..at + 65536, limits, false).ahead.len();
    }
    assert!(planned_ahead > 50, "{planned_ahead}");
}

#[test]
fn random_chunks_of_equal_length_are_fetched_in_one_get_each() {
    let mut random = fastrand::Rng::with_seed(3);
    let chunks: Vec<u64> = (0..50).map(|_| random.u64(0..2000) * MIB).collect();
    let reads = chunks.iter().flat_map(|&at| in_order(at..at + MIB));
    let (gets, bytes) = fetched(reads, limits(2048 * MIB));
    assert!(gets <= 70, "{gets} GETs for 50 chunks");
    assert!(bytes <= 60 * MIB, "{bytes}");
}

#[test]
fn two_interleaved_streams_of_one_handle_are_both_read_ahead() {
    let one = in_order(0..64 * MIB);
    let other = in_order(512 * MIB..576 * MIB);
    let reads: Vec<_> = one.zip(other).flat_map(|(a, b)| [a, b]).collect();
    let (gets, bytes) = fetched(reads, limits(1024 * MIB));
    assert!(gets <= 32, "{gets}");
    assert!(bytes <= 128 * MIB + 64 * MIB, "{bytes}");
}

#[test]
fn a_stream_is_fetched_up_to_where_another_reader_goes_on_and_then_as_before() {
    let stop = 64 * MIB;
    let mut pattern = Pattern::default();
    let mut to = 0;
    for read in in_order(0..stop) {
        let plan = pattern.on_read(read, Limits { stop, ..limits(256 * MIB) }, false);
        to = plan.ahead.iter().map(|ahead| ahead.end).max().unwrap_or(0).max(to);
    }
    assert_eq!(to, stop);
    let here = Limits { stop, ..limits(256 * MIB) };
    let (gets, bytes) = fetched(in_order(0..128 * MIB), Limits { stop: 256 * MIB, ..here });
    assert_eq!(bytes, fetched(in_order(0..128 * MIB), limits(256 * MIB)).1);
    assert!(gets <= 40, "{gets}");
}

#[test]
fn requests_that_overtake_each_other_stay_one_stream() {
    let mut reads: Vec<_> = in_order(0..256 * MIB).collect();
    for pair in reads[4..].chunks_mut(3) {
        pair.reverse();
    }
    let (gets, bytes) = fetched(reads, limits(256 * MIB));
    assert!(gets <= 42, "{gets} GETs");
    assert_eq!(bytes, 256 * MIB);
}

#[test]
fn a_run_that_grows_past_the_last_one_becomes_a_stream_again() {
    let reads = in_order(0..MIB).chain(in_order(16 * MIB..272 * MIB));
    let (gets, bytes) = fetched(reads, limits(272 * MIB));
    assert!(gets <= 46, "{gets} GETs");
    // Of 257 MiB; what was ahead of the first run is lost.
    assert!(bytes <= 261 * MIB, "{bytes}");
}

proptest! {
    #[test]
    fn a_plan_covers_the_read_and_stays_inside_the_object(
        size in 1u64..1 << 34,
        reads in prop::collection::vec((0.0f64..1.0, 1u64..4 * MIB), 1..50),
        window_bytes in KERNEL..64 * MIB,
    ) {
        let limits = Limits { window_bytes, ..limits(size) };
        let mut pattern = Pattern::default();
        for (place, length) in reads {
            let start = ((size as f64 * place) as u64).min(size - 1);
            let read = start..(start + length).min(size);
            let plan = pattern.on_read(read.clone(), limits, false);
            prop_assert!(plan.demand.start <= read.start && plan.demand.end >= read.end);
            prop_assert!(plan.demand.end <= size);
            for ahead in plan.ahead {
                prop_assert!(ahead.start < ahead.end && ahead.end <= size, "{:?}", ahead);
                prop_assert!(ahead.start >= plan.demand.end);
            }
        }
    }
}
