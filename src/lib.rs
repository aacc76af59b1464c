//! s3mem mounts an S3 bucket so that any program that takes a file name reads
//! objects straight from memory.
//!
//! The crate map, from the top down; imports run strictly downward, which
//! `tests/it/layering.rs` holds:
//!
//! - [`cli`], [`config`]: arguments (syntax), then settings (checked)
//! - [`app`]: mount, daemonize, signals, umount
//! - [`fuse`]: the only folder that names the kernel library
//! - [`fs`]: file-system operations without a kernel
//! - [`overlay`]: what programs write
//! - [`catalog`]: what exists, and under which name
//! - [`view`]: virtual siblings of images
//! - [`raster`]: images as tiles at resolution levels
//! - [`reader`]: the bytes of one object version
//! - [`store`]: requests to S3
//! - [`mem`], [`stats`], [`key`], [`sys`]: memory, counters, nouns, calls to libc

pub mod app;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod fs;
pub mod fuse;
pub mod key;
pub mod mem;
pub mod overlay;
pub mod raster;
pub mod reader;
pub mod stats;
pub mod store;
pub mod sys;
pub mod view;
