//! Headers of any image, and what must hold for the layout of any.

use crate::layout::{Layout, NoView, UnitData, UnitInput};
use crate::raster::{Color, Extras, Limits, Pixels, RasterInfo, SampleType, TileGrid};

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

/// Units larger than this are not made.
const UNIT_BYTES: u64 = 4 << 20;

/// What the fuzzer chooses of a header: the image's start and size, how far before
/// it the tiles start, their size; bands, sample, colour, levels, nodata.
pub type Choice = ((u32, u32), (u32, u32), (u32, u32), (u32, u32), u16, u8, u8, u8, Option<f64>);

/// The header, if one such can be read from a file and lies within the limits.
pub fn header(choice: Choice) -> Option<RasterInfo> {
    let (start, size, back, tile, bands, sample, color, levels, nodata) = choice;
    // Its low bits say how much of a number is left: small images are as likely.
    let any = |(x, y): (u32, u32)| (x >> (x & 31), y >> (y & 31));
    let (start, size, back, tile) = (any(start), any(size), any(back), any(tile));
    let image_end = (start.0.checked_add(size.0)?, start.1.checked_add(size.1)?);
    let tile_size = (tile.0.max(1), tile.1.max(1));
    // The first tile has a part of the image (T.800 B.3).
    let before = |start: u32, back: u32, tile: u32| start - (back % tile).min(start);
    let tile_start = (before(start.0, back.0, tile_size.0), before(start.1, back.1, tile_size.1));
    let (color, bands) = match color % 5 {
        0 => (Color::Gray, 1),
        1 => (Color::GrayAlpha, 2),
        2 => (Color::Rgb, 3),
        3 => (Color::Rgba, 4),
        _ => (Color::Bands, bands),
    };
    let grid = TileGrid { image_start: start, image_end, tile_start, tile_size };
    let limits = Limits::default();
    let pixels = u64::from(size.0) * u64::from(size.1);
    let tiles = u64::from(grid.columns()) * u64::from(grid.rows());
    let sample = TYPES[usize::from(sample) % TYPES.len()];
    // As many levels have a mask as nodata has bits for, of those that it chooses.
    let masked = nodata.map_or(0, f64::to_bits);
    let masked = (0..masked % 5).map(|level| masked >> (8 + level) & 1 == 1).collect();
    (pixels <= limits.image_pixels && tiles <= limits.tiles).then_some(RasterInfo {
        codec: "fuzz",
        width: size.0,
        height: size.1,
        bands,
        sample,
        bit_depth: sample.bytes() as u8 * 8,
        color,
        grid,
        levels: 1 + levels % 33,
        nodata,
        geo: None,
        unsupported: None,
        warnings: Vec::new(),
        ranges: None,
        extras: Extras { masked, ..Extras::default() },
    })
}

/// A layout cuts its file into units without gaps, whose ranges, numbers and bytes
/// agree; there is none only where an image has a reason.
pub fn hold<L: Layout>(
    make: impl Fn(&RasterInfo) -> Result<L, NoView>,
    (choice, places): (Choice, [u64; 4]),
) {
    let Some(info) = header(choice) else { return };
    let Ok(layout) = make(&info) else { return };
    assert!(layout.units() > 0 && layout.unit_range(0).start == 0);
    assert_eq!(layout.unit_range(layout.units() - 1).end, layout.size());
    for place in places {
        let offset = place % layout.size();
        let unit = layout.unit_at(offset);
        let range = layout.unit_range(unit);
        assert!(range.contains(&offset));
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
                let encoded = layout
                    .encode(unit, UnitData::Pixels(&Pixels { rect, samples: samples.into() }));
                layout.checksum(unit, &encoded);
                encoded
            }
            UnitInput::Mask { level, rect } => {
                assert!(!rect.is_empty() && info.mask_level(level).is_some());
                assert_eq!(rect.intersection(&info.image(level)), rect);
                let samples = vec![255; rect.pixels() as usize];
                layout.encode(unit, UnitData::Pixels(&Pixels { rect, samples: samples.into() }))
            }
            UnitInput::Checksums { of } => {
                assert!(of.0 < of.1 && of.1 < layout.units());
                let all = (of.1 - of.0) as usize;
                layout.encode(unit, UnitData::Checksums(&vec![7; all]))
            }
        };
        assert_eq!(bytes.len() as u64, range.end - range.start);
    }
}
