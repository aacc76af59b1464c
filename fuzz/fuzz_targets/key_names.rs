//! Keys to file names and back: injective, and leads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::foreign::key_names;

fuzz_target!(|input: (&str, &str)| {
    let (one, other) = input;
    key_names(one, other);
});
