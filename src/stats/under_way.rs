//! What is being sent at this moment.

use std::sync::atomic::{AtomicU64, Ordering};

/// Requests that carry a body, from their beginning to their answer.
#[derive(Debug, Default)]
pub struct UnderWay {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl UnderWay {
    /// Counts a request with a body of `bytes`, until what is returned is dropped.
    pub fn begin(&self, bytes: u64) -> Sending<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Sending { counted: self, bytes }
    }

    /// How many there are now.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The bytes of their bodies, sent or not.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// A request that is counted as under way.
#[derive(Debug)]
pub struct Sending<'u> {
    counted: &'u UnderWay,
    bytes: u64,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.counted.requests.fetch_sub(1, Ordering::Relaxed);
        self.counted.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_until_it_has_ended() {
        let uploads = UnderWay::default();
        let (first, second) = (uploads.begin(5), uploads.begin(7));
        assert_eq!((uploads.requests(), uploads.bytes()), (2, 12));
        drop(first);
        assert_eq!((uploads.requests(), uploads.bytes()), (1, 7));
        drop(second);
        assert_eq!((uploads.requests(), uploads.bytes()), (0, 0));
    }
}
