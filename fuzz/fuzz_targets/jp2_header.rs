//! Boxes, main header and georeference of any bytes: no panic, no hang.
#![no_main]

mod memory;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = memory::runtime().block_on(memory::opened(data));
});
