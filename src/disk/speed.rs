//! Whether the disk is worth asking: what it and the network brought lately.
//!
//! A disk that is slower than the network costs time, but saves requests. So it is left alone
//! only if it is so slow that programs notice: for a minute, and then it is tried again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many reads tell how fast something is.
const SAMPLES: usize = 32;
const ENOUGH: usize = 16;
/// A disk that answers within this is worth its requests, however fast the network is.
const QUICK: Duration = Duration::from_millis(20);
/// How long a slow disk is left alone.
const PAUSE: Duration = Duration::from_secs(60);

/// The last reads of one kind.
#[derive(Debug, Default)]
struct Lately(VecDeque<(u64, Duration)>);

impl Lately {
    fn note(&mut self, bytes: u64, took: Duration) {
        if self.0.len() == SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back((bytes, took));
    }

    fn total(&self) -> (u64, Duration) {
        self.0
            .iter()
            .fold((0, Duration::ZERO), |(bytes, time), (more, took)| (bytes + more, time + *took))
    }

    fn bytes_per_second(&self) -> f64 {
        let (bytes, time) = self.total();
        bytes as f64 / time.as_secs_f64().max(1e-9)
    }

    fn mean(&self) -> Duration {
        self.total().1 / u32::try_from(self.0.len().max(1)).unwrap_or(u32::MAX)
    }
}

/// What is known of both.
#[derive(Debug, Default)]
pub(super) struct Speed {
    disk: Lately,
    network: Lately,
    paused_until: Option<Instant>,
}

/// The disk was found to be slow: bytes in a second, of both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slow {
    pub(super) disk: f64,
    pub(super) network: f64,
}

impl Speed {
    /// Whether the disk is left alone.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// Notes what the network brought, and in which time.
    pub(super) fn note_network(&mut self, bytes: u64, took: Duration) {
        self.network.note(bytes, took);
    }

    /// Notes what the disk brought; says so if it is slow, and is left alone from now on.
    pub(super) fn note_disk(&mut self, bytes: u64, took: Duration, now: Instant) -> Option<Slow> {
        self.disk.note(bytes, took);
        let slow =
            Slow { disk: self.disk.bytes_per_second(), network: self.network.bytes_per_second() };
        let is_slow = self.disk.0.len() >= ENOUGH
            && self.network.0.len() >= ENOUGH / 4
            && self.disk.mean() > QUICK
            && slow.disk < slow.network;
        if !is_slow || self.is_paused(now) {
            return None;
        }
        self.pause(now);
        Some(slow)
    }

    /// Leaves the disk alone for a while.
    pub(super) fn pause(&mut self, now: Instant) {
        self.paused_until = Some(now + PAUSE);
        self.disk = Lately::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn network(each: Duration) -> Speed {
        let mut speed = Speed::default();
        (0..ENOUGH).for_each(|_| speed.note_network(8 * MIB, each));
        speed
    }

    #[test]
    fn a_disk_slower_than_the_network_is_left_alone_for_a_while_and_then_tried_again() {
        let (mut speed, now) = (network(ms(400)), Instant::now());
        for _ in 1..ENOUGH {
            assert_eq!(speed.note_disk(MIB, ms(400), now), None, "too few to tell");
        }
        let slow = speed.note_disk(MIB, ms(400), now).unwrap();
        assert!(slow.disk < slow.network && speed.is_paused(now));
        let later = now + PAUSE;
        assert!(!speed.is_paused(later));
        assert_eq!(speed.note_disk(MIB, ms(400), later), None, "it begins again");
        // It has got better.
        (0..SAMPLES).for_each(|_| assert_eq!(speed.note_disk(MIB, ms(1), later), None));
        assert!(!speed.is_paused(later));
    }

    #[test]
    fn a_disk_is_used_that_is_fast_or_that_is_quick_enough_to_save_requests() {
        let now = Instant::now();
        // A bucket across the ocean: whatever the disk, it is faster.
        let mut far = network(ms(4000));
        assert!((0..100).all(|_| far.note_disk(MIB, ms(100), now).is_none()));
        // A server in the same rack: the disk saves requests.
        let mut near = network(ms(8));
        assert!((0..100).all(|_| near.note_disk(MIB, ms(15), now).is_none()));
        let mut unknown = Speed::default();
        assert!((0..100).all(|_| unknown.note_disk(MIB, ms(900), now).is_none()));
    }
}
