//! What the gallery of a server tells of its work, as a line of JSON.

use super::json::object;
use crate::fs::{FileSystem, Web};
use crate::stats::Stats;

/// The counters and the memory of a server.
pub(super) fn figures(stats: &Stats, fs: &FileSystem) -> String {
    let counts = stats.snapshot();
    let (used, limit) = Web::of(fs).memory();
    let memory = [("used_bytes", used.to_string()), ("limit_bytes", limit.to_string())];
    let mut requests = counts.named();
    requests.retain(|(name, _)| !name.starts_with("decoders"));
    object([
        ("requests", object(requests.into_iter().map(|(name, count)| (name, count.to_string())))),
        ("memory", object(memory)),
        ("inodes", fs.inode_count().to_string()),
        ("decoders_stopped", counts.decoders_stopped.to_string()),
    ])
}
