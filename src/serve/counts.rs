//! What was asked and answered.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a server.
#[derive(Debug, Default)]
pub(super) struct Counts {
    requests: AtomicU64,
    bytes: AtomicU64,
    open: AtomicU64,
}

impl Counts {
    /// Counts a request.
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes of a body.
    pub(super) fn sent(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a connection for as long as the returned value lives.
    pub(super) fn connection(self: &std::sync::Arc<Self>) -> Connected {
        self.open.fetch_add(1, Ordering::Relaxed);
        Connected(self.clone())
    }

    /// Each counter's name, and what it says.
    pub(super) fn named(&self) -> [(&'static str, u64); 3] {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("served_requests", of(&self.requests)),
            ("served_bytes", of(&self.bytes)),
            ("open_connections", of(&self.open)),
        ]
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connected(std::sync::Arc<Counts>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
