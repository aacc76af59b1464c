//! One bucket, or a prefix of one, as a folder among others: `NAME/KEY` stands for the key
//! `PREFIX` + `KEY` of the bucket.
//!
//! It lies below all other decorators, so everything above it knows keys of the mount only:
//! logs and counts name the folder, and no key of one bucket is mistaken for one of another.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;

use super::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, ListPage, ListRequest, ListedObject, ObjectHead, ObjectStore, Part,
    PartRequest, PutRequest, Spelling, StoreError, StoreErrorKind, Upload, VersionsPage,
    VersionsRequest, Written,
};
use crate::key::{ETag, ObjectKey, ObjectVersion, Prefix};

/// A store whose keys begin with the name of its folder.
#[derive(Debug)]
pub struct InFolder {
    inner: Arc<dyn ObjectStore>,
    /// What keys begin with here: `NAME/`.
    folder: String,
    /// What they begin with in the bucket.
    prefix: Prefix,
}

impl InFolder {
    /// What is below `prefix` in the bucket `inner`, as the folder `name`.
    pub fn new(inner: Arc<dyn ObjectStore>, name: &str, prefix: Prefix) -> Self {
        InFolder { inner, folder: format!("{name}/"), prefix }
    }

    /// What a key or a prefix is in the bucket.
    fn inside(&self, text: &str) -> Option<String> {
        let rest = text.strip_prefix(&self.folder)?;
        Some(format!("{}{rest}", self.prefix))
    }

    /// What a key or a prefix of the bucket is here.
    fn outside(&self, text: &str) -> Option<String> {
        let rest = text.strip_prefix(self.prefix.as_str())?;
        Some(format!("{}{rest}", self.folder))
    }

    /// The key of an object in the bucket.
    fn key(&self, key: &ObjectKey) -> Result<ObjectKey, StoreError> {
        let inside = self.inside(key.as_str()).filter(|inside| !inside.is_empty());
        let inside = inside.map(|inside| key.with_text(inside));
        inside.ok_or_else(|| {
            StoreError::new(StoreErrorKind::NotFound, format!("{key}"), "no object has this key")
        })
    }

    fn version(&self, version: &ObjectVersion) -> Result<ObjectVersion, StoreError> {
        Ok(ObjectVersion { key: self.key(&version.key)?, ..version.clone() })
    }

    fn upload(&self, upload: &Upload) -> Result<Upload, StoreError> {
        Ok(Upload { key: self.key(&upload.key)?, id: upload.id.clone() })
    }

    /// Says in which folder something failed.
    fn named<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        outcome.map_err(|error| named(&self.folder, error))
    }
}

fn named(folder: &str, mut error: StoreError) -> StoreError {
    error.request = format!("{} in {}", error.request, folder.trim_end_matches('/'));
    error
}

#[async_trait]
impl ObjectStore for InFolder {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        let Some(prefix) = self.inside(request.prefix.as_str()) else {
            return Ok(ListPage::default());
        };
        let after = request.after.as_deref().and_then(|after| self.inside(after));
        let inside = ListRequest { prefix: Prefix::new(prefix), after, ..request };
        let page = self.named(self.inner.list_page(inside).await)?;
        let objects = page.objects.into_iter().filter_map(|object| {
            let key = ObjectKey::new(self.outside(object.version.key.as_str())?);
            Some(ListedObject { version: ObjectVersion { key, ..object.version }, ..object })
        });
        let prefixes = page.prefixes.iter();
        Ok(ListPage {
            objects: objects.collect(),
            prefixes: prefixes
                .filter_map(|prefix| self.outside(prefix.as_str()).map(Prefix::new))
                .collect(),
            unreachable: page.unreachable,
            next: page.next,
        })
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        self.named(self.inner.head(&self.key(key)?).await)
    }

    async fn head_part(&self, key: &ObjectKey, number: u32) -> Result<ObjectHead, StoreError> {
        self.named(self.inner.head_part(&self.key(key)?, number).await)
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        let inside = GetRequest { key: self.key(&request.key)?, ..request };
        let body = self.named(self.inner.get_range(inside).await)?;
        let folder = self.folder.clone();
        let bytes = body.bytes.map(move |piece| piece.map_err(|error| named(&folder, error)));
        Ok(GetBody { head: body.head, bytes: bytes.boxed() })
    }

    async fn list_versions(&self, request: VersionsRequest) -> Result<VersionsPage, StoreError> {
        let inside = VersionsRequest { key: self.key(&request.key)?, ..request };
        self.named(self.inner.list_versions(inside).await)
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        let inside = PutRequest { key: self.key(&request.key)?, ..request };
        self.named(self.inner.put(inside).await)
    }

    async fn begin_upload(&self, request: BeginRequest) -> Result<Upload, StoreError> {
        let key = request.key.clone();
        let inside = BeginRequest { key: self.key(&key)?, ..request };
        let begun = self.named(self.inner.begin_upload(inside).await)?;
        Ok(Upload { key, id: begun.id })
    }

    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        let inside = PartRequest { upload: self.upload(&request.upload)?, ..request };
        self.named(self.inner.put_part(inside).await)
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<Part, StoreError> {
        let (upload, from) = (self.upload(&request.upload)?, self.version(&request.from)?);
        self.named(self.inner.copy_part(CopyPartRequest { upload, from, ..request }).await)
    }

    async fn complete_upload(&self, request: CompleteRequest) -> Result<Written, StoreError> {
        let inside = CompleteRequest { upload: self.upload(&request.upload)?, ..request };
        self.named(self.inner.complete_upload(inside).await)
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.named(self.inner.abort_upload(&self.upload(upload)?).await)
    }

    async fn copy(&self, request: CopyRequest) -> Result<Written, StoreError> {
        let (from, to) = (self.version(&request.from)?, self.key(&request.to)?);
        self.named(self.inner.copy(CopyRequest { from, to, ..request }).await)
    }

    async fn delete(&self, key: &ObjectKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        self.named(self.inner.delete(&self.key(key)?, etag).await)
    }

    fn kept_conditions(&self) -> KeptConditions {
        self.inner.kept_conditions()
    }

    fn key_order(&self, within: &Prefix) -> KeyOrder {
        let inside = self.inside(within.as_str()).unwrap_or_default();
        self.inner.key_order(&Prefix::new(inside))
    }

    fn spelling(&self) -> Spelling {
        self.inner.spelling()
    }
}
