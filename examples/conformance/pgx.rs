//! PGX, the form of the references: one component in a file.

/// One component.
#[derive(Debug)]
pub(crate) struct Plane {
    /// Samples in a row.
    pub(crate) width: usize,
    /// Row by row.
    pub(crate) samples: Vec<i32>,
}

impl Plane {
    /// Reads a file: `PG ML +8 128 128`, and the samples behind the line.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Plane> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, samples) = (std::str::from_utf8(bytes.get(..end)?).ok()?, bytes.get(end + 1..)?);
        // The sign may stand by itself.
        let line = line.replace("+ ", "+").replace("- ", "-");
        let mut words = line.split_ascii_whitespace();
        (words.next()? == "PG").then_some(())?;
        let is_big_endian = words.next()? == "ML";
        let depth = words.next()?;
        let is_signed = depth.starts_with('-');
        let bits: u32 = depth.trim_start_matches(['+', '-']).parse().ok()?;
        let width: usize = words.next()?.parse().ok()?;
        let height: usize = words.next()?.parse().ok()?;
        let size = match bits {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4,
        };
        let sample = |bytes: &[u8]| {
            let big = |all: u32, byte: &u8| all << 8 | u32::from(*byte);
            let value = match is_big_endian {
                true => bytes.iter().fold(0, big),
                false => bytes.iter().rev().fold(0, big),
            };
            let unused = 32 - 8 * size as u32;
            if is_signed { ((value << unused) as i32) >> unused } else { value as i32 }
        };
        let samples: Vec<i32> = samples.chunks_exact(size).map(sample).collect();
        (samples.len() == width.checked_mul(height)?).then_some(Plane { width, samples })
    }

    /// The largest difference of two samples, and the mean of the squared ones; `None` if the
    /// components have other sizes.
    pub(crate) fn distance(&self, other: &Plane) -> Option<(u32, f64)> {
        let is_alike = self.width == other.width && self.samples.len() == other.samples.len();
        let differences =
            || self.samples.iter().zip(&other.samples).map(|(one, other)| one.abs_diff(*other));
        let squares: f64 = differences().map(|difference| f64::from(difference).powi(2)).sum();
        let peak = differences().max()?;
        is_alike.then_some((peak, squares / self.samples.len() as f64))
    }
}
