//! What it costs to decode in another process: workers beside decoders in the daemon.
//!
//! ```text
//! cargo bench --bench decoders                    5 rounds, 30 ms for each request
//! cargo bench --bench decoders -- --rounds 9 --delay 0
//! ```
//!
//! A band of 10980 x 10980 pixels of 16 bits as PNG and as TIFF, all of its `.npy`, and
//! the previews of 40 small images, one after the other. Each round reads all of them on
//! fresh mounts, with workers and without in turn, so that what else the machine does
//! falls on both. Medians are compared; the server runs in this process.

#[expect(dead_code, clippy::unwrap_used, reason = "the integration tests use more of it")]
#[path = "../../tests/support/harness/mounting.rs"]
mod mounting;
#[expect(dead_code, unused_imports, reason = "the integration tests use more of it")]
#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, GrayImage, ImageEncoder, ImageFormat, Luma};
use tiff::encoder::colortype::Gray16;
use tiff::encoder::compression::DeflateLevel;
use tiff::encoder::{Compression, TiffEncoder};

use self::mounting::{Mount, Mounting};
use self::support::server::TestServer;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const BUCKET: &str = "images";
const SIDE: u32 = 10_980;
const SMALL: u32 = 40;
const PLACES: [&str; 2] = ["workers", "in-process"];
const BANDS: [&str; 3] = ["band.png", "deflate.tif", "stored.tif"];
const PREVIEW: &str = "preview of a 512 x 512 PNG";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decoders: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: impl Iterator<Item = String>) -> Result<()> {
    let (mut delay, mut rounds) = (30, 5);
    let mut arguments = arguments.filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u64> { Ok(arguments.next().ok_or("a number")?.parse()?) };
        match argument.as_str() {
            "--delay" => delay = number()?,
            "--rounds" => rounds = number()?,
            other => return Err(format!("{other} is not known").into()),
        }
    }
    let server = TestServer::start();
    server.create_bucket(BUCKET);
    put_images(&server)?;
    server.set_delay(Duration::from_millis(delay));
    let mut seconds: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for round in 0..rounds as usize {
        for turn in 0..PLACES.len() {
            let place = PLACES[(round + turn) % PLACES.len()];
            for band in BANDS {
                let mount = mount(&server, place)?;
                let start = Instant::now();
                whole(&mount.join(format!("{band}.npy")))?;
                seconds.entry((band, place)).or_default().push(start.elapsed().as_secs_f64());
                mount.end();
            }
            let mount = mount(&server, place)?;
            for number in 0..SMALL {
                let start = Instant::now();
                whole(&mount.join(format!("{number}.png.preview.png")))?;
                seconds.entry((PREVIEW, place)).or_default().push(start.elapsed().as_secs_f64());
            }
            mount.end();
        }
    }
    println!("\n{:<30} {:>10} {:>12} {:>10} {:>8}", "ms", PLACES[0], PLACES[1], "more", "%");
    for work in BANDS.into_iter().chain([PREVIEW]) {
        let [there, here] = PLACES.map(|place| {
            let mut all = seconds.remove(&(work, place)).unwrap_or_default();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).map_or(f64::NAN, |seconds| seconds * 1e3)
        });
        let (more, percent) = (there - here, (there / here - 1.0) * 100.0);
        println!("{work:<30} {there:>10.1} {here:>12.1} {more:>10.1} {percent:>8.1}");
    }
    Ok(())
}

fn mount(server: &TestServer, place: &str) -> Result<Mount> {
    let flags = ["--memory", "2G", "--decoders", place];
    let mount = Mounting::of(server, BUCKET).with(flags).in_foreground();
    // The listing is not part of the work, nor is the start of the first worker.
    fs::metadata(mount.join(BANDS[0]))?;
    std::thread::sleep(Duration::from_millis(300));
    Ok(mount)
}

/// Hills with noise, about as well compressed as what a satellite sees.
fn band() -> Vec<u16> {
    let mut noise = 1u32;
    let mut samples = Vec::with_capacity((SIDE * SIDE) as usize);
    for y in 0..SIDE {
        for x in 0..SIDE {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let hill = (f64::from(x) / 300.0).sin() + (f64::from(y) / 500.0).cos();
            samples.push((hill * 1500.0 + 3000.0) as u16 + (noise >> 26) as u16);
        }
    }
    samples
}

fn put_images(server: &TestServer) -> Result<()> {
    let samples = band();
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Sub).write_image(
        &bytes,
        SIDE,
        SIDE,
        ExtendedColorType::L16,
    )?;
    server.put(BUCKET, BANDS[0], png);
    for (name, compression) in [
        (BANDS[1], Compression::Deflate(DeflateLevel::Fast)),
        (BANDS[2], Compression::Uncompressed),
    ] {
        let mut file = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut file)?.with_compression(compression);
        encoder.write_image::<Gray16>(SIDE, SIDE, &samples)?;
        server.put(BUCKET, name, file.into_inner());
    }
    for number in 0..SMALL {
        let at = |x: u32, y: u32| samples[((y + number * 100) * SIDE + x) as usize];
        let small = GrayImage::from_fn(512, 512, |x, y| Luma([(at(x, y) >> 5) as u8]));
        let mut file = Cursor::new(Vec::new());
        small.write_to(&mut file, ImageFormat::Png)?;
        server.put(BUCKET, &format!("{number}.png"), file.into_inner());
    }
    Ok(())
}

fn whole(path: &Path) -> Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}
