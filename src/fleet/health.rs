//! When the shared cache is left alone, since it is in trouble.
//!
//! Contract: twice in a row without a usable answer, and nothing more is asked of it for a
//! minute; then one more failure is enough. A refusal for want of a right is told like this by
//! servers that hide what is not there, so it takes eight of them in a row. A write that is
//! refused for want of a right is not tried again for ten minutes.

use std::time::{Duration, Instant};

/// How long it is left alone.
const PAUSE: Duration = Duration::from_secs(60);
/// How long nothing is written where that is not allowed.
const WRITE_PAUSE: Duration = Duration::from_secs(600);
/// Failures in a row that are enough.
const FAILURES: u32 = 2;
/// And refusals.
const REFUSALS: u32 = 8;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered, whatever the answer is.
    Answered,
    /// The server says that we may not.
    Refused,
    /// There was no usable answer, or not in time.
    Failed,
}

/// Trouble with requests of one kind.
#[derive(Debug)]
pub(super) struct Health {
    in_a_row: u32,
    refusals_in_a_row: u32,
    enough_refusals: u32,
    refused_pause: Duration,
    until: Option<Instant>,
}

impl Health {
    /// Of reads.
    pub(super) fn of_reads() -> Self {
        Health {
            in_a_row: 0,
            refusals_in_a_row: 0,
            enough_refusals: REFUSALS,
            refused_pause: PAUSE,
            until: None,
        }
    }

    /// Of writes.
    pub(super) fn of_writes() -> Self {
        Health { enough_refusals: 1, refused_pause: WRITE_PAUSE, ..Health::of_reads() }
    }

    /// Whether nothing is to be asked.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Notes what became of a request; for how long nothing is asked now, if this was too much.
    pub(super) fn note(&mut self, outcome: Outcome, now: Instant) -> Option<Duration> {
        let (is_enough, pause) = match outcome {
            Outcome::Answered => {
                (self.in_a_row, self.refusals_in_a_row, self.until) = (0, 0, None);
                return None;
            }
            Outcome::Refused => {
                self.refusals_in_a_row = self.refusals_in_a_row.saturating_add(1);
                (self.refusals_in_a_row >= self.enough_refusals, self.refused_pause)
            }
            Outcome::Failed => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                (self.in_a_row >= FAILURES, PAUSE)
            }
        };
        if !is_enough || self.is_paused(now) {
            return None;
        }
        self.until = Some(now + pause);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failures_in_a_row_are_a_minute_and_then_one_is() {
        let (mut health, now) = (Health::of_reads(), Instant::now());
        assert_eq!(health.note(Outcome::Failed, now), None);
        assert_eq!(health.note(Outcome::Answered, now), None);
        assert_eq!(health.note(Outcome::Failed, now), None);
        assert!(!health.is_paused(now));
        assert_eq!(health.note(Outcome::Failed, now), Some(PAUSE));
        assert_eq!(health.note(Outcome::Failed, now), None, "one that was under way");
        assert!(health.is_paused(now + PAUSE / 2) && !health.is_paused(now + PAUSE));
        assert_eq!(health.note(Outcome::Failed, now + PAUSE), Some(PAUSE));
        health.note(Outcome::Answered, now + 2 * PAUSE);
        assert_eq!(health.note(Outcome::Failed, now + 2 * PAUSE), None);
    }

    #[test]
    fn a_refused_read_may_be_one_of_nothing_and_a_refused_write_is_enough() {
        let now = Instant::now();
        let mut reads = Health::of_reads();
        for _ in 1..REFUSALS {
            assert_eq!(reads.note(Outcome::Refused, now), None);
        }
        assert_eq!(reads.note(Outcome::Refused, now), Some(PAUSE));
        assert_eq!(Health::of_writes().note(Outcome::Refused, now), Some(WRITE_PAUSE));
    }
}
