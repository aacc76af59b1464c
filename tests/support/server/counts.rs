//! What the server has been asked for and what it has sent.
//!
//! Contract: a request counts when it arrives, whatever becomes of it: refused,
//! dropped and hanging ones too. Nothing here changes what is answered.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::StatusCode;

use super::http::{Asked, Op};

/// What arrived since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// ListObjectsV2 and ListObjects: what AWS bills 12.5 times a GET.
    pub list: u64,
    /// ListObjectVersions, billed as these.
    pub list_versions: u64,
    /// ListBuckets, billed as these.
    pub list_buckets: u64,
    /// HeadObject.
    pub head: u64,
    /// HeadBucket.
    pub head_bucket: u64,
    /// GetObject.
    pub get: u64,
    /// PutObject, CopyObject and UploadPart.
    pub put: u64,
    /// Everything else, deletes and the start and end of uploads in parts among it.
    pub other: u64,
    /// Answers with a status of 400 to 499.
    pub status_4xx: u64,
    /// Answers with a status of 500 to 599.
    pub status_5xx: u64,
    /// Bytes of object bodies that went out in answers to GetObject. What a
    /// client left unread counts as far as the socket's buffers took it.
    pub body_bytes: u64,
    /// For each GetObject in order of arrival: key, first byte, length in bytes.
    /// The length is 0 where there is no such object or range.
    pub ranges: Vec<(String, u64, u64)>,
    /// Requests whose signature does not cover their body.
    pub unsigned_bodies: u64,
    /// Requests that do not say that the requester pays.
    pub without_payer: u64,
    /// Requests that do not say who must own the bucket; of a copy, the source's bucket too.
    pub without_owner: u64,
    /// The most GetObjects that were under way at once, their bodies included.
    pub max_in_flight_gets: u64,
}

impl Counts {
    /// All requests together.
    pub fn requests(&self) -> u64 {
        self.list
            + self.list_versions
            + self.list_buckets
            + self.head
            + self.head_bucket
            + self.get
            + self.put
            + self.other
    }
}

#[derive(Debug, Default)]
struct Tally {
    counts: Counts,
    in_flight: u64,
    in_flight_gets: u64,
}

/// The counters, shared by all connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters(Arc<Mutex<Tally>>);

impl Counters {
    fn with<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn snapshot(&self) -> Counts {
        self.with(|tally| tally.counts.clone())
    }

    /// Requests under way, the bodies of their answers included.
    pub(super) fn in_flight(&self) -> u64 {
        self.with(|tally| tally.in_flight)
    }

    /// Starts from nothing; what is still under way counts as in flight.
    pub(super) fn reset(&self) {
        self.with(|tally| {
            tally.counts = Counts { max_in_flight_gets: tally.in_flight_gets, ..Counts::default() };
        });
    }

    /// Counts a request; it is under way until the guard is dropped. `range` is
    /// the first byte and the length that a GetObject asks for.
    pub(super) fn arrived(&self, asked: &Asked, range: (u64, u64)) -> InFlight {
        let is_get = asked.op == Op::Get;
        self.with(|tally| {
            let counts = &mut tally.counts;
            counts.unsigned_bodies += u64::from(asked.is_body_unsigned);
            counts.without_payer += u64::from(!asked.names_payer);
            counts.without_owner += u64::from(!asked.names_owner);
            match asked.op {
                Op::List => counts.list += 1,
                Op::ListVersions => counts.list_versions += 1,
                Op::ListBuckets => counts.list_buckets += 1,
                Op::Head => counts.head += 1,
                Op::HeadBucket => counts.head_bucket += 1,
                Op::Get => counts.get += 1,
                Op::Put | Op::UploadPart => counts.put += 1,
                Op::Delete
                | Op::CreateUpload
                | Op::CompleteUpload
                | Op::AbortUpload
                | Op::Other => {
                    counts.other += 1;
                }
            }
            tally.in_flight += 1;
            if is_get {
                tally.in_flight_gets += 1;
                counts.ranges.push((asked.key.clone(), range.0, range.1));
                counts.max_in_flight_gets = counts.max_in_flight_gets.max(tally.in_flight_gets);
            }
        });
        InFlight { counters: self.clone(), is_get, answers: false }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct InFlight {
    counters: Counters,
    is_get: bool,
    /// The body is what was asked for, not the text of an error.
    answers: bool,
}

impl InFlight {
    /// Counts the answer by its status.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.answers = status.is_success();
        self.counters.with(|tally| {
            tally.counts.status_4xx += u64::from(status.is_client_error());
            tally.counts.status_5xx += u64::from(status.is_server_error());
        });
    }

    /// Counts bytes of a body that have been handed to the connection.
    pub(super) fn sent(&self, bytes: u64) {
        if self.is_get && self.answers {
            self.counters.with(|tally| tally.counts.body_bytes += bytes);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.counters.with(|tally| {
            tally.in_flight -= 1;
            tally.in_flight_gets -= u64::from(self.is_get);
        });
    }
}
