//! Where the parts of a file begin and end, whose size is not known yet.
//!
//! Pure arithmetic. S3 takes 10,000 parts of an object and none but the last may be
//! under 5 MiB, so parts grow as the file does, and part `n` is the same range
//! whatever comes behind it.

use std::ops::Range;

/// So many parts of so many bytes each, one tier behind the other.
const TIERS: [(u64, u64); 3] = [(2000, 8 << 20), (4000, 32 << 20), (4000, 128 << 20)];

/// The largest file that has few enough parts, in bytes: 640 GiB and some.
pub(super) const MAX_BYTES: u64 = {
    let [(a, b), (c, d), (e, f)] = TIERS;
    a * b + c * d + e * f
};

/// The range of a part in a file that has no end. Parts count from 1.
pub(super) fn range(number: u32) -> Range<u64> {
    let (mut index, mut start) = (u64::from(number.max(1)) - 1, 0);
    let mut last = TIERS[0].1;
    for (count, bytes) in TIERS {
        last = bytes;
        if index < count {
            break;
        }
        index -= count;
        start += count * bytes;
    }
    start += index * last;
    start..start + last
}

/// The part that a byte lies in.
pub(super) fn at(offset: u64) -> u32 {
    let (mut left, mut before) = (offset, 0);
    for (count, bytes) in TIERS {
        if left < count * bytes {
            return (before + left / bytes + 1) as u32;
        }
        left -= count * bytes;
        before += count;
    }
    (before + left / TIERS[2].1 + 1).min(u64::from(u32::MAX)) as u32
}

/// The parts of a file of `size` bytes; an empty one has one empty part.
pub(super) fn of(size: u64) -> impl Iterator<Item = (u32, Range<u64>)> {
    let last = at(size.saturating_sub(1));
    (1..=last).map(move |number| {
        let whole = range(number);
        (number, whole.start..whole.end.min(size))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_side_by_side_and_are_no_more_than_s3_takes() {
        let mut end = 0;
        for number in 1..=10_000 {
            let part = range(number);
            assert_eq!(part.start, end);
            assert_eq!((at(part.start), at(part.end - 1)), (number, number));
            end = part.end;
        }
        assert_eq!(end, MAX_BYTES);
        assert_eq!(at(MAX_BYTES), 10_001);
    }

    #[test]
    fn the_parts_of_a_file_are_the_file() {
        for size in [0, 1, 8 << 20, (8 << 20) + 1, (16 << 30) + 5] {
            let parts: Vec<_> = of(size).collect();
            assert_eq!(parts.first().unwrap().1.start, 0);
            assert_eq!(parts.last().unwrap().1.end, size);
            assert!(parts.windows(2).all(|pair| pair[0].1.end == pair[1].1.start));
        }
        assert_eq!(of(8 << 20).count(), 1);
    }
}
