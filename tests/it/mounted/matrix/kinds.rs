//! What can go wrong with a request, and what programs get then.

use std::time::Duration;

use crate::support::server::{Effect, Fault, Op, Refusal};

/// One kind of fault.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// What strikes at the same time.
    pub(super) effects: Vec<Effect>,
    /// How many requests it strikes before it is over; all of them if it lasts.
    times: Option<u64>,
    /// What programs get while it lasts; nothing if it passes.
    pub(super) errno: Option<i32>,
    /// The requests whose answers can go wrong like this.
    pub(super) ops: &'static [Op],
}

/// Every request that programs cause.
const ALL: &[Op] =
    &[Op::List, Op::Get, Op::Put, Op::CreateUpload, Op::UploadPart, Op::CompleteUpload, Op::Delete];
/// Those whose answers have a body that matters.
const WITH_BODY: &[Op] = &[Op::List, Op::Get, Op::CreateUpload, Op::CompleteUpload];
const READS: &[Op] = &[Op::List, Op::Get];

impl Kind {
    /// The faults that strike requests of one kind whose key has a part.
    pub(super) fn faults(&self, op: Op, skip: u64, key: &str) -> Vec<Fault> {
        let fault = |effect: &Effect| {
            let fault = Fault::new(effect.clone()).on(op).key(key).after(skip);
            self.times.map_or(fault.clone(), |times| fault.times(times))
        };
        self.effects.iter().map(fault).collect()
    }
}

/// All kinds: first those that pass, then those that last.
pub(super) fn kinds() -> Vec<Kind> {
    let passes =
        |name, times, effects, ops| Kind { name, effects, times: Some(times), errno: None, ops };
    let lasts = |name, effect, errno, ops| Kind {
        name,
        effects: vec![effect],
        times: None,
        errno: Some(errno),
        ops,
    };
    let refused = Effect::Refuse;
    vec![
        passes("500", 2, vec![refused(Refusal::InternalError)], ALL),
        passes("502", 2, vec![refused(Refusal::Other(502, "BadGateway"))], ALL),
        passes("503 SlowDown", 2, vec![refused(Refusal::SlowDown)], ALL),
        passes(
            "503 with Retry-After",
            1,
            vec![refused(Refusal::SlowDown), Effect::Header("retry-after", b"1")],
            ALL,
        ),
        passes("429", 2, vec![refused(Refusal::TooManyRequests)], ALL),
        passes("closed before the answer", 2, vec![Effect::Drop], ALL),
        passes("done, and closed before the answer", 1, vec![Effect::DropAnswer], ALL),
        passes("closed within the body", 2, vec![Effect::TruncateAfter(40)], WITH_BODY),
        passes("reset within the body", 2, vec![Effect::ResetAfter(40)], WITH_BODY),
        passes("a body that is too short", 2, vec![Effect::ShortenTo(40)], READS),
        passes("a late answer", 2, vec![Effect::Delay(Duration::from_millis(200))], ALL),
        passes(
            "a slow drip",
            1,
            vec![Effect::Drip { bytes: 100_000, pause: Duration::from_millis(5) }],
            WITH_BODY,
        ),
        lasts("only 500", refused(Refusal::InternalError), libc::EIO, ALL),
        lasts("only 503 SlowDown", refused(Refusal::SlowDown), libc::EIO, ALL),
        lasts("always closed before the answer", Effect::Drop, libc::EIO, ALL),
        lasts("silence", Effect::Hang, libc::EIO, ALL),
        lasts("silence within the body", Effect::StallAfter(40), libc::EIO, READS),
        lasts("bodies that are always too short", Effect::ShortenTo(40), libc::EIO, READS),
        lasts(
            "another range",
            Effect::Header("content-range", b"bytes 7-8/9"),
            libc::EIO,
            &[Op::Get],
        ),
        lasts("403", refused(Refusal::AccessDenied), libc::EACCES, ALL),
        lasts("expired credentials", refused(Refusal::ExpiredToken), libc::EACCES, ALL),
        lasts("unknown credentials", refused(Refusal::InvalidAccessKeyId), libc::EACCES, ALL),
        lasts("the bucket is gone", refused(Refusal::Other(404, "NoSuchBucket")), libc::EIO, ALL),
        lasts("moved to nowhere", refused(Refusal::Redirect("nowhere-1".into())), libc::EIO, ALL),
        lasts(
            "a page of a proxy",
            Effect::Page(200, "<html><body>Sign in</body></html>"),
            libc::EIO,
            ALL,
        ),
        lasts("an empty answer", Effect::Page(200, ""), libc::EIO, READS),
    ]
}
