//! Sizes as people write them.

/// The bytes that a size stands for: a number, perhaps with decimals, and a unit.
/// `K M G T` and `KiB MiB GiB TiB` are powers of 1,024, `KB MB GB TB` of 1,000;
/// no unit means bytes. `None` for anything else, and for what is over 2^64.
pub(super) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit_bytes: u128 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    let (whole, decimals) = match number.split_once('.') {
        // Nine decimals of a TiB are a KiB: finer ones are a typing error.
        Some((_, decimals)) if decimals.is_empty() || decimals.len() > 9 => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    let whole: u128 = whole.parse().ok()?;
    let scale = 10_u128.pow(u32::try_from(decimals.len()).ok()?);
    let part: u128 = if decimals.is_empty() { 0 } else { decimals.parse().ok()? };
    let bytes = whole.checked_mul(unit_bytes)?.checked_add(part * unit_bytes / scale)?;
    u64::try_from(bytes).ok()
}

/// A size for people: the largest power of 1,024 that leaves at least 1, with one
/// decimal unless it is round.
pub(crate) fn show(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit_bytes, name)) = units.into_iter().find(|(unit_bytes, _)| bytes >= *unit_bytes)
    else {
        return format!("{bytes} bytes");
    };
    let (whole, rest) = (bytes / unit_bytes, bytes % unit_bytes);
    match u128::from(rest) * 10 / u128::from(unit_bytes) {
        0 => format!("{whole} {name}"),
        tenths => format!("{whole}.{tenths} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_mean_what_they_say() {
        for (text, bytes) in [
            ("512M", 512 << 20),
            ("2G", 2 << 30),
            ("1.5GiB", 3 << 29),
            ("64MiB", 64 << 20),
            ("64 MiB", 64 << 20),
            ("1g", 1 << 30),
            ("1GB", 1_000_000_000),
            ("67108864", 64 << 20),
            ("0", 0),
            ("0.001T", 1_099_511_627),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_size() {
        for text in [
            "",
            "G",
            "-1G",
            "1.G",
            ".5G",
            "1.2.3G",
            "1e9",
            "2 gigs",
            "1G1",
            "99999999999T",
            "1.0000000001G",
            "٣G",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit() {
        assert_eq!(show(64 << 20), "64 MiB");
        assert_eq!(show(3 << 29), "1.5 GiB");
        assert_eq!(show(1000), "1000 bytes");
    }

    proptest! {
        #[test]
        fn a_plain_number_is_bytes_and_no_text_panics(bytes: u64, text in ".{0,24}") {
            prop_assert_eq!(parse(&bytes.to_string()), Some(bytes));
            let _ = parse(&text);
            let _ = show(bytes);
        }
    }
}
