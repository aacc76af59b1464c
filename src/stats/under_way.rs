//! What is being sent at this moment, and how fast.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The rate is that of bodies which have gone within this time.
const LATELY: Duration = Duration::from_secs(30);
/// So many bodies are remembered.
const MOST_BODIES: usize = 1024;

/// Requests that carry a body, from their beginning to their answer.
#[derive(Debug, Default)]
pub struct UnderWay {
    requests: AtomicU64,
    bytes: AtomicU64,
    /// Those that the server took lately, in the order of their ends.
    taken: Mutex<VecDeque<Taken>>,
}

/// A body that the server took.
#[derive(Debug, Clone, Copy)]
struct Taken {
    begun: Instant,
    ended: Instant,
    bytes: u64,
}

impl UnderWay {
    /// Counts a request with a body of `bytes`, until what is returned is dropped.
    pub fn begin(&self, bytes: u64) -> Sending<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Sending { counted: self, bytes, begun: Instant::now() }
    }

    /// How many there are now.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The bytes of their bodies, sent or not.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How fast bodies went, in bytes a second: those that the server took within the last
    /// 30 seconds, over the time in which at least one of them was under way. `None` if there
    /// were none.
    pub fn bytes_per_second(&self) -> Option<f64> {
        self.rate(Instant::now())
    }

    fn note(&self, taken: Taken) {
        let mut all = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back(taken);
        if all.len() > MOST_BODIES {
            all.pop_front();
        }
    }

    fn rate(&self, now: Instant) -> Option<f64> {
        let mut all = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|taken| now.saturating_duration_since(taken.ended) <= LATELY);
        let mut lately: Vec<Taken> = all.iter().copied().collect();
        drop(all);
        lately.sort_by_key(|taken| taken.begun);
        let bytes: u64 = lately.iter().map(|taken| taken.bytes).sum();
        let mut reached = lately.first()?.begun;
        let mut busy = Duration::ZERO;
        for Taken { begun, ended, .. } in lately {
            busy += ended.saturating_duration_since(begun.max(reached));
            reached = reached.max(ended);
        }
        // No clock tells less.
        Some(bytes as f64 / busy.as_secs_f64().max(1e-6))
    }
}

/// A request that is counted as under way.
#[derive(Debug)]
pub struct Sending<'u> {
    counted: &'u UnderWay,
    bytes: u64,
    begun: Instant,
}

impl Sending<'_> {
    /// The server has taken all of the body.
    pub fn taken(self) {
        let (begun, bytes) = (self.begun, self.bytes);
        self.counted.note(Taken { begun, ended: Instant::now(), bytes });
    }
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
        assert_eq!(uploads.bytes_per_second(), None, "nobody has taken anything");
        second.taken();
        assert_eq!((uploads.requests(), uploads.bytes()), (0, 0));
        assert!(uploads.bytes_per_second().is_some_and(|rate| rate > 0.0));
    }

    #[test]
    fn the_rate_is_that_of_the_time_in_which_something_was_sent() {
        let uploads = UnderWay::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for (begun, ended, bytes) in [(0, 4, 400), (2, 6, 400), (10, 12, 800), (11, 12, 0)] {
            uploads.note(Taken { begun: at(begun), ended: at(ended), bytes });
        }
        // 6 s and 2 s.
        assert_eq!(uploads.rate(at(12)), Some(200.0));
        // Two have gone too long ago.
        assert_eq!(uploads.rate(at(37)), Some(400.0));
        assert_eq!(uploads.rate(at(43)), None);
    }
}
