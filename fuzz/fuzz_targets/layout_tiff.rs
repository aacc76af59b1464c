//! Any header: the laws of a layout hold for its .tiff file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::laws::{Choice, hold};
use s3mem_fuzz::layout::TiffLayout;

fuzz_target!(|input: (Choice, [u64; 4])| hold(TiffLayout::new, input));
