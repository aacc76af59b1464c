//! Where a large directory may be split: names that lie so many pages behind those of one
//! page, as far as these tell. Pure.
//!
//! What differs on a page is taken for the digits of a number, in the smallest of the usual
//! alphabets that has them: `tile-000123.tif`, dates, hashes. The page says how many of these
//! numbers a page covers. A guess may be wrong in either direction: a page behind it shows.

/// So many digits are looked at behind the first one that differs, and before it.
const PRECISION: usize = 8;
/// A number may be in parts with so much between them: `2024-01-31T10`, `0001, page 02`.
const BETWEEN: usize = 2;

/// The digits that names are counted in.
const ALPHABETS: [&[u8]; 3] = [b"0123456789", b"0123456789ABCDEF", b"0123456789abcdef"];

/// A name before which lie about `pages` more pages than that of these names, which are in
/// order.
pub(super) fn guess(names: &[&str], pages: u64) -> Option<String> {
    let (first, last) = (names.first()?.as_bytes(), names.last()?.as_bytes());
    let same = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let digits = digits_of(names, same)?;
    let left = places_before(last.get(..same)?, &digits);
    let length = left.len() + PRECISION;
    let value = |name: &[u8]| {
        let before = left.iter().map(|&place| *name.get(place).unwrap_or(&0));
        value_of(
            before.chain(name.get(same..).unwrap_or_default().iter().copied()),
            &digits,
            length,
        )
    };
    let covered = value(last).checked_sub(value(first)).filter(|covered| *covered > 0)?;
    let target = value(last).checked_add(covered.checked_mul(pages.into())?)?;
    let guess = match text_of(target, &digits, length) {
        Some(text) => {
            let mut guess = last.get(..same)?.to_vec();
            let (before, behind) = text.split_at(left.len());
            for (place, digit) in left.iter().zip(before) {
                *guess.get_mut(*place)? = *digit;
            }
            guess.extend(behind);
            String::from_utf8(guess).ok()
        }
        None => {
            let start = left.first().copied().unwrap_or(same);
            next_head(std::str::from_utf8(last.get(..start)?).ok()?)
        }
    };
    guess.filter(|guess| guess.as_bytes() > last)
}

/// The alphabet of what comes at and behind `same` in names.
fn digits_of(names: &[&str], same: usize) -> Option<Vec<u8>> {
    let numbers = names.iter().filter_map(|name| name.as_bytes().get(same..));
    let mut seen: Vec<u8> = numbers
        .flat_map(|number| number.iter().take(PRECISION).take_while(|b| b.is_ascii_alphanumeric()))
        .copied()
        .collect();
    seen.sort_unstable();
    seen.dedup();
    if seen.is_empty() {
        return None;
    }
    let usual = ALPHABETS.into_iter().find(|all| seen.iter().all(|digit| all.contains(digit)));
    Some(usual.map_or(seen, <[u8]>::to_vec))
}

/// Where the digits of a number are that goes on behind this text.
fn places_before(text: &[u8], digits: &[u8]) -> Vec<usize> {
    // Of larger alphabets any word has some.
    let most_between = if digits.len() > 10 { 0 } else { BETWEEN };
    let (mut places, mut between) = (Vec::new(), 0);
    for (place, byte) in text.iter().enumerate().rev() {
        if digits.contains(byte) {
            places.push(place);
            between = 0;
        } else {
            between += 1;
        }
        if between > most_between || places.len() == PRECISION || !byte.is_ascii() {
            break;
        }
    }
    places.reverse();
    places
}

/// What stands for a number that goes on for `length` digits; what is no digit ends it, as
/// if there were the smallest ones behind.
fn value_of(number: impl Iterator<Item = u8>, digits: &[u8], length: usize) -> u128 {
    let mut rest = number.map_while(|byte| digits.binary_search(&byte).ok());
    (0..length).fold(0, |value, _| value * digits.len() as u128 + rest.next().unwrap_or(0) as u128)
}

/// A number as `length` digits, if it has no more.
fn text_of(mut value: u128, digits: &[u8], length: usize) -> Option<Vec<u8>> {
    let base = digits.len() as u128;
    let mut text = vec![0; length];
    for digit in text.iter_mut().rev() {
        *digit = *digits.get((value % base) as usize)?;
        value /= base;
    }
    (value == 0).then_some(text)
}

/// The next thing to count, where the numbers of this one end: behind `a999` comes `b`.
fn next_head(head: &str) -> Option<String> {
    let last = head.chars().next_back().filter(char::is_ascii_alphanumeric)?;
    let next = (last as u8 + 1..=b'z').find(u8::is_ascii_alphanumeric)?;
    Some(format!("{}{}", &head[..head.len() - 1], char::from(next)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn behind(names: impl Iterator<Item = String>, pages: u64) -> Option<String> {
        let names: Vec<String> = names.collect();
        guess(&names.iter().map(String::as_str).collect::<Vec<_>>(), pages)
    }

    #[test]
    fn numbers_are_counted_on() {
        let names = || (0..1000).map(|n| format!("tile-{n:06}.tif"));
        assert_eq!(behind(names(), 16).as_deref(), Some("tile-01698300000"));
        assert_eq!(behind(names(), 500).as_deref(), Some("tile-50049900000"));
        assert_eq!(behind(names(), 2000), None, "there are no seven digits");
        let times = (0..100).map(|n| format!("S2A_2000-12-31T{:05}_x/", n * 800));
        assert_eq!(behind(times, 16).as_deref(), Some("S2A_2000-12-44T46400000"));
        let days = (1..29).map(|day| format!("2024-01-{day:02}/"));
        assert_eq!(behind(days, 2).as_deref(), Some("2024-01-82000000"));
    }

    #[test]
    fn hashes_are_counted_as_such() {
        let names = (0..1000_u32).map(|n| format!("{:08x}.jpg", n << 12));
        assert_eq!(behind(names, 99).as_deref(), Some("1863c00000"));
        let names = (0..1000_u32).map(|n| format!("{:08X}", n << 20));
        assert_eq!(behind(names, 4), None, "behind the last hash is nothing");
    }

    #[test]
    fn where_numbers_end_something_else_begins() {
        let names = || (0..100).map(|n| format!("a{n:03}"));
        assert_eq!(behind(names(), 3).as_deref(), Some("a396000000"));
        assert_eq!(behind(names(), 20).as_deref(), Some("b"));
        let names = (0..100).map(|n| format!("z{n:03}"));
        assert_eq!(behind(names, 20), None);
    }

    #[test]
    fn names_that_tell_nothing_are_not_guessed_from() {
        for names in [vec![], vec!["one"], vec!["-", "."], vec!["a", "a-b"], vec!["ä", "ö"]] {
            assert_eq!(guess(&names, 3), None, "{names:?}");
        }
    }

    proptest! {
        #[test]
        fn a_guess_lies_behind_the_names_and_is_one_name(
            mut names in prop::collection::btree_set("[a-c0-9.é-]{0,12}/?", 1..40),
            pages in 1u64..10_000,
        ) {
            let names: Vec<String> = std::mem::take(&mut names).into_iter().collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if let Some(guess) = guess(&names, pages) {
                prop_assert!(guess.as_str() > names[names.len() - 1], "{guess}");
                prop_assert!(!guess.contains('/'));
            }
        }
    }
}
