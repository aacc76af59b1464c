//! The index of tile-parts and the re-wrapped tiles of any bytes: what is decoded has
//! the size that the header promised.
#![no_main]

mod memory;

// A decoder's panic is contained and no finding; the fuzzer's hook would abort at it.
// Ours are still found, since they unwind into the fuzzer.
libfuzzer_sys::fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |data: &[u8]| {
    memory::runtime().block_on(async {
        let Ok(raster) = memory::opened(data).await else { return };
        let info = raster.info();
        for level in [0, info.levels - 1] {
            let Ok(tile) = raster.decode_tile(level, 0, 0).await else { continue };
            assert_eq!(tile.rect, info.grid.tile(level, 0, 0));
            assert_eq!(tile.samples.len() as u64, tile.rect.pixels() * info.pixel_bytes() as u64);
        }
    });
});
