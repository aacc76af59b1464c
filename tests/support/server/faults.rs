//! What goes wrong on command.
//!
//! Contract: a [`Fault`] says which requests it strikes and what happens to
//! them. All faults that match a request strike it together: delays add up, and
//! of those that end it in different ways the one set first wins. Faults are
//! set and cleared while the server runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::http::{Asked, Op};

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The answer starts so much later.
    Delay(Duration),
    /// An error instead of the answer.
    Refuse(Refusal),
    /// A page in HTML with this status instead of the answer, or nothing where the text is
    /// empty: what a network's sign-in page or a proxy says. Nothing is done.
    Page(u16, &'static str),
    /// The answer without its ETag, in headers and body.
    WithoutETag,
    /// The answer with this header, whatever its bytes.
    Header(&'static str, &'static [u8]),
    /// The answer with another text in each element of this name, or without them.
    Element(&'static str, Option<&'static str>),
    /// No answer before [`TestServer::release`](super::TestServer::release); then the usual one.
    Hang,
    /// The connection is closed before the headers, and nothing is done.
    Drop,
    /// What was asked for is done, and then the connection is closed before the headers.
    DropAnswer,
    /// So many bytes of the body, then the connection is closed in good order;
    /// Content-Length promised more.
    TruncateAfter(u64),
    /// So many bytes of the body as if it had no more: Content-Length says so too.
    ShortenTo(usize),
    /// The body with another byte in this place.
    Damage(usize),
    /// So many bytes of the body, then the connection is reset (RST).
    ResetAfter(u64),
    /// So many bytes of the body, then silence until
    /// [`TestServer::release`](super::TestServer::release); then the rest.
    StallAfter(u64),
    /// The body in pieces of so many bytes with a pause behind each.
    Drip {
        /// Bytes in a piece.
        bytes: u64,
        /// The pause.
        pause: Duration,
    },
}

/// An answer that refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 500 InternalError.
    InternalError,
    /// 503 SlowDown.
    SlowDown,
    /// 429 TooManyRequests.
    TooManyRequests,
    /// 403 AccessDenied.
    AccessDenied,
    /// 400 ExpiredToken.
    ExpiredToken,
    /// 403 InvalidAccessKeyId.
    InvalidAccessKeyId,
    /// 400 AuthorizationHeaderMalformed: signed for another region than this one.
    WrongRegion(String),
    /// 301 PermanentRedirect with `x-amz-bucket-region`.
    Redirect(String),
    /// Any status and code.
    Other(u16, &'static str),
}

impl Refusal {
    /// Status, code, message, and the bucket's region where it is told.
    pub(super) fn parts(&self) -> (u16, &str, &str, Option<&str>) {
        match self {
            Self::InternalError => {
                (500, "InternalError", "We encountered an internal error. Please try again.", None)
            }
            Self::SlowDown => (503, "SlowDown", "Please reduce your request rate.", None),
            Self::TooManyRequests => (429, "TooManyRequests", "Too many requests.", None),
            Self::AccessDenied => (403, "AccessDenied", "Access Denied", None),
            Self::ExpiredToken => (400, "ExpiredToken", "The provided token has expired.", None),
            Self::InvalidAccessKeyId => (
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
                None,
            ),
            Self::WrongRegion(region) => (
                400,
                "AuthorizationHeaderMalformed",
                "The authorization header is malformed; the region is wrong",
                Some(region),
            ),
            Self::Redirect(region) => (
                301,
                "PermanentRedirect",
                "The bucket you are attempting to access must be addressed using the specified \
                 endpoint. Please send all future requests to this endpoint.",
                Some(region),
            ),
            Self::Other(status, code) => (*status, code, "Refused on command", None),
        }
    }
}

/// Which requests go wrong, and how.
#[derive(Debug, Clone)]
pub struct Fault {
    effect: Effect,
    op: Option<Op>,
    bucket: Option<&'static str>,
    key_part: String,
    part: Option<u64>,
    skip: u64,
    times: u64,
}

impl Fault {
    /// Strikes every request, until it is cleared.
    pub fn new(effect: Effect) -> Self {
        Fault {
            effect,
            op: None,
            bucket: None,
            key_part: String::new(),
            part: None,
            skip: 0,
            times: u64::MAX,
        }
    }

    /// Only requests of this kind.
    pub fn on(mut self, op: Op) -> Self {
        self.op = Some(op);
        self
    }

    /// Only in this bucket.
    pub fn bucket(mut self, name: &'static str) -> Self {
        self.bucket = Some(name);
        self
    }

    /// Only where the key (of a listing: the prefix) contains this.
    pub fn key(mut self, part: &str) -> Self {
        part.clone_into(&mut self.key_part);
        self
    }

    /// Only the part of an upload with this number.
    pub fn part(mut self, number: u64) -> Self {
        self.part = Some(number);
        self
    }

    /// Lets so many matching requests through first.
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Strikes so many matching requests, then no more.
    pub fn times(mut self, requests: u64) -> Self {
        self.times = requests;
        self
    }

    fn matches(&self, asked: &Asked) -> bool {
        self.op.is_none_or(|op| op == asked.op)
            && self.bucket.is_none_or(|bucket| bucket == asked.bucket)
            && self.part.is_none_or(|part| asked.part == Some(part))
            && asked.key.contains(&self.key_part)
    }
}

/// Names a fault that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultId(u64);

/// Where a body stops, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Truncate(u64),
    Reset(u64),
    Stall(u64),
}

/// What all faults together do to one request.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) delay: Duration,
    pub(super) hang: bool,
    pub(super) drop: bool,
    pub(super) drop_answer: bool,
    pub(super) refusal: Option<Refusal>,
    pub(super) page: Option<(u16, &'static str)>,
    pub(super) without_etag: bool,
    pub(super) headers: Vec<(&'static str, &'static [u8])>,
    pub(super) elements: Vec<(&'static str, Option<&'static str>)>,
    pub(super) shorten_to: Option<usize>,
    pub(super) damage: Option<usize>,
    pub(super) cut: Option<Cut>,
    pub(super) drip: Option<(u64, Duration)>,
}

#[derive(Debug)]
struct Armed {
    id: u64,
    fault: Fault,
    hits: u64,
}

/// The faults that are set.
#[derive(Debug)]
pub(super) struct Faults {
    armed: Mutex<Vec<Armed>>,
    next_id: AtomicU64,
    releases: watch::Sender<u64>,
}

impl Faults {
    pub(super) fn new() -> Self {
        Faults {
            armed: Mutex::default(),
            next_id: AtomicU64::new(0),
            releases: watch::Sender::new(0),
        }
    }

    pub(super) fn set(&self, fault: Fault) -> FaultId {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.with(|armed| armed.push(Armed { id, fault, hits: 0 }));
        FaultId(id)
    }

    pub(super) fn clear(&self, id: FaultId) {
        self.with(|armed| armed.retain(|one| one.id != id.0));
    }

    pub(super) fn clear_all(&self) {
        self.with(Vec::clear);
    }

    /// How often a fault has struck; 0 once it is cleared.
    pub(super) fn hits(&self, id: FaultId) -> u64 {
        self.with(|armed| armed.iter().find(|one| one.id == id.0).map_or(0, |one| one.hits))
    }

    /// What becomes of a request; counts down the faults that strike it.
    pub(super) fn plan(&self, asked: &Asked) -> Plan {
        let mut plan = Plan::default();
        self.with(|armed| {
            for one in armed.iter_mut().filter(|one| one.fault.matches(asked)) {
                if one.fault.skip > 0 {
                    one.fault.skip -= 1;
                } else if one.fault.times > one.hits {
                    one.hits += 1;
                    plan.add(&one.fault.effect);
                }
            }
        });
        plan
    }

    /// Lets everything that hangs or stalls now go on.
    pub(super) fn release(&self) {
        self.releases.send_modify(|count| *count += 1);
    }

    /// Ends at the next release.
    pub(super) fn released(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut releases = self.releases.subscribe();
        async move {
            // An error means that the server is going away: then the task goes too.
            let _ = releases.changed().await;
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Vec<Armed>) -> T) -> T {
        change(&mut self.armed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Plan {
    fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::Delay(delay) => self.delay += *delay,
            Effect::Refuse(refusal) => {
                self.refusal.get_or_insert_with(|| refusal.clone());
            }
            Effect::Page(status, text) => {
                self.page.get_or_insert((*status, text));
            }
            Effect::WithoutETag => self.without_etag = true,
            Effect::Header(name, value) => self.headers.push((name, value)),
            Effect::Element(name, text) => self.elements.push((name, *text)),
            Effect::Hang => self.hang = true,
            Effect::Drop => self.drop = true,
            Effect::DropAnswer => self.drop_answer = true,
            Effect::TruncateAfter(bytes) => {
                self.cut.get_or_insert(Cut::Truncate(*bytes));
            }
            Effect::ShortenTo(bytes) => {
                self.shorten_to.get_or_insert(*bytes);
            }
            Effect::Damage(at) => {
                self.damage.get_or_insert(*at);
            }
            Effect::ResetAfter(bytes) => {
                self.cut.get_or_insert(Cut::Reset(*bytes));
            }
            Effect::StallAfter(bytes) => {
                self.cut.get_or_insert(Cut::Stall(*bytes));
            }
            Effect::Drip { bytes, pause } => {
                self.drip.get_or_insert((*bytes, *pause));
            }
        }
    }
}
