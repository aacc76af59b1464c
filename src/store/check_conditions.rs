//! Sees to it that conditions are kept where the server may ignore or misunderstand them.
//!
//! A server that refuses an ETag in the form that it tells (see [`super::if_match`]) is
//! asked in another one, if a HEAD shows that the version is still there. A GET can do
//! without a condition, since its answer tells its ETag. A copy, or an object that is to
//! be replaced, can't: it fails before anything is begun.
//!
//! Contract: does nothing on a server that keeps conditions on all writes
//! ([`KeptConditions::OnAllWrites`]). On any other, a HEAD asks just before a copy or a
//! delete whether its condition holds; what somebody else does between the two requests
//! is not noticed there. A server that refuses a condition because it knows none is asked
//! the same way before a PUT and the end of an upload, too, and gets them without from then
//! on. Belongs below `Retry`, so that each attempt looks for itself: what the first attempt
//! found may have been replaced when the second is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::if_match::{Form, IfMatch};
use super::{
    BeginRequest, CompleteRequest, Condition, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, Lack, ListPage, ListRequest, ObjectHead, ObjectStore, Part,
    PartRequest, PutRequest, Spelling, StoreError, StoreErrorKind, Upload, VersionsPage,
    VersionsRequest, Written,
};
use crate::key::{ETag, ObjectKey, ObjectVersion, Prefix};

/// A store that keeps conditions on copies and deletes where the one below does not.
#[derive(Debug)]
pub struct CheckConditions {
    inner: Arc<dyn ObjectStore>,
    if_match: IfMatch,
    /// What the server has refused a condition of, and done without.
    without: Unconditional,
}

/// On which requests a server knows no conditions.
#[derive(Debug, Default)]
struct Unconditional {
    writes: AtomicBool,
    copies: AtomicBool,
    deletes: AtomicBool,
}

impl Unconditional {
    /// Notes that one of them was done without its condition.
    fn note(is_known: &AtomicBool, what: &str) {
        if !is_known.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the server knows no conditions on {what}, so a HEAD looks before each; what \
                 somebody else changes in the moment between the two is lost without a word"
            );
        }
    }
}

impl CheckConditions {
    /// Checks what is asked of `inner`.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        let (if_match, without) = (IfMatch::default(), Unconditional::default());
        CheckConditions { inner, if_match, without }
    }

    /// Asks whether `condition` holds for `key`, if the server may not ask itself.
    /// `request` is what the answer decides on, for the error.
    ///
    /// # Errors
    /// [`StoreErrorKind::Changed`], or `NotFound` if the object is gone; whatever the HEAD
    /// failed with.
    async fn check(
        &self,
        key: &ObjectKey,
        condition: &Condition,
        request: String,
    ) -> Result<(), StoreError> {
        if self.is_plain() || *condition == Condition::Any {
            return Ok(());
        }
        let holds = match (self.inner.head(key).await, condition) {
            (Ok(head), Condition::Unchanged(etag)) => head.etag.as_ref() == Some(etag),
            (Err(error), Condition::Absent) if error.kind == StoreErrorKind::NotFound => true,
            (Ok(_), _) => false,
            (Err(error), _) => return Err(error),
        };
        if holds {
            return Ok(());
        }
        let detail = "the object is another version";
        Err(StoreError::new(StoreErrorKind::Changed, request, detail))
    }

    /// Whether the server is one that takes its own ETags as it tells them.
    fn is_plain(&self) -> bool {
        self.inner.kept_conditions() == KeptConditions::OnAllWrites
    }

    /// Whether an object is still this version.
    async fn is_still(&self, key: &ObjectKey, etag: &ETag) -> bool {
        self.inner.head(key).await.is_ok_and(|head| head.etag.as_ref() == Some(etag))
    }

    /// Copies a version, which is named in the form that the server takes.
    async fn copy_on(&self, request: &CopyRequest) -> Result<Written, StoreError> {
        let from = &request.from;
        let Some(etag) = &from.etag else { return self.inner.copy(request.clone()).await };
        let copy = |etag| {
            let from = ObjectVersion { etag: Some(etag), ..from.clone() };
            self.inner.copy(CopyRequest { from, ..request.clone() })
        };
        self.write_on(&from.key, etag, copy).await
    }

    /// Whether a write failed because the server knows no conditions on it.
    fn knows_none(&self, error: &StoreError) -> bool {
        matches!(error.lack, Some(Lack::Conditions | Lack::Unnamed)) && !self.is_plain()
    }

    /// Writes what `send` sends on a condition, which is looked at before if the server
    /// does not know it.
    async fn write_if<T, F>(
        &self,
        key: &ObjectKey,
        condition: &Condition,
        request: String,
        send: impl Fn(Condition) -> F + Send + Sync,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let is_known = &self.without.writes;
        if *condition == Condition::Any || !is_known.load(Ordering::Relaxed) {
            let outcome = match condition {
                Condition::Unchanged(etag) => {
                    self.write_on(key, etag, |etag| send(Condition::Unchanged(etag))).await
                }
                Condition::Absent | Condition::Any => send(condition.clone()).await,
            };
            match outcome {
                Err(error) if *condition != Condition::Any && self.knows_none(&error) => {}
                outcome => return outcome,
            }
        }
        self.check(key, condition, request).await?;
        let written = send(Condition::Any).await?;
        Unconditional::note(is_known, "writes");
        Ok(written)
    }

    /// A range of the version `etag`, which is named in this form.
    async fn get_as(
        &self,
        form: Form,
        request: &GetRequest,
        etag: &ETag,
    ) -> Result<GetBody, StoreError> {
        let body =
            self.inner.get_range(GetRequest { etag: form.of(etag), ..request.clone() }).await?;
        if form == Form::None && body.head.etag.as_ref() != Some(etag) {
            return Err(StoreError::overwritten(&request.key));
        }
        Ok(body)
    }

    /// Writes on the condition that `key` is the version `etag`, in the form that the
    /// server takes. `send` sends it in one.
    async fn write_on<T, F>(
        &self,
        key: &ObjectKey,
        etag: &ETag,
        send: impl Fn(ETag) -> F + Send,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let form = self.if_match.form();
        let error = match send(form.of(etag).unwrap_or_else(|| etag.clone())).await {
            Ok(written) => {
                self.if_match.learn(if form == Form::None { Form::Quoted } else { form });
                return Ok(written);
            }
            Err(error) => error,
        };
        let is_known = self.if_match.is_proven() && form != Form::None;
        if error.kind != StoreErrorKind::Changed
            || is_known
            || self.is_plain()
            || !self.is_still(key, etag).await
        {
            return Err(error);
        }
        match send(etag.bare()).await {
            Ok(written) => {
                self.if_match.learn(Form::Bare);
                Ok(written)
            }
            // Also a server that can't read it: without quotes it is no tag.
            Err(StoreError {
                kind: StoreErrorKind::Changed | StoreErrorKind::Other,
                request,
                ..
            }) => Err(refuses_its_etags(request)),
            Err(error) => Err(error),
        }
    }
}

/// Why a write is not even tried, or was refused.
fn refuses_its_etags(request: String) -> StoreError {
    let detail = "the server refuses If-Match with the ETag that it tells itself, perhaps since a \
                  proxy changes it, so somebody else's version could be lost; nothing was written";
    StoreError::new(StoreErrorKind::Other, request, detail)
}

#[async_trait]
impl ObjectStore for CheckConditions {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        self.inner.list_page(request).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        self.inner.head(key).await
    }

    async fn head_part(&self, key: &ObjectKey, number: u32) -> Result<ObjectHead, StoreError> {
        self.inner.head_part(key, number).await
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        let Some(etag) = &request.etag else { return self.inner.get_range(request).await };
        let form = self.if_match.form();
        let error = match self.get_as(form, &request, etag).await {
            Ok(body) => {
                self.if_match.learn(form);
                return Ok(body);
            }
            Err(error) => error,
        };
        if error.kind != StoreErrorKind::Changed
            || form == Form::None
            || self.is_plain()
            || !self.is_still(&request.key, etag).await
        {
            return Err(error);
        }
        for other in self.if_match.others(form) {
            match self.get_as(*other, &request, etag).await {
                Ok(body) => {
                    self.if_match.learn(*other);
                    return Ok(body);
                }
                Err(StoreError {
                    kind: StoreErrorKind::Changed | StoreErrorKind::Other, ..
                }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(error)
    }

    async fn list_versions(&self, request: VersionsRequest) -> Result<VersionsPage, StoreError> {
        self.inner.list_versions(request).await
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        let PutRequest { key, condition, .. } = &request;
        let put = |condition| self.inner.put(PutRequest { condition, ..request.clone() });
        self.write_if(key, condition, format!("PUT {key}"), put).await
    }

    async fn begin_upload(&self, request: BeginRequest) -> Result<Upload, StoreError> {
        self.inner.begin_upload(request).await
    }

    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        self.inner.put_part(request).await
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<Part, StoreError> {
        self.inner.copy_part(request).await
    }

    async fn complete_upload(&self, request: CompleteRequest) -> Result<Written, StoreError> {
        let (key, condition) = (&request.upload.key, &request.condition);
        let complete = |condition| {
            self.inner.complete_upload(CompleteRequest { condition, ..request.clone() })
        };
        self.write_if(key, condition, format!("COMPLETE {key}"), complete).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.inner.abort_upload(upload).await
    }

    async fn copy(&self, request: CopyRequest) -> Result<Written, StoreError> {
        let CopyRequest { from, to, condition, .. } = &request;
        self.check(to, condition, format!("COPY {} to {to}", from.key)).await?;
        let is_known = &self.without.copies;
        if *condition == Condition::Any || !is_known.load(Ordering::Relaxed) {
            match self.copy_on(&request).await {
                Err(error) if *condition != Condition::Any && self.knows_none(&error) => {}
                outcome => return outcome,
            }
        }
        let copied = self.copy_on(&CopyRequest { condition: Condition::Any, ..request }).await?;
        Unconditional::note(is_known, "copies");
        Ok(copied)
    }

    async fn delete(&self, key: &ObjectKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        let Some(etag) = etag else { return self.inner.delete(key, None).await };
        self.check(key, &Condition::Unchanged(etag.clone()), format!("DELETE {key}")).await?;
        let form = self.if_match.form();
        let is_known = &self.without.deletes;
        let told = form.of(etag).filter(|_| !is_known.load(Ordering::Relaxed));
        let error = match self.inner.delete(key, told.as_ref()).await {
            Err(error) if error.kind == StoreErrorKind::Changed => error,
            Err(error) if told.is_some() && self.knows_none(&error) => {
                self.inner.delete(key, None).await?;
                Unconditional::note(is_known, "deletions");
                return Ok(());
            }
            other => return other,
        };
        if form == Form::None || self.is_plain() || !self.is_still(key, etag).await {
            return Err(error);
        }
        // The copy of a rename is made by now: what a HEAD has just shown has to do.
        for other in self.if_match.others(form) {
            match self.inner.delete(key, other.of(etag).as_ref()).await {
                Err(StoreError {
                    kind: StoreErrorKind::Changed | StoreErrorKind::Other, ..
                }) => {}
                Ok(()) => {
                    self.if_match.learn(*other);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Err(error)
    }

    fn kept_conditions(&self) -> KeptConditions {
        self.inner.kept_conditions()
    }

    fn key_order(&self, within: &Prefix) -> KeyOrder {
        self.inner.key_order(within)
    }

    fn spelling(&self) -> Spelling {
        self.inner.spelling()
    }
}
