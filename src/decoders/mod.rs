//! Decoders that are not ours, in processes of their own.
//!
//! Contract: [`Workers`] is a [`raster::Decoders`](crate::raster::Decoders) whose parsers
//! and decoders can hurt nobody. Each runs in a process that has no files, no network and
//! no children (`confine`), gets the bytes that it asks for and nothing else, and is
//! killed when it takes too long or too much, when it breaks, or when nobody waits for it
//! any more. That costs one error of one image. Nothing that a worker says is believed
//! before it was checked.
//!
//! The way of a request:
//!
//! 1. `pool` has workers that were started ahead: this very program, run again. The first
//!    is started while the first bytes of the first image are read. A worker gets one
//!    request, and no other until it has answered.
//! 2. Of a header it gets the pieces that are here (`wire`). If its parser needs more, it
//!    says what is missing; the bytes are fetched, and any worker starts again.
//! 3. Of an image to decode it gets the whole file in sealed memory, and memory for the
//!    pixels. It writes them there and lets go of them. The memory is sealed, and its
//!    pixels are given out without a copy.
//!
//! JPEG 2000 is decoded in the daemon: its headers and its index are read by code of ours,
//! in ranges, and its decoder has no unsafe code and limits for all that it allocates.

mod confine;
mod frame;
mod pool;
#[cfg(test)]
mod tests;
mod wire;
mod work;

use std::path::PathBuf;

pub use confine::Confinement;
pub use pool::{Workers, WorkersConfig};
pub use work::{ARGUMENT, work};

/// Where decoders that are not ours run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In processes of their own.
    Workers {
        /// What they run: this program, which calls [`work`] if [`ARGUMENT`] is its first
        /// argument.
        program: PathBuf,
    },
    /// In the daemon.
    InProcess,
}

impl Place {
    /// In processes that run what this process runs.
    pub fn workers() -> Self {
        Place::Workers { program: "/proc/self/exe".into() }
    }
}
