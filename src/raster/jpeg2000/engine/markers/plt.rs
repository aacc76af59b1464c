//! The lengths of packets in a tile-part's header: PLT (A.7.3).
//!
//! Contract: a list only saves reading, so what is wrong with it is no error. It is believed as far as it can be read;
//! whether it adds up to the tile-part is for others to see.
//!
//! A header can number 256 marker segments. Some writers that have more begin again at 0, others stay at 255; both are
//! read in the order in which they stand. Otherwise segments count in the order of their numbers, as far as these run
//! from 0 on.

/// Packet lengths, from a tile-part's first packet on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The lengths.
    pub lengths: Vec<u32>,
    /// Whether all that is in the marker segments could be read.
    pub is_all: bool,
}

/// What marker segments list, each with its number, in the order in which they stand.
#[must_use]
pub(crate) fn listed(segments: &[(u8, &[u8])]) -> Listed {
    let mut order: Vec<usize> = (0..segments.len()).collect();
    let number = |at: usize| segments.get(at).map(|segment| usize::from(segment.0));
    let runs = |of: &dyn Fn(usize) -> usize| order.iter().all(|at| number(*at) == Some(of(*at)));
    let stands_in_order = segments.len() > 256 && (runs(&|at| at % 256) || runs(&|at| at.min(255)));
    let mut is_all = true;
    if !stands_in_order {
        order.sort_by_key(|at| number(*at));
        let is_next = |(n, at): &(usize, usize)| {
            // One that there are two of may be either.
            number(*at) == Some(*n)
                && segments.iter().filter(|segment| usize::from(segment.0) == *n).count() == 1
        };
        let kept: Vec<usize> =
            order.iter().copied().enumerate().take_while(is_next).map(|(_, at)| at).collect();
        is_all = kept.len() == segments.len();
        order = kept;
    }
    let bytes = order.iter().filter_map(|at| segments.get(*at)).flat_map(|segment| segment.1);
    let mut lengths = Vec::new();
    let (mut value, mut is_open) = (0u32, false);
    for &byte in bytes {
        if value >> 25 != 0 {
            // A packet of more than 4 GiB.
            return Listed { lengths, is_all: false };
        }
        value = value << 7 | u32::from(byte & 0x7f);
        is_open = byte & 0x80 != 0;
        if !is_open {
            lengths.push(value);
            value = 0;
        }
    }
    Listed { lengths, is_all: is_all && !is_open }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many segments, each with a packet of 300 bytes and one of as many as its place; numbered
    /// as said.
    fn of(count: usize, number: impl Fn(usize) -> u8) -> Listed {
        let bytes: Vec<[u8; 4]> =
            (0..count).map(|at| [0x82, 0x2c, 0x80 | (at >> 7) as u8, at as u8 & 0x7f]).collect();
        let segments: Vec<(u8, &[u8])> =
            bytes.iter().enumerate().map(|(at, bytes)| (number(at), &bytes[..])).collect();
        listed(&segments)
    }

    fn first(count: usize, is_all: bool) -> Listed {
        let lengths = (0..count as u32).flat_map(|at| [300, at]).collect();
        Listed { lengths, is_all }
    }

    #[test]
    fn segments_count_in_the_order_of_their_numbers() {
        assert_eq!(of(256, |at| at as u8), first(256, true));
        let turned = of(3, |at| 2 - at as u8);
        assert_eq!(turned.lengths, [300, 2, 300, 1, 300, 0]);
        assert!(turned.is_all);
        assert_eq!(listed(&[]), Listed { lengths: vec![], is_all: true });
    }

    #[test]
    fn more_segments_than_numbers_count_as_they_stand() {
        for count in [257, 600] {
            assert_eq!(of(count, |at| at as u8), first(count, true));
            assert_eq!(of(count, |at| at.min(255) as u8), first(count, true));
        }
    }

    #[test]
    fn a_list_is_believed_as_far_as_its_numbers_run() {
        assert_eq!(of(9, |at| if at < 4 { at as u8 } else { at as u8 + 1 }), first(4, false));
        assert_eq!(of(9, |at| at.min(5) as u8), first(5, false));
        assert_eq!(of(9, |_| 0), first(0, false));
        assert_eq!(of(9, |at| at as u8 + 1), first(0, false));
        // Numbered in a third way.
        assert_eq!(of(300, |at| (at / 2) as u8), first(0, false));
    }

    #[test]
    fn a_number_that_is_cut_or_too_large_ends_the_list() {
        assert_eq!(listed(&[(0, &[5, 0x81])]), Listed { lengths: vec![5], is_all: false });
        // Across segments it goes on.
        let across = listed(&[(0, &[5, 0x81]), (1, &[0])]);
        assert_eq!(across, Listed { lengths: vec![5, 128], is_all: true });
        let large = [7, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(listed(&[(0, &large)]), Listed { lengths: vec![7], is_all: false });
        let largest = [0x8f, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(listed(&[(0, &largest)]), Listed { lengths: vec![u32::MAX], is_all: true });
    }
}
