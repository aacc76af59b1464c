//! Requests one by one: those that are under way, and the slowest of the last minutes.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::latency::RequestKind;
use super::trace::{Facts, Span, Trace};

/// Requests of so many minutes are remembered, the present one counted.
const MINUTES: usize = 10;
/// So many are remembered of each minute.
const OF_A_MINUTE: usize = 16;
/// So many are told.
const TOLD: usize = 32;

/// How a request has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of the answer was here.
    Done,
    /// It failed, or its body broke off.
    Failed,
    /// Nobody waited for it any more.
    Dropped,
}

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has not ended.
    UnderWay,
    /// It has.
    Ended(Outcome),
}

impl Stage {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Stage::UnderWay => "under way",
            Stage::Ended(Outcome::Done) => "done",
            Stage::Ended(Outcome::Failed) => "failed",
            Stage::Ended(Outcome::Dropped) => "dropped",
        }
    }
}

/// One request, as reports tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What kind of request it is.
    pub kind: RequestKind,
    /// The object, or the prefix of a listing.
    pub key: String,
    /// Which bytes of the object it asked for.
    pub range: Option<Range<u64>>,
    /// The bytes of the body that have come or gone.
    pub bytes: u64,
    /// How long it took until its answer began; `None` if it has not.
    pub answered_after: Option<Duration>,
    /// How long it took to the end of the body, or has taken so far.
    pub took: Duration,
    /// How far it is.
    pub stage: Stage,
    /// How long ago it ended; zero while it is under way.
    pub ended_ago: Duration,
}

/// What is known of a request.
#[derive(Debug)]
struct Known {
    kind: RequestKind,
    key: String,
    range: Option<Range<u64>>,
    begun: Instant,
    answered_after: OnceLock<Duration>,
    bytes: AtomicU64,
}

impl Known {
    /// The request in a trace, with the wait for its answer.
    fn span(&self, trace: &Arc<Trace>) -> Option<Span> {
        let short = self.key.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let short = if short.is_empty() { "the top" } else { short };
        let name = format!("{} {short}", self.kind.name().to_uppercase());
        let mut facts: Facts = vec![("key", self.key.as_str().into())];
        if let Some(range) = &self.range {
            facts.push(("first_byte", range.start.into()));
            facts.push(("asked_bytes", range.end.saturating_sub(range.start).into()));
        }
        let group = || "s3mem: requests to the bucket".to_owned();
        let mut span = trace.begin(std::process::id(), group, &name, facts)?;
        span.step("wait for the answer");
        Some(span)
    }

    fn told(&self, took: Duration, stage: Stage, ended_ago: Duration) -> Told {
        Told {
            kind: self.kind,
            key: self.key.clone(),
            range: self.range.clone(),
            bytes: self.bytes.load(Ordering::Relaxed),
            answered_after: self.answered_after.get().copied(),
            took,
            stage,
            ended_ago,
        }
    }
}

/// A request that has ended.
#[derive(Debug)]
struct Ended {
    known: Arc<Known>,
    took: Duration,
    outcome: Outcome,
}

/// The requests that ended within one minute, the slowest first.
#[derive(Debug, Default)]
struct Minute {
    number: u64,
    slowest: Vec<Ended>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    under_way: BTreeMap<u64, Arc<Known>>,
    minutes: VecDeque<Minute>,
}

/// All requests, by themselves.
#[derive(Debug)]
pub struct Requests {
    start: Instant,
    state: Mutex<State>,
    trace: OnceLock<Arc<Trace>>,
}

impl Default for Requests {
    fn default() -> Self {
        Requests { start: Instant::now(), state: Mutex::default(), trace: OnceLock::new() }
    }
}

impl Requests {
    /// Has requests written into a trace from now on; a second one is ignored.
    pub fn trace_into(&self, trace: Arc<Trace>) {
        let _ = self.trace.set(trace);
    }

    /// The trace that is written.
    pub fn trace(&self) -> Option<&Arc<Trace>> {
        self.trace.get()
    }

    /// Notes a request that begins now, for an object or below a prefix, until what is returned
    /// is dropped.
    pub fn begin(
        self: &Arc<Self>,
        kind: RequestKind,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Request {
        let known = Arc::new(Known {
            kind,
            key: key.to_owned(),
            range,
            begun: Instant::now(),
            answered_after: OnceLock::new(),
            bytes: AtomicU64::new(0),
        });
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.under_way.insert(number, known.clone());
        drop(state);
        let span = self.trace.get().and_then(|trace| known.span(trace));
        Request { all: self.clone(), number, known, outcome: Outcome::Dropped, span }
    }

    /// Those that take or took longest, the slowest first: what is under way, and what has ended
    /// within ten minutes; 32 at most.
    pub fn slowest(&self) -> Vec<Told> {
        let (now, mut state) = (Instant::now(), self.lock());
        let number = self.minute(now);
        state.forget(number);
        let under_way = state.under_way.values().map(|known| {
            let took = now.saturating_duration_since(known.begun);
            known.told(took, Stage::UnderWay, Duration::ZERO)
        });
        let ended = state.minutes.iter().flat_map(|minute| &minute.slowest).map(|ended| {
            let end = ended.known.begun + ended.took;
            let ago = now.saturating_duration_since(end);
            ended.known.told(ended.took, Stage::Ended(ended.outcome), ago)
        });
        let mut all: Vec<Told> = under_way.chain(ended).collect();
        drop(state);
        all.sort_by(|one, other| other.took.cmp(&one.took).then_with(|| one.key.cmp(&other.key)));
        all.truncate(TOLD);
        all
    }

    /// Forgets what has ended, for somebody who begins to count anew.
    pub fn forget_ended(&self) {
        self.lock().minutes.clear();
    }

    fn minute(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_secs() / 60
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets what ended too long before this minute.
    fn forget(&mut self, number: u64) {
        self.minutes.retain(|minute| minute.number + MINUTES as u64 > number);
    }

    fn remember(&mut self, number: u64, ended: Ended) {
        self.forget(number);
        if self.minutes.back().is_none_or(|minute| minute.number < number) {
            self.minutes.push_back(Minute { number, slowest: Vec::new() });
        }
        let Some(Minute { slowest, .. }) = self.minutes.back_mut() else { return };
        let at = slowest.partition_point(|other| other.took >= ended.took);
        if at < OF_A_MINUTE {
            slowest.insert(at, ended);
            slowest.truncate(OF_A_MINUTE);
        }
    }
}

/// A request that is under way.
#[derive(Debug)]
pub struct Request {
    all: Arc<Requests>,
    number: u64,
    known: Arc<Known>,
    outcome: Outcome,
    span: Option<Span>,
}

impl Request {
    /// Notes that the answer has begun.
    pub fn answered(&mut self) {
        if let Some(span) = &mut self.span {
            span.step("body");
        }
        // Whatever is noted later is not its beginning.
        let _ = self.known.answered_after.set(self.known.begun.elapsed());
    }

    /// Notes bytes of the body. With the last one that it asked for, it is done.
    pub fn note_bytes(&mut self, bytes: u64) {
        let before = self.known.bytes.fetch_add(bytes, Ordering::Relaxed);
        let asked = self.known.range.as_ref().map(|range| range.end.saturating_sub(range.start));
        if asked.is_some_and(|asked| before.saturating_add(bytes) >= asked) {
            self.completes();
        }
    }

    /// Notes that nothing more comes: it is done, unless it has failed.
    pub fn completes(&mut self) {
        if self.outcome == Outcome::Dropped {
            self.outcome = Outcome::Done;
        }
    }

    /// Notes how it ends, before it is dropped. What nobody says this of was dropped on its way.
    pub fn ends(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.known.begun);
        let number = self.all.minute(now);
        if let Some(span) = &mut self.span {
            span.tell("bytes", self.known.bytes.load(Ordering::Relaxed));
            span.tell("outcome", Stage::Ended(self.outcome).name());
        }
        let mut state = self.all.lock();
        state.under_way.remove(&self.number);
        let (known, outcome) = (self.known.clone(), self.outcome);
        state.remember(number, Ended { known, took, outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(requests: &Arc<Requests>, key: &str, took: u64, minute: u64) {
        let mut request = requests.begin(RequestKind::Get, key, Some(0..5));
        request.ends(Outcome::Done);
        let known = request.known.clone();
        drop(request);
        let took = Duration::from_millis(took);
        let mut state = requests.lock();
        // Dropping it has noted it with the time that it really took.
        state.minutes.iter_mut().for_each(|m| m.slowest.retain(|e| !Arc::ptr_eq(&e.known, &known)));
        state.remember(minute, Ended { known, took, outcome: Outcome::Done });
    }

    #[test]
    fn a_request_is_under_way_until_it_is_dropped() {
        let requests = Arc::new(Requests::default());
        let mut request = requests.begin(RequestKind::Get, "a", Some(3..9));
        let told = requests.slowest();
        assert_eq!((told.len(), told[0].stage, told[0].answered_after), (1, Stage::UnderWay, None));
        request.answered();
        request.note_bytes(2);
        request.ends(Outcome::Failed);
        request.note_bytes(4);
        drop(request);
        drop(requests.begin(RequestKind::List, "b/", None));
        let mut whole = requests.begin(RequestKind::Get, "c", Some(3..9));
        [2, 4].into_iter().for_each(|bytes| whole.note_bytes(bytes));
        drop(whole);
        let told = requests.slowest();
        let of = |key: &str| told.iter().find(|told| told.key == key).unwrap();
        assert_eq!((told.len(), of("a").bytes, &of("a").range), (3, 6, &Some(3..9)));
        assert_eq!(of("c").stage, Stage::Ended(Outcome::Done), "all of its bytes were here");
        assert_eq!(of("a").stage, Stage::Ended(Outcome::Failed));
        assert!(of("a").answered_after.unwrap() <= of("a").took);
        assert_eq!((of("b/").stage.name(), &of("b/").range), ("dropped", &None));
        requests.forget_ended();
        assert_eq!(requests.slowest(), []);
    }

    #[test]
    fn the_slowest_of_each_minute_are_kept_for_ten_minutes() {
        let requests = Arc::new(Requests::default());
        // In the first minute many slow ones, in the second fewer and quicker ones.
        (0..100).for_each(|n| ended(&requests, &format!("slow {n}"), 1000 + n, 0));
        (0..3).for_each(|n| ended(&requests, &format!("quick {n}"), n, 1));
        let told = requests.slowest();
        assert_eq!(told.len(), OF_A_MINUTE + 3);
        assert_eq!((told[0].key.as_str(), told[0].took.as_millis()), ("slow 99", 1099));
        assert_eq!(told[15].key, "slow 84");
        assert_eq!(told.last().unwrap().key, "quick 0");
        // The first minute is forgotten, the second is not.
        ended(&requests, "later", 5, MINUTES as u64);
        let state = requests.lock();
        let kept: Vec<&str> =
            state.minutes.iter().flat_map(|m| &m.slowest).map(|e| e.known.key.as_str()).collect();
        assert_eq!(kept, ["quick 2", "quick 1", "quick 0", "later"]);
    }
}
