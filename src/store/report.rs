//! What an operator reads in the log about a request that failed.

use super::{StoreError, StoreErrorKind};

impl StoreError {
    /// Logs the error, once for all who were told of it, with what to do about it.
    pub fn report(&self) {
        self.told.tell(|| self.log());
    }

    fn log(&self) {
        // The line has it for people, the field for programs.
        let (line, request_id) = (self.chain(), self.request_id.as_deref());
        match &self.kind {
            StoreErrorKind::NotFound => tracing::debug!(request_id, "{line}"),
            StoreErrorKind::Archived => tracing::warn!(
                request_id,
                "{line}; the object is archived: restore it first \
                 (aws s3api restore-object), then open it again"
            ),
            StoreErrorKind::Changed => tracing::info!(
                request_id,
                "{line}; programs that have it open get ESTALE, the next open gets the new one"
            ),
            StoreErrorKind::ExpiredCredentials => tracing::error!(
                request_id,
                "{line}; renew the credentials (aws sso login, or a new session token)"
            ),
            StoreErrorKind::NoSuchBucket
            | StoreErrorKind::AccessDenied
            | StoreErrorKind::NoCredentials
            | StoreErrorKind::BadCredentials
            | StoreErrorKind::WrongRegion(_)
            | StoreErrorKind::RangeOutside
            | StoreErrorKind::Full
            | StoreErrorKind::Transient
            | StoreErrorKind::ShortBody
            | StoreErrorKind::Timeout
            | StoreErrorKind::Unreachable
            | StoreErrorKind::Damaged
            | StoreErrorKind::NotS3
            | StoreErrorKind::Settings
            | StoreErrorKind::Other => tracing::error!(request_id, "{line}"),
        }
    }
}
