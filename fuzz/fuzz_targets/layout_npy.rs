//! Any header: the laws of a layout hold for its .npy file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::laws::{Choice, hold};
use s3mem_fuzz::layout::NpyLayout;

fuzz_target!(|input: (Choice, [u64; 4])| hold(NpyLayout::new, input));
