//! The stored values of a compressed tile (FITS 4.0, 10.2 and 10.4): decompressed, and of floats
//! that were made whole numbers the floats again.

use std::io::Read;
use std::sync::OnceLock;

use flate2::read::MultiGzDecoder;

use super::cards::Cards;
use super::rice;
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// How tiles are compressed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Rice { block: usize, bytes: usize },
    Gzip { is_shuffled: bool },
    Plain,
}

/// What was subtracted from floats before they were rounded.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Dither {
    None,
    /// Numbers as if by chance, from a place on that the header says.
    Same(u64),
    /// As well, but zeros are kept.
    KeepsZeros(u64),
}

/// What the header says of all tiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Coding {
    bitpix: i64,
    way: Way,
    dither: Dither,
}

/// What is said of one tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    /// Its number, from 0 on.
    pub(super) index: u64,
    pub(super) values: usize,
    /// Which of the columns it lies in: compressed, by gzip, not compressed.
    pub(super) column: usize,
    pub(super) scale: Option<f64>,
    pub(super) zero: f64,
    pub(super) blank: Option<f64>,
}

impl Coding {
    /// What a header says, or why tiles are not decoded.
    ///
    /// # Errors
    /// A value of it is damaged.
    pub(super) fn of(cards: &Cards, bitpix: i64) -> Result<Result<Coding, String>, RasterError> {
        let parameter = |name: &str, usual| {
            let number = (1..=20).find(|n| cards.text(&format!("ZNAME{n}")) == Some(name));
            match number {
                Some(n) => Ok(cards.count(&format!("ZVAL{n}"))? as usize),
                None => Ok::<_, RasterError>(usual),
            }
        };
        let name = cards.text("ZCMPTYPE").unwrap_or_default();
        let way = match name {
            "RICE_1" | "RICE_ONE" => {
                let (block, bytes) = (parameter("BLOCKSIZE", 32)?, parameter("BYTEPIX", 4)?);
                if block == 0 || !matches!(bytes, 1 | 2 | 4) {
                    return Err(corrupt("its blocks have no size"));
                }
                Way::Rice { block, bytes }
            }
            "GZIP_1" => Way::Gzip { is_shuffled: false },
            "GZIP_2" => Way::Gzip { is_shuffled: true },
            "NOCOMPRESS" => Way::Plain,
            other => return Ok(Err(format!("FITS compressed by {other} is not converted"))),
        };
        let seed = cards.whole("ZDITHER0")?.unwrap_or(1);
        let seed = u64::try_from(seed).ok().and_then(|seed| seed.checked_sub(1));
        let seed = seed.ok_or_else(|| corrupt("ZDITHER0 is less than 1"))?;
        let dither = match cards.text("ZQUANTIZ") {
            Some("SUBTRACTIVE_DITHER_1") => Dither::Same(seed),
            Some("SUBTRACTIVE_DITHER_2") => Dither::KeepsZeros(seed),
            None | Some("NO_DITHER" | "NONE") => Dither::None,
            Some(other) => {
                return Ok(Err(format!("FITS with floats rounded by {other} is not converted")));
            }
        };
        Ok(Ok(Coding { bitpix, way, dither }))
    }

    fn value_bytes(self) -> usize {
        self.bitpix.unsigned_abs() as usize / 8
    }

    /// The values of a tile as they are stored where nothing is compressed.
    ///
    /// # Errors
    /// The tile is damaged.
    pub(super) fn decode(self, coded: &[u8], said: Said) -> Result<Vec<u8>, RasterError> {
        let is_rounded = self.bitpix < 0 && said.scale.is_some() && said.column == 0;
        let bytes = if is_rounded { 4 } else { self.value_bytes() };
        let way = match said.column {
            0 => self.way,
            1 => Way::Gzip { is_shuffled: false },
            _ => Way::Plain,
        };
        let wanted = said.values * bytes;
        let stored = match way {
            Way::Plain => coded.to_vec(),
            Way::Gzip { is_shuffled } => {
                let most = if self.bitpix > 0 { wanted.max(said.values * 4) } else { wanted };
                let bytes_of_all = gunzip(coded, most)?;
                // Early writers gave whole numbers of any size 4 bytes.
                let width = match said.values {
                    values if self.bitpix > 0 && bytes_of_all.len() == values * 4 => 4,
                    _ => bytes,
                };
                let ordered = match is_shuffled {
                    true => in_order(&bytes_of_all, width),
                    false => bytes_of_all,
                };
                if width > bytes { narrowed(&ordered, bytes)? } else { ordered }
            }
            Way::Rice { .. } if self.bitpix < 0 && !is_rounded => {
                return Err(corrupt("a tile of it has floats where whole numbers should be"));
            }
            Way::Rice { block, bytes: coded_bytes } => {
                let numbers = rice::decode(coded, said.values, block, coded_bytes);
                let numbers = numbers.ok_or_else(|| corrupt("a tile of it ends early"))?;
                let low = 4 - bytes.min(4);
                let of = |number: &i32| number.to_be_bytes().into_iter().skip(low);
                numbers.iter().flat_map(of).collect()
            }
        };
        if stored.len() != wanted {
            return Err(corrupt("a tile of it has more or fewer pixels than it should"));
        }
        match said.scale.filter(|_| is_rounded) {
            Some(scale) => Ok(self.unrounded(&stored, scale, said)),
            None => Ok(stored),
        }
    }

    /// Floats from whole numbers, as CFITSIO works them out.
    fn unrounded(self, stored: &[u8], scale: f64, said: Said) -> Vec<u8> {
        /// The whole number that stands for zero.
        const ZERO: i32 = -2_147_483_646;
        let (seed, keeps_zeros) = match self.dither {
            Dither::None => (None, false),
            Dither::Same(seed) => (Some(seed), false),
            Dither::KeepsZeros(seed) => (Some(seed), true),
        };
        let mut chance = seed.map(|seed| Chance::new(seed.wrapping_add(said.index)));
        let mut floats = Vec::with_capacity(said.values * self.value_bytes());
        for number in stored.as_chunks::<4>().0 {
            let number = i32::from_be_bytes(*number);
            let shift = chance.as_mut().map_or(0.0, |chance| 0.5 - f64::from(chance.next()));
            let value = if said.blank == Some(number.into()) {
                f64::NAN
            } else if keeps_zeros && number == ZERO {
                0.0
            } else {
                (f64::from(number) + shift) * scale + said.zero
            };
            match self.bitpix {
                -32 => floats.extend((value as f32).to_be_bytes()),
                _ => floats.extend(value.to_be_bytes()),
            }
        }
        floats
    }
}

fn gunzip(coded: &[u8], wanted: usize) -> Result<Vec<u8>, RasterError> {
    let mut bytes = Vec::new();
    // One more shows that there are too many.
    let read = MultiGzDecoder::new(coded).take(wanted as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| corrupt(format!("a tile of it can't be decompressed: {error}")))?;
    Ok(bytes)
}

/// Whole numbers of 4 bytes in fewer, signed ones unless they have one byte.
///
/// # Errors
/// One of them has no room there.
fn narrowed(wide: &[u8], bytes: usize) -> Result<Vec<u8>, RasterError> {
    let mut narrow = Vec::with_capacity(wide.len() / 4 * bytes);
    for number in wide.as_chunks::<4>().0 {
        let number = i32::from_be_bytes(*number);
        let fits = match bytes {
            1 => u8::try_from(number).is_ok(),
            _ => i16::try_from(number).is_ok(),
        };
        if !fits {
            return Err(corrupt("a number of it is larger than its header says"));
        }
        narrow.extend_from_slice(&number.to_be_bytes()[4 - bytes..]);
    }
    Ok(narrow)
}

/// Values whose first bytes come first of all, then the second ones, and so on.
fn in_order(shuffled: &[u8], bytes: usize) -> Vec<u8> {
    let values = shuffled.len() / bytes.max(1);
    (0..values)
        .flat_map(|value| (0..bytes).map(move |byte| shuffled[byte * values + value]))
        .collect()
}

/// Numbers as if by chance, in the order in which CFITSIO takes them (FITS 4.0, appendix I).
struct Chance {
    row: usize,
    at: usize,
}

const CHANCES: usize = 10_000;

impl Chance {
    fn new(start: u64) -> Self {
        let row = (start % CHANCES as u64) as usize;
        Chance { row, at: Chance::first(row) }
    }

    fn first(row: usize) -> usize {
        (numbers()[row] * 500.0) as usize
    }

    fn next(&mut self) -> f32 {
        let number = numbers()[self.at];
        self.at += 1;
        if self.at == CHANCES {
            self.row = (self.row + 1) % CHANCES;
            self.at = Chance::first(self.row);
        }
        number
    }
}

fn numbers() -> &'static [f32] {
    static NUMBERS: OnceLock<Vec<f32>> = OnceLock::new();
    NUMBERS.get_or_init(|| {
        const MODULUS: u64 = 2_147_483_647;
        let mut seed = 1;
        let next = || {
            seed = seed * 16_807 % MODULUS;
            (seed as f64 / MODULUS as f64) as f32
        };
        std::iter::repeat_with(next).take(CHANCES).collect()
    })
}
