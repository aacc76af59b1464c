//! What an object says of itself beside its bytes: its media type.

use std::sync::Arc;

use super::sender::Sender;
use crate::key::ObjectKey;

/// What the markers of directories say that they are, as AWS's console has it.
pub(super) const MARKER_TYPE: &str = "application/x-directory";

impl Sender {
    /// The media type of an object: the one that the mount was given for all, or by the
    /// ending of its name; `None` for an ending that nobody knows.
    pub(super) fn content_type(&self, key: &ObjectKey) -> Option<Arc<str>> {
        let guessed = || mime_guess::from_path(key.as_str()).first_raw().map(Arc::from);
        self.config.content_type.clone().or_else(guessed)
    }
}
