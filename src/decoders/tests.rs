//! Workers that are not what they should be. What real ones do is tested with the program,
//! in `tests/it/decoders.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::wire::{Reply, believable, printable};
use super::*;
use crate::mem::Budget;
use crate::raster::foreign::{Parsed, Pieces};
use crate::raster::{Codec, Color, Decoders, Header, Limits, Picture, RasterError, SampleType};
use crate::stats::Stats;

fn header() -> Header {
    Header {
        width: 2,
        height: 2,
        bands: 1,
        sample: SampleType::U8,
        bit_depth: 8,
        color: Color::Gray,
        nodata: None,
        geo: None,
        frame: 1,
        scratch_bytes: 0,
        unsupported: None,
        warnings: Vec::new(),
    }
}

fn confined() -> Confinement {
    Confinement {
        opens_files: false,
        has_network: false,
        starts_processes: false,
        has_landlock: true,
    }
}

/// A program that does what `script` says, in a folder with these replies as files.
fn program(script: &str, replies: &[(&str, Reply)]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (name, reply) in replies {
        let message = postcard::to_allocvec(reply).unwrap();
        let mut frame = (message.len() as u32).to_le_bytes().to_vec();
        frame.extend([0; 4]);
        frame.extend(message);
        fs::write(folder.path().join(name), frame).unwrap();
    }
    let path = folder.path().join("program");
    let text = format!("#!/bin/sh\nPATH=/usr/bin:/bin\ncd {}\n{script}\n", folder.path().display());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

fn limits() -> Limits {
    Limits { decode_time: Duration::from_secs(2), ..Limits::default() }
}

fn workers(program: PathBuf) -> (Arc<Workers>, Arc<Stats>) {
    let (budget, stats) = (Budget::new(1 << 30), Stats::new());
    let config =
        WorkersConfig { program, decode_bytes: 64 << 20, at_once: 1, budget, stats: stats.clone() };
    (Workers::new(config), stats)
}

async fn asked(workers: &Workers) -> Result<Parsed, RasterError> {
    let file = Pieces { size: 100, pieces: vec![(0, Bytes::from_static(b"P5 2 2 255\n"))] };
    workers.header(Codec::Pnm, &file, &limits()).await
}

/// What comes of asking a worker that is such a program.
async fn outcome(script: &str, replies: &[(&str, Reply)]) -> (Result<Parsed, RasterError>, u64) {
    let (_folder, path) = program(script, replies);
    let (workers, stats) = workers(path);
    let begun = Instant::now();
    let parsed = asked(&workers).await;
    assert!(begun.elapsed() < Duration::from_secs(15), "it has an end");
    (parsed, stats.decoders_stopped.get())
}

fn stopped_for(outcome: (Result<Parsed, RasterError>, u64), why: &str) {
    let (parsed, stopped) = outcome;
    let Err(RasterError::Stopped(text)) = parsed else { panic!("{parsed:?}") };
    assert!(text.contains(why), "{text}");
    assert_eq!(stopped, 1);
}

#[tokio::test]
async fn a_worker_that_does_not_answer_is_killed_at_its_deadline() {
    let ready = [("ready", Reply::Ready(confined()))];
    let hangs = outcome("cat ready >&0; exec sleep 100", &ready).await;
    stopped_for(hangs, "--decode-timeout");
}

#[tokio::test]
async fn a_worker_that_breaks_is_one_error() {
    let ready = || [("ready", Reply::Ready(confined()))];
    stopped_for(outcome("cat ready >&0; kill -SEGV $$", &ready()).await, "signal 11");
    stopped_for(outcome("cat ready >&0; kill -ABRT $$", &ready()).await, "more memory");
    stopped_for(outcome("cat ready >&0; head -c 8 <&0 >seen; exit 3", &ready()).await, "ended");
}

#[tokio::test]
async fn nonsense_is_not_believed() {
    let ready = || ("ready", Reply::Ready(confined()));
    let noise = "cat ready >&0; head -c 100000 /dev/urandom >&0; exec sleep 100";
    stopped_for(outcome(noise, &[ready()]).await, "made no sense");
    // It says that the parser needs what is behind the end, or another answer altogether.
    let says = "cat ready answer >&0; exec sleep 100";
    for answer in [Reply::Missing(100), Reply::Done, Reply::Ready(confined())] {
        let (parsed, _) = outcome(says, &[ready(), ("answer", answer)]).await;
        assert!(matches!(&parsed, Err(RasterError::Stopped(_))), "{parsed:?}");
    }
    let three = Header { bands: 3, ..header() };
    let (parsed, _) =
        outcome(says, &[ready(), ("answer", Reply::Header(three.into(), Picture::default()))])
            .await;
    assert!(matches!(&parsed, Err(RasterError::Stopped(_))), "{parsed:?}");
    let (parsed, _) =
        outcome(says, &[ready(), ("answer", Reply::Header(header().into(), Picture::default()))])
            .await;
    assert!(matches!(&parsed, Ok(Parsed::Header(said, _)) if **said == header()), "{parsed:?}");
}

#[tokio::test]
async fn what_cannot_be_started_is_no_fault_of_the_image() {
    for script in ["exit 1", "head -c 100 /dev/zero >&0; exec sleep 100"] {
        let (_folder, path) = program(script, &[]);
        let (workers, stats) = workers(path);
        let parsed = asked(&workers).await;
        let Err(error @ RasterError::NoDecoder(_)) = parsed else { panic!("{parsed:?}") };
        assert!(!error.is_of_the_image());
        assert_eq!(stats.decoders_stopped.get(), 0);
    }
    let (workers, _) = workers("/nowhere/s3mem".into());
    assert!(matches!(asked(&workers).await, Err(RasterError::NoDecoder(_))));
}

async fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if holds() {
            return;
        }
    }
    panic!("not within 10 seconds");
}

#[tokio::test]
async fn a_worker_that_nobody_waits_for_is_killed_and_the_next_one_works() {
    let ready = [
        ("ready", Reply::Ready(confined())),
        ("answer", Reply::Header(header().into(), Picture::default())),
    ];
    // The first one hangs, later ones answer.
    let script = "cat ready >&0\nif mkdir first 2>/dev/null; then echo $$ >p; mv p pid; exec sleep 100; fi\n\
        cat answer >&0; exec sleep 100";
    let (folder, path) = program(script, &ready);
    let (workers, stats) = workers(path);
    workers.prepare();
    eventually(|| folder.path().join("pid").exists()).await;
    let left = tokio::time::timeout(Duration::from_millis(500), asked(&workers)).await;
    assert!(left.is_err(), "it hangs");
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    let gone = || !PathBuf::from(format!("/proc/{}", pid.trim())).exists();
    eventually(gone).await;
    assert!(matches!(asked(&workers).await, Ok(Parsed::Header(..))));
    assert_eq!(stats.decoders_stopped.get(), 0, "leaving is no fault");
}

#[test]
fn a_text_of_a_worker_is_one_short_line() {
    let text = printable(&format!("first\nsecond\u{1b}[2J{}", "x".repeat(1000)));
    assert!(!text.contains(char::is_control) && text.chars().count() == 300, "{text}");
}

proptest! {
    #[test]
    fn a_header_is_believed_only_if_there_can_be_one(
        bands in 0u16..6,
        bit_depth in 0u8..70,
        color in 0usize..9,
    ) {
        let colors = [
            Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba, Color::Bands,
            Color::RgbBands, Color::Cmyk, Color::Palette, Color::Lab,
        ];
        let color = colors[color];
        let said = Header { bands, bit_depth, color, ..header() };
        let fits = match color {
            Color::Bands => bands > 0,
            Color::Gray => bands == 1,
            Color::GrayAlpha => bands == 2,
            Color::Rgb | Color::Lab => bands == 3,
            Color::Rgba | Color::Cmyk => bands == 4,
            Color::RgbBands => bands > 3,
            Color::Palette => bands == 1,
        };
        prop_assert_eq!(believable(said).is_some(), fits && (1..=8).contains(&bit_depth));
    }
}
