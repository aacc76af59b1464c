use super::super::check;
use super::*;
use crate::raster::{Color, SampleType};
use proptest::prelude::*;

/// Reads a PNG with the `png` crate through `image`, strictly.
fn read_back(file: &[u8]) -> (u32, u32, Vec<u8>) {
    let image = image_reader::load_from_memory(file).unwrap();
    let (width, height) = (image.width(), image.height());
    (width, height, image.as_bytes().to_vec())
}

// Under another name: `image` is hidden from this room's code.
use ::image as image_reader;

#[test]
fn the_size_is_the_one_that_the_formula_says() {
    let info = check::info(10_980, 10_980, 1, SampleType::U16);
    assert_eq!(PngLayout::new(&info).unwrap().size(), 241_188_807);
    let info = check::info(10_980, 10_980, 3, SampleType::U8);
    assert_eq!(PngLayout::new(&info).unwrap().size(), 361_749_207);
}

#[test]
fn what_png_cannot_hold_has_no_view_and_says_why() {
    let of = |bands, sample, color| {
        let info = RasterInfo { color, ..check::info(3, 3, bands, sample) };
        PngLayout::new(&info).map(|_| ()).map_err(|reason| reason.to_string())
    };
    assert_eq!(of(1, SampleType::U8, Color::Bands), Ok(()));
    assert_eq!(of(3, SampleType::U16, Color::Bands), Ok(()));
    assert_eq!(of(2, SampleType::U16, Color::GrayAlpha), Ok(()));
    assert_eq!(of(4, SampleType::U16, Color::Rgba), Ok(()));
    assert!(of(1, SampleType::F32, Color::Gray).unwrap_err().contains("float32"));
    assert!(of(1, SampleType::I16, Color::Gray).unwrap_err().contains("int16"));
    assert!(of(2, SampleType::U8, Color::Bands).unwrap_err().contains("2 bands"));
    assert!(of(4, SampleType::U8, Color::Bands).unwrap_err().contains("4 bands"));
    assert!(of(5, SampleType::U8, Color::Bands).unwrap_err().contains("5 bands"));
}

#[test]
fn what_is_too_large_has_no_view() {
    let of = |width, height, bands, sample| {
        let color = if bands == 4 { Color::Rgba } else { Color::Bands };
        PngLayout::new(&RasterInfo { color, ..check::info(width, height, bands, sample) })
    };
    assert!(of(u32::MAX, 1, 1, SampleType::U8).is_err());
    assert!(of(1, u32::MAX, 1, SampleType::U8).is_err());
    assert!(of(1 << 29, 1, 4, SampleType::U16).is_err()); // a row of 4 GiB
    assert!(of(0, 1, 1, SampleType::U8).is_err());
    let long = of(200_000_000, 3, 4, SampleType::U16).unwrap();
    assert_eq!(long.band_rows, 1);
    assert!(long.unit_range(1).end - long.unit_range(1).start <= PNG_MAX + CHUNK);
}

#[test]
fn a_row_longer_than_a_block_is_split() {
    let info = check::info(40_000, 3, 3, SampleType::U16);
    let layout = PngLayout::new(&info).unwrap();
    let file = check::whole(&layout, &info);
    let (width, height, pixels) = read_back(&file);
    assert_eq!((width, height), (40_000, 3));
    assert!(pixels == check::pixels(&info, 0, info.grid.image(0)).samples);
}

#[test]
fn a_color_profile_is_carried_and_everything_behind_it_moves() {
    use image_reader::ImageDecoder;
    for length in [1, 3144, 70_000] {
        let profile: Vec<u8> = (0..length).map(|n: u32| (n.wrapping_mul(n) / 7) as u8).collect();
        let info = RasterInfo { color: Color::Rgb, ..check::info(40, 150, 3, SampleType::U8) };
        let layout = PngLayout::new(&info).unwrap().with_profile(&profile);
        let file = check::whole(&layout, &info);
        assert_eq!(file.len() as u64, layout.size());
        let decoder = image_reader::codecs::png::PngDecoder::new(std::io::Cursor::new(&file));
        assert_eq!(decoder.unwrap().icc_profile().unwrap(), Some(profile));
        assert!(read_back(&file).2 == check::pixels(&info, 0, info.grid.image(0)).samples);
    }
}

#[test]
fn the_last_sum_is_the_adler_32_of_all_rows() {
    let info = check::info(17, 150, 1, SampleType::U8);
    let layout = PngLayout::new(&info).unwrap();
    let file = check::whole(&layout, &info);
    let mut sum = simd_adler32::Adler32::new();
    for row in check::pixels(&info, 0, info.grid.image(0)).samples.chunks(17) {
        sum.write(&[0]);
        sum.write(row);
    }
    let at = file.len() - 12 - 8;
    assert_eq!(file[at..at + 4], sum.finish().to_be_bytes());
}

proptest! {
    #[test]
    fn sums_combine_as_if_they_were_one(
        first in prop::collection::vec(any::<u8>(), 0..200),
        second in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let sum = |bytes: &[u8]| simd_adler32::adler32(&bytes);
        let both = [first.clone(), second.clone()].concat();
        prop_assert_eq!(combine(sum(&first), sum(&second), second.len() as u64), sum(&both));
    }

    #[test]
    fn any_range_is_that_of_the_whole_file_which_reads_back(
        info in check::any_info(),
        cuts in check::any_cuts(),
    ) {
        let Ok(layout) = PngLayout::new(&info) else { return Ok(()) };
        let file = check::whole(&layout, &info);
        check::ranges(&layout, &info, &file, &cuts);
        let (width, height, pixels) = read_back(&file);
        prop_assert_eq!((width, height), (info.width, info.height));
        prop_assert!(pixels == check::pixels(&info, 0, info.grid.image(0)).samples);
    }

    #[test]
    fn a_preview_reads_back(width in 1u32..80, height in 1u32..80, rgb in any::<bool>()) {
        let info = check::info(width, height, if rgb { 3 } else { 1 }, SampleType::U8);
        let layout = PngLayout::for_preview(width, height, rgb).unwrap();
        let (w, h, pixels) = read_back(&check::whole(&layout, &info));
        prop_assert_eq!((w, h), (width, height));
        prop_assert!(pixels == check::pixels(&info, 0, info.grid.image(0)).samples);
    }
}

#[test]
fn an_image_whose_first_row_is_the_lowest_is_turned_round() {
    let mut info = RasterInfo { color: Color::Gray, ..check::info(3, 150, 1, SampleType::U8) };
    let upside_down = check::whole(&PngLayout::new(&info).unwrap(), &info);
    info.extras.is_bottom_up = true;
    let upright = check::whole(&PngLayout::new(&info).unwrap(), &info);
    let (_, _, below) = read_back(&upside_down);
    let (_, _, above) = read_back(&upright);
    let turned: Vec<u8> = below.chunks(3).rev().flatten().copied().collect();
    assert!(above == turned && above != below);
}
