//! The integration tests: one binary, so that the SDK is linked once.
//!
//! `kernelless/` runs anywhere; `mounted/` needs /dev/fuse. The others read the project
//! itself: its documents and its imports. What they all stand on is in `tests/support/`.

#![expect(clippy::unwrap_used, reason = "a test that gets no answer has failed")]

#[expect(dead_code, reason = "the demo and the benches use more of it")]
#[path = "../support/mod.rs"]
mod support;

#[path = "../support/harness/mod.rs"]
mod harness;

mod book;
mod circles;
mod decoders;
mod docs;
mod kernelless;
mod layering;
mod mounted;
mod project;
