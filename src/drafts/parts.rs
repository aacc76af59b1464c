//! Where the parts of a file begin and end, whose size is not known yet.
//!
//! Pure arithmetic. S3 takes 10,000 parts of an object and none but the last may be
//! under 5 MiB, so parts grow as the file does, and part `n` is the same range
//! whatever comes behind it. They grow late: some servers (Cloudflare R2) want all parts of
//! an object but the last to have one size, and get that of half of the parts that there can
//! be.

use std::ops::Range;

/// So many parts of so many times the first part's size, one tier behind the other.
const TIERS: [(u64, u64); 2] = [(5000, 1), (5000, 16)];
/// Files of up to so many times the first part's size are one request.
const ONE_REQUEST: u64 = 2;

/// Where parts begin and end, given what the first ones have.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    first_bytes: u64,
}

impl Parts {
    /// Parts of which the first have `first_bytes`.
    pub fn new(first_bytes: u64) -> Self {
        Parts { first_bytes: first_bytes.max(1) }
    }

    /// The largest file that is one request, in bytes.
    pub fn one_request_bytes(self) -> u64 {
        ONE_REQUEST * self.first_bytes
    }

    /// The largest file that has few enough parts, in bytes: 660 GiB and some where the
    /// first have 8 MiB.
    pub fn max_bytes(self) -> u64 {
        self.tiers().map(|(count, bytes)| count * bytes).into_iter().sum()
    }

    /// The range of a part in a file that has no end. Parts count from 1.
    pub fn range(self, number: u32) -> Range<u64> {
        let (mut index, mut start) = (u64::from(number.max(1)) - 1, 0);
        let mut last = self.first_bytes;
        for (count, bytes) in self.tiers() {
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

    /// The part that a byte lies in. All that no server takes any more, however far it is
    /// away, lies in the part behind the last one.
    pub fn at(self, offset: u64) -> u32 {
        let (mut left, mut before) = (offset, 0);
        for (count, bytes) in self.tiers() {
            if left < count * bytes {
                return (before + left / bytes + 1) as u32;
            }
            left -= count * bytes;
            before += count;
        }
        (before + 1) as u32
    }

    /// The parts of a file of `size` bytes; an empty one has one empty part.
    pub fn of(self, size: u64) -> impl Iterator<Item = (u32, Range<u64>)> {
        let last = self.at(size.saturating_sub(1));
        (1..=last).map(move |number| {
            let whole = self.range(number);
            (number, whole.start..whole.end.min(size))
        })
    }

    fn tiers(self) -> [(u64, u64); 2] {
        TIERS.map(|(count, times)| (count, times * self.first_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_side_by_side_and_are_no_more_than_s3_takes() {
        let mut end = 0;
        let parts = Parts::new(8 << 20);
        for number in 1..=10_000 {
            let part = parts.range(number);
            assert_eq!(part.start, end);
            assert_eq!((parts.at(part.start), parts.at(part.end - 1)), (number, number));
            end = part.end;
        }
        assert_eq!(end, parts.max_bytes());
        assert_eq!(end, (40_000 + 640_000) << 20);
        assert_eq!(parts.at(end), 10_001);
        // Who writes there has not written four thousand million parts.
        assert_eq!(parts.at(u64::MAX), 10_001);
    }

    #[test]
    fn half_of_all_parts_have_one_size() {
        let size_of = |number| {
            let part = Parts::new(8 << 20).range(number);
            part.end - part.start
        };
        assert!((1..=5000).all(|number| size_of(number) == 8 << 20));
        assert_eq!(size_of(5001), 128 << 20);
    }

    #[test]
    fn the_parts_of_a_file_are_the_file() {
        let of = |size: u64| Parts::new(8 << 20).of(size);
        for size in [0, 1, 8 << 20, (8 << 20) + 1, (16 << 30) + 5] {
            let parts: Vec<_> = of(size).collect();
            assert_eq!(parts.first().unwrap().1.start, 0);
            assert_eq!(parts.last().unwrap().1.end, size);
            assert!(parts.windows(2).all(|pair| pair[0].1.end == pair[1].1.start));
        }
        assert_eq!(of(8 << 20).count(), 1);
    }
}
