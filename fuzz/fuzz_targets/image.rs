//! Any bytes, taken for an image of any kind: what is decoded has the size that the
//! header promised.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::memory::{Here, LIMITS, let_decoders_panic, run, source};
use s3mem_fuzz::raster::{Decoders, open};

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    run(async {
        let decoders: Arc<dyn Decoders> = Arc::new(Here);
        let Ok(raster) = open(source(data).0, &LIMITS, &decoders).await else { return };
        let info = raster.info();
        let Ok(tile) = raster.decode_tile(0, 0, 0).await else { return };
        assert_eq!(tile.rect, info.grid.tile(0, 0, 0));
        assert_eq!(tile.samples.len() as u64, tile.rect.pixels() * info.pixel_bytes() as u64);
    });
});
