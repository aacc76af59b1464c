//! The fixtures of `tests/support/images` and `tests/support/jpeg2000`, and what
//! other programs saw in them; see the `make.py` of each folder.

use std::fs;
use std::path::PathBuf;

/// An image, and what it decodes to.
#[derive(Debug, Clone)]
pub(super) struct Fixture {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// Columns and rows.
    pub(super) size: (u64, u64),
    pub(super) bands: u64,
    /// As numpy names it.
    pub(super) dtype: String,
    /// What the bands mean, in the words of `make.py`; empty where nobody wrote it down.
    pub(super) color: String,
    pub(super) is_converted: bool,
    expected: Expected,
    /// Of lower resolutions: columns, rows and the pixels' CRC-32.
    pub(super) levels: Vec<(u32, u32, u32)>,
}

#[derive(Debug, Clone)]
enum Expected {
    /// These pixels; samples may be off by so much.
    Near(Vec<u8>, u16),
    /// Pixels with this CRC-32.
    Sum(u32),
}

impl Fixture {
    /// Whether the samples, in little-endian order, are those that others saw.
    pub(super) fn agrees(&self, samples: &[u8]) -> bool {
        match &self.expected {
            Expected::Sum(sum) => crc32fast::hash(samples) == *sum,
            Expected::Near(pixels, 0) => samples == pixels,
            Expected::Near(pixels, off) if self.dtype == "uint16" => {
                let number = |pair: &[u8]| u16::from_le_bytes([pair[0], pair[1]]);
                let (a, b) = (samples.chunks_exact(2), pixels.chunks_exact(2));
                samples.len() == pixels.len()
                    && a.zip(b).all(|(a, b)| number(a).abs_diff(number(b)) <= *off)
            }
            Expected::Near(pixels, off) => {
                samples.len() == pixels.len()
                    && samples.iter().zip(pixels).all(|(a, b)| u16::from(a.abs_diff(*b)) <= *off)
            }
        }
    }

    /// The shape that numpy sees.
    pub(super) fn shape(&self) -> Vec<u64> {
        let (width, height) = self.size;
        if self.bands == 1 { vec![height, width] } else { vec![height, width, self.bands] }
    }
}

/// All of them, by name.
pub(super) fn fixtures() -> Vec<Fixture> {
    let mut fixtures = images();
    fixtures.extend(jpeg2000());
    assert!(fixtures.len() > 80);
    fixtures
}

fn support(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support").join(name)
}

fn images() -> Vec<Fixture> {
    let index = fs::read_to_string(support("images/index.txt")).unwrap();
    let fixture = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let path = support("images").join(words[0]);
        let pixels = fs::read(support("images").join(format!("{}.raw", words[0]))).unwrap();
        Fixture {
            name: words[0].to_owned(),
            bytes: fs::read(path).unwrap(),
            size: (words[2].parse().unwrap(), words[3].parse().unwrap()),
            bands: words[4].parse().unwrap(),
            dtype: words[5].to_owned(),
            color: words[6].to_owned(),
            is_converted: words[6] != "unsupported",
            expected: Expected::Near(pixels, words[7].parse().unwrap()),
            levels: Vec::new(),
        }
    };
    index.lines().map(fixture).collect()
}

fn jpeg2000() -> Vec<Fixture> {
    let mut fixtures: Vec<Fixture> = Vec::new();
    for line in fs::read_to_string(support("jpeg2000/expected.txt")).unwrap().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let sum = u32::from_str_radix(words[6], 16).unwrap();
        if words[1] != "0" {
            let size = (number(2) as u32, number(3) as u32);
            fixtures.last_mut().unwrap().levels.push((size.0, size.1, sum));
            continue;
        }
        let (bits, signed) =
            words[5].strip_suffix('s').map_or((words[5], false), |bits| (bits, true));
        let width = if bits.parse::<u32>().unwrap() <= 8 { 8 } else { 16 };
        // Lossy ones have their pixels beside them: decoders may round differently.
        let expected = match fs::read(support("jpeg2000").join(format!("{}.0.raw", words[0]))) {
            Ok(pixels) => Expected::Near(pixels, 1),
            Err(_) => Expected::Sum(sum),
        };
        fixtures.push(Fixture {
            name: words[0].to_owned(),
            bytes: fs::read(support("jpeg2000").join(words[0])).unwrap(),
            size: (number(2), number(3)),
            bands: number(4),
            dtype: format!("{}int{width}", if signed { "" } else { "u" }),
            color: String::new(),
            is_converted: true,
            expected,
            levels: Vec::new(),
        });
    }
    fixtures
}
