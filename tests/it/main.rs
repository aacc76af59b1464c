//! The integration tests: one binary, so that the SDK is linked once.

#![expect(clippy::unwrap_used, reason = "a test that gets no answer has failed")]

#[expect(dead_code, reason = "the demo and the benches use more of it")]
#[path = "../support/mod.rs"]
mod support;

mod backend;
mod catalog;
mod cli;
mod conformance;
mod copying;
mod cutting;
mod docs;
mod kernelless;
mod layering;
mod memory_store;
mod model;
mod model_uploads;
mod model_writes;
mod mounted;
mod mounting;
mod plain_tree;
mod programs;
mod reading;
mod renaming;
mod server;
mod store_writes;
mod uploads;
mod views;
mod writes;
