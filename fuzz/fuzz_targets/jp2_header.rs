//! Boxes, main header and georeference of any bytes: no panic, no hang.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::memory::{LIMITS, run, source};
use s3mem_fuzz::raster::jpeg2000::open;

fuzz_target!(|data: &[u8]| {
    let (source, head) = source(data);
    let _ = run(open(source, head, &LIMITS));
});
