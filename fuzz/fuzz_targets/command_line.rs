//! Sizes, times and addresses of the command line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::foreign::command_line;

fuzz_target!(|input: (&str, u64)| {
    let (typed, number) = input;
    command_line(typed, number);
});
