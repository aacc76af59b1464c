//! What terminals, programs and the control socket get, and names of attributes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::foreign::messages;

fuzz_target!(|input: (&str, &[u8])| {
    let (said, bytes) = input;
    messages(said, bytes);
});
