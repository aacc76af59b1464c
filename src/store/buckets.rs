//! Several buckets as one store, in which each is a folder: keys are `NAME/KEY`.
//!
//! Contract: what stands before the first `/` says to which store a request goes, and nothing
//! else is looked at or changed. Each bucket has a stack of decorators of its own, so that
//! what is learned of one, and what it has under way, never meets another's; how many
//! requests are under way is limited for all together (see [`StackConfig`](super::StackConfig)).
//! Names no server: see [`OpenBucket`].

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, ListPage, ListRequest, ObjectHead, ObjectStore, Part, PartRequest,
    PutRequest, Spelling, StoreError, StoreErrorKind, Upload, VersionsPage, VersionsRequest,
    Written,
};
use crate::key::{Bucket, ETag, ObjectKey, Prefix};

/// Opens the buckets behind folders.
pub trait OpenBucket: Send + Sync + Debug {
    /// The bucket that the folder `name` shows, in whose store keys begin with `name/`. Sends
    /// nothing.
    ///
    /// # Errors
    /// There can be no such bucket.
    fn open(&self, name: &str) -> Result<Arc<dyn ObjectStore>, StoreError>;

    /// Forgets a bucket that can't be looked into.
    fn forget(&self, name: &str);
}

/// Which folders there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folders {
    /// These and no others.
    Named(BTreeSet<String>),
    /// All buckets: those that the server lists, and any other by its name.
    All,
}

/// Several buckets.
#[derive(Debug)]
pub struct Buckets {
    folders: Folders,
    /// Lists the buckets, and knows how the server is, on which all of them are.
    server: Arc<dyn ObjectStore>,
    opener: Arc<dyn OpenBucket>,
    opened: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Buckets {
    /// The buckets behind `folders`. A listing of `server` has a prefix for each bucket.
    pub fn new(
        folders: Folders,
        server: Arc<dyn ObjectStore>,
        opener: Arc<dyn OpenBucket>,
    ) -> Self {
        Buckets { folders, server, opener, opened: Mutex::default() }
    }

    /// The store that a key or a prefix belongs to.
    fn of(&self, text: &str) -> Result<Arc<dyn ObjectStore>, StoreError> {
        self.of_or_new(text).map(|(store, _)| store)
    }

    /// As [`Buckets::of`], and whether it was opened for this.
    fn of_or_new(&self, text: &str) -> Result<(Arc<dyn ObjectStore>, bool), StoreError> {
        let Some(name) = folder_of(text) else {
            let detail = "there are only buckets here";
            return Err(StoreError::new(StoreErrorKind::NotFound, text, detail));
        };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.get(name) {
            return Ok((store.clone(), false));
        }
        let may_exist = match &self.folders {
            Folders::Named(names) => names.contains(name),
            Folders::All => name.parse::<Bucket>().is_ok(),
        };
        if !may_exist {
            return Err(StoreError::no_bucket(name));
        }
        let store = self.opener.open(name)?;
        opened.insert(name.to_owned(), store.clone());
        Ok((store, true))
    }

    /// The one store that two keys belong to.
    fn of_both(&self, from: &str, to: &str) -> Result<Arc<dyn ObjectStore>, StoreError> {
        if folder_of(from) == folder_of(to) {
            return self.of(to);
        }
        let detail = "objects are not copied by the server from one bucket to another";
        Err(StoreError::new(StoreErrorKind::Other, format!("COPY {from} to {to}"), detail))
    }

    /// Forgets a bucket whose first answer is that nobody may come in, so that names that
    /// somebody tries out take no memory. One that has had other requests is kept: it may know
    /// of writes that nobody knows the outcome of.
    fn forget_refused(&self, prefix: &str, store: &Arc<dyn ObjectStore>, error: &StoreError) {
        use StoreErrorKind::{AccessDenied, NoSuchBucket, NotFound};
        let is_refused = matches!(error.kind, NoSuchBucket | NotFound | AccessDenied);
        let Some(name) = folder_of(prefix).filter(|_| is_refused) else { return };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        // One of them is in the table, and one is ours.
        if self.folders == Folders::All && Arc::strong_count(store) == 2 {
            opened.remove(name);
            self.opener.forget(name);
        }
    }

    async fn list_top(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        let names = match &self.folders {
            Folders::All => return self.server.list_page(request).await,
            Folders::Named(names) => names,
        };
        let after = request.after.as_deref().unwrap_or_default();
        let mut prefixes: Vec<String> = names.iter().map(|name| format!("{name}/")).collect();
        prefixes.retain(|folder| {
            folder.starts_with(request.prefix.as_str()) && folder.as_str() > after
        });
        prefixes.sort();
        let prefixes = prefixes.into_iter().map(Prefix::new).collect();
        Ok(ListPage { prefixes, ..ListPage::default() })
    }
}

/// The folder that a key or a prefix is in.
fn folder_of(text: &str) -> Option<&str> {
    text.split_once('/').map(|(name, _)| name)
}

#[async_trait]
impl ObjectStore for Buckets {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        if folder_of(request.prefix.as_str()).is_none() {
            return self.list_top(request).await;
        }
        let prefix = request.prefix.clone();
        let (store, is_new) = self.of_or_new(prefix.as_str())?;
        let page = store.list_page(request).await;
        page.inspect_err(|error| {
            if is_new {
                self.forget_refused(prefix.as_str(), &store, error);
            }
        })
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        self.of(key.as_str())?.head(key).await
    }

    async fn head_part(&self, key: &ObjectKey, number: u32) -> Result<ObjectHead, StoreError> {
        self.of(key.as_str())?.head_part(key, number).await
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        self.of(request.key.as_str())?.get_range(request).await
    }

    async fn list_versions(&self, request: VersionsRequest) -> Result<VersionsPage, StoreError> {
        self.of(request.key.as_str())?.list_versions(request).await
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        self.of(request.key.as_str())?.put(request).await
    }

    async fn begin_upload(&self, request: BeginRequest) -> Result<Upload, StoreError> {
        self.of(request.key.as_str())?.begin_upload(request).await
    }

    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        self.of(request.upload.key.as_str())?.put_part(request).await
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<Part, StoreError> {
        let store = self.of_both(request.from.key.as_str(), request.upload.key.as_str())?;
        store.copy_part(request).await
    }

    async fn complete_upload(&self, request: CompleteRequest) -> Result<Written, StoreError> {
        self.of(request.upload.key.as_str())?.complete_upload(request).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.of(upload.key.as_str())?.abort_upload(upload).await
    }

    async fn copy(&self, request: CopyRequest) -> Result<Written, StoreError> {
        let store = self.of_both(request.from.key.as_str(), request.to.as_str())?;
        store.copy(request).await
    }

    async fn delete(&self, key: &ObjectKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        self.of(key.as_str())?.delete(key, etag).await
    }

    fn kept_conditions(&self) -> KeptConditions {
        self.server.kept_conditions()
    }

    fn key_order(&self, within: &Prefix) -> KeyOrder {
        match (folder_of(within.as_str()), &self.folders) {
            (Some(_), _) => match self.of(within.as_str()) {
                Ok(store) => store.key_order(within),
                Err(_) => KeyOrder::Unknown,
            },
            (None, Folders::Named(_)) => KeyOrder::OfBytes,
            // `a-b` comes before `a`, once both end in a slash.
            (None, Folders::All) => KeyOrder::Any,
        }
    }

    fn spelling(&self) -> Spelling {
        self.server.spelling()
    }
}
