//! Documents of S3 servers: one that stops before its end is none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::foreign::xml_document;

fuzz_target!(|bytes: &[u8]| xml_document(bytes));
