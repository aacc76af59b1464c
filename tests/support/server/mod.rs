//! An S3 server inside the process, on 127.0.0.1 and a port of its own.
//!
//! Contract: speaks S3 (path-style, SigV4 checked, `s3s` underneath) over
//! buckets in memory; counts what it is asked, and fails, delays and throttles
//! on command. It runs on threads of its own, so tests and the demo stay plain
//! blocking code, and it is gone when [`TestServer`] is dropped. Not here:
//! virtual-host addressing, ACLs, encryption.

mod answers;
mod body;
mod counts;
mod faults;
mod http;
mod lacks;
mod multipart;
mod service;
mod versions;

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

pub use self::body::Bandwidth;
use self::body::Pace;
use self::counts::Counters;
pub use self::counts::Counts;
use self::faults::Faults;
pub use self::faults::{Effect, Fault, FaultId, Refusal};
pub use self::http::Op;
pub use self::lacks::Lacks;
use self::multipart::Upload;
use self::versions::History;
pub use super::bucket::Meta;
use super::bucket::{Bucket, Content, Object};

/// The only access key that the server knows, unless another one took its place.
pub const ACCESS_KEY: &str = "AKIDS3MEMTESTSERVER0";
/// Its secret.
pub const SECRET_KEY: &str = "s3mem/test/secret/that/protects/nothing+";
/// The region of every bucket without a policy that says otherwise.
pub const REGION: &str = "us-east-1";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Who may ask a bucket, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Unsigned requests are answered too.
    pub anonymous: bool,
    /// Requests signed for another region are refused with AuthorizationHeaderMalformed.
    pub region: Option<String>,
    /// Requests without `x-amz-request-payer: requester` are refused.
    pub requester_pays: bool,
    /// The account that `x-amz-expected-bucket-owner` has to name where it is sent.
    pub owner: Option<String>,
}

/// What listings look like; servers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListingStyle {
    /// Whether listings carry ETags; some servers leave them out.
    pub etags: bool,
    /// Whether url encoding writes a space as `+`, as AWS and MinIO do, or as `%20`.
    pub space_as_plus: bool,
    /// Whether url encoding leaves a plus as it is; AWS writes `%2B`.
    pub bare_plus: bool,
    /// Whether keys are url-encoded without a word of it.
    pub is_silent: bool,
}

impl Default for ListingStyle {
    fn default() -> Self {
        ListingStyle { etags: true, space_as_plus: true, bare_plus: false, is_silent: false }
    }
}

/// How ETags are told and understood; proxies change them on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagStyle {
    /// What headers say, with `TAG` for the tag.
    pub told: &'static str,
    /// How the server takes them in conditions.
    pub if_match: IfMatch,
}

/// How a server takes an ETag in If-Match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// With and without its quotes.
    AsUsual,
    /// Only without its quotes.
    Bare,
    /// It never matches.
    Never,
}

impl Default for TagStyle {
    fn default() -> Self {
        TagStyle { told: "\"TAG\"", if_match: IfMatch::AsUsual }
    }
}

/// One bucket and what belongs to it.
#[derive(Debug)]
pub(super) struct Hosted {
    bucket: Bucket,
    policy: Policy,
    /// Uploads in parts that are under way, by upload id.
    uploads: HashMap<String, Upload>,
    /// All versions of all objects, where they are kept.
    history: Option<History>,
    created: SystemTime,
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    buckets: RwLock<BTreeMap<String, Hosted>>,
    counters: Counters,
    faults: Faults,
    /// The pace of all connections together.
    pace: Pace,
    settings: Mutex<Settings>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Settings {
    bandwidth: Bandwidth,
    delay: Duration,
    listing: ListingStyle,
    tags: TagStyle,
    ignores_conditions: bool,
    lacks: Lacks,
    /// The access key that took the place of [`ACCESS_KEY`].
    access_key: Option<&'static str>,
    /// So many buckets are listed on a page at most.
    buckets_on_a_page: Option<usize>,
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Hosted>> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Hosted>> {
        self.buckets.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> Settings {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn bandwidth(&self) -> Bandwidth {
        self.settings().bandwidth
    }

    fn delay(&self) -> Duration {
        self.settings().delay
    }

    fn listing(&self) -> ListingStyle {
        self.settings().listing
    }

    fn tags(&self) -> TagStyle {
        self.settings().tags
    }

    fn ignores_conditions(&self) -> bool {
        self.settings().ignores_conditions
    }

    fn lacks(&self) -> Lacks {
        self.settings().lacks
    }

    fn buckets_on_a_page(&self) -> usize {
        self.settings().buckets_on_a_page.unwrap_or(usize::MAX)
    }

    /// What the server calls itself.
    fn name(&self) -> &'static str {
        let settings = self.settings();
        match settings.ignores_conditions || settings.lacks != Lacks::default() {
            true => "MinIO",
            false => "AmazonS3",
        }
    }

    fn knows_key(&self, access_key: &str) -> bool {
        access_key == self.settings().access_key.unwrap_or(ACCESS_KEY)
    }

    fn policy(&self, bucket: &str) -> Option<Policy> {
        self.read().get(bucket).map(|hosted| hosted.policy.clone())
    }

    fn region(&self, bucket: &str) -> Option<String> {
        Some(self.policy(bucket)?.region.unwrap_or_else(|| REGION.to_owned()))
    }

    fn object_size(&self, bucket: &str, key: &str) -> Option<u64> {
        Some(self.read().get(bucket)?.bucket.objects.get(key)?.content.size())
    }
}

/// A running server. Dropping it closes every connection.
#[derive(Debug)]
pub struct TestServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl TestServer {
    /// A server without buckets, reachable when this returns.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port on the loopback");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            buckets: RwLock::default(),
            counters: Counters::default(),
            faults: Faults::new(),
            pace: Pace::default(),
            settings: Mutex::default(),
        });
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("s3-server")
            .enable_all()
            .build()
            .expect("threads for the server");
        runtime.spawn(http::serve(listener, Arc::clone(&shared), service::build(&shared)));
        TestServer { shared, address, runtime: Some(runtime) }
    }

    /// The endpoint's URL: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a bucket; one that exists is left as it is. Putting an object does this too.
    pub fn create_bucket(&self, bucket: &str) {
        self.hosted(bucket, |_| ());
    }

    /// Lists no more than so many buckets on a page.
    pub fn set_buckets_on_a_page(&self, most: usize) {
        self.shared.set(|settings| settings.buckets_on_a_page = Some(most));
    }

    /// Sets who may ask a bucket, and how.
    pub fn set_policy(&self, bucket: &str, policy: Policy) {
        self.hosted(bucket, |hosted| hosted.policy = policy);
    }

    /// Puts an object; returns its ETag without quotes.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) -> String {
        self.put_with(bucket, key, bytes, Meta::default())
    }

    /// Puts an object with more than its bytes; returns its ETag without quotes.
    pub fn put_with(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>, meta: Meta) -> String {
        self.insert(bucket, key, Object::new(Content::Stored(bytes.into()), meta))
    }

    /// Puts an object of any size whose bytes are computed; see
    /// [`pattern`](super::pattern::pattern()). Returns its ETag without quotes.
    pub fn put_pattern(&self, bucket: &str, key: &str, size: u64, seed: u64) -> String {
        self.insert(bucket, key, Object::new(Content::Pattern { size, seed }, Meta::default()))
    }

    /// Puts many objects at once: 100,000 small ones take well under a second.
    pub fn put_many<K, B>(&self, bucket: &str, objects: impl IntoIterator<Item = (K, B)>)
    where
        K: Into<String>,
        B: Into<Bytes>,
    {
        self.hosted(bucket, |hosted| {
            for (key, bytes) in objects {
                let object = Object::new(Content::Stored(bytes.into()), Meta::default());
                hosted.replace(key.into(), object);
            }
        });
    }

    /// Deletes an object; says whether there was one.
    pub fn delete(&self, bucket: &str, key: &str) -> bool {
        self.hosted(bucket, |hosted| hosted.remove(key))
    }

    /// From now on keeps all versions of the objects of a bucket.
    pub fn keep_versions(&self, bucket: &str) {
        self.hosted(bucket, |hosted| hosted.history = Some(History::of(&hosted.bucket.objects)));
    }

    /// The ids of an object's versions and delete markers, the oldest first.
    pub fn version_ids(&self, bucket: &str, key: &str) -> Vec<String> {
        let buckets = self.shared.read();
        let history = buckets.get(bucket).and_then(|hosted| hosted.history.as_ref());
        history.map_or_else(Vec::new, |history| history.ids(key))
    }

    /// Deletes a version for good.
    pub fn destroy_version(&self, bucket: &str, key: &str, id: &str) {
        self.hosted(bucket, |hosted| {
            let Some(history) = &mut hosted.history else { return };
            match history.destroy(key, id) {
                Some(current) => drop(hosted.bucket.objects.insert(key.to_owned(), current)),
                None => drop(hosted.bucket.objects.remove(key)),
            }
        });
    }

    /// An object as it is now, for instance one that a program has uploaded.
    pub fn get(&self, bucket: &str, key: &str) -> Option<Arc<Object>> {
        self.shared.read().get(bucket)?.bucket.objects.get(key).cloned()
    }

    /// All keys of a bucket in order.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let buckets = self.shared.read();
        buckets.get(bucket).map_or_else(Vec::new, |h| h.bucket.objects.keys().cloned().collect())
    }

    /// The keys of the uploads in parts that were started and neither completed nor aborted.
    pub fn open_uploads(&self, bucket: &str) -> Vec<String> {
        let buckets = self.shared.read();
        let uploads = buckets.get(bucket).map(|hosted| hosted.uploads.values());
        uploads.into_iter().flatten().map(|upload| upload.key.clone()).collect()
    }

    /// What arrived since the start or the last reset.
    pub fn counts(&self) -> Counts {
        self.shared.counters.snapshot()
    }

    /// Counts from nothing again.
    pub fn reset_counts(&self) {
        self.shared.counters.reset();
    }

    /// Requests under way, the bodies of their answers included.
    pub fn in_flight(&self) -> u64 {
        self.shared.counters.in_flight()
    }

    /// Waits until no request is under way, so that counts are final; says
    /// whether that came about within `limit`.
    pub fn wait_idle(&self, limit: Duration) -> bool {
        let start = Instant::now();
        while self.in_flight() > 0 {
            if start.elapsed() > limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Makes something go wrong from now on.
    pub fn fault(&self, fault: Fault) -> FaultId {
        self.shared.faults.set(fault)
    }

    /// How many requests a fault has struck; 0 once it is cleared.
    pub fn fault_hits(&self, id: FaultId) -> u64 {
        self.shared.faults.hits(id)
    }

    /// Ends one fault for requests to come.
    pub fn clear_fault(&self, id: FaultId) {
        self.shared.faults.clear(id);
    }

    /// Ends all faults for requests to come; what hangs goes on hanging.
    pub fn clear_faults(&self) {
        self.shared.faults.clear_all();
    }

    /// Lets every request that hangs and every body that stalls at this moment go on.
    pub fn release(&self) {
        self.shared.faults.release();
    }

    /// From now on knows this access key and no other; the secret stays the same.
    pub fn replace_key(&self, access_key: &'static str) {
        self.shared.set(|settings| settings.access_key = Some(access_key));
    }

    /// How long every answer waits, besides what faults ask for.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.set(|settings| settings.delay = delay);
    }

    /// How fast bodies may go out.
    pub fn set_bandwidth(&self, bandwidth: Bandwidth) {
        self.shared.set(|settings| settings.bandwidth = bandwidth);
    }

    /// What listings look like.
    pub fn set_listing(&self, style: ListingStyle) {
        self.shared.set(|settings| settings.listing = style);
    }

    /// How ETags are told and understood.
    pub fn set_tags(&self, style: TagStyle) {
        self.shared.set(|settings| settings.tags = style);
    }

    /// From now on calls itself MinIO, and ignores conditions on copies and deletes as
    /// that does. Otherwise it calls itself Amazon S3.
    pub fn ignore_conditions(&self) {
        self.shared.set(|settings| settings.ignores_conditions = true);
    }

    /// What it refuses from now on. A server that refuses anything does not call itself
    /// Amazon S3.
    pub fn set_lacks(&self, lacks: Lacks) {
        self.shared.set(|settings| settings.lacks = lacks);
    }

    /// Puts an object as it is; returns its ETag.
    pub fn insert(&self, bucket: &str, key: &str, object: Object) -> String {
        let etag = object.etag.clone();
        self.hosted(bucket, |hosted| {
            hosted.replace(key.to_owned(), object);
        });
        etag
    }

    fn hosted<T>(&self, bucket: &str, change: impl FnOnce(&mut Hosted) -> T) -> T {
        change(self.shared.write().entry(bucket.to_owned()).or_default())
    }
}

impl Hosted {
    /// Puts an object in the place of the one of its key, if there is one.
    fn replace(&mut self, key: String, object: Object) {
        let object = Arc::new(object);
        if let Some(history) = &mut self.history {
            history.note(&key, Some(&object));
        }
        self.bucket.objects.insert(key, object);
    }

    /// Deletes an object; says whether there was one.
    fn remove(&mut self, key: &str) -> bool {
        if let Some(history) = &mut self.history {
            history.note(key, None);
        }
        self.bucket.objects.remove(key).is_some()
    }
}

impl Default for Hosted {
    fn default() -> Self {
        Hosted {
            bucket: Bucket::default(),
            policy: Policy::default(),
            uploads: HashMap::new(),
            history: None,
            created: SystemTime::now(),
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // On a thread of its own: a runtime may not be waited for inside another.
        // Waits so that the port is closed once the server is gone.
        let stopping = std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(5)));
        let _ = stopping.join();
    }
}
