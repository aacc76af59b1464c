//! What something cost, in requests and bytes.

use crate::harness::waiting::FOREVER;
use crate::support::server::TestServer;

/// What the server was asked for, and what it sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) list: u64,
    pub(crate) head: u64,
    pub(crate) get: u64,
    /// Bytes of objects.
    pub(crate) bytes: u64,
}

pub(crate) const NOTHING: Cost = Cost { list: 0, head: 0, get: 0, bytes: 0 };

/// Does something, and says what it cost.
pub(crate) fn cost_of<T>(server: &TestServer, work: impl FnOnce() -> T) -> (T, Cost) {
    assert!(server.wait_idle(FOREVER), "requests of before are still under way");
    server.reset_counts();
    let outcome = work();
    assert!(server.wait_idle(FOREVER), "requests are still under way");
    let counts = server.counts();
    let cost =
        Cost { list: counts.list, head: counts.head, get: counts.get, bytes: counts.body_bytes };
    assert_eq!(counts.requests(), cost.list + cost.head + cost.get, "{counts:?}");
    (outcome, cost)
}
