//! An object store without a network: what the file system is tested on where
//! neither a kernel nor S3 matters.
//!
//! Contract: answers as [`ObjectStore`] promises, over the same buckets as the
//! test server; records every call; fails, cuts, blocks and waits on command.
//! Clones share one bucket. Never retries: what a call does, it does once.

mod call;
mod lists;
mod writes;

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use s3mem::key::{ETag, ObjectKey, ObjectVersion, Prefix};
use s3mem::store::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeptContent, KeptVersion, KeyOrder, ListPage, ListRequest, ListedObject,
    ObjectHead, ObjectStore, Part, PartRequest, PutRequest, Spelling, StoreError, StoreErrorKind,
    Upload, VersionsPage, VersionsRequest, Written,
};
use tokio::sync::watch;

pub use self::call::{Call, CallKind};
pub use self::lists::StartAfter;
use self::lists::{Lists, UnderWay};
use self::writes::Pending;
use super::bucket::{After, Bucket, Content, Listing, Meta, Object};

/// How many calls of each kind arrived, and how many bytes went out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls of `list_page`.
    pub list: u64,
    /// Calls of `head`.
    pub head: u64,
    /// Calls of `get_range`.
    pub get: u64,
    /// Bytes that the ranges of those calls add up to.
    pub asked_bytes: u64,
    /// Bytes that were taken out of bodies.
    pub body_bytes: u64,
    /// The most bodies that were open at once.
    pub max_open_bodies: u64,
    /// Calls of `put`.
    pub put: u64,
    /// Calls of `put_part` and `copy_part`.
    pub part: u64,
    /// Calls of `copy`.
    pub copy: u64,
    /// Calls of `delete`.
    pub delete: u64,
    /// Calls of `begin_upload`, `complete_upload` and `abort_upload`.
    pub upload: u64,
    /// Bytes of objects and parts that were taken.
    pub written_bytes: u64,
}

/// How the store differs from S3.
#[derive(Debug, Clone, Copy)]
pub struct StoreStyle {
    /// The most entries in one page; S3 has 1,000.
    pub page_entries: usize,
    /// Whether listings carry ETags; some servers leave them out.
    pub listing_etags: bool,
    /// Bytes in one piece of a body.
    pub chunk_bytes: u64,
    /// What every part of an upload but the last has to have; S3 wants 5 MiB.
    pub min_part_bytes: u64,
    /// Whether the last page of a listing leads to the first one again.
    pub endless: bool,
    /// Whether no token is given twice, so that only its pages show an endless listing.
    pub fresh_tokens: bool,
    /// In which order it lists: backwards, unless in that of bytes.
    pub order: Order,
    /// Whether each version has an ETag that no other has, as with keys of a key service.
    pub opaque_etags: bool,
    /// Where a listing begins that is to begin behind a key.
    pub start_after: StartAfter,
}

impl Default for StoreStyle {
    fn default() -> Self {
        StoreStyle {
            page_entries: 1000,
            listing_etags: true,
            chunk_bytes: 16 * 1024,
            min_part_bytes: 5 << 20,
            endless: false,
            fresh_tokens: false,
            opaque_etags: false,
            order: Order::OfBytes,
            start_after: StartAfter::Kept,
        }
    }
}

/// In which order a store lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// In that of bytes, as it says.
    OfBytes,
    /// In that of bytes, which nobody knows.
    OfBytesUnsaid,
    /// Backwards, which nobody knows.
    Backwards,
    /// Backwards and below prefixes that end in `/`, as a directory bucket says of itself.
    OfADirectoryBucket,
}

/// What becomes of the next calls that match.
#[derive(Debug, Clone)]
enum Trouble {
    Fail(StoreErrorKind),
    CutBody(u64),
    BlockBody(u64),
    LoseAnswer(StoreErrorKind),
    Hang,
}

/// Which calls a rule is about.
#[derive(Debug, Clone, Copy)]
enum Calls {
    Of(CallKind),
    ThatWrite,
    ThatRead,
}

#[derive(Debug)]
struct Rule {
    calls: Calls,
    key: Option<String>,
    /// So many calls that match go well before.
    skips: u64,
    times: u64,
    trouble: Trouble,
}

#[derive(Debug, Default)]
struct State {
    bucket: Bucket,
    unreachable: Vec<String>,
    calls: Vec<Call>,
    tally: Tally,
    open_bodies: u64,
    lists: Lists,
    rules: VecDeque<Rule>,
    has_failed: bool,
    style: StoreStyle,
    delay: Duration,
    /// Uploads in parts that are under way, by id.
    uploads: HashMap<String, Pending>,
    next_upload: u64,
    next_etag: u64,
}

/// A bucket in memory, behind the store's trait.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    releases: watch::Sender<u64>,
}

impl MemoryStore {
    /// An empty bucket that behaves as S3 does.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty bucket with habits of its own.
    pub fn with_style(style: StoreStyle) -> Self {
        let store = Self::default();
        store.lock().style = style;
        store
    }

    /// Puts or replaces an object from outside.
    pub fn put(&self, key: &str, bytes: impl Into<Bytes>) -> ETag {
        self.put_with(key, bytes, Meta::default())
    }

    /// Puts or replaces an object with more than its bytes.
    pub fn put_with(&self, key: &str, bytes: impl Into<Bytes>, meta: Meta) -> ETag {
        self.insert(key, Object::new(Content::Stored(bytes.into()), meta))
    }

    /// Puts an object whose bytes are computed; see [`pattern`](super::pattern::pattern()).
    pub fn put_pattern(&self, key: &str, size: u64, seed: u64) -> ETag {
        self.insert(key, Object::new(Content::Pattern { size, seed }, Meta::default()))
    }

    /// Deletes an object from outside; says whether there was one.
    pub fn delete(&self, key: &str) -> bool {
        self.lock().bucket.objects.remove(key).is_some()
    }

    /// Adds a key that is no UTF-8, percent-encoded, to the first page of every
    /// listing of a prefix that it starts with.
    pub fn put_unreachable(&self, encoded_key: &str) {
        self.lock().unreachable.push(encoded_key.to_owned());
    }

    /// All keys in order.
    pub fn keys(&self) -> Vec<String> {
        self.lock().bucket.objects.keys().cloned().collect()
    }

    /// Every call so far, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// What the calls so far add up to.
    pub fn tally(&self) -> Tally {
        self.lock().tally
    }

    /// Forgets the calls so far; returns what they added up to.
    pub fn reset(&self) -> Tally {
        let mut state = self.lock();
        state.calls.clear();
        let max_open_bodies = state.open_bodies;
        std::mem::replace(&mut state.tally, Tally { max_open_bodies, ..Tally::default() })
    }

    /// Bodies that are neither finished nor dropped.
    pub fn open_bodies(&self) -> u64 {
        self.lock().open_bodies
    }

    /// Fails the next `times` calls of a kind, on one key or on any.
    pub fn fail_next(&self, kind: CallKind, key: Option<&str>, error: StoreErrorKind, times: u64) {
        self.rule(kind, key, times, Trouble::Fail(error));
    }

    /// Does what the next `times` calls of a kind that write ask for, and answers them
    /// with an error all the same.
    pub fn lose_answers(
        &self,
        kind: CallKind,
        key: Option<&str>,
        error: StoreErrorKind,
        times: u64,
    ) {
        self.rule(kind, key, times, Trouble::LoseAnswer(error));
    }

    /// Fails `times` calls that write, of any kind, after `skips` of them went well;
    /// does what they ask for all the same if only the answers are lost.
    pub fn fail_writes(&self, error: StoreErrorKind, is_done: bool, skips: u64, times: u64) {
        let trouble = if is_done { Trouble::LoseAnswer(error) } else { Trouble::Fail(error) };
        let rule = Rule { calls: Calls::ThatWrite, key: None, skips, times, trouble };
        self.lock().rules.push_back(rule);
    }

    /// Fails `times` calls that read, of any kind, after `skips` of them went well.
    pub fn fail_reads(&self, error: StoreErrorKind, skips: u64, times: u64) {
        let trouble = Trouble::Fail(error);
        let rule = Rule { calls: Calls::ThatRead, key: None, skips, times, trouble };
        self.lock().rules.push_back(rule);
    }

    /// Nothing fails any more that was to fail; whether anything has since the last time.
    pub fn heal(&self) -> bool {
        let mut state = self.lock();
        state.rules.clear();
        std::mem::take(&mut state.has_failed)
    }

    /// Aborts all uploads in parts from outside, as a lifecycle rule does.
    pub fn abort_uploads(&self) {
        self.lock().uploads.clear();
    }

    /// An object as it is now.
    pub fn object(&self, key: &str) -> Option<Arc<Object>> {
        self.lock().bucket.objects.get(key).cloned()
    }

    /// The keys of the uploads in parts that were begun and neither completed nor aborted.
    pub fn open_uploads(&self) -> Vec<String> {
        self.lock().uploads.values().map(|pending| pending.key.clone()).collect()
    }

    /// Cuts the next `times` bodies of a key, or of any, after so many bytes.
    pub fn cut_next(&self, key: Option<&str>, after_bytes: u64, times: u64) {
        self.rule(CallKind::Get, key, times, Trouble::CutBody(after_bytes));
    }

    /// Blocks the next `times` bodies of a key, or of any, after so many bytes,
    /// until [`release`](Self::release).
    pub fn block_next(&self, key: Option<&str>, after_bytes: u64, times: u64) {
        self.rule(CallKind::Get, key, times, Trouble::BlockBody(after_bytes));
    }

    /// Leaves the next `times` calls of a kind, on one key or on any, without an
    /// answer until [`release`](Self::release).
    pub fn hang_next(&self, kind: CallKind, key: Option<&str>, times: u64) {
        self.rule(kind, key, times, Trouble::Hang);
    }

    /// Lets everything that is blocked or hangs at this moment go on.
    pub fn release(&self) {
        self.releases.send_modify(|count| *count += 1);
    }

    /// How long every call takes before its answer starts, by tokio's clock.
    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, key: &str, object: Object) -> ETag {
        let mut state = self.lock();
        let object = state.tagged(object);
        let etag = ETag::new(&object.etag);
        state.bucket.objects.insert(key.to_owned(), Arc::new(object));
        etag
    }

    fn rule(&self, kind: CallKind, key: Option<&str>, times: u64, trouble: Trouble) {
        let key = key.map(str::to_owned);
        let rule = Rule { calls: Calls::Of(kind), key, skips: 0, times, trouble };
        self.lock().rules.push_back(rule);
    }

    /// Records a call and does to it what the first rule that matches says; what
    /// concerns the body is handed back.
    async fn arrive(&self, call: Call) -> Result<Option<Trouble>, StoreError> {
        let (delay, trouble, mut releases) = {
            let mut state = self.lock();
            let trouble = state.strike(&call);
            state.count(&call);
            state.calls.push(call.clone());
            (state.delay, trouble, self.releases.subscribe())
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match trouble {
            Some(Trouble::Fail(kind)) => Err(error(kind, &call, "failed on command")),
            Some(Trouble::Hang) => {
                // An error means that the store is gone, and then so is the answer.
                let _ = releases.changed().await;
                Ok(None)
            }
            other => Ok(other),
        }
    }

    /// Records a call that writes, does it, and loses the answer if a rule says so.
    async fn perform<T>(
        &self,
        call: Call,
        write: impl FnOnce(&Call) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let trouble = self.arrive(call.clone()).await?;
        let outcome = write(&call);
        match trouble {
            Some(Trouble::LoseAnswer(kind)) => Err(error(kind, &call, "lost on command")),
            _ => outcome,
        }
    }

    fn find(&self, call: &Call) -> Result<Arc<Object>, StoreError> {
        let found = self.lock().bucket.objects.get(call.key()).cloned();
        found.ok_or_else(|| error(StoreErrorKind::NotFound, call, "there is no such object"))
    }
}

impl State {
    /// What the first rule that matches a call does to it.
    fn strike(&mut self, call: &Call) -> Option<Trouble> {
        let matches = |rule: &Rule| {
            let is_such = match rule.calls {
                Calls::Of(kind) => kind == call.kind(),
                Calls::ThatWrite => call.kind().writes(),
                Calls::ThatRead => !call.kind().writes(),
            };
            is_such && rule.key.as_deref().is_none_or(|key| key == call.key())
        };
        let index = self.rules.iter().position(matches)?;
        let rule = &mut self.rules[index];
        if rule.skips > 0 {
            rule.skips -= 1;
            return None;
        }
        self.has_failed = true;
        rule.times -= 1;
        let trouble = rule.trouble.clone();
        if rule.times == 0 {
            self.rules.remove(index);
        }
        Some(trouble)
    }

    fn count(&mut self, call: &Call) {
        match call {
            Call::List(_) => self.tally.list += 1,
            Call::Head(_) => self.tally.head += 1,
            Call::Get(request) => {
                self.tally.get += 1;
                self.tally.asked_bytes += request.range.end - request.range.start;
            }
            Call::Put(_) => self.tally.put += 1,
            Call::PutPart(..) | Call::CopyPart(..) => self.tally.part += 1,
            Call::Copy(..) => self.tally.copy += 1,
            Call::Delete(_) => self.tally.delete += 1,
            Call::BeginUpload(_) | Call::CompleteUpload(_) | Call::AbortUpload(_) => {
                self.tally.upload += 1;
            }
        }
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        let call = Call::List(request.clone());
        let _under_way = UnderWay::list(self);
        self.arrive(call.clone()).await?;
        let after = match &request.token {
            Some(token) => After::from_token(token.split_once('~').map_or(token, |(_, of)| of))
                .ok_or_else(|| error(StoreErrorKind::Other, &call, "no token of ours"))?,
            None => request.after.clone().map_or(After::Start, After::Key),
        };
        let state = self.lock();
        let (after, skips) = state.style.start_after.applied(&request, after);
        let listing = Listing {
            prefix: request.prefix.as_str(),
            delimiter: if request.delimited { "/" } else { "" },
            after,
            max_keys: state.style.page_entries.min(request.max_keys.into()),
        };
        let page = match state.style.order {
            Order::OfBytes | Order::OfBytesUnsaid => state.bucket.list(&listing),
            Order::OfADirectoryBucket
                if !listing.prefix.is_empty() && !listing.prefix.ends_with('/') =>
            {
                return Err(error(StoreErrorKind::Other, &call, "the prefix must end in /"));
            }
            Order::Backwards | Order::OfADirectoryBucket => state.bucket.list_backwards(&listing),
        };
        let objects = page.objects.iter().skip(skips).map(|(key, object)| ListedObject {
            version: ObjectVersion {
                key: ObjectKey::new(key.as_str()),
                size: object.content.size(),
                etag: state.style.listing_etags.then(|| ETag::new(&object.etag)),
                last_modified: object.last_modified,
            },
            storage_class: Some(object.storage_class.as_deref().unwrap_or("STANDARD").into()),
        });
        let unreachable = state
            .unreachable
            .iter()
            .filter(|key| request.token.is_none() && key.starts_with(request.prefix.as_str()));
        let next = page.next.as_ref().map(After::to_token).or_else(|| {
            let first = After::Key(String::new());
            state.style.endless.then(|| first.to_token())
        });
        Ok(ListPage {
            objects: objects.collect(),
            prefixes: page.prefixes.iter().map(|prefix| Prefix::new(prefix.as_str())).collect(),
            unreachable: unreachable.cloned().collect(),
            next: next.map(|token| match state.style.fresh_tokens {
                true => format!("{}~{token}", state.tally.list),
                false => token,
            }),
        })
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        let call = Call::Head(key.clone());
        self.arrive(call.clone()).await?;
        Ok(head(&*self.find(&call)?))
    }

    async fn head_part(&self, key: &ObjectKey, _: u32) -> Result<ObjectHead, StoreError> {
        // Objects are in one piece here.
        self.head(key).await
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        let call = Call::Get(request.clone());
        let trouble = self.arrive(call.clone()).await?;
        let object = self.find(&call)?;
        if request.etag.as_ref().is_some_and(|etag| *etag != ETag::new(&object.etag)) {
            return Err(error(StoreErrorKind::Changed, &call, "the object is another version"));
        }
        if object.is_archived() {
            return Err(error(StoreErrorKind::Archived, &call, "the object is archived"));
        }
        if request.range.start >= object.content.size() {
            return Err(error(StoreErrorKind::RangeOutside, &call, "the range is outside"));
        }
        let head = head(&object);
        let body = Body::new(self, object, request.range, trouble, call);
        // As on S3, a range comes without the checksum of the whole.
        let head = ObjectHead { checksum: None, ..head };
        Ok(GetBody { head, bytes: stream::unfold(body, Body::next).boxed() })
    }

    async fn list_versions(&self, request: VersionsRequest) -> Result<VersionsPage, StoreError> {
        let call = Call::List(ListRequest {
            prefix: Prefix::new(request.key.as_str()),
            delimited: false,
            token: request.after,
            after: None,
            max_keys: 1000,
        });
        self.arrive(call).await?;
        let state = self.lock();
        // As in a bucket that keeps none: there is what is current, and nothing else.
        let kept = state.bucket.objects.get(request.key.as_str()).map(|object| KeptVersion {
            id: Some("null".into()),
            last_modified: object.last_modified,
            is_latest: true,
            content: Some(KeptContent {
                size: object.content.size(),
                etag: state.style.listing_etags.then(|| ETag::new(&object.etag)),
                storage_class: object.storage_class.as_deref().map(Into::into),
            }),
        });
        Ok(VersionsPage { versions: kept.into_iter().collect(), next: None })
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        let call = Call::Put(request.key.clone());
        self.perform(call, |call| self.do_put(request, call)).await
    }

    async fn begin_upload(&self, request: BeginRequest) -> Result<Upload, StoreError> {
        let call = Call::BeginUpload(request.key.clone());
        self.perform(call, |_| Ok(self.do_begin(request))).await
    }

    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        let call = Call::PutPart(request.upload.key.clone(), request.number);
        self.perform(call, |call| self.do_part(request, call)).await
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<Part, StoreError> {
        let call = Call::CopyPart(request.upload.key.clone(), request.number);
        self.perform(call, |call| self.do_copy_part(&request, call)).await
    }

    async fn complete_upload(&self, request: CompleteRequest) -> Result<Written, StoreError> {
        let call = Call::CompleteUpload(request.upload.key.clone());
        self.perform(call, |call| self.do_complete(&request, call)).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        let call = Call::AbortUpload(upload.key.clone());
        self.perform(call, |_| {
            self.do_abort(upload);
            Ok(())
        })
        .await
    }

    async fn copy(&self, request: CopyRequest) -> Result<Written, StoreError> {
        let call = Call::Copy(request.from.key.clone(), request.to.clone());
        self.perform(call, |call| self.do_copy(&request, call)).await
    }

    async fn delete(&self, key: &ObjectKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        let call = Call::Delete(key.clone());
        self.perform(call, |call| self.do_delete(key, etag, call)).await
    }

    fn spelling(&self) -> Spelling {
        Spelling::default()
    }

    fn key_order(&self, _: &Prefix) -> KeyOrder {
        match self.lock().style.order {
            Order::OfBytes => KeyOrder::OfBytes,
            Order::OfBytesUnsaid | Order::Backwards => KeyOrder::Unknown,
            Order::OfADirectoryBucket => KeyOrder::Any,
        }
    }

    fn kept_conditions(&self) -> KeptConditions {
        KeptConditions::OnAllWrites
    }
}

/// A body on its way out; open until it is dropped.
struct Body {
    store: MemoryStore,
    object: Arc<Object>,
    range: Range<u64>,
    cut_at: Option<u64>,
    block_at: Option<u64>,
    call: Call,
    failed: bool,
}

impl Body {
    fn new(
        store: &MemoryStore,
        object: Arc<Object>,
        range: Range<u64>,
        trouble: Option<Trouble>,
        call: Call,
    ) -> Self {
        let (mut cut_at, mut block_at) = (None, None);
        match trouble {
            Some(Trouble::CutBody(bytes)) => cut_at = Some(range.start + bytes),
            Some(Trouble::BlockBody(bytes)) => block_at = Some(range.start + bytes),
            _ => {}
        }
        let mut state = store.lock();
        state.open_bodies += 1;
        state.tally.max_open_bodies = state.tally.max_open_bodies.max(state.open_bodies);
        drop(state);
        Body { store: store.clone(), object, range, cut_at, block_at, call, failed: false }
    }

    async fn next(mut self) -> Option<(Result<Bytes, StoreError>, Self)> {
        if self.failed || self.range.is_empty() {
            return None;
        }
        let start = self.range.start;
        if self.block_at == Some(start) {
            self.block_at = None;
            let mut releases = self.store.releases.subscribe();
            let _ = releases.changed().await;
        }
        let size = self.object.content.size();
        if self.cut_at == Some(start) || start >= size {
            self.failed = true;
            let short = error(StoreErrorKind::ShortBody, &self.call, "the body broke off");
            return Some((Err(short), self));
        }
        let chunk = self.store.lock().style.chunk_bytes;
        let stops = [self.range.end, size, start + chunk];
        let stops = stops.into_iter().chain(self.cut_at).chain(self.block_at);
        let end = stops.filter(|stop| *stop > start).min().unwrap_or(self.range.end);
        let bytes = self.object.content.slice(start..end);
        self.range.start = end;
        self.store.lock().tally.body_bytes += end - start;
        Some((Ok(bytes), self))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.store.lock().open_bodies -= 1;
    }
}

fn head(object: &Object) -> ObjectHead {
    ObjectHead {
        kept: None,
        size: Some(object.content.size()),
        etag: Some(ETag::new(&object.etag)),
        last_modified: Some(object.last_modified),
        content_type: object.content_type.clone(),
        storage_class: object.storage_class.clone(),
        metadata: object.metadata.clone(),
        checksum: object.checksum.clone(),
    }
}

fn error(kind: StoreErrorKind, call: &Call, detail: &str) -> StoreError {
    let verb = match call.kind() {
        CallKind::List => "LIST",
        CallKind::Head => "HEAD",
        CallKind::Get => "GET",
        CallKind::Put | CallKind::PutPart => "PUT",
        CallKind::BeginUpload => "UPLOAD",
        CallKind::CompleteUpload => "COMPLETE",
        CallKind::AbortUpload => "ABORT",
        CallKind::Copy | CallKind::CopyPart => "COPY",
        CallKind::Delete => "DELETE",
    };
    StoreError::new(kind, format!("{verb} {}", call.key()), detail)
}
