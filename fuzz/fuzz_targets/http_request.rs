//! Paths, queries and ranges of requests to s3mem serve.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::foreign::http_request;

fuzz_target!(|input: (&str, &str, &str, u64)| {
    let (path, query, range, size) = input;
    http_request(path, query, range, size);
});
