//! Where an image lies on the earth, as the tags of a GeoTIFF say it.

mod epsg;
mod gml;

use serde::{Deserialize, Serialize};

/// The georeference of an image in GeoTIFF's terms (OGC 19-008r4): what a GeoTIFF
/// or a GeoJP2 box has is carried over word for word.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GeoTags {
    /// ModelPixelScaleTag (33550): x, y, z.
    pub pixel_scale: Vec<f64>,
    /// ModelTiepointTag (33922): i, j, k, x, y, z, for each point.
    pub tiepoints: Vec<f64>,
    /// ModelTransformationTag (34264): a 4x4 matrix, row by row.
    pub transformation: Vec<f64>,
    /// GeoKeyDirectoryTag (34735).
    pub key_directory: Vec<u16>,
    /// GeoDoubleParamsTag (34736).
    pub double_params: Vec<f64>,
    /// GeoAsciiParamsTag (34737), without the closing NUL.
    pub ascii_params: String,
}

impl GeoTags {
    /// Reads the tags of a classic TIFF in either byte order, such as the one in a
    /// GeoJP2 box. `None` if it is no TIFF or says nothing of a place.
    pub fn from_tiff(tiff: &[u8]) -> Option<GeoTags> {
        let file = Tiff { bytes: tiff, big_endian: tiff.starts_with(b"MM\0*") };
        if !file.big_endian && !tiff.starts_with(b"II*\0") {
            return None;
        }
        let directory = file.number(4, 4)? as usize;
        let entries = file.number(directory, 2)? as usize;
        let mut tags = GeoTags::default();
        for index in 0..entries {
            let at = directory.checked_add(2)?.checked_add(index.checked_mul(12)?)?;
            // A directory that ends early has no more entries.
            let Some(tag) = file.number(at, 2) else { break };
            match tag {
                33550 => tags.pixel_scale = file.doubles(at).unwrap_or_default(),
                33922 => tags.tiepoints = file.doubles(at).unwrap_or_default(),
                34264 => tags.transformation = file.doubles(at).unwrap_or_default(),
                34735 => tags.key_directory = file.shorts(at).unwrap_or_default(),
                34736 => tags.double_params = file.doubles(at).unwrap_or_default(),
                34737 => tags.ascii_params = file.ascii(at).unwrap_or_default(),
                _ => {}
            }
        }
        (tags != GeoTags::default()).then_some(tags)
    }

    /// The tags for an affine transform of pixel corners: x is `[0] + [1]*column +
    /// [2]*row`, and y is `[3] + [4]*column + [5]*row`.
    fn from_affine(affine: [f64; 6], epsg: u16, geographic: bool) -> GeoTags {
        let [x, x_column, x_row, y, y_column, y_row] = affine;
        let crs = if geographic { 2048 } else { 3072 };
        let mut tags = GeoTags {
            // GTModelType, GTRasterType (an area), then the CRS.
            #[rustfmt::skip]
            key_directory: vec![
                1, 1, 0, 3,
                1024, 0, 1, if geographic { 2 } else { 1 },
                1025, 0, 1, 1,
                crs, 0, 1, epsg,
            ],
            ..GeoTags::default()
        };
        if x_row == 0.0 && y_column == 0.0 && x_column > 0.0 && y_row < 0.0 {
            tags.pixel_scale = vec![x_column, -y_row, 0.0];
            tags.tiepoints = vec![0.0, 0.0, 0.0, x, y, 0.0];
        } else {
            #[rustfmt::skip]
            let matrix = vec![
                x_column, x_row, 0.0, x,
                y_column, y_row, 0.0, y,
                0.0, 0.0, 0.0, 0.0,
                0.0, 0.0, 0.0, 1.0,
            ];
            tags.transformation = matrix;
        }
        tags
    }
}

/// A classic TIFF; every offset in it may be a lie.
struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Tiff<'_> {
    fn number(&self, at: usize, length: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let join = |number, byte: &u8| number << 8 | u64::from(*byte);
        Some(match self.big_endian {
            true => bytes.iter().fold(0, join),
            false => bytes.iter().rev().fold(0, join),
        })
    }

    /// Where the values of the entry at `at` are, and how many, if they are of the
    /// type (as the number that TIFF has for it) and all within the file.
    fn values(&self, at: usize, kind: u64, size: usize) -> Option<(usize, usize)> {
        if self.number(at.checked_add(2)?, 2)? != kind {
            return None;
        }
        let count = usize::try_from(self.number(at.checked_add(4)?, 4)?).ok()?;
        let length = count.checked_mul(size)?;
        let inline = at.checked_add(8)?;
        let start = if length <= 4 { inline } else { self.number(inline, 4)? as usize };
        self.bytes.get(start..start.checked_add(length)?)?;
        Some((start, count))
    }

    fn doubles(&self, at: usize) -> Option<Vec<f64>> {
        let (start, count) = self.values(at, 12, 8)?;
        (0..count).map(|i| self.number(start + 8 * i, 8).map(f64::from_bits)).collect()
    }

    fn shorts(&self, at: usize) -> Option<Vec<u16>> {
        let (start, count) = self.values(at, 3, 2)?;
        (0..count).map(|i| self.number(start + 2 * i, 2).map(|number| number as u16)).collect()
    }

    fn ascii(&self, at: usize) -> Option<String> {
        let (start, count) = self.values(at, 2, 1)?;
        let text = self.bytes.get(start..start + count)?;
        let text = text.strip_suffix(b"\0").unwrap_or(text);
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TIFF of one directory: tag, type, values in the byte order asked.
    fn tiff(big: bool) -> Vec<u8> {
        let n16 = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let n32 = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let n64 = |n: f64| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let mut bytes = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        bytes.extend(n32(8));
        bytes.extend(n16(3));
        for (tag, kind, count, at) in
            [(33550, 12, 3, 50u32), (34735, 3, 4, 74), (34737, 2, 4, 0x4142_4300)]
        {
            bytes.extend(n16(tag));
            bytes.extend(n16(kind));
            bytes.extend(n32(count));
            bytes.extend(if tag == 34737 { at.to_be_bytes() } else { n32(at) });
        }
        bytes.extend([0; 4]);
        bytes.extend([10.0, 20.0, 0.0].map(n64).concat());
        bytes.extend([1, 1, 0, 0].map(n16).concat());
        bytes
    }

    #[test]
    fn tags_are_read_in_both_byte_orders() {
        for big in [false, true] {
            let tags = GeoTags::from_tiff(&tiff(big)).unwrap();
            assert_eq!(tags.pixel_scale, [10.0, 20.0, 0.0]);
            assert_eq!(tags.key_directory, [1, 1, 0, 0]);
            assert_eq!(tags.ascii_params, "ABC");
        }
    }

    #[test]
    fn no_cut_and_no_flip_of_a_tiff_makes_it_panic() {
        for big in [false, true] {
            let whole = tiff(big);
            for at in 0..whole.len() {
                GeoTags::from_tiff(&whole[..at]);
                let mut flipped = whole.clone();
                flipped[at] = !flipped[at];
                GeoTags::from_tiff(&flipped);
            }
        }
    }
}
