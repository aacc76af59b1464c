use std::io::Cursor;

use ::tiff as tiff_reader;
use proptest::prelude::*;

use super::super::check;
use super::*;
use crate::raster::TileGrid;

/// The pixels of all images of a file, read by the `tiff` crate.
fn read_back(file: &[u8]) -> Vec<(u32, u32, Vec<u8>)> {
    let mut decoder = tiff_reader::decoder::Decoder::new(Cursor::new(file)).unwrap();
    let mut images = Vec::new();
    loop {
        let (width, height) = decoder.dimensions().unwrap();
        let mut pixels = decoder.read_image().unwrap();
        let counts = decoder.get_tag_u64_vec(tiff_reader::tags::Tag::TileByteCounts).unwrap();
        let (columns, rows) = decoder.chunk_dimensions();
        let samples = pixels.as_buffer(0).as_bytes().len() as u64;
        let tile = samples / u64::from(width) / u64::from(height) * u64::from(columns * rows);
        assert!(counts.iter().all(|&count| count == tile), "{counts:?}, not {tile}");
        images.push((width, height, pixels.as_buffer(0).as_bytes().to_vec()));
        if !decoder.more_images() {
            return images;
        }
        decoder.next_image().unwrap();
    }
}

fn geo() -> GeoTags {
    GeoTags {
        pixel_scale: vec![10.0, 10.0, 0.0],
        tiepoints: vec![0.0, 0.0, 0.0, 600_000.0, 5_300_040.0, 0.0],
        transformation: vec![],
        key_directory: vec![1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632],
        double_params: vec![],
        ascii_params: String::new(),
    }
}

#[test]
fn what_gdal_keeps_beside_the_pixels_is_carried_over() {
    let mut info = check::info(3, 2, 5, SampleType::U8);
    info.color = Color::RgbBands;
    info.extras.carried.gdal_metadata = "<GDALMetadata><Item>x</Item></GDALMetadata>".to_owned();
    info.extras.carried.rpc = (0..92).map(f64::from).collect();
    info.extras.carried.extra_samples = vec![1, 0];
    let file = check::whole(&TiffLayout::new(&info).unwrap(), &info);
    let mut decoder = tiff_reader::decoder::Decoder::new(Cursor::new(&file)).unwrap();
    let tag = tiff_reader::tags::Tag::from_u16_exhaustive;
    let text = decoder.get_tag_ascii_string(tag(42_112)).unwrap();
    assert_eq!(text, info.extras.carried.gdal_metadata);
    assert_eq!(decoder.get_tag_f64_vec(tag(50_844)).unwrap(), info.extras.carried.rpc);
    assert_eq!(decoder.get_tag_u16_vec(tag(338)).unwrap(), [1, 0]);
}

#[test]
fn a_palette_has_a_color_for_each_value_that_a_sample_can_have() {
    let mut info = check::info(3, 2, 1, SampleType::U8);
    info.color = Color::Palette;
    info.extras.palette = Some(vec![[1, 2, 3], [255, 0, 128]].into());
    let file = check::whole(&TiffLayout::new(&info).unwrap(), &info);
    let mut decoder = tiff_reader::decoder::Decoder::new(Cursor::new(&file)).unwrap();
    let colors = decoder.get_tag_u16_vec(tiff_reader::tags::Tag::ColorMap).unwrap();
    assert_eq!(colors.len(), 3 * 256);
    assert_eq!((colors[0], colors[1], colors[2]), (257, 65_535, 0));
    assert_eq!((colors[256], colors[512 + 1]), (2 * 257, 128 * 257));
}

#[test]
fn a_palette_of_16_bits_is_the_one_that_the_image_has() {
    let mut info = check::info(3, 2, 1, SampleType::U8);
    info.color = Color::Palette;
    info.extras.palette = Some(vec![[1, 2, 3], [255, 0, 128]].into());
    info.extras.carried.color_map = vec![0x0102, 0xff00, 0x0200, 0x0011, 0x03ff, 0x8000];
    let file = check::whole(&TiffLayout::new(&info).unwrap(), &info);
    let mut decoder = tiff_reader::decoder::Decoder::new(Cursor::new(&file)).unwrap();
    let colors = decoder.get_tag_u16_vec(tiff_reader::tags::Tag::ColorMap).unwrap();
    assert_eq!(colors.len(), 3 * 256);
    assert_eq!(colors[..3], [0x0102, 0xff00, 0]);
    assert_eq!(colors[256..259], [0x0200, 0x0011, 0]);
    assert_eq!(colors[512..515], [0x03ff, 0x8000, 0]);
}

#[test]
fn the_size_of_a_scene_is_what_its_tiles_have() {
    let grid = TileGrid { tile_size: (1024, 1024), ..TileGrid::whole(10_980, 10_980) };
    let info = RasterInfo { grid, levels: 5, ..check::info(10_980, 10_980, 1, SampleType::U16) };
    let layout = TiffLayout::new(&info).unwrap();
    let tiles: u64 = (0..5).map(|k| 121 * 2 * (1024u64 >> k).pow(2)).sum();
    let beside = layout.size() - tiles - 5 * GAP_BYTES;
    assert!(beside < 8192 + 5 * PAGE_BYTES, "{beside}");
    // What the kernel reads beyond the directories needs no pixels.
    let opening = layout.unit_at(0)..=layout.unit_at(GAP_BYTES - 1);
    assert!(opening.into_iter().all(|unit| layout.unit_input(unit) == UnitInput::Nothing));
    assert_eq!(layout.flavor, Flavor::Classic);
    // The smallest overview first, the full resolution last.
    let last = layout.unit_input(layout.units() - 1);
    assert!(matches!(last, UnitInput::Pixels { level: 0, .. }));
    let first =
        (0..).map(|unit| layout.unit_input(unit)).find(|input| *input != UnitInput::Nothing);
    assert!(matches!(first, Some(UnitInput::Pixels { level: 4, .. })));
}

#[test]
fn a_file_beyond_4_gib_is_a_big_tiff_and_known_at_once() {
    let info = check::info(100_000, 50_000, 1, SampleType::U8);
    let layout = TiffLayout::new(&info).unwrap();
    assert_eq!(layout.flavor, Flavor::Big);
    assert!(layout.size() > 5_000_000_000);
    // Tables of 19,000 entries are in units of their own.
    assert!(layout.unit_range(1).end - layout.unit_range(1).start <= TABLE_BYTES);
    for unit in (0..layout.units()).step_by(1117) {
        let range = layout.unit_range(unit);
        assert_eq!((layout.unit_at(range.start), layout.unit_at(range.end - 1)), (unit, unit));
    }
    let small = check::info(5, 5, 1, SampleType::U8);
    assert_eq!(TiffLayout::new(&small).unwrap().flavor, Flavor::Classic);
}

#[test]
fn a_file_larger_than_files_can_be_is_none() {
    let info = check::info(u32::MAX, u32::MAX, u16::MAX, SampleType::F64);
    assert!(TiffLayout::new(&info).is_err());
    assert!(TiffLayout::new(&check::info(0, 5, 1, SampleType::U8)).is_err());
}

fn in_big_tiff(info: &RasterInfo) -> TiffLayout {
    let levels = plan::levels(info);
    let geo = info.geo.as_ref().map(geo_tags).unwrap_or_default();
    let draft = Draft { levels: &levels, common: &common_tags(info), geo: &geo };
    let (head, segments) = draft.place(Flavor::Big);
    let layout = TiffLayout::new(info).unwrap();
    TiffLayout { flavor: Flavor::Big, head, segments, ..layout }
}

/// A small file in BigTIFF, which it would be only beyond 4 GiB.
fn small_big_tiff() -> (RasterInfo, TiffLayout) {
    let info = RasterInfo {
        levels: 3,
        geo: Some(geo()),
        nodata: Some(7.0),
        ..check::info(700, 300, 3, SampleType::U16)
    };
    let layout = in_big_tiff(&info);
    (info, layout)
}

#[test]
fn a_big_tiff_reads_back() {
    let (info, layout) = small_big_tiff();
    let file = check::whole(&layout, &info);
    assert_eq!(file[..4], *b"II\x2b\0");
    for (level, (width, height, pixels)) in read_back(&file).into_iter().enumerate() {
        let image = info.grid.image(level as u8);
        assert_eq!((width, height), (image.width, image.height));
        assert!(pixels == check::pixels(&info, level as u8, image).samples);
    }
}

#[test]
fn tiles_at_the_edge_are_filled_with_nodata() {
    let info = RasterInfo { nodata: Some(-9999.0), ..check::info(1, 1, 1, SampleType::I16) };
    let layout = TiffLayout::new(&info).unwrap();
    let file = check::whole(&layout, &info);
    let tile = &file[file.len() - 128 * 128 * 2..];
    assert!(tile[2..].chunks(2).all(|sample| sample == (-9999i16).to_le_bytes()));
    let out_of_range = fill(SampleType::U8, Some(-1.0));
    assert_eq!(out_of_range, [0]);
}

#[test]
fn nodata_is_written_as_gdal_writes_it() {
    let texts = [0.0, -9999.0, 1.5, f64::NAN, f64::NEG_INFINITY, -3.4e38].map(number);
    assert_eq!(texts, ["0", "-9999", "1.5", "nan", "-inf", "-3.4e38"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_range_is_that_of_the_whole_file_which_reads_back_at_each_level(
        info in check::any_info(),
        cuts in check::any_cuts(),
        with_geo in any::<bool>(),
        big in any::<bool>(),
        nodata in prop_oneof![Just(None), Just(Some(0.0)), Just(Some(5.0)), Just(Some(f64::NAN))],
    ) {
        let info = RasterInfo { nodata, geo: with_geo.then(geo), ..info };
        let layout = if big { in_big_tiff(&info) } else { TiffLayout::new(&info).unwrap() };
        let file = check::whole(&layout, &info);
        check::ranges(&layout, &info, &file, &cuts);
        let images = read_back(&file);
        prop_assert_eq!(images.len(), layout.levels.len());
        for (level, (width, height, pixels)) in images.into_iter().enumerate() {
            let image = info.grid.image(level as u8);
            prop_assert_eq!((width, height), (image.width, image.height));
            prop_assert!(pixels == check::pixels(&info, level as u8, image).samples);
        }
    }
}
