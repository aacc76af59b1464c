//! Why a sibling can't be looked at or read.

use std::sync::Arc;

use crate::raster::{RasterError, SourceError};
use crate::store::StoreError;
use crate::sync::ToldOnce;

/// Why a view failed; one for all who are told the same.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ViewError {
    /// The image's bytes could not be read.
    #[error("{0}")]
    Store(Arc<StoreError>),
    /// The image can't be decoded.
    #[error("{0}")]
    Image(Arc<ImageError>),
    /// The file that the image is in is another one by now.
    #[error(transparent)]
    Changed(Changed),
}

/// What the source of a file's bytes fails with when the file is not in that state
/// any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file changed while it was decoded")]
pub struct Changed;

/// Why an image can't be decoded.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {cause}")]
pub struct ImageError {
    key: String,
    cause: RasterError,
    /// Shared by all errors of one version: a program that tries again, or reads on
    /// behind a damaged tile, adds nothing to the log.
    reported: Reported,
}

/// Whether the log says of a version that it can't be decoded.
pub(super) type Reported = Arc<ToldOnce>;

impl ImageError {
    /// Whether the image is larger than an option allows.
    pub fn is_limit(&self) -> bool {
        matches!(self.cause, RasterError::Limit { .. })
    }

    /// Whether the image's bytes could not even be read.
    pub fn is_unread(&self) -> bool {
        matches!(self.cause, RasterError::Source(_))
    }

    /// Logs the error, once for all who were told that this version can't be decoded.
    pub fn report(&self) {
        self.reported.tell(|| match self.is_unread() {
            true => tracing::warn!("{self}"),
            false => tracing::warn!("{self}; the object itself can be read as it is"),
        });
    }
}

/// An error of the store on its way through a raster, which knows no stores.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct OfStore(pub(super) Arc<StoreError>);

impl ViewError {
    /// What went wrong with the image `key`.
    pub(super) fn new(key: &str, error: RasterError, reported: &Reported) -> Self {
        if let RasterError::Source(source) = &error {
            if let Some(OfStore(error)) = source.downcast_ref() {
                return ViewError::Store(error.clone());
            }
            if let Some(changed) = source.downcast_ref() {
                return ViewError::Changed(*changed);
            }
        }
        let key = key.escape_debug().to_string();
        ViewError::Image(Arc::new(ImageError { key, cause: error, reported: reported.clone() }))
    }
}

impl From<Arc<StoreError>> for OfStore {
    fn from(error: Arc<StoreError>) -> Self {
        OfStore(error)
    }
}

/// What a raster is told of an error of the store.
pub(super) fn source_error(error: Arc<StoreError>) -> SourceError {
    Arc::new(OfStore(error))
}
