//! What all connections of a server share.

use std::fmt;
use std::sync::Arc;

use super::config::ServeConfig;
use super::counts::Counts;
use super::cursors::Cursors;
use super::recent::Recent;
use crate::fs::FileSystem;

/// Figures of the program beside the server's own: a JSON object.
pub type Figures = Arc<dyn Fn() -> String + Send + Sync>;

/// What all connections share.
pub(super) struct Shared {
    pub(super) fs: Arc<FileSystem>,
    pub(super) config: ServeConfig,
    pub(super) counts: Arc<Counts>,
    pub(super) cursors: Cursors,
    pub(super) recent: Arc<Recent>,
    pub(super) figures: Figures,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the token.
        f.debug_struct("Shared").field("title", &self.config.title).finish_non_exhaustive()
    }
}
