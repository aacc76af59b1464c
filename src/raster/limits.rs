//! How large an image may be; checked from its header, before anything is decoded.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What may be decoded. Each has an option of `s3mem mount`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Pixels of one image (`--max-image-pixels`).
    pub image_pixels: u64,
    /// Pixels times bands of one tile (`--max-tile-samples`).
    pub tile_samples: u64,
    /// Bytes that decoding one tile may take (`--max-decode-memory`).
    pub decode_bytes: u64,
    /// Tiles of one image (`--max-tiles`).
    pub tiles: u64,
    /// Code-blocks of one image (`--max-code-blocks`).
    pub code_blocks: u64,
    /// Pixels times bands for each compressed byte (`--max-expansion`).
    pub expansion: u64,
    /// Bytes of one tile that may be read to find its packets (`--max-walk`).
    pub walk_bytes: u64,
    /// How long a decoder from elsewhere may work on one image (`--decode-timeout`).
    pub decode_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            image_pixels: 512 << 20,
            tile_samples: 16 << 20,
            decode_bytes: 512 << 20,
            tiles: 65_535,
            code_blocks: 4 << 20,
            expansion: 20_000,
            walk_bytes: 256 << 20,
            decode_time: Duration::from_secs(60),
        }
    }
}
