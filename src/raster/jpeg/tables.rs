//! The tables that a JPEG brings for its scans (T.81, B.2.4).

use super::bits::Codes;
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// Where the coefficients lie in a block, in the order in which they are coded.
#[rustfmt::skip]
pub(super) const ZIGZAG: [usize; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// What is in force for the next scan.
#[derive(Debug)]
pub(super) struct Tables {
    quantisation: [Option<Box<[u16; 64]>>; 4],
    dc: [Option<Box<Codes>>; 4],
    ac: [Option<Box<Codes>>; 4],
    /// Units between two restarts; 0 without.
    pub(super) restart_interval: u32,
    pub(super) conditioning: Conditioning,
}

/// What arithmetic coding takes for small (F.1.4.4): of each table.
#[derive(Debug, Clone)]
pub(super) struct Conditioning {
    /// Up to which power of 2 a difference is none, and is small.
    pub(super) dc: [(u8, u8); 16],
    /// The last coefficient that counts as one of low frequency.
    pub(super) ac: [u8; 16],
}

impl Tables {
    /// Those of annex K, which motion JPEG leaves out.
    pub(super) fn usual() -> Self {
        let codes =
            |(counts, symbols): (&[u8; 16], &[u8])| Codes::new(counts, symbols).map(Box::new);
        Tables {
            quantisation: [const { None }; 4],
            dc: [codes(DC_LUMA), codes(DC_CHROMA), None, None],
            ac: [codes(AC_LUMA), codes(AC_CHROMA), None, None],
            restart_interval: 0,
            conditioning: Conditioning { dc: [(0, 1); 16], ac: [5; 16] },
        }
    }

    /// Takes what a segment of this marker defines.
    pub(super) fn define(&mut self, marker: u8, body: &[u8]) -> Result<(), RasterError> {
        match marker {
            0xdb => self.quantisation(body),
            0xc4 => self.codes(body),
            0xcc => self.conditioning(body),
            0xdd => match body {
                [high, low, ..] => {
                    self.restart_interval = u16::from_be_bytes([*high, *low]).into();
                    Ok(())
                }
                _ => Err(corrupt("its restart interval is too short")),
            },
            _ => Ok(()),
        }
    }

    fn quantisation(&mut self, mut body: &[u8]) -> Result<(), RasterError> {
        let damaged = || corrupt("a table of quantisation is damaged");
        while let Some((kind, rest)) = body.split_first() {
            let place = self.quantisation.get_mut(usize::from(kind & 15)).ok_or_else(damaged)?;
            let bytes = if kind >> 4 == 0 { 1 } else { 2 };
            let (values, rest) = rest.split_at_checked(64 * bytes).ok_or_else(damaged)?;
            let mut table = Box::new([0; 64]);
            for (value, at) in values.chunks_exact(bytes).zip(ZIGZAG) {
                table[at] = value.iter().fold(0, |all, byte| all << 8 | u16::from(*byte));
            }
            *place = Some(table);
            body = rest;
        }
        Ok(())
    }

    fn conditioning(&mut self, body: &[u8]) -> Result<(), RasterError> {
        let damaged = || corrupt("what is said of arithmetic coding is damaged");
        for [table, value] in body.as_chunks().0 {
            let number = usize::from(table & 15);
            match (table >> 4, value & 15, value >> 4) {
                (0, low, high) if low <= high => self.conditioning.dc[number] = (low, high),
                (1, ..) if (1..=63).contains(value) => self.conditioning.ac[number] = *value,
                _ => return Err(damaged()),
            }
        }
        Ok(())
    }

    fn codes(&mut self, mut body: &[u8]) -> Result<(), RasterError> {
        let damaged = || corrupt("a table of codes is damaged");
        while let Some((kind, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(damaged)?;
            let symbols = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(symbols).ok_or_else(damaged)?;
            let tables = match kind >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(damaged()),
            };
            let place = tables.get_mut(usize::from(kind & 15)).ok_or_else(damaged)?;
            *place = Some(Box::new(Codes::new(counts, symbols).ok_or_else(damaged)?));
            body = rest;
        }
        Ok(())
    }

    /// The quantisation of this number.
    pub(super) fn steps(&self, number: u8) -> Result<&[u16; 64], RasterError> {
        let table = self.quantisation.get(usize::from(number)).and_then(Option::as_deref);
        table.ok_or_else(|| corrupt("a table of quantisation is missing"))
    }

    /// The codes of first coefficients, and of differences.
    pub(super) fn dc(&self, number: u8) -> Result<&Codes, RasterError> {
        let table = self.dc.get(usize::from(number)).and_then(Option::as_deref);
        table.ok_or_else(|| corrupt("a table of codes is missing"))
    }

    /// The codes of all other coefficients.
    pub(super) fn ac(&self, number: u8) -> Result<&Codes, RasterError> {
        let table = self.ac.get(usize::from(number)).and_then(Option::as_deref);
        table.ok_or_else(|| corrupt("a table of codes is missing"))
    }
}

type Listed = (&'static [u8; 16], &'static [u8]);

const DC_LUMA: Listed =
    (&[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);

const DC_CHROMA: Listed =
    (&[0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);

#[rustfmt::skip]
const AC_LUMA: Listed = (
    &[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d],
    &[
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
        0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
        0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
        0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
        0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
        0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
        0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
        0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
        0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
        0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
        0xf9, 0xfa,
    ],
);

#[rustfmt::skip]
const AC_CHROMA: Listed = (
    &[0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77],
    &[
        0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
        0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
        0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
        0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
        0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
        0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
        0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
        0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
        0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
        0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
        0xf9, 0xfa,
    ],
);
