//! Any bytes, taken for a JPEG 2000 image: a window of a tile has the pixels of the tile. So has one
//! that is decoded as those in huge tiles are, by the lengths of packets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::memory::{LIMITS, let_decoders_panic, run, source};
use s3mem_fuzz::raster::jpeg2000::{open, open_in_windows};
use s3mem_fuzz::raster::{Raster, RasterError, Rect};

/// More tiles of a level than these are not looked at.
const TILES: u32 = 4;

/// Numbers that depend on the bytes alone.
struct Numbers(u32);

impl Numbers {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (u64::from(self.0) * u64::from(end) >> 32) as u32
    }

    fn within(&mut self, all: Rect) -> Rect {
        let (x, y) = (self.below(all.width), self.below(all.height));
        let (width, height) = (1 + self.below(all.width - x), 1 + self.below(all.height - y));
        Rect { x: all.x + x, y: all.y + y, width, height }
    }
}

async fn compare(raster: &dyn Raster, huge: Option<&dyn Raster>, numbers: &mut Numbers) {
    let info = raster.info();
    for level in 0..info.levels {
        let (columns, rows) = info.tiles(level);
        let tiles = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
        for (column, row) in tiles.take(TILES as usize) {
            let rect = info.tile(level, column, row);
            if rect.is_empty() {
                continue;
            }
            let Ok(tile) = raster.decode_tile(level, column, row).await else { continue };
            let window = numbers.within(rect);
            let right = tile.part(window, info.pixel_bytes());
            let found = raster.decode_window(level, window).await;
            assert_eq!(found.ok().as_ref(), Some(&right), "level {level}, {window:?}");
            let Some(huge) = huge else { continue };
            match huge.decode_window(level, window).await {
                Ok(found) => assert_eq!(found, right, "level {level}, {window:?}, by lengths"),
                // What lists lengths may be wrong where packets are right.
                Err(RasterError::Corrupt(_) | RasterError::Limit { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let (bytes, head) = source(data);
    let sum = data.iter().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
    run(async {
        let Ok(raster) = open(bytes.clone(), head.clone(), &LIMITS).await else { return };
        let huge = open_in_windows(bytes, head, &LIMITS).await.ok();
        compare(&*raster, huge.as_deref(), &mut Numbers(sum)).await;
    });
});
