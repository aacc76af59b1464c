//! The law of layouts for headers of any size, whose files nobody could make.

use proptest::prelude::*;

use super::*;
use crate::raster::{Color, RasterInfo, SampleType, TileGrid};

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0u32..200, 0u32..100_000, any::<u32>(), (0u32..32).prop_map(|bit| 1 << bit)]
}

prop_compose! {
    fn any_header()(
        start in (number(), number()),
        size in (number(), number()),
        back in (number(), number()),
        tile in (number(), number()),
        at_origin in any::<bool>(),
        bands in prop_oneof![0u16..6, any::<u16>()],
        sample in 0usize..8,
        levels in 0u8..=255,
        masked in prop::collection::vec(any::<bool>(), 0..4),
        is_apart in any::<bool>(),
    ) -> RasterInfo {
        let start = if at_origin { (0, 0) } else { start };
        let image_end = (start.0.saturating_add(size.0), start.1.saturating_add(size.1));
        let (width, height) = (image_end.0 - start.0, image_end.1 - start.1);
        let grid = TileGrid {
            image_start: start,
            image_end,
            tile_start: (start.0.saturating_sub(back.0), start.1.saturating_sub(back.1)),
            tile_size: (tile.0.max(1), tile.1.max(1)),
        };
        let mut info = check::info(width, height, bands, check::TYPES[sample]);
        info.extras.masked = masked;
        info.extras.has_mask_of_each_band = is_apart;
        RasterInfo { grid, levels, ..info }
    }
}

/// Units follow one another, wherever one looks.
fn probe(layout: &dyn Layout, info: &RasterInfo, places: &[u64]) {
    assert_eq!(layout.unit_range(0).start, 0);
    assert_eq!(layout.unit_range(layout.units() - 1).end, layout.size());
    for place in places {
        let place = place % layout.size();
        let unit = layout.unit_at(place);
        let range = layout.unit_range(unit);
        assert!(range.contains(&place));
        assert_eq!((layout.unit_at(range.start), layout.unit_at(range.end - 1)), (unit, unit));
        if unit + 1 < layout.units() {
            assert_eq!(layout.unit_range(unit + 1).start, range.end);
        }
        match layout.unit_input(unit) {
            UnitInput::Nothing => {
                let bytes = layout.encode(unit, UnitData::Nothing).len() as u64;
                assert_eq!(bytes, range.end - range.start);
            }
            UnitInput::Pixels { level, rect } | UnitInput::Mask { level, rect } => {
                assert!(!rect.is_empty());
                assert_eq!(rect.intersection(&info.grid.image(level)), rect);
            }
            UnitInput::Checksums { of } => assert!(of.0 < of.1 && of.1 < layout.units()),
        }
    }
}

#[test]
fn a_plain_header_has_every_view() {
    let info = check::info(1000, 700, 3, SampleType::U8);
    let info = RasterInfo { color: Color::Rgb, ..info };
    let places = [0, 1, 1000, u64::MAX];
    probe(&PngLayout::new(&info).unwrap(), &info, &places);
    probe(&NpyLayout::new(&info).unwrap(), &info, &places);
    probe(&TiffLayout::new(&info).unwrap(), &info, &places);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn any_header_has_units_without_gaps_or_no_view(
        info in any_header(),
        places in prop::collection::vec(any::<u64>(), 6),
    ) {
        if let Ok(layout) = PngLayout::new(&info) {
            probe(&layout, &info, &places);
        }
        if let Ok(layout) = NpyLayout::new(&info) {
            probe(&layout, &info, &places);
        }
        if let Ok(layout) = TiffLayout::new(&info) {
            probe(&layout, &info, &places);
        }
        let object = ObjectFacts { etag: Some(""), bytes: 0 };
        probe(&JsonLayout::new(&info, object, &[]), &info, &places);
    }
}
