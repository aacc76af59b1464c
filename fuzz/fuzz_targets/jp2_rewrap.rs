//! The index of tile-parts and the re-wrapped tiles of any bytes: what is decoded has
//! the size that the header promised.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::memory::{LIMITS, let_decoders_panic, run, source};
use s3mem_fuzz::raster::jpeg2000::open;

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let (source, head) = source(data);
    run(async {
        let Ok(raster) = open(source, head, &LIMITS).await else { return };
        let info = raster.info();
        for level in [0, info.levels - 1] {
            let Ok(tile) = raster.decode_tile(level, 0, 0).await else { continue };
            assert_eq!(tile.rect, info.tile(level, 0, 0));
            assert_eq!(tile.samples.len() as u64, tile.rect.pixels() * info.pixel_bytes() as u64);
        }
    });
});
