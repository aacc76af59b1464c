mod masks;
mod science;

use std::io::Cursor;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use proptest::prelude::*;

use super::*;
use crate::raster::{Color, Count, InProcess, Page, Pixels, RasterInfo, SampleType, SourceError};

async fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<Arc<dyn Raster>, RasterError> {
    let decoders: Arc<dyn Decoders> = Arc::new(InProcess);
    super::open(source, limits, &decoders).await
}

#[derive(Debug)]
struct Memory {
    bytes: Bytes,
    reads: Mutex<Vec<Range<u64>>>,
}

#[async_trait]
impl Source for Memory {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        assert!(range.start < range.end && range.end <= self.size());
        self.reads.lock().unwrap().push(range.clone());
        Ok(self.bytes.slice(range.start as usize..range.end as usize))
    }
}

fn memory(bytes: impl Into<Bytes>) -> Arc<Memory> {
    Arc::new(Memory { bytes: bytes.into(), reads: Mutex::default() })
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// Header and pixels, or the first error.
fn read(bytes: impl Into<Bytes>, limits: &Limits) -> Result<(RasterInfo, Pixels), RasterError> {
    run(async {
        let raster = open(memory(bytes), limits).await?;
        Ok((raster.info().clone(), level(&*raster, 0).await?))
    })
}

/// All tiles of a level, put together.
async fn level(raster: &dyn Raster, level: u8) -> Result<Pixels, RasterError> {
    let info = raster.info();
    let (rect, bytes) = (info.image(level), info.pixel_bytes());
    let mut samples = vec![0; rect.pixels() as usize * bytes];
    let (columns, rows) = info.tiles(level);
    for (column, row) in (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))) {
        let tile = raster.decode_tile(level, column, row).await?;
        assert_eq!(tile.rect, info.tile(level, column, row));
        let line = tile.rect.width as usize * bytes;
        for (n, given) in tile.samples.chunks_exact(line).enumerate() {
            let at = (tile.rect.y as usize + n) * rect.width as usize + tile.rect.x as usize;
            samples[at * bytes..at * bytes + line].copy_from_slice(given);
        }
    }
    Ok(Pixels { rect, samples: samples.into() })
}

fn header(name: &str) -> RasterInfo {
    run(open(memory(file(name)), &Limits::default())).unwrap().info().clone()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/images")
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

/// A line of index.txt; see make.py.
#[derive(Debug, Clone)]
struct Fixture {
    name: String,
    codec: String,
    size: (u32, u32),
    bands: u16,
    dtype: String,
    color: String,
    off: u8,
}

impl Fixture {
    fn expected(&self) -> Vec<u8> {
        file(&format!("{}.raw", self.name))
    }

    fn is_exact(&self) -> bool {
        self.off == 0
    }

    fn agrees(&self, pixels: &[u8]) -> bool {
        let expected = self.expected();
        let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= self.off;
        pixels.len() == expected.len() && pixels.iter().zip(&expected).all(near)
    }
}

fn fixtures() -> Vec<Fixture> {
    let index = std::fs::read_to_string(folder().join("index.txt")).unwrap();
    let fixture = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        Fixture {
            name: words[0].to_owned(),
            codec: words[1].to_owned(),
            size: (words[2].parse().unwrap(), words[3].parse().unwrap()),
            bands: words[4].parse().unwrap(),
            dtype: words[5].to_owned(),
            color: words[6].to_owned(),
            off: words[7].parse().unwrap(),
        }
    };
    index.lines().map(fixture).collect()
}

fn supported() -> impl Iterator<Item = Fixture> {
    fixtures().into_iter().filter(|fixture| fixture.color != "unsupported")
}

#[test]
fn each_format_gives_the_pixels_that_other_readers_see() {
    let mut wrong = Vec::new();
    for fixture in supported() {
        match read(file(&fixture.name), &Limits::default()) {
            Ok((info, pixels)) => {
                let color = match info.color {
                    Color::Gray => "gray",
                    Color::GrayAlpha => "gray_alpha",
                    Color::Rgb => "rgb",
                    Color::Rgba => "rgba",
                    Color::Bands => "bands",
                    Color::RgbBands => "rgb_bands",
                    Color::Cmyk => "cmyk",
                    Color::Lab => "lab",
                    Color::Palette => "palette",
                };
                let same = info.codec == fixture.codec
                    && (info.width, info.height) == fixture.size
                    && info.bands == fixture.bands
                    && info.sample.name() == fixture.dtype
                    && color == fixture.color
                    && info.unsupported.is_none()
                    && pixels.rect == info.grid.image(0);
                if !same {
                    wrong.push(format!("{fixture:?} {info:?}"));
                } else if !fixture.agrees(&pixels.samples) {
                    wrong.push(format!("{}: other pixels", fixture.name));
                }
            }
            Err(error) => wrong.push(format!("{}: {error}", fixture.name)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_not_converted_has_a_header_and_a_reason() {
    let mut wrong = Vec::new();
    for fixture in fixtures().into_iter().filter(|fixture| fixture.color == "unsupported") {
        let source = memory(file(&fixture.name));
        match run(open(source, &Limits::default())) {
            Ok(raster) => {
                let info = raster.info();
                assert_eq!((info.width, info.height), fixture.size, "{}", fixture.name);
                let reason = info.unsupported.clone().unwrap_or_default();
                let tile = run(raster.decode_tile(0, 0, 0));
                let refused = matches!(tile, Err(RasterError::Unsupported(why)) if why == reason);
                if !refused || !reason.contains("not converted") {
                    wrong.push(format!("{}: {reason}", fixture.name));
                }
            }
            Err(error) => wrong.push(format!("{}: {error}", fixture.name)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_header_costs_one_read_unless_it_lies_further_behind() {
    for fixture in fixtures() {
        let source = memory(file(&fixture.name));
        let opened = run(open(source.clone(), &Limits::default()));
        assert!(opened.is_ok());
        assert_eq!(source.reads.lock().unwrap().len(), 1, "{}", fixture.name);
    }
    // A comment of 60 KB in front of the frame, which is skipped.
    let mut long = file("rotated.jpg");
    let comment = [&[0xff, 0xfe, 0xea, 0x60][..], &[7; 60_000 - 2]].concat();
    long.splice(2..2, comment);
    let source = memory(long);
    run(open(source.clone(), &Limits::default())).unwrap();
    let reads = source.reads.lock().unwrap().clone();
    assert_eq!((reads.len(), reads[0].clone()), (2, 0..16 << 10));
    assert!(reads[1].start >= 60_000, "{reads:?}");
}

#[test]
fn the_directory_at_the_end_of_a_tiff_is_read_alone() {
    let mut bytes = Cursor::new(Vec::new());
    let pixels: Vec<u16> = (0..500 * 400).map(|i| (i % 65_536) as u16).collect();
    let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut bytes).unwrap();
    encoder.write_image::<::tiff::encoder::colortype::Gray16>(500, 400, &pixels).unwrap();
    let source = memory(bytes.into_inner());
    let raster = run(open(source.clone(), &Limits::default())).unwrap();
    let read: u64 = source.reads.lock().unwrap().iter().map(|read| read.end - read.start).sum();
    assert!(read <= (16 + 64) << 10, "{read}");
    let tile = run(raster.decode_tile(0, 0, 0)).unwrap();
    assert!(tile.samples.iter().copied().eq(pixels.iter().flat_map(|v| v.to_ne_bytes())));
}

#[test]
fn a_geotiff_says_where_it_lies() {
    let info = header("geo.tif");
    let geo = info.geo.unwrap();
    assert_eq!(info.nodata, Some(-9999.0));
    assert_eq!(geo.pixel_scale, [10.0, 10.0, 0.0]);
    assert_eq!(geo.tiepoints, [0.0, 0.0, 0.0, 600_000.0, 5_300_040.0, 0.0]);
    assert!(geo.key_directory.chunks(4).any(|key| key == [3072, 0, 1, 32632]));
    assert!(geo.ascii_params.starts_with("WGS 84 / UTM zone 32N|"));
    assert_eq!(header("uint8.tif").geo, None);
}

#[test]
fn what_is_no_image_costs_one_read() {
    let mut others: Vec<Vec<u8>> = vec![
        b"P1zza recipes".to_vec(),
        b"P6 \n is the sixth paragraph".to_vec(),
        b"BM is a unit of measurement, and this is a text of some length".to_vec(),
        b"%PDF-1.7".to_vec(),
        b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\x04\0\0\x16\0".to_vec(), // icon
        vec![0; 100_000],
        vec![1; 100_000],
        vec![b'x'],
    ];
    others.push((0..=255).collect());
    for bytes in others {
        let source = memory(bytes);
        let opened = run(open(source.clone(), &Limits::default()));
        assert!(matches!(opened, Err(RasterError::NotAnImage)), "{source:?} {opened:?}");
        assert_eq!(source.reads.lock().unwrap().len(), 1);
    }
    let nothing = memory(Vec::new());
    assert!(matches!(run(open(nothing.clone(), &Limits::default())), Err(RasterError::NotAnImage)));
    assert!(nothing.reads.lock().unwrap().is_empty());
}

#[test]
fn limits_hold_before_anything_is_decoded_and_name_their_option() {
    let option = |limits: &Limits| match run(open(memory(file("rgb16.png")), limits)) {
        Err(RasterError::Limit { option, .. }) => option,
        other => panic!("{other:?}"),
    };
    let pixels = Limits { image_pixels: 246, ..Limits::default() };
    assert_eq!(option(&pixels), "--max-image-pixels");
    let memory = Limits { decode_bytes: 19 * 13 * 6, ..Limits::default() };
    assert_eq!(option(&memory), "--max-decode-memory");
    let expansion = Limits { expansion: 0, tile_samples: 1, ..Limits::default() };
    assert!(read(file("rgb16.png"), &expansion).is_ok()); // less than a sample a byte
    // A bomb: 30000x30000 in a header of some bytes.
    let mut bomb = file("gray8.png");
    bomb[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let crc = crc32fast::hash(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&crc);
    let opened = run(open(self::memory(bomb), &Limits::default()));
    assert!(matches!(opened, Err(RasterError::Limit { .. })), "{opened:?}");
}

#[test]
fn a_file_cut_anywhere_gives_an_error_or_its_pixels() {
    let mut wrong = Vec::new();
    // Without its last bytes a TGA is one of the first version, in which opacity counts.
    for fixture in supported().filter(|fixture| !fixture.name.starts_with("unused")) {
        let whole = file(&fixture.name);
        let step = (whole.len() / 60).max(1);
        let ends = (1..40.min(whole.len())).map(|less| whole.len() - less);
        for end in (0..whole.len()).step_by(step).chain(ends) {
            if let Ok((_, pixels)) = read(whole[..end].to_vec(), &Limits::default())
                && !fixture.agrees(&pixels.samples)
            {
                wrong.push(format!("{} of {} bytes: {end}", fixture.name, whole.len()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_number_cut_short_is_no_other_number() {
    let limits = Limits::default();
    let pixels = read(b"P2 2 1 255\n7 123\n".to_vec(), &limits).unwrap().1;
    assert_eq!(pixels.samples[..], [7, 123]);
    for cut in ["P2 2 1 255\n7 123", "P2 2 1 255\n7 12", "P2 2 1 255\n7 "] {
        assert!(read(cut.as_bytes().to_vec(), &limits).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn a_changed_byte_never_panics_and_stays_within_the_limits(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..4),
    ) {
        let all = fixtures();
        let mut bytes = file(&all[which.index(all.len())].name);
        for (at, value, early) in changes {
            let within = if early { bytes.len().min(200) } else { bytes.len() };
            bytes[at.index(within)] = value;
        }
        let limits = Limits { decode_bytes: 16 << 20, ..Limits::default() };
        if let Ok((info, pixels)) = read(bytes, &limits) {
            let expected = info.grid.image(0).pixels() * info.pixel_bytes() as u64;
            prop_assert_eq!(pixels.samples.len() as u64, expected);
            prop_assert!(expected <= limits.decode_bytes);
        }
    }
}

#[test]
fn the_fixtures_cover_each_type_of_sample_and_are_exact_where_formats_are() {
    let all = fixtures();
    for sample in [
        "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32",
        "float64",
    ] {
        assert!(all.iter().any(|fixture| fixture.dtype == sample));
    }
    let lossy = |fixture: &&Fixture| !fixture.is_exact();
    assert!(
        all.iter()
            .filter(lossy)
            .all(|fixture| ["webp", "tiff", "jxl", "dicom"].contains(&&*fixture.codec))
    );
}

#[test]
fn an_exr_that_stores_more_than_it_shows_is_held_to_the_limit_by_what_it_stores() {
    let mut bytes = file("rgb.exr");
    let name = b"dataWindow\0box2i\0";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    // Behind the name the length, then xMin, yMin and xMax.
    let right = at + name.len() + 4 + 8;
    bytes[right..right + 4].copy_from_slice(&900_000_000i32.to_le_bytes());
    let refused = read(bytes, &Limits::default()).unwrap_err();
    let RasterError::Limit { option, .. } = refused else { panic!("{refused}") };
    assert_eq!(option, "--max-image-pixels");
}

#[test]
fn what_is_wrong_beside_the_pixels_is_a_warning() {
    // Which of the fixtures have one, and what it says.
    let odd = [
        ("stray_bytes.jpg", "2 bytes"),
        ("short_app14.jpg", "APP14"),
        ("long_dri.jpg", "DRI"),
        ("transparent1_high.png", "1 bits"),
        ("transparent2_high.png", "2 bits"),
        ("transparent4_high.png", "4 bits"),
        ("promises_exif.webp", "EXIF"),
        ("promises_xmp.webp", "XMP"),
        ("promises_both.webp", "EXIF"),
        ("window_inside.exr", "40 x 30 pixels, in which these begin at (5, 4)"),
        ("window_around.exr", "4 x 3 pixels, in which these begin at (-9, -6)"),
        ("window_outside.exr", "(700, -80)"),
        ("oversized.gif", "larger than its screen"),
        ("unknown_extensions.gif", "no known kind"),
    ];
    for fixture in fixtures() {
        let warnings = header(&fixture.name).warnings;
        match odd.iter().find(|(name, _)| *name == fixture.name) {
            Some((_, said)) => assert!(warnings[0].contains(said), "{fixture:?} {warnings:?}"),
            None => assert!(warnings.is_empty(), "{fixture:?} {warnings:?}"),
        }
    }
}

#[test]
fn a_progressive_jpeg_that_leaves_out_bits_is_not_guessed() {
    let whole = file("sampled_2x2_1x1_1x1_progressive.jpg");
    let scans: Vec<usize> =
        (0..whole.len() - 1).filter(|at| whole[*at..].starts_with(&[0xff, 0xda])).collect();
    for scan in &scans[1..] {
        // Tables of the next scan come before it.
        let mut cut = whole[..*scan].to_vec();
        cut.extend([0xff, 0xd9]);
        assert!(read(cut, &Limits::default()).is_err(), "{scan} of {scans:?}");
    }
}

#[test]
fn a_tiff_whose_missing_value_is_not_a_number_is_decoded() {
    use ::tiff::encoder::{TiffEncoder, colortype::Gray32Float};
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
    let mut image = encoder.new_image::<Gray32Float>(2, 1).unwrap();
    image.encoder().write_tag(::tiff::tags::Tag::from_u16_exhaustive(42_113), "nan").unwrap();
    image.write_data(&[1.5, f32::NAN]).unwrap();
    let (info, pixels) = read(bytes.into_inner(), &Limits::default()).unwrap();
    assert!(info.nodata.is_some_and(f64::is_nan));
    assert_eq!(pixels.samples[..4], 1.5f32.to_ne_bytes());
}

/// A page of a fixture: its pixels at a level, and what its header says.
fn page(name: &str, number: u32, at: u8) -> Option<(RasterInfo, Vec<u8>)> {
    run(async {
        let first = open(memory(file(name)), &Limits::default()).await.unwrap();
        let page = first.page(number).await.unwrap()?;
        let pixels = level(&*page, at).await.unwrap();
        Some((page.info().clone(), pixels.samples.to_vec()))
    })
}

#[test]
fn a_page_has_its_own_header_pixels_and_overviews() {
    let (info, pixels) = page("pages.tif", 2, 0).unwrap();
    let (size, page_of) = ((info.width, info.height, info.bands), info.extras.page.unwrap());
    assert_eq!((size, info.sample, info.color), ((70, 50, 3), SampleType::U16, Color::Rgb));
    assert_eq!((page_of.number, page_of.of), (2, Count::Exactly(3)));
    assert_eq!(pixels, file("pages.tif.page-2.raw"));
    assert_eq!(info.levels, 2);
    let (_, pixels) = page("pages.tif", 2, 1).unwrap();
    assert_eq!(pixels, file("pages.tif.page-2.level-1.raw"));
    // The first page has no part in that.
    assert_eq!(header("pages.tif").levels, 1);
    let (info, pixels) = page("pages.tif", 3, 0).unwrap();
    assert_eq!((info.sample, info.extras.compression), (SampleType::F32, Some("lzw")));
    assert_eq!(pixels, file("pages.tif.page-3.raw"));
    assert!(page("pages.tif", 4, 0).is_none());
    assert!(page("gray8.png", 2, 0).is_none());
}

#[test]
fn the_frames_of_an_animation_are_those_that_pillow_shows() {
    for name in ["frames.gif", "frames.webp"] {
        assert_eq!(header(name).extras.page, Some(Page::first(Count::Exactly(5))));
        for number in 2..=5 {
            let (_, pixels) = page(name, number, 0).unwrap();
            assert_eq!(
                shown(pixels),
                shown(file(&format!("{name}.page-{number}.raw"))),
                "{name} {number}"
            );
        }
        assert!(page(name, 6, 0).is_none());
    }
}

/// RGBA without the colors of what is transparent, which readers fill in differently.
fn shown(mut pixels: Vec<u8>) -> Vec<u8> {
    for pixel in pixels.as_chunks_mut::<4>().0.iter_mut().filter(|pixel| pixel[3] == 0) {
        *pixel = [0; 4];
    }
    pixels
}
