//! Any header: the layout of a .npy file cuts it into units without gaps, whose ranges,
//! numbers and bytes agree, or there is none.

#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem::raster::{Color, Pixels, RasterInfo, SampleType, TileGrid};
use s3mem::view::layout::{Layout, NpyLayout, UnitData, UnitInput};

const TYPES: [SampleType; 8] = [
    SampleType::U8,
    SampleType::I8,
    SampleType::U16,
    SampleType::I16,
    SampleType::U32,
    SampleType::I32,
    SampleType::F32,
    SampleType::F64,
];
const COLORS: [Color; 5] = [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba, Color::Bands];
/// Units larger than this are not made.
const UNIT_BYTES: u64 = 4 << 20;

type Header = ((u32, u32), (u32, u32), (u32, u32), (u32, u32), u16, u8, u8, u8, Option<f64>);

fuzz_target!(|input: (Header, [u64; 4])| {
    let ((start, size, back, tile, bands, sample, color, levels, nodata), places) = input;
    let Some(end_x) = start.0.checked_add(size.0) else { return };
    let Some(end_y) = start.1.checked_add(size.1) else { return };
    let grid = TileGrid {
        image_start: start,
        image_end: (end_x, end_y),
        tile_start: (start.0.saturating_sub(back.0), start.1.saturating_sub(back.1)),
        tile_size: (tile.0.max(1), tile.1.max(1)),
    };
    let info = RasterInfo {
        codec: "fuzz",
        width: size.0,
        height: size.1,
        bands,
        sample: TYPES[usize::from(sample) % TYPES.len()],
        bit_depth: 8,
        color: COLORS[usize::from(color) % COLORS.len()],
        grid,
        levels: 1 + levels % 33,
        nodata,
        geo: None,
        unsupported: None,
    };
    let Ok(layout) = NpyLayout::new(&info) else { return };
    assert!(layout.units() > 0 && layout.unit_range(0).start == 0);
    assert_eq!(layout.unit_range(layout.units() - 1).end, layout.size());
    for place in places {
        let unit = layout.unit_at(place % layout.size());
        let range = layout.unit_range(unit);
        assert!(range.contains(&(place % layout.size())));
        assert_eq!(layout.unit_at(range.start), unit);
        assert_eq!(layout.unit_at(range.end - 1), unit);
        if unit + 1 < layout.units() {
            assert_eq!(layout.unit_range(unit + 1).start, range.end);
        }
        if range.end - range.start > UNIT_BYTES {
            continue;
        }
        let bytes = match layout.unit_input(unit) {
            UnitInput::Nothing => layout.encode(unit, UnitData::Nothing),
            UnitInput::Pixels { level, rect } => {
                assert!(!rect.is_empty());
                assert_eq!(rect.intersection(&info.grid.image(level)), rect);
                let samples = vec![7; rect.pixels() as usize * info.pixel_bytes()];
                let encoded = layout.encode(unit, UnitData::Pixels(&Pixels { rect, samples }));
                layout.checksum(unit, &encoded);
                encoded
            }
            UnitInput::Checksums { of } => {
                assert!(of.0 < of.1 && of.1 < layout.units());
                continue;
            }
        };
        assert_eq!(bytes.len() as u64, range.end - range.start);
    }
});
