//! How long requests take: counts in fixed steps, from which shares can be read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper ends of the steps, in seconds; whatever takes longer is in one step more.
/// About a third apart, from the answer of a server in the same room to the default of
/// `--request-timeout`.
pub const STEPS_SECONDS: [f64; 24] = [
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2,
    0.3, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0,
];
const COUNTS: usize = STEPS_SECONDS.len() + 1;

/// What kind of request it is, as their prices tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// A page of a listing.
    List,
    /// The headers of an object.
    Head,
    /// A range of an object.
    Get,
    /// Whatever writes.
    Put,
    /// A deletion, of an object or of an unfinished upload.
    Delete,
}

impl RequestKind {
    /// All of them.
    pub const ALL: [RequestKind; 5] = [Self::List, Self::Head, Self::Get, Self::Put, Self::Delete];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Head => "head",
            Self::Get => "get",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }
}

/// How long each kind of request took until the headers of its answer were here; each attempt
/// that ended, with an answer or without one.
#[derive(Debug, Default)]
pub struct Latencies([Histogram; RequestKind::ALL.len()]);

impl Latencies {
    /// Notes an attempt that has ended.
    pub fn note(&self, kind: RequestKind, took: Duration) {
        self.0[kind as usize].note(took);
    }

    /// How long requests of a kind took so far.
    pub fn of(&self, kind: RequestKind) -> Distribution {
        self.0[kind as usize].distribution()
    }
}

#[derive(Debug)]
struct Histogram {
    counts: [AtomicU64; COUNTS],
    microseconds: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        Histogram { counts, microseconds: AtomicU64::new(0) }
    }
}

impl Histogram {
    fn note(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let step = STEPS_SECONDS.partition_point(|&end| end < seconds);
        self.counts[step].fetch_add(1, Ordering::Relaxed);
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    fn distribution(&self) -> Distribution {
        Distribution {
            counts: std::array::from_fn(|step| self.counts[step].load(Ordering::Relaxed)),
            total: Duration::from_micros(self.microseconds.load(Ordering::Relaxed)),
        }
    }
}

/// How long requests took, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    counts: [u64; COUNTS],
    total: Duration,
}

impl Distribution {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Those of them that came after `earlier`.
    pub fn since(&self, earlier: &Distribution) -> Distribution {
        let of = |step: usize| self.counts[step].saturating_sub(earlier.counts[step]);
        let total = self.total.saturating_sub(earlier.total);
        Distribution { counts: std::array::from_fn(of), total }
    }

    /// What they took together.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// The steps in order: the upper end in seconds, and how many took no longer. All of them
    /// are [`Distribution::count`].
    pub fn up_to(&self) -> impl Iterator<Item = (f64, u64)> + use<'_> {
        let mut sum = 0;
        STEPS_SECONDS.iter().zip(&self.counts).map(move |(&end, count)| {
            sum += count;
            (end, sum)
        })
    }

    /// What this share of them took no longer than, in seconds, as well as the steps tell:
    /// within one, as if they were spread evenly. `None` if there were none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = (share * count as f64).max(1.0);
        let (mut below, mut start) = (0.0, 0.0);
        for (&end, &within) in STEPS_SECONDS.iter().zip(&self.counts) {
            let within = within as f64;
            if below + within >= rank {
                return Some(start + (end - start) * (rank - below) / within);
            }
            (below, start) = (below + within, end);
        }
        // Longer than the last step ends.
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(milliseconds: &[u64]) -> Distribution {
        let histogram = Histogram::default();
        milliseconds.iter().for_each(|&ms| histogram.note(Duration::from_millis(ms)));
        histogram.distribution()
    }

    #[test]
    fn a_request_that_takes_as_long_as_a_step_is_in_it() {
        let told: Vec<_> = of(&[1, 1, 2, 40_000]).up_to().take(3).collect();
        assert_eq!(told, [(0.001, 2), (0.002, 3), (0.003, 3)]);
        let all = of(&[1, 1, 2, 40_000]);
        assert_eq!((all.count(), all.total()), (4, Duration::from_millis(40_004)));
        assert_eq!(all.quantile(0.99), Some(30.0), "as long as is told apart");
        assert_eq!(of(&[]).quantile(0.5), None);
    }

    #[test]
    fn what_came_after_is_what_was_counted_between() {
        let (before, all) = (of(&[1, 40_000]), of(&[1, 40_000, 2, 40_000]));
        assert_eq!(all.since(&before), of(&[2, 40_000]));
        assert_eq!(before.since(&before), of(&[]));
    }

    #[test]
    fn kinds_are_told_apart() {
        let latencies = Latencies::default();
        for (times, kind) in RequestKind::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| latencies.note(kind, Duration::ZERO));
        }
        let counts = RequestKind::ALL.map(|kind| latencies.of(kind).count());
        assert_eq!(counts, [0, 1, 2, 3, 4]);
    }

    proptest! {
        #[test]
        fn a_share_is_in_the_step_of_the_request_that_it_ends_with(
            mut times in prop::collection::vec(1u64..30_000, 1..50),
            share in 0.01f64..1.0,
        ) {
            times.sort_unstable();
            let told = of(&times).quantile(share).unwrap();
            let rank = ((share * times.len() as f64).ceil() as usize).clamp(1, times.len());
            let exact = times[rank - 1] as f64 / 1e3;
            let step = STEPS_SECONDS.partition_point(|&end| end < exact);
            let start = if step == 0 { 0.0 } else { STEPS_SECONDS[step - 1] };
            prop_assert!(start <= told && told <= STEPS_SECONDS[step], "{told} for {exact}");
        }
    }
}
