//! Any header: the laws of a layout hold for its .png file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::laws::{Choice, hold};
use s3mem_fuzz::layout::PngLayout;

fuzz_target!(|input: (Choice, [u64; 4])| hold(PngLayout::new, input));
