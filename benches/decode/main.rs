//! Decoding JPEG 2000 beside others: processor time, seconds and memory, by one core and by all.
//!
//! ```text
//! python3 benches/views/make_scene.py /tmp/scene --band B04 TCI     10980 x 10980, once
//! python3 benches/decode/make.py /tmp/scene                        further codestreams, once
//! cargo bench --bench decode -- /tmp/scene --rounds 3
//! ```
//!
//! The others are rasterio (GDAL with OpenJPEG; `pip install rasterio` for the `python3` on the
//! PATH, or for the one that S3MEM_TEST_PYTHON names), and opj_decompress and ojph_expand where
//! they are installed. Each decodes a file from the page cache, in a process of its own; rasterio's
//! figures leave out its start. opj_decompress and ojph_expand write what they decode to /dev/shm.
//! Figures are medians. Memory below 28 MiB does not show: so much has the process that measures.

mod ours;

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::available_parallelism;

use ours::Window;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What is decoded: the name, the file, and its side in pixels.
const FILES: [(&str, &str, u32); 5] = [
    ("16 bits, 5/3", "B04.jp2", 10_980),
    ("16 bits, 9/7", "B04_97.jp2", 10_980),
    ("RGB of 8 bits, 5/3", "TCI.jp2", 10_980),
    ("16 bits, 5/3, HTJ2K", "B04_ht.j2c", 10_980),
    ("one tile, 16 bits, 5/3", "one_tile.jp2", 8_000),
];
/// Sides of windows in the middle of a tile. The edges of 256 and 512 are those of code-blocks too;
/// 240 and 496 lie between.
const WINDOWS: [u32; 5] = [240, 256, 496, 512, 1024];
const DECODERS: [&str; 4] = ["s3mem", "rasterio", "opj_decompress", "ojph_expand"];

/// What one run took.
#[derive(Debug, Clone, Copy)]
struct Taken {
    seconds: f64,
    processor_seconds: f64,
    peak_mib: f64,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let done = match words.as_slice() {
        [word, file, window @ ..] if word == "--decode" => {
            Window::parse(window).and_then(|window| ours::decode(Path::new(file), window))
        }
        words => run(words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decode: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let (mut scene, mut rounds) = (None, 3);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => rounds = words.next().ok_or("--rounds needs a number")?.parse()?,
            path => scene = Some(PathBuf::from(path)),
        }
    }
    let scene = scene.ok_or("give the folder of a scene; benches/views/make_scene.py makes one")?;
    let all = available_parallelism()?.get();
    for (name, file, side) in FILES {
        let path = scene.join(file);
        if !path.exists() {
            println!("\n{name}: there is no {file}; benches/decode/make.py makes it");
            continue;
        }
        let works = [None].into_iter().chain(WINDOWS.map(Some));
        for window in works.map(|edge| edge.map(|edge| Window::in_a_tile(side, edge))) {
            let what = window.map_or("whole".into(), |window| format!("window of {}", window.edge));
            println!("\n{name}, {what}: seconds, processor seconds, MiB at most");
            let mut threads = vec![1, all];
            threads.dedup();
            for decoder in DECODERS {
                print!("{decoder:<16}");
                for threads in &threads {
                    match median(decoder, &path, window, *threads, rounds)? {
                        Some(taken) => print!(
                            " {threads} core{}: {:>7.3} {:>7.3} {:>6.0}  ",
                            if *threads == 1 { "" } else { "s" },
                            taken.seconds,
                            taken.processor_seconds,
                            taken.peak_mib
                        ),
                        None => print!(" -"),
                    }
                }
                println!();
            }
        }
    }
    Ok(())
}

/// The medians of several runs; `None` if the decoder is missing or can't do this.
fn median(
    decoder: &str,
    file: &Path,
    window: Option<Window>,
    threads: usize,
    rounds: usize,
) -> Result<Option<Taken>> {
    let mut runs = Vec::new();
    for _ in 0..rounds.max(1) {
        match once(decoder, file, window, threads)? {
            Some(taken) => runs.push(taken),
            None => return Ok(None),
        }
    }
    let middle = |of: fn(&Taken) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Ok(Some(Taken {
        seconds: middle(|taken| taken.seconds),
        processor_seconds: middle(|taken| taken.processor_seconds),
        peak_mib: middle(|taken| taken.peak_mib),
    }))
}

fn once(
    decoder: &str,
    file: &Path,
    window: Option<Window>,
    threads: usize,
) -> Result<Option<Taken>> {
    let python = env::var_os("S3MEM_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/decode/measure.py");
    let mut command = Command::new(python);
    command.arg(script).arg(threads.to_string()).arg(decoder).arg(file);
    command.args(window.map(Window::words).unwrap_or_default());
    if decoder == "s3mem" {
        command.env("DECODE_BENCH", OsString::from(env::current_exe()?));
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(seconds), Some(processor_seconds), Some(peak_mib)) => Ok(Some(Taken {
            seconds: seconds?,
            processor_seconds: processor_seconds?,
            peak_mib: peak_mib?,
        })),
        _ => Ok(None),
    }
}
