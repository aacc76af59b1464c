//! What the tests of all layouts share: images of any shape, and the law that a
//! file is the same however it is read.

use proptest::prelude::*;
use proptest::sample::Index;

use super::{Layout, UnitData, UnitInput};
use crate::raster::{Color, Extras, Pixels, RasterInfo, Rect, SampleType, TileGrid};

pub(crate) const TYPES: [SampleType; 10] = [
    SampleType::U8,
    SampleType::I8,
    SampleType::U16,
    SampleType::I16,
    SampleType::U32,
    SampleType::I32,
    SampleType::U64,
    SampleType::I64,
    SampleType::F32,
    SampleType::F64,
];

pub(crate) fn info(width: u32, height: u32, bands: u16, sample: SampleType) -> RasterInfo {
    RasterInfo {
        codec: "test",
        width,
        height,
        bands,
        sample,
        bit_depth: sample.bytes() as u8 * 8,
        color: Color::Bands,
        grid: TileGrid::whole(width, height),
        levels: 1,
        nodata: None,
        geo: None,
        unsupported: None,
        warnings: Vec::new(),
        ranges: None,
        extras: Extras::default(),
    }
}

prop_compose! {
    pub(crate) fn any_info()(
        start in prop_oneof![Just((0u32, 0u32)), (0u32..40, 0u32..40)],
        size in (1u32..150, 1u32..150),
        back in (0u32..40, 0u32..40),
        tile in prop_oneof![
            Just((16u32, 16u32)), Just((64, 64)), Just((128, 64)), Just((200, 200)),
            (1u32..90, 1u32..90),
        ],
        bands in 1u16..7,
        sample in 0usize..10,
        color in 0usize..5,
        levels in 1u8..7,
    ) -> RasterInfo {
        let colors = [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba];
        let color = colors.get(color).copied().unwrap_or(Color::Bands);
        let bands = match color {
            Color::Gray => 1,
            Color::GrayAlpha => 2,
            Color::Rgb => 3,
            Color::Rgba => 4,
            _ => bands,
        };
        let grid = TileGrid {
            image_start: start,
            image_end: (start.0 + size.0, start.1 + size.1),
            tile_start: (start.0.saturating_sub(back.0), start.1.saturating_sub(back.1)),
            tile_size: tile,
        };
        RasterInfo { color, grid, levels, ..info(size.0, size.1, bands, TYPES[sample]) }
    }
}

pub(crate) fn any_cuts() -> impl Strategy<Value = Vec<(Index, Index)>> {
    prop::collection::vec(any::<(Index, Index)>(), 0..6)
}

/// Pixels that follow from their place alone.
pub(crate) fn pixels(info: &RasterInfo, level: u8, rect: Rect) -> Pixels {
    let mut samples = Vec::new();
    for y in rect.y..rect.y + rect.height {
        for x in rect.x..rect.x + rect.width {
            for band in 0..u32::from(info.bands) {
                let value = (x * 31 + y * 1009 + band * 7 + u32::from(level) * 101) % 60_000;
                match info.sample {
                    SampleType::U8 | SampleType::I8 => samples.push(value as u8),
                    SampleType::U16 | SampleType::I16 => {
                        samples.extend((value as u16).to_ne_bytes());
                    }
                    SampleType::U32 | SampleType::I32 => samples.extend(value.to_ne_bytes()),
                    SampleType::F32 => samples.extend((value as f32).to_ne_bytes()),
                    SampleType::U64 | SampleType::I64 => {
                        samples.extend(u64::from(value).to_ne_bytes());
                    }
                    SampleType::F64 => samples.extend(f64::from(value).to_ne_bytes()),
                }
            }
        }
    }
    Pixels { rect, samples: samples.into() }
}

/// A mask in which every third pixel is valid, in each band another one.
pub(crate) fn mask(info: &RasterInfo, rect: Rect) -> Pixels {
    let bands = info.mask_bytes() as u32;
    let valid = |x: u32, y: u32, band: u32| if (x + y + band).is_multiple_of(3) { 255 } else { 0 };
    let rows = rect.y..rect.y + rect.height;
    let pixel = |x, y| (0..bands).map(move |band| valid(x, y, band));
    let row = |y| (rect.x..rect.x + rect.width).flat_map(move |x| pixel(x, y));
    Pixels { rect, samples: rows.flat_map(row).collect() }
}

/// The bytes of a unit; holds what a layout promises of it.
pub(crate) fn unit(layout: &dyn Layout, info: &RasterInfo, unit: u64) -> Vec<u8> {
    let range = layout.unit_range(unit);
    assert!(range.start < range.end && range.end <= layout.size());
    assert_eq!(layout.unit_at(range.start), unit);
    assert_eq!(layout.unit_at((range.start + range.end) / 2), unit);
    assert_eq!(layout.unit_at(range.end - 1), unit);
    let bytes = match layout.unit_input(unit) {
        UnitInput::Nothing => layout.encode(unit, UnitData::Nothing),
        UnitInput::Pixels { level, rect } => {
            assert!(!rect.is_empty() && rect.intersection(&info.image(level)) == rect);
            layout.encode(unit, UnitData::Pixels(&pixels(info, level, rect)))
        }
        UnitInput::Mask { level, rect } => {
            assert!(!rect.is_empty() && rect.intersection(&info.image(level)) == rect);
            assert!(info.mask_level(level).is_some());
            layout.encode(unit, UnitData::Pixels(&mask(info, rect)))
        }
        UnitInput::Checksums { of } => {
            let sum = |of| {
                assert!(matches!(layout.unit_input(of), UnitInput::Pixels { .. }));
                layout.checksum(of, &self::unit(layout, info, of))
            };
            let sums: Vec<u32> = (of.0..of.1).map(sum).collect();
            layout.encode(unit, UnitData::Checksums(&sums))
        }
    };
    assert_eq!(bytes.len() as u64, range.end - range.start);
    bytes
}

/// The file from its first unit to its last.
pub(crate) fn whole(layout: &dyn Layout, info: &RasterInfo) -> Vec<u8> {
    let mut file = Vec::new();
    for number in 0..layout.units() {
        assert_eq!(layout.unit_range(number).start, file.len() as u64);
        file.extend(unit(layout, info, number));
    }
    assert_eq!(file.len() as u64, layout.size());
    file
}

/// Ranges of the file, each assembled from the units that it touches.
pub(crate) fn ranges(layout: &dyn Layout, info: &RasterInfo, file: &[u8], cuts: &[(Index, Index)]) {
    for (a, b) in cuts {
        let (a, b) = (a.index(file.len()), b.index(file.len()));
        let range = a.min(b)..a.max(b) + 1;
        let mut found = Vec::new();
        let first = layout.unit_at(range.start as u64);
        let last = layout.unit_at(range.end as u64 - 1);
        for number in first..=last {
            let at = layout.unit_range(number);
            let from = (range.start as u64).max(at.start) - at.start;
            let to = (range.end as u64).min(at.end) - at.start;
            let bytes = unit(layout, info, number);
            found.extend_from_slice(&bytes[from as usize..to as usize]);
        }
        assert!(found == file[range.clone()], "{range:?} of {}", file.len());
    }
}
