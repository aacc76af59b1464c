//! What the integration tests, the benches and the demo share: an S3 server in
//! the process, an object store in memory, and objects whose bytes are computed.
//!
//! Contract: everything here is driven from outside (put, delete, break, count)
//! by plain blocking calls from any thread. Never part of the library or of the
//! program: a crate that wants it names this file with `#[path]`.
//!
//! What the integration tests alone need is in `harness/`, which they include by
//! themselves: it needs the program to be built.

#![expect(unreachable_pub, reason = "one crate includes this for each test binary and example")]
#![expect(
    clippy::expect_used,
    reason = "a test without its world has nothing better to do than to stop"
)]

pub mod bucket;
pub mod memory_store;
pub mod pattern;
pub mod server;

/// A real JPEG 2000 image with the structure of a Sentinel-2 band; see `data/README.md`.
pub static B01_JP2: &[u8] = include_bytes!("data/B01.jp2");
