//! Writing through the whole stack to a server that fails: what was written is
//! there once and whole, or there is an error and nothing of it.

mod copies_in_parts;
mod every_request;
mod in_doubt;
mod lacking_servers;
mod pages;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use bytes::Bytes;
use s3mem::key::{ETag, ObjectKey, ObjectVersion};
use s3mem::stats::Stats;
use s3mem::store::checksum::told_of_parts;
use s3mem::store::{
    BeginRequest, BodySignatures, CompleteRequest, Condition, CopyRequest, Credentials, Encryption,
    Limit, Limits, ObjectStore, Part, PartRequest, PutRequest, Retry, RetryConfig, S3, S3Config,
    StackConfig, StoreError, StoreErrorKind, WriteSettings, Written, production_stack,
    writes_at_once,
};

use crate::support::memory_store::{CallKind, MemoryStore};
use crate::support::server::{
    ACCESS_KEY, Effect, Fault, Meta, Op, Policy, REGION, Refusal, SECRET_KEY, TestServer,
};

const BUCKET: &str = "written";
const MIB: usize = 1 << 20;
/// S3 wants at least this in every part but the last.
const PART_BYTES: usize = 5 * MIB;
const MEMORY_BYTES: u64 = 1 << 30;

/// The production stack over a server in the process.
struct Stack {
    server: TestServer,
    store: Arc<dyn ObjectStore>,
    stats: Arc<Stats>,
}

/// What is different from the defaults.
struct How {
    s3: S3Config,
    timeout: Duration,
    max_copy_bytes: u64,
}

impl Default for How {
    fn default() -> Self {
        let s3 = S3Config::new(BUCKET.parse().unwrap());
        How { s3, timeout: Duration::from_secs(20), max_copy_bytes: u64::MAX }
    }
}

impl How {
    fn writing(writes: WriteSettings) -> Self {
        let mut how = How::default();
        how.s3.writes = writes;
        how
    }
}

async fn connect(server: &TestServer, config: S3Config) -> Arc<S3> {
    let config = S3Config {
        endpoint_url: Some(server.endpoint()),
        region: Some(REGION.to_owned()),
        credentials: Some(Credentials {
            access_key_id: ACCESS_KEY.to_owned(),
            secret_access_key: SECRET_KEY.to_owned(),
        }),
        ..config
    };
    Arc::new(S3::connect(config).await.unwrap())
}

impl Stack {
    async fn new() -> Self {
        Self::with(How::default()).await
    }

    async fn within(timeout: Duration) -> Self {
        Self::with(How { timeout, ..How::default() }).await
    }

    async fn with(how: How) -> Self {
        let server = TestServer::start();
        server.create_bucket(BUCKET);
        let s3 = connect(&server, how.s3).await;
        let stats = Stats::new();
        let retry = RetryConfig::within(how.timeout);
        let config = StackConfig {
            max_copy_bytes: how.max_copy_bytes,
            ..StackConfig::new(retry, MEMORY_BYTES)
        };
        let store = production_stack(s3, config, stats.clone());
        Stack { server, store, stats }
    }

    async fn put(&self, bytes: &'static [u8], condition: Condition) -> Result<Written, StoreError> {
        self.store.put(put(bytes, condition)).await
    }

    /// An upload of two parts from its beginning to its end; given up if a step fails.
    async fn upload(&self, condition: Condition) -> Result<Written, StoreError> {
        let begin = BeginRequest::new(key("obj"), Some("image/tiff".into()));
        let upload = self.store.begin_upload(begin).await?;
        let mut parts = Vec::new();
        for (number, body) in (1..).zip(bodies()) {
            let part = PartRequest { upload: upload.clone(), number, body };
            match self.store.put_part(part).await {
                Ok(part) => parts.push(part),
                Err(error) => {
                    let _ = self.store.abort_upload(&upload).await;
                    return Err(error);
                }
            }
        }
        let request = CompleteRequest { upload: upload.clone(), parts, condition };
        let outcome = self.store.complete_upload(request).await;
        if outcome.is_err() {
            let _ = self.store.abort_upload(&upload).await;
        }
        outcome
    }

    fn holds(&self, bytes: &[u8]) -> bool {
        let object = self.server.get(BUCKET, "obj");
        object.is_some_and(|object| object.content.slice(0..object.content.size()) == bytes)
    }

    fn version(&self, at: &str) -> ObjectVersion {
        let object = self.server.get(BUCKET, at).unwrap();
        ObjectVersion {
            key: key(at),
            size: object.content.size(),
            etag: Some(ETag::new(&object.etag)),
            last_modified: object.last_modified,
        }
    }

    async fn copy(&self, condition: Condition) -> Result<Written, StoreError> {
        let from = self.version("from");
        let request = CopyRequest { from, to: key("obj"), condition, content_type: None };
        self.store.copy(request).await
    }
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text)
}

fn put(bytes: &'static [u8], condition: Condition) -> PutRequest {
    let (key, body) = (key("obj"), Bytes::from_static(bytes));
    PutRequest { key, body, content_type: Some("text/plain".into()), condition }
}

fn bodies() -> [Bytes; 2] {
    [Bytes::from(vec![7; PART_BYTES]), Bytes::from_static(b"the end")]
}

fn whole() -> Vec<u8> {
    bodies().concat()
}

fn kind<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> StoreErrorKind {
    outcome.unwrap_err().kind
}

fn slow_down() -> Effect {
    Effect::Refuse(Refusal::SlowDown)
}

#[tokio::test]
async fn a_part_that_gets_no_answer_has_the_time_for_its_body_once() {
    let stack = Stack::within(Duration::from_secs(3)).await;
    let upload = stack.store.begin_upload(BeginRequest::new(key("obj"), None)).await.unwrap();
    stack.server.fault(Fault::new(Effect::Hang).on(Op::UploadPart));
    // A second's worth of the slowest upload.
    let body = Bytes::from(vec![7; 300 << 10]);
    let start = Instant::now();
    let part = stack.store.put_part(PartRequest { upload, number: 1, body }).await;
    assert_eq!(kind(part), StoreErrorKind::Timeout);
    let took = start.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(5)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_asked_again_after_that() {
    let stack = Stack::new().await;
    stack.server.put(BUCKET, "obj", "x");
    stack.server.fault(Fault::new(Effect::Refuse(Refusal::SlowDown)).times(1));
    stack.server.fault(Fault::new(Effect::Header("retry-after", b"2")).times(1));
    let took = async || {
        let start = Instant::now();
        stack.store.head(&key("obj")).await.unwrap();
        start.elapsed()
    };
    let waited = took().await;
    assert!((Duration::from_secs(2)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    // Until a time, to the second.
    let then = DateTime::from(SystemTime::now() + Duration::from_secs(3));
    let then = then.fmt(DateTimeFormat::HttpDate).unwrap().into_bytes();
    stack.server.fault(Fault::new(Effect::Header("retry-after", then.leak())).times(1));
    stack.server.fault(Fault::new(Effect::Refuse(Refusal::SlowDown)).times(1));
    let waited = took().await;
    assert!((Duration::from_secs(1)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_is_ours_and_there_once() {
    let stack = Stack::new().await;
    let fault = stack.server.fault(Fault::new(Effect::DropAnswer).on(Op::Put).times(1));
    let written = stack.put(b"ours", Condition::Absent).await.unwrap();
    assert_eq!(stack.server.fault_hits(fault), 1);
    assert_eq!(written.etag, stack.version("obj").etag);
    assert!(stack.holds(b"ours"));
    let counts = stack.server.counts();
    assert_eq!((counts.put, counts.head), (2, 1), "a HEAD decides");
    let cost = stack.stats.snapshot();
    assert_eq!((cost.put_requests, cost.retry_requests, cost.head_requests), (2, 1, 1));
    // The next version in the same way, in place of this one.
    stack.server.fault(Fault::new(Effect::DropAnswer).on(Op::Put).times(1));
    let next = stack.put(b"next", Condition::Unchanged(written.etag.unwrap())).await.unwrap();
    assert!(stack.holds(b"next") && next.etag == stack.version("obj").etag);
}

#[tokio::test]
async fn a_foreign_object_is_never_taken_for_ours() {
    for effect in [Effect::Drop, slow_down()] {
        let stack = Stack::new().await;
        stack.server.put(BUCKET, "obj", "them");
        stack.server.fault(Fault::new(effect).on(Op::Put).times(1));
        assert_eq!(kind(stack.put(b"ours", Condition::Absent).await), StoreErrorKind::Changed);
        assert!(stack.holds(b"them"), "of the same size, and still there");
    }
    // Without any doubt our own bytes are not ours, and one HEAD confirms the conflict.
    let stack = Stack::new().await;
    stack.server.put(BUCKET, "obj", "ours");
    assert_eq!(kind(stack.put(b"ours", Condition::Absent).await), StoreErrorKind::Changed);
    assert_eq!(stack.server.counts().head, 1);
}

#[tokio::test]
async fn a_server_without_checksums_is_asked_for_the_etag() {
    let stack = Stack::new().await;
    // The object is there as a server keeps it that knows no checksums.
    stack.server.put(BUCKET, "obj", "ours");
    stack.server.fault(Fault::new(slow_down()).on(Op::Put).times(1));
    stack.put(b"ours", Condition::Absent).await.unwrap();
}

#[tokio::test]
async fn passing_faults_at_each_step_of_an_upload_end_in_one_object() {
    let broken = Effect::Refuse(Refusal::InternalError);
    for op in [Op::CreateUpload, Op::UploadPart, Op::CompleteUpload] {
        let cut = Effect::TruncateAfter(20);
        for effect in [broken.clone(), slow_down(), Effect::Drop, Effect::DropAnswer, cut] {
            for condition in [Condition::Absent, Condition::Any] {
                let stack = Stack::new().await;
                let fault = Fault::new(effect.clone()).on(op).times(1);
                let fault = stack.server.fault(fault);
                let written = stack.upload(condition).await;
                let written = written.unwrap_or_else(|e| panic!("{op:?} {effect:?}: {e}"));
                assert_eq!(stack.server.fault_hits(fault), 1);
                assert!(stack.holds(&whole()), "{op:?} {effect:?}");
                assert_eq!(written.etag, stack.version("obj").etag);
                // An upload whose id was lost stays: nobody knows it.
                let is_lost = op == Op::CreateUpload
                    && matches!(effect, Effect::DropAnswer | Effect::TruncateAfter(_));
                let open = stack.server.open_uploads(BUCKET).len();
                assert_eq!(open, usize::from(is_lost), "{op:?} {effect:?}");
            }
        }
    }
}

#[tokio::test]
async fn one_part_that_fails_is_sent_again_alone() {
    let stack = Stack::new().await;
    let fault = Fault::new(slow_down()).on(Op::UploadPart).part(2).times(2);
    let fault = stack.server.fault(fault);
    stack.upload(Condition::Absent).await.unwrap();
    assert_eq!(stack.server.fault_hits(fault), 2);
    assert_eq!(stack.server.counts().put, 4);
    let cost = stack.stats.snapshot();
    assert_eq!(cost.put_requests, 4 + 2, "with the beginning and the end");
    assert_eq!(cost.put_bytes, whole().len() as u64, "what was taken counts once");
}

#[tokio::test]
async fn an_upload_that_is_refused_for_good_leaves_nothing() {
    for op in [Op::CreateUpload, Op::UploadPart, Op::CompleteUpload] {
        let refusals = [
            (Effect::Refuse(Refusal::AccessDenied), StoreErrorKind::AccessDenied),
            (Effect::Refuse(Refusal::Other(507, "XMinioStorageFull")), StoreErrorKind::Full),
            (Effect::Refuse(Refusal::Other(400, "EntityTooLarge")), StoreErrorKind::Full),
        ];
        for (effect, expected) in refusals {
            let stack = Stack::new().await;
            stack.server.fault(Fault::new(effect).on(op));
            assert_eq!(kind(stack.upload(Condition::Absent).await), expected, "{op:?}");
            assert_eq!(stack.server.keys(BUCKET), [""; 0]);
            assert_eq!(stack.server.open_uploads(BUCKET), [""; 0], "{op:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_only_fails_is_given_up_within_the_deadline() {
    for op in [Op::CreateUpload, Op::UploadPart, Op::CompleteUpload] {
        let stack = Stack::within(Duration::from_secs(2)).await;
        stack.server.fault(Fault::new(Effect::Refuse(Refusal::InternalError)).on(op));
        assert_eq!(kind(stack.upload(Condition::Any).await), StoreErrorKind::Transient, "{op:?}");
        assert_eq!(stack.server.keys(BUCKET), [""; 0]);
        assert_eq!(stack.server.open_uploads(BUCKET), [""; 0], "{op:?}");
    }
}

#[tokio::test]
async fn a_foreign_object_keeps_its_place_before_an_upload() {
    let stack = Stack::new().await;
    stack.server.put(BUCKET, "obj", "them");
    stack.server.fault(Fault::new(slow_down()).on(Op::CompleteUpload).times(1));
    assert_eq!(kind(stack.upload(Condition::Absent).await), StoreErrorKind::Changed);
    assert!(stack.holds(b"them"));
    assert_eq!(stack.server.open_uploads(BUCKET), [""; 0]);
}

#[tokio::test]
async fn a_delete_whose_answer_was_lost_has_happened() {
    let stack = Stack::new().await;
    stack.server.put(BUCKET, "obj", "x");
    let etag = stack.version("obj").etag;
    stack.server.fault(Fault::new(Effect::DropAnswer).on(Op::Delete).times(1));
    stack.store.delete(&key("obj"), etag.as_ref()).await.unwrap();
    assert_eq!(stack.server.keys(BUCKET), [""; 0]);
    assert_eq!(stack.stats.snapshot().delete_requests, 2);
    // Without a doubt what is not there was not there.
    let gone = stack.store.delete(&key("obj"), etag.as_ref()).await;
    assert_eq!(kind(gone), StoreErrorKind::NotFound);
}

#[tokio::test]
async fn a_copy_whose_answer_was_lost_or_cut_is_known_by_its_etag() {
    for effect in [Effect::DropAnswer, Effect::TruncateAfter(20)] {
        let stack = Stack::new().await;
        stack.server.put(BUCKET, "from", "source");
        stack.server.fault(Fault::new(effect).on(Op::Put).times(1));
        stack.copy(Condition::Absent).await.unwrap();
        assert!(stack.holds(b"source"));
        stack.server.put(BUCKET, "from", "newer!");
        stack.server.fault(Fault::new(slow_down()).on(Op::Put).times(1));
        assert_eq!(kind(stack.copy(Condition::Absent).await), StoreErrorKind::Changed);
        assert!(stack.holds(b"source"));
    }
}

/// A copy of what came in parts has an ETag of the whole, as on AWS.
#[tokio::test]
async fn a_copy_that_keeps_neither_etag_nor_checksum_is_known_by_its_bytes() {
    let size = whole().len() as u64;
    for effect in [Effect::DropAnswer, Effect::TruncateAfter(20)] {
        let stack = Stack::new().await;
        stack.upload(Condition::Absent).await.unwrap();
        let (from, to) = (stack.version("obj"), key("copy"));
        let condition = Condition::Absent;
        let copy = CopyRequest { from: from.clone(), to, condition, content_type: None };
        stack.server.fault(Fault::new(effect).on(Op::Put).times(1));
        let copied = stack.store.copy(copy.clone()).await.unwrap();
        let there = stack.version("copy");
        assert!(copied.etag == there.etag && there.etag != from.etag);
        let counts = stack.server.counts();
        assert_eq!((counts.get, counts.body_bytes), (2, 2 * size), "a GET of each");
        // Bytes of somebody else, as many of them.
        let mut theirs = whole();
        theirs[size as usize - 1] ^= 1;
        stack.server.put(BUCKET, "copy", theirs);
        let theirs = stack.version("copy").etag;
        stack.server.fault(Fault::new(slow_down()).on(Op::Put).times(1));
        assert_eq!(kind(stack.store.copy(copy).await), StoreErrorKind::Changed);
        assert_eq!(stack.version("copy").etag, theirs);
    }
}

/// MinIO ignores conditions on copies and deletes, and so may others.
#[tokio::test]
async fn a_server_that_may_ignore_conditions_is_looked_at_before_copies_and_deletes() {
    let stack = Stack::new().await;
    stack.server.ignore_conditions();
    stack.server.put(BUCKET, "from", "source");
    stack.server.put(BUCKET, "obj", "seen");
    let seen = stack.version("obj").etag.unwrap();
    stack.server.put(BUCKET, "obj", "foreign");
    let refused = stack.store.delete(&key("obj"), Some(&seen)).await;
    assert_eq!(kind(refused), StoreErrorKind::Changed);
    for condition in [Condition::Absent, Condition::Unchanged(seen.clone())] {
        assert_eq!(kind(stack.copy(condition).await), StoreErrorKind::Changed);
    }
    assert!(stack.holds(b"foreign"));
    let found = stack.version("obj").etag.unwrap();
    stack.copy(Condition::Unchanged(found)).await.unwrap();
    assert!(stack.holds(b"source"));
    let copied = stack.version("obj").etag.unwrap();
    stack.store.delete(&key("obj"), Some(&copied)).await.unwrap();
    assert_eq!(kind(stack.copy(Condition::Unchanged(copied)).await), StoreErrorKind::NotFound);
    stack.copy(Condition::Absent).await.unwrap();
    assert!(stack.holds(b"source"));
    // A look before each, and nothing else where the look says no.
    let (counts, told) = (stack.server.counts(), stack.stats.snapshot());
    assert_eq!((counts.head, counts.put, counts.other), (7, 2, 1));
    assert_eq!((told.head_requests, told.put_requests, told.delete_requests), (7, 2, 1));
    // What is on no condition needs none.
    stack.copy(Condition::Any).await.unwrap();
    stack.store.delete(&key("obj"), None).await.unwrap();
    assert_eq!(stack.server.counts().head, 7);
}

#[tokio::test]
async fn a_look_before_a_copy_or_a_delete_is_tried_again_and_counted() {
    let stack = Stack::new().await;
    stack.server.ignore_conditions();
    stack.server.put(BUCKET, "from", "source");
    stack.server.fault(Fault::new(Effect::Drop).on(Op::Head).times(1));
    stack.copy(Condition::Absent).await.unwrap();
    stack.server.fault(Fault::new(slow_down()).on(Op::Head).times(1));
    let etag = stack.version("obj").etag;
    stack.store.delete(&key("obj"), etag.as_ref()).await.unwrap();
    let told = stack.stats.snapshot();
    assert_eq!((told.head_requests, told.retry_requests, told.failed_requests), (4, 2, 2));
    assert_eq!((told.put_requests, told.delete_requests), (1, 1));
}

/// The second attempt of a delete must not take what came after the first.
#[tokio::test]
async fn each_attempt_on_a_server_that_may_ignore_conditions_looks_for_itself() {
    let stack = Stack::within(Duration::from_secs(6)).await;
    stack.server.ignore_conditions();
    stack.server.put(BUCKET, "obj", "seen");
    let etag = stack.version("obj").etag;
    let hanging = stack.server.fault(Fault::new(Effect::Hang).on(Op::Delete).times(1));
    let store = stack.store.clone();
    let deleting = tokio::spawn(async move { store.delete(&key("obj"), etag.as_ref()).await });
    while stack.server.fault_hits(hanging) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stack.server.put(BUCKET, "obj", "foreign");
    assert_eq!(kind(deleting.await.unwrap()), StoreErrorKind::Changed);
    assert!(stack.holds(b"foreign"));
    assert_eq!(stack.stats.snapshot().delete_requests, 1);
}

#[tokio::test]
async fn amazon_s3_holds_conditions_without_a_look_before() {
    let stack = Stack::new().await;
    stack.server.put(BUCKET, "from", "source");
    // The first answer says who it is.
    stack.put(b"seen", Condition::Absent).await.unwrap();
    let seen = stack.version("obj").etag.unwrap();
    stack.copy(Condition::Unchanged(seen.clone())).await.unwrap();
    assert_eq!(kind(stack.store.delete(&key("obj"), Some(&seen)).await), StoreErrorKind::Changed);
    assert_eq!(stack.server.counts().head, 0);
}

#[tokio::test]
async fn bodies_are_signed_where_they_can_be_changed_and_checked_everywhere() {
    // Nobody changes them on the way to this machine.
    for (signs, unsigned) in [(BodySignatures::Always, 0), (BodySignatures::WhereNeeded, 3)] {
        let mut how = How::default();
        how.s3.sign_bodies = signs;
        let stack = Stack::with(how).await;
        stack.put(b"first", Condition::Absent).await.unwrap();
        assert!(stack.holds(b"first"));
        stack.upload(Condition::Any).await.unwrap();
        assert!(stack.holds(&whole()));
        assert_eq!(stack.server.counts().unsigned_bodies, unsigned);
    }
}

#[tokio::test]
async fn storage_class_encryption_and_type_arrive_with_every_way_of_writing() {
    let key_id = "arn:aws:kms:us-east-1:1:key/2";
    let writes = WriteSettings {
        storage_class: Some("INTELLIGENT_TIERING".to_owned()),
        encryption: Encryption::Kms { key: Some(key_id.to_owned()) },
    };
    let stack = Stack::with(How::writing(writes)).await;
    stack.server.put(BUCKET, "from", "source");
    for way in ["put", "parts", "copy"] {
        let written = match way {
            "put" => stack.put(b"ours", Condition::Any).await,
            "parts" => stack.upload(Condition::Any).await,
            _ => stack.copy(Condition::Any).await,
        };
        written.unwrap();
        let object = stack.server.get(BUCKET, "obj").unwrap();
        assert_eq!(object.storage_class.as_deref(), Some("INTELLIGENT_TIERING"), "{way}");
        assert_eq!(object.encryption.as_deref(), Some("aws:kms"), "{way}");
        assert_eq!(object.kms_key.as_deref(), Some(key_id), "{way}");
        let expected = match way {
            "put" => Some("text/plain"),
            "parts" => Some("image/tiff"),
            _ => None,
        };
        assert_eq!(object.content_type.as_deref(), expected, "{way}");
    }
}

#[tokio::test]
async fn writes_go_to_the_region_that_the_bucket_is_in() {
    let stack = Stack::new().await;
    let region = Some("eu-central-1".to_owned());
    stack.server.set_policy(BUCKET, Policy { region, ..Policy::default() });
    stack.put(b"ours", Condition::Absent).await.unwrap();
    assert!(stack.holds(b"ours"));
    assert_eq!(stack.server.counts().put, 2, "refused once, then sent where it belongs");
}

#[tokio::test]
async fn a_server_that_knows_no_conditions_is_told_from_one_that_fails() {
    let stack = Stack::new().await;
    stack.server.fault(Fault::new(Effect::Refuse(Refusal::Other(501, "NotImplemented"))));
    let error = stack.put(b"ours", Condition::Absent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Other);
    assert!(error.detail.contains("does not support conditional writes"), "{error}");
    let error = stack.put(b"ours", Condition::Any).await.unwrap_err();
    assert!(!error.detail.contains("conditional"), "{error}");
    stack.server.clear_faults();
}

#[tokio::test]
async fn conflicts_and_bodies_damaged_on_their_way_are_sent_again() {
    for (status, code) in [
        (409, "ConditionalRequestConflict"),
        (400, "BadDigest"),
        (400, "XAmzContentChecksumMismatch"),
    ] {
        let stack = Stack::new().await;
        let fault = Fault::new(Effect::Refuse(Refusal::Other(status, code))).on(Op::Put).times(1);
        stack.server.fault(fault);
        stack.put(b"ours", Condition::Absent).await.unwrap_or_else(|e| panic!("{code}: {e}"));
        assert!(stack.holds(b"ours"));
    }
}

#[tokio::test]
async fn writes_are_bounded_and_hold_up_nothing_else() {
    let memory = MemoryStore::new();
    memory.put("other", "x");
    let limit = Arc::new(Limit::new(Arc::new(memory.clone()), Limits::new(64 << 20)));
    assert_eq!(writes_at_once(64 << 20), 8);
    memory.hang_next(CallKind::Put, None, 20);
    let writes: Vec<_> = (0..20)
        .map(|_| {
            let limit = limit.clone();
            tokio::spawn(async move { limit.put(put(b"x", Condition::Any)).await })
        })
        .collect();
    // Longer than other requests keep their permits without an answer.
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(memory.tally().put, 8);
    limit.head(&key("other")).await.unwrap();
    while writes.iter().any(|write| !write.is_finished()) {
        memory.release();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(memory.tally().put, 20);
}

/// The rules of retrying, over a store without a network.
fn retrying(timeout: Duration) -> (MemoryStore, Retry) {
    let memory = MemoryStore::new();
    let config = RetryConfig::within(timeout);
    let retry = Retry::new(Arc::new(memory.clone()), config, Stats::new());
    (memory, retry)
}

#[tokio::test]
async fn whatever_the_lost_answer_was_our_write_is_found() {
    for lost in [StoreErrorKind::Timeout, StoreErrorKind::Unreachable, StoreErrorKind::Transient] {
        let (memory, retry) = retrying(Duration::from_secs(10));
        memory.lose_answers(CallKind::Put, None, lost.clone(), 2);
        let written = retry.put(put(b"ours", Condition::Absent)).await.unwrap();
        assert_eq!(written.etag, Some(ETag::new(&memory.object("obj").unwrap().etag)));
        memory.put("them", "them");
        let upload = retry.begin_upload(BeginRequest::new(key("parts"), None)).await.unwrap();
        memory.lose_answers(CallKind::PutPart, None, lost.clone(), 1);
        let body = Bytes::from_static(b"ours");
        let part = PartRequest { upload: upload.clone(), number: 1, body };
        let part: Part = retry.put_part(part).await.unwrap();
        memory.lose_answers(CallKind::CompleteUpload, None, lost, 1);
        let parts = vec![part.clone()];
        let request = CompleteRequest { upload, parts, condition: Condition::Absent };
        retry.complete_upload(request).await.unwrap();
        let object = memory.object("parts").unwrap();
        assert_eq!(object.checksum, part.checksum.map(|crc| told_of_parts(&[crc])));
    }
}

#[tokio::test]
async fn an_attempt_may_take_longer_the_more_it_carries() {
    let (memory, retry) = retrying(Duration::from_secs(3));
    // A second for 256 KiB, behind the third of the deadline that every attempt has.
    memory.set_delay(Duration::from_millis(1500));
    let large = PutRequest { body: Bytes::from(vec![0; 256 << 10]), ..put(b"", Condition::Any) };
    retry.put(large).await.unwrap();
    assert_eq!(memory.tally().put, 1);
    let small = retry.put(put(b"small", Condition::Any)).await;
    assert_eq!(kind(small), StoreErrorKind::Timeout);
}
