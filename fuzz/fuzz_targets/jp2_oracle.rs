//! Any bytes, taken for a raw codestream: where another decoder (hayro-jpeg2000) gives pixels
//! too, they are the same ones; near them where the transform rounds.
#![no_main]

use std::panic::{AssertUnwindSafe, catch_unwind};

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::memory::{LIMITS, let_decoders_panic, run, source};
use s3mem_fuzz::raster::jpeg2000::open;
use s3mem_fuzz::raster::{Raster, SampleType};

/// What the two may differ by where samples are rounded: floats of 32 bits have 24 of them.
const ROUNDED: f32 = 4.0;

/// Whether the main header, and nothing behind it, says that all components are coded by the
/// reversible transform; and whether the other decoder can be trusted with it at all.
fn is_reversible(data: &[u8]) -> bool {
    let has = |marker: u8| data.windows(2).any(|two| two == [0xFF, marker]);
    let cod = data.windows(2).position(|two| two == [0xFF, 0x52]);
    let transform = cod.and_then(|at| data.get(at + 13));
    // COC may say otherwise for a component, and a second COD for a tile.
    transform == Some(&1)
        && !has(0x53)
        && data.windows(2).filter(|two| *two == [0xFF, 0x52]).count() == 1
}

/// SIZ: all components have a sample for each pixel, of at most 16 bits without sign. The other
/// decoder gives signed ones out otherwise.
fn is_plain(data: &[u8]) -> bool {
    let components = data.get(40..42).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
    let each = data.get(42..).unwrap_or_default().chunks_exact(3).take(components.into());
    (1..=4).contains(&components)
        && each.len() == usize::from(components)
        && each.clone().all(|one| one[0] < 16 && one[1..] == [1, 1])
        && data.get(42).is_some_and(|first| each.clone().all(|one| one[0] == *first))
}

/// The image as the other decoder sees it: for each component its samples.
fn theirs(data: &[u8]) -> Option<Vec<Vec<f32>>> {
    let settings =
        DecodeSettings { resolve_palette_indices: false, strict: true, target_resolution: None };
    let decode = || {
        let image = Image::new(data, &settings).ok()?;
        let mut context = DecoderContext::default();
        let decoded = image.decode(&mut context).ok()?;
        Some(decoded.components().iter().map(|plane| plane.samples().to_vec()).collect())
    };
    catch_unwind(AssertUnwindSafe(decode)).ok()?
}

async fn ours(raster: &dyn Raster) -> Option<Vec<f32>> {
    let info = raster.info();
    let (whole, bands) = (info.image(0), usize::from(info.bands));
    let mut all = vec![0.0; whole.pixels() as usize * bands];
    let (columns, rows) = info.tiles(0);
    for (column, row) in (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))) {
        let tile = raster.decode_tile(0, column, row).await.ok()?;
        let size = info.sample.bytes();
        let mut samples = tile.samples.chunks_exact(size).map(|sample| match info.sample {
            SampleType::U8 => f32::from(sample[0]),
            _ => f32::from(u16::from_ne_bytes([sample[0], sample[1]])),
        });
        for y in 0..tile.rect.height {
            let at = ((tile.rect.y + y) * whole.width + tile.rect.x) as usize * bands;
            let to = &mut all[at..at + tile.rect.width as usize * bands];
            to.iter_mut().zip(&mut samples).for_each(|(to, sample)| *to = sample);
        }
    }
    Some(all)
}

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    if !is_plain(data) {
        return;
    }
    let (bytes, head) = source(data);
    run(async {
        let Ok(raster) = open(bytes, head, &LIMITS).await else { return };
        let Some(ours) = ours(&*raster).await else { return };
        let Some(theirs) = theirs(data) else { return };
        let (bands, depth) = (usize::from(raster.info().bands), raster.info().bit_depth);
        let top = ((1u32 << depth) - 1) as f32;
        let allowed = if is_reversible(data) { 0.0 } else { ROUNDED };
        if theirs.len() != bands {
            return;
        }
        for (band, plane) in theirs.iter().enumerate() {
            assert_eq!(plane.len() * bands, ours.len());
            for (their, our) in plane.iter().zip(ours.iter().skip(band).step_by(bands)) {
                let their = their.round_ties_even().clamp(0.0, top);
                assert!((their - our).abs() <= allowed, "{our} here, {their} there, band {band}");
            }
        }
    });
});
