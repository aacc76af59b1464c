//! Why an image cannot be decoded.

use super::SourceError;

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
    /// The bytes could not be read.
    #[error("the image's bytes could not be read")]
    Source(#[source] SourceError),
}

/// The error of bytes that break the rules of their format.
pub(super) fn corrupt(what: impl Into<String>) -> RasterError {
    RasterError::Corrupt(what.into())
}
