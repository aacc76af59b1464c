//! Tests that need no kernel: the file system is called as the kernel would call it, the
//! store stands on a server in the process, and the program prints or refuses.
//!
//! These run anywhere, without /dev/fuse and without root.

mod catalog;
mod cli;
mod conformance;
mod copying;
mod cutting;
mod disk_model;
mod doubtful_writes;
mod hostile_keys;
mod in_order;
mod lanes;
mod memory_store;
mod memory_waits;
mod missing;
mod model;
mod model_later;
mod model_uploads;
mod model_writes;
mod reading;
mod renaming;
mod serve;
mod server;
mod store_writes;
