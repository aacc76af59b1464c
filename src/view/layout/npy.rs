//! The .npy file of an image's pixels, which `numpy.load` maps.
//!
//! Contract: format 1.0, little endian, C order, `(H, W)` for one band and
//! `(H, W, bands)` for more; the values as they are, of any type. Complex values have a last
//! axis of 2: the real part and the imaginary one.

use std::ops::Range;

use super::bands::RowBands;
use super::{Layout, MAX_FILE_BYTES, NoView, UnitData, UnitIndex, UnitInput, push_little_endian};
use crate::raster::{RasterInfo, SampleType};

/// About what a unit has: rows of one row of tiles, at least one.
const BAND_BYTES: u64 = 1 << 20;
/// numpy pads the header, so that the pixels can be mapped at this alignment.
const ALIGNMENT: usize = 64;

/// The layout of a .npy file.
#[derive(Debug, Clone)]
pub struct NpyLayout {
    head: Vec<u8>,
    bands: RowBands,
    sample_bytes: usize,
    row_bytes: u64,
    size: u64,
}

impl NpyLayout {
    /// The .npy file that has an image's pixels.
    ///
    /// # Errors
    /// If the image has no pixels, or the file would be larger than a file can be.
    pub fn new(info: &RasterInfo) -> Result<Self, NoView> {
        let image = info.grid.image(0);
        if image.is_empty() || info.bands == 0 {
            return Err(NoView::new("the image has no pixels"));
        }
        let head = header(info, image.width, image.height);
        let row_bytes = u64::from(image.width) * info.pixel_bytes() as u64;
        let size = row_bytes
            .checked_mul(image.height.into())
            .and_then(|bytes| bytes.checked_add(head.len() as u64))
            .filter(|&bytes| bytes <= MAX_FILE_BYTES)
            .ok_or_else(|| NoView::new("the file would be larger than files can be"))?;
        let bands = RowBands::new(&info.grid, BAND_BYTES / row_bytes);
        Ok(NpyLayout { head, bands, sample_bytes: info.sample.bytes(), row_bytes, size })
    }

    fn head_bytes(&self) -> u64 {
        self.head.len() as u64
    }
}

impl Layout for NpyLayout {
    fn size(&self) -> u64 {
        self.size
    }

    fn units(&self) -> u64 {
        1 + self.bands.count()
    }

    fn unit_at(&self, offset: u64) -> UnitIndex {
        match offset.checked_sub(self.head_bytes()) {
            None => 0,
            Some(at) => 1 + self.bands.band_of((at / self.row_bytes) as u32),
        }
    }

    fn unit_range(&self, unit: UnitIndex) -> Range<u64> {
        let Some(band) = unit.checked_sub(1) else { return 0..self.head_bytes() };
        let rows = self.bands.rect(band);
        let start = self.head_bytes() + u64::from(rows.y) * self.row_bytes;
        start..start + u64::from(rows.height) * self.row_bytes
    }

    fn unit_input(&self, unit: UnitIndex) -> UnitInput {
        match unit.checked_sub(1) {
            None => UnitInput::Nothing,
            Some(band) => UnitInput::Pixels { level: 0, rect: self.bands.rect(band) },
        }
    }

    fn rows_start(&self) -> Option<u64> {
        Some(self.head_bytes())
    }

    fn encode(&self, _unit: UnitIndex, data: UnitData<'_>) -> Vec<u8> {
        match data {
            UnitData::Pixels(pixels) => {
                let mut bytes = Vec::with_capacity(pixels.samples.len());
                push_little_endian(&mut bytes, &pixels.samples, self.sample_bytes);
                bytes
            }
            UnitData::Nothing | UnitData::Checksums(_) => self.head.clone(),
        }
    }
}

/// Magic, version, length, and a Python dict as numpy itself writes it.
fn header(info: &RasterInfo, width: u32, height: u32) -> Vec<u8> {
    let descr = match info.sample {
        SampleType::U8 => "|u1",
        SampleType::I8 => "|i1",
        SampleType::U16 => "<u2",
        SampleType::I16 => "<i2",
        SampleType::U32 => "<u4",
        SampleType::I32 => "<i4",
        SampleType::U64 => "<u8",
        SampleType::I64 => "<i8",
        SampleType::F32 => "<f4",
        SampleType::F64 => "<f8",
    };
    let shape = match (info.bands, info.extras.is_complex) {
        (1, _) => format!("({height}, {width})"),
        (bands, true) if bands > 2 => format!("({height}, {width}, {}, 2)", bands / 2),
        (bands, _) => format!("({height}, {width}, {bands})"),
    };
    let mut dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let before = 10; // magic, version, length
    let bytes = (before + dict.len() + 1).next_multiple_of(ALIGNMENT);
    dict.extend(std::iter::repeat_n(' ', bytes - before - dict.len() - 1));
    dict.push('\n');
    let mut head = b"\x93NUMPY\x01\x00".to_vec();
    head.extend((dict.len() as u16).to_le_bytes());
    head.extend(dict.as_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_is_numpys_own() {
        let info = check::info(5, 3, 1, SampleType::U16);
        let head = NpyLayout::new(&info).unwrap().head;
        let dict = "{'descr': '<u2', 'fortran_order': False, 'shape': (3, 5), }";
        let mut expected = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        expected.extend(format!("{dict:117}\n").bytes());
        assert_eq!(head, expected);
        assert_eq!(head.len(), 128);
    }

    proptest! {
        #[test]
        fn any_range_is_that_of_the_whole_file_and_the_pixels_are_behind_the_header(
            info in check::any_info(),
            cuts in check::any_cuts(),
        ) {
            let layout = NpyLayout::new(&info).unwrap();
            let file = check::whole(&layout, &info);
            check::ranges(&layout, &info, &file, &cuts);
            let pixels = check::pixels(&info, 0, info.grid.image(0)).samples;
            let (head, body) = file.split_at(file.len() - pixels.len());
            prop_assert_eq!(body, pixels); // tests run on little-endian machines
            prop_assert_eq!(head.len() % 64, 0);
        }
    }
}
