//! s3mem mounts an S3 bucket so that any program that takes a file name reads
//! objects straight from memory.
//!
//! The crate map, from the top down; imports run strictly downward, which
//! `tests/it/layering.rs` holds:
//!
//! - [`cli`], [`config`]: arguments (syntax), then settings (checked)
//! - [`app`]: mount, daemonize, signals, umount
//! - [`fuse`]: the only folder that names the kernel library
//! - [`serve`]: the same tree by HTTP
//! - [`fs`]: what each call of a file system means, without a kernel
//! - [`publish`]: from what programs wrote to an object, and out of memory again
//! - [`names`]: what a name stands for
//! - [`drafts`]: what programs wrote, in memory
//! - [`catalog`]: what exists, and under which name
//! - [`view`]: virtual siblings of images
//! - [`decoders`]: decoders that are not ours, in processes of their own
//! - [`raster`]: images as tiles at resolution levels
//! - [`reader`]: the bytes of one object version
//! - [`store`]: requests to S3
//! - [`fleet`]: what one mount has made, for all others: entries in a bucket
//! - [`disk`]: memory that outlives the mount, in a folder
//! - [`mem`], [`stats`], [`sync`], [`key`], [`sys`]: memory, counters, locks, nouns, calls to libc

pub mod app;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod decoders;
pub mod disk;
pub mod drafts;
pub mod fleet;
pub mod fs;
pub mod fuse;
pub mod key;
pub mod mem;
pub mod names;
pub mod publish;
pub mod raster;
pub mod reader;
pub mod serve;
pub mod stats;
pub mod store;
pub mod sync;
pub mod sys;
pub mod view;
