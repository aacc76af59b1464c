//! Why an image cannot be decoded.

use super::{Limits, SourceError};

/// Why there are no pixels.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RasterError {
    /// The bytes are of no image format that is known here.
    #[error("this is no image in a known format")]
    NotAnImage,
    /// An image of a kind that is not converted, since it could not be exact.
    #[error("{0}")]
    Unsupported(String),
    /// The bytes break the rules of their format, or end early.
    #[error("the image is damaged: {0}")]
    Corrupt(String),
    /// The image is larger than is allowed here.
    #[error("{what}, more than {option} allows ({allowed})")]
    Limit {
        /// What is too large, with its value.
        what: String,
        /// The option that raises the limit, such as `--max-image-pixels`.
        option: &'static str,
        /// What the option allows.
        allowed: u64,
    },
    /// Its decoder was stopped before it had an answer: it took too long or too much, or
    /// it broke.
    #[error("the image's decoder was stopped: {0}")]
    Stopped(String),
    /// There is no decoder to be had, whatever the image.
    #[error("no decoder could be started: {0}")]
    NoDecoder(String),
    /// The bytes could not be read.
    #[error("the image's bytes could not be read")]
    Source(#[source] SourceError),
}

impl RasterError {
    /// Whether the same bytes fail in the same way again.
    pub fn is_of_the_image(&self) -> bool {
        !matches!(self, RasterError::Source(_) | RasterError::NoDecoder(_))
    }

    /// That of a decoder that has not ended by its deadline.
    pub fn late(limits: &Limits) -> Self {
        let seconds = limits.decode_time.as_secs();
        stopped(format!("it took longer than --decode-timeout allows ({seconds} s)"))
    }
}

/// The error of a decoder that was stopped.
pub(super) fn stopped(why: impl Into<String>) -> RasterError {
    RasterError::Stopped(why.into())
}

/// The error of bytes that break the rules of their format.
pub(super) fn corrupt(what: impl Into<String>) -> RasterError {
    RasterError::Corrupt(what.into())
}
