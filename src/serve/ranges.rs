//! Which bytes of a file are asked for (RFC 9110, section 14).

use std::ops::Range;

/// Whoever asks for more pieces than this at once gets the whole file.
const MOST: usize = 64;

/// What a `Range` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: nothing, or nothing that makes sense, was asked for.
    Whole,
    /// These pieces, none of which is empty.
    Parts(Vec<Range<u64>>),
    /// Only bytes that are not there.
    Outside,
}

/// Reads the value of `Range` for a file of `size` bytes.
pub(super) fn parse(value: &str, size: u64) -> Asked {
    let Some((unit, list)) = value.split_once('=') else { return Asked::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Asked::Whole;
    }
    let mut parts = Vec::new();
    let mut any = false;
    for spec in list.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
        match part(spec, size) {
            Some(range) => {
                any = true;
                if !range.is_empty() {
                    parts.push(range);
                }
            }
            None => return Asked::Whole,
        }
    }
    let asked = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.end - part.start));
    match parts.len() {
        0 if any => Asked::Outside,
        0 => Asked::Whole,
        count if count > MOST || (count > 1 && asked > size) => Asked::Whole,
        _ => Asked::Parts(parts),
    }
}

/// One of the pieces, empty if it lies outside; `None` if it makes no sense.
fn part(spec: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = spec.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let length = number(last)?.min(size);
        return Some(size - length..size);
    }
    let first = number(first)?;
    let end = match last {
        "" => size,
        last => {
            let last = number(last)?;
            if last < first {
                return None;
            }
            last.saturating_add(1).min(size)
        }
    };
    Some(first.min(end)..end)
}

/// A number in digits alone; one that is too large for a file is the largest.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pieces_are_cut_at_the_end_and_nonsense_is_the_whole_file() {
        let of = |value| parse(value, 100);
        let one = |part| Asked::Parts(Vec::from([part]));
        assert_eq!(of("bytes=0-9"), one(0..10));
        assert_eq!(of("Bytes= 90-"), one(90..100));
        assert_eq!(of("bytes=-7"), one(93..100));
        assert_eq!(of("bytes=-700"), one(0..100));
        assert_eq!(of("bytes=95-99999999999999999999999"), one(95..100));
        assert_eq!(of("bytes=0-0,5-6, ,-1"), Asked::Parts(vec![0..1, 5..7, 99..100]));
        assert_eq!(of("bytes=0-0,500-"), one(0..1));
        for outside in ["bytes=100-", "bytes=-0", "bytes=100-200,300-"] {
            assert_eq!(of(outside), Asked::Outside, "{outside}");
        }
        for whole in ["bytes=", "lines=1-2", "bytes=9-1", "bytes=a-b", "bytes=1", "bytes=+1-2", ""]
        {
            assert_eq!(of(whole), Asked::Whole, "{whole}");
        }
        assert_eq!(parse("bytes=0-", 0), Asked::Outside);
    }

    #[test]
    fn who_asks_for_more_than_there_is_gets_the_file_once() {
        assert_eq!(parse("bytes=0-,0-,0-", 100), Asked::Whole);
        let many = format!("bytes={}", vec!["0-0"; MOST + 1].join(","));
        assert_eq!(parse(&many, 1000), Asked::Whole);
    }

    proptest! {
        #[test]
        fn every_piece_lies_in_the_file(value in "(bytes=)?[0-9,\\- ]{0,40}", size in 0_u64..200) {
            if let Asked::Parts(parts) = parse(&value, size) {
                for part in parts {
                    prop_assert!(part.start < part.end && part.end <= size);
                }
            }
        }
    }
}
