//! What to fetch for a read: the range itself, and what evidence says comes next.
//!
//! Pure arithmetic on byte ranges; nothing here fetches, waits or knows what is
//! already in memory. Evidence is per open handle, in up to eight streams, so that
//! threads that read several places through one handle are not mistaken for a
//! random reader:
//!
//! - What is in memory is not fetched, nor are its neighbours, and the first 64 KiB of a
//!   run that are there are no evidence.
//! - A first read fetches what was asked for. If that is under 32 KiB, it fetches the
//!   64 KiB unit around it, and an object of up to 256 KiB that is read from its
//!   start is fetched whole.
//!   So is one of up to 8 MiB in a folder whose files are read whole, see `habits`.
//! - A read that continues a stream opens a window of 512 KiB, or of 2 MiB if the stream began
//!   where the object does: then it is read whole more often than not, and a rest of up to
//!   4 MiB comes at once. The window doubles each time half of it has been used, up to 32 MiB
//!   or the handle's share of the budget: half of it divided by all handles that stream, and
//!   at least 256 KiB.
//! - A jump forward over at most 16 times the last run ends that run. If runs are
//!   256 KiB or longer, the next one is expected to be as long and is fetched up to
//!   there without a new ramp-up; if two jumps had the same stride, the runs behind
//!   it are fetched ahead by that stride.
//! - What a handle leaves out because others have just read it is no jump: the kernel
//!   caches a file once for all its readers, so each of several readers asks for a
//!   part only.
//! - Where another handle reads on from further behind, a stream is fetched up to there: four
//!   readers of four slices fetch no byte twice, however little memory there is.
//! - Anything else is random, and fetches what it touches.

use std::ops::Range;

/// A read shorter than this is widened to the [`UNIT_BYTES`] that it lies in: at
/// 30 ms a request, 64 KiB more cost less than one more request.
pub(super) const SMALL_READ_BYTES: u64 = 32 << 10;
const UNIT_BYTES: u64 = 64 << 10;
/// An object up to this size that is read from its start is fetched whole.
pub(super) const WHOLE_BYTES: u64 = 256 << 10;
/// The first window of a sequential run; four of the kernel's requests.
const FIRST_WINDOW_BYTES: u64 = 512 << 10;
/// The first window of a run from the object's start: at 30 ms a request each step of a
/// ramp-up costs as much as 2 MiB do.
const FROM_START_BYTES: u64 = 2 << 20;
/// What is left of an object that is read from its start, to be fetched by one GET.
const REST_BYTES: u64 = 4 << 20;
/// The kernel's requests of one sequential reader may overtake each other by a
/// few of its 128 KiB readahead units.
const AHEAD_SLACK_BYTES: u64 = 384 << 10;
const BEHIND_SLACK_BYTES: u64 = 1 << 20;
/// A jump over at most this many times the last run is a skip within a pattern.
const SKIP_RUNS: u64 = 16;
/// Runs shorter than this are single requests, which predict nothing by their length.
const RUN_BYTES: u64 = 256 << 10;
/// Two strides that differ by less are the same: runs end at page boundaries.
const STRIDE_SLACK_BYTES: u64 = 128 << 10;
const STREAMS: usize = 8;
/// How far one reader of a file may get through what others have read.
const BRIDGE_BYTES: u64 = 32 << 20;

/// What the arithmetic must keep to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The object's size in bytes.
    pub(super) size: u64,
    /// How far ahead of a reader may be fetched, in bytes; the budget's share.
    pub(super) window_bytes: u64,
    /// The longest range that one GET should carry, in bytes.
    pub(super) part_bytes: u64,
    /// Where another reader goes on: behind this, nothing is fetched ahead before this one
    /// gets there.
    pub(super) stop: u64,
    /// Whether files like this one are read whole: the first read of a handle, if it is at the
    /// start, then fetches all of it.
    pub(super) is_whole: bool,
}

/// What to fetch, as far as it is not in memory yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Needed for the answer.
    pub(super) demand: Range<u64>,
    /// Expected to be asked for next, nearest first. The first range may start
    /// where `demand` ends and is then fetched together with it.
    pub(super) ahead: Vec<Range<u64>>,
}

/// How one handle has read so far.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    streams: Vec<Stream>,
    /// Lengths of the last two finished runs that were longer than a request.
    finished: [Option<u64>; 2],
}

/// One sequence of neighbouring reads.
#[derive(Debug, Clone)]
struct Stream {
    /// Where the present run began.
    start: u64,
    /// The end of the furthest read of it.
    pos: u64,
    /// Up to where it was planned.
    ahead_end: u64,
    /// The window; zero until there is evidence.
    window: u64,
    /// The length of the run before this one, while this one keeps to it.
    expected: Option<u64>,
    /// The distance between the starts of the last two runs.
    stride: Option<u64>,
    /// Bytes to fetch ahead by stride.
    stride_window: u64,
}

impl Pattern {
    /// Notes that `read` was asked for (not empty, inside the object) and says
    /// what to fetch for it; `is_here` says that all of it is in memory.
    pub(super) fn on_read(&mut self, read: Range<u64>, limits: Limits, is_here: bool) -> Plan {
        let demand = if is_here { read.clone() } else { demand(&read, limits.size) };
        let mut plan = Plan { demand, ahead: Vec::new() };
        if let Some(at) = self.streams.iter().position(|s| s.continues_with(&read)) {
            let mut stream = self.streams.remove(at);
            stream.advance(&read, limits, is_here, &mut plan);
            self.streams.push(stream);
        } else if let Some(at) = self.streams.iter().rposition(|s| s.skips_to(&read)) {
            let mut stream = self.streams.remove(at);
            self.note_finished(stream.run_bytes());
            stream.jump(&read, limits, &mut plan);
            self.streams.push(stream);
        } else {
            self.begin(&read, limits, &mut plan);
        }
        plan
    }

    /// The bytes that this handle left out just before `read`; if another handle
    /// read them, the kernel had them already and did not ask for them here.
    pub(super) fn left_out(&self, read: &Range<u64>) -> Option<Range<u64>> {
        if self.streams.iter().any(|s| s.continues_with(read)) {
            return None;
        }
        let near = |s: &&Stream| s.pos < read.start && read.start - s.pos <= BRIDGE_BYTES;
        let before = self.streams.iter().filter(near).max_by_key(|s| s.pos)?;
        Some(before.pos..read.start)
    }

    /// Takes the bytes left out for read by this handle.
    pub(super) fn bridge(&mut self, left_out: &Range<u64>) {
        if let Some(stream) = self.streams.iter_mut().rfind(|s| s.pos == left_out.start) {
            stream.pos = left_out.end;
        }
    }

    /// Whether this handle has read nothing yet.
    pub(super) fn is_new(&self) -> bool {
        self.streams.is_empty()
    }

    /// Whether any stream of this handle reads ahead.
    pub(super) fn is_streaming(&self) -> bool {
        self.streams.iter().any(|s| s.window > 0)
    }

    fn begin(&mut self, read: &Range<u64>, limits: Limits, plan: &mut Plan) {
        if let Some(last) = self.streams.last() {
            self.note_finished(last.run_bytes());
        }
        let mut stream = Stream {
            start: read.start,
            pos: read.end,
            ahead_end: plan.demand.end,
            window: 0,
            expected: None,
            stride: None,
            stride_window: 0,
        };
        if limits.is_whole && read.start == 0 && self.is_new() {
            stream.window = limits.window_bytes;
            stream.fetch_up_to(limits.size, plan);
        }
        // Two runs in a row were long: so will be this one, most likely.
        if let [Some(one), Some(other)] = self.finished {
            stream.expect_run(one.min(other), limits, plan);
        }
        if self.streams.len() == STREAMS {
            self.streams.remove(0);
        }
        self.streams.push(stream);
    }

    fn note_finished(&mut self, run_bytes: u64) {
        let run = (run_bytes >= RUN_BYTES).then_some(run_bytes);
        self.finished = [self.finished[1], run];
    }
}

impl Stream {
    fn run_bytes(&self) -> u64 {
        self.pos - self.start
    }

    fn continues_with(&self, read: &Range<u64>) -> bool {
        let behind = self.pos.saturating_sub(BEHIND_SLACK_BYTES).max(self.start);
        (behind..=self.pos + AHEAD_SLACK_BYTES).contains(&read.start)
            && (read.start == self.pos || self.run_bytes() >= RUN_BYTES)
    }

    fn skips_to(&self, read: &Range<u64>) -> bool {
        let reach = self.run_bytes().saturating_mul(SKIP_RUNS).max(self.stride.unwrap_or(0) * 2);
        read.start > self.pos && read.start - self.pos <= reach
    }

    /// The run goes on.
    fn advance(&mut self, read: &Range<u64>, limits: Limits, is_here: bool, plan: &mut Plan) {
        if read.end <= self.pos {
            return;
        }
        self.pos = read.end;
        // A few pages that somebody has put there: whether it goes on is not seen yet.
        if is_here && self.window == 0 && self.run_bytes() < UNIT_BYTES {
            return;
        }
        if self.expected.is_some_and(|expected| self.run_bytes() > expected) {
            // Longer than the run before: a stream, which earns its window anew.
            self.expected = None;
            self.stride = None;
            self.window = 0;
            self.ahead_end = plan.demand.end;
        }
        if self.window == 0 {
            self.window = self.first_window(limits).min(limits.window_bytes);
        } else if self.ahead_end.saturating_sub(self.pos) < self.window / 2 {
            self.window = (self.window * 2).min(limits.window_bytes);
        } else {
            return;
        }
        let from = self.ahead_end.max(plan.demand.end);
        let to = self.pos.saturating_add(self.window);
        let to = match self.expected {
            Some(expected) => to.min(self.start + expected).min(limits.size),
            None => whole_parts(from, to, limits).min(limits.stop.max(from)),
        };
        if from < to {
            plan.ahead.push(from..to);
            self.ahead_end = to;
        }
    }

    fn first_window(&self, limits: Limits) -> u64 {
        let rest = limits.size.saturating_sub(self.pos);
        match self.start {
            0 if rest <= REST_BYTES => rest.max(FIRST_WINDOW_BYTES),
            0 => FROM_START_BYTES,
            _ => FIRST_WINDOW_BYTES,
        }
    }

    /// A forward jump: a new run begins at `read`.
    fn jump(&mut self, read: &Range<u64>, limits: Limits, plan: &mut Plan) {
        let run = self.run_bytes();
        let stride = read.start - self.start;
        let steady = self.stride.is_some_and(|s| s.abs_diff(stride) <= STRIDE_SLACK_BYTES);
        self.stride = Some(stride);
        self.start = read.start;
        self.pos = read.end;
        self.window = 0;
        self.expected = None;
        if !steady {
            self.ahead_end = plan.demand.end;
            self.stride_window = 0;
        }
        if run >= RUN_BYTES || steady {
            self.expect_run(run, limits, plan);
        }
        if steady {
            self.fetch_by_stride(run, stride, limits, plan);
        }
    }

    fn expect_run(&mut self, run: u64, limits: Limits, plan: &mut Plan) {
        self.expected = Some(run);
        self.window = limits.window_bytes;
        let end = (self.start + run.min(limits.window_bytes)).min(limits.size);
        self.fetch_up_to(end, plan);
    }

    fn fetch_up_to(&mut self, end: u64, plan: &mut Plan) {
        if plan.demand.end < end {
            plan.ahead.push(plan.demand.end..end);
            self.ahead_end = self.ahead_end.max(end);
        }
    }

    /// Plans the runs behind this one, as many as a window that doubles holds.
    fn fetch_by_stride(&mut self, run: u64, stride: u64, limits: Limits, plan: &mut Plan) {
        self.stride_window = (self.stride_window.max(run) * 2).min(limits.window_bytes);
        for n in 1..=self.stride_window / run.max(1) {
            let start = self.start.saturating_add(n.saturating_mul(stride));
            let end = start.saturating_add(run).min(limits.size);
            if start >= end {
                break;
            }
            // What is asked for may reach into the run that comes next.
            let from = start.max(self.ahead_end).max(plan.demand.end);
            if from < end {
                plan.ahead.push(from..end);
                self.ahead_end = end;
            }
        }
    }
}

/// The range to fetch for an answer to `read`.
fn demand(read: &Range<u64>, size: u64) -> Range<u64> {
    if read.start == 0 && size <= WHOLE_BYTES {
        return 0..size;
    }
    if read.end - read.start > SMALL_READ_BYTES {
        return read.clone();
    }
    let start = read.start / UNIT_BYTES * UNIT_BYTES;
    start..read.end.max((start + UNIT_BYTES).min(size))
}

/// The end of a range from `from` that is to reach about `to`: whole parts, since
/// a tail of a part would cost a request of its own; a short rest of the object
/// is taken along.
fn whole_parts(from: u64, to: u64, limits: Limits) -> u64 {
    let to = to.min(limits.size);
    let length = to.saturating_sub(from);
    let to = if length > limits.part_bytes {
        from + length / limits.part_bytes * limits.part_bytes
    } else {
        to
    };
    if limits.size - to.min(limits.size) <= limits.part_bytes.min(limits.window_bytes) / 8 {
        limits.size
    } else {
        to
    }
}

#[cfg(test)]
mod tests;
