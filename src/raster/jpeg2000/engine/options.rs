//! What a caller can set.

use std::fmt;

use crate::raster::jpeg2000::engine::error::{Error, Result};

/// How to decode.
#[derive(Clone, Copy)]
pub(crate) struct Options<'a> {
    /// Threads that decode code-blocks, at least 1.
    pub threads: usize,
    /// Code-blocks (and nodes of their tag trees) that may be kept at a time, about 32 bytes each.
    pub max_code_blocks: u64,
    /// Samples that may be asked for at a time, over all components.
    pub max_samples: u64,
    /// Bytes of working memory for coefficients. Several threads share one row of code-blocks at a time if whole
    /// sub-bands would take more; beyond that the work is refused.
    pub max_memory: u64,
    /// Whether zero bytes behind the last packet are tolerated, as files of digital cinema have them.
    pub allow_trailing_zeros: bool,
    /// Asked before each code-block (and now and then in between): whether to stop.
    pub cancel: Option<&'a (dyn Fn() -> bool + Sync)>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            threads: 1,
            max_code_blocks: 1 << 22,
            max_samples: 1 << 30,
            max_memory: 1 << 30,
            allow_trailing_zeros: false,
            cancel: None,
        }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("threads", &self.threads)
            .field("max_code_blocks", &self.max_code_blocks)
            .field("max_samples", &self.max_samples)
            .field("max_memory", &self.max_memory)
            .field("allow_trailing_zeros", &self.allow_trailing_zeros)
            .field("cancel", &self.cancel.is_some())
            .finish()
    }
}

impl Options<'_> {
    /// Fails if the caller wants to stop.
    pub(crate) fn check(&self) -> Result<()> {
        if self.cancel.is_some_and(|cancel| cancel()) { Err(Error::Cancelled) } else { Ok(()) }
    }
}
