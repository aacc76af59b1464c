//! What the store in memory does when it is written to.
//!
//! Contract: as S3 does it: a condition is judged when the object appears, parts
//! may come in any order and again, an upload stays until it is completed or aborted.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use s3mem::key::{ETag, ObjectKey, ObjectVersion};
use s3mem::store::checksum::{crc32c, told, told_of_parts};
use s3mem::store::{
    BeginRequest, CompleteRequest, Condition, CopyPartRequest, CopyRequest, Part, PartRequest,
    PutRequest, StoreError, StoreErrorKind, Upload, Written,
};

use super::super::bucket::{Content, Meta, Object, hex, unhex};
use super::{Call, MemoryStore, State, error};

/// An upload in parts that is under way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) key: String,
    meta: Meta,
    parts: BTreeMap<u32, (Bytes, Part)>,
}

impl MemoryStore {
    pub(super) fn do_put(&self, request: PutRequest, call: &Call) -> Result<Written, StoreError> {
        let mut state = self.lock();
        state.tally.written_bytes += request.body.len() as u64;
        let checksum = told(crc32c(&request.body));
        let meta = Meta { content_type: text(request.content_type), ..Meta::default() };
        let mut object = Object::new(Content::Stored(request.body), meta);
        object.checksum = Some(checksum);
        state.insert_if(&request.key, object, &request.condition, call)
    }

    pub(super) fn do_begin(&self, request: BeginRequest) -> Upload {
        let BeginRequest { key, content_type, metadata, .. } = request;
        let mut state = self.lock();
        state.next_upload += 1;
        let id = format!("upload-{}", state.next_upload);
        let meta = Meta { content_type: text(content_type), metadata, ..Meta::default() };
        let pending = Pending { key: key.to_string(), meta, parts: BTreeMap::new() };
        state.uploads.insert(id.clone(), pending);
        Upload { key, id: id.into() }
    }

    pub(super) fn do_part(&self, request: PartRequest, call: &Call) -> Result<Part, StoreError> {
        let PartRequest { upload, number, body } = request;
        let checksum = Some(crc32c(&body));
        let mut state = self.lock();
        state.tally.written_bytes += body.len() as u64;
        state.add_part(&upload, number, body, checksum, call)
    }

    pub(super) fn do_copy_part(
        &self,
        request: &CopyPartRequest,
        call: &Call,
    ) -> Result<Part, StoreError> {
        let CopyPartRequest { upload, number, from, range } = request;
        let mut state = self.lock();
        let source = state.source(from, call)?;
        if range.is_empty() || range.end > source.content.size() {
            return Err(error(StoreErrorKind::RangeOutside, call, "the range is outside"));
        }
        let body = source.content.slice(range.clone());
        state.add_part(upload, *number, body, None, call)
    }

    pub(super) fn do_complete(
        &self,
        request: &CompleteRequest,
        call: &Call,
    ) -> Result<Written, StoreError> {
        let mut state = self.lock();
        let least = state.style.min_part_bytes;
        let object = state.pending(&request.upload, call)?.joined(&request.parts, least, call)?;
        let written = state.insert_if(&request.upload.key, object, &request.condition, call)?;
        state.uploads.remove(&*request.upload.id);
        Ok(written)
    }

    pub(super) fn do_abort(&self, upload: &Upload) {
        self.lock().uploads.remove(&*upload.id);
    }

    pub(super) fn do_copy(
        &self,
        request: &CopyRequest,
        call: &Call,
    ) -> Result<Written, StoreError> {
        let mut state = self.lock();
        let source = state.source(&request.from, call)?;
        let (content_type, metadata) = (source.content_type.clone(), source.metadata.clone());
        let meta = Meta { content_type, metadata, ..Meta::default() };
        let mut copy = Object::new(source.content.clone(), meta);
        // Of an upload in parts S3 would make a new one; nobody above relies on it.
        copy.checksum = source.checksum.clone().filter(|told| !told.contains('-'));
        state.insert_if(&request.to, copy, &request.condition, call)
    }

    pub(super) fn do_delete(
        &self,
        key: &ObjectKey,
        etag: Option<&ETag>,
        call: &Call,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let found = state.bucket.objects.get(key.as_str()).map(|object| ETag::new(&object.etag));
        match (etag, found) {
            (Some(_), None) => {
                return Err(error(StoreErrorKind::NotFound, call, "there is no such object"));
            }
            (Some(etag), Some(found)) if *etag != found => {
                return Err(error(StoreErrorKind::Changed, call, "the object is another version"));
            }
            _ => {}
        }
        state.bucket.objects.remove(key.as_str());
        Ok(())
    }
}

impl State {
    /// The version that a copy is made of.
    fn source(&self, from: &ObjectVersion, call: &Call) -> Result<Arc<Object>, StoreError> {
        let found = self.bucket.objects.get(from.key.as_str()).cloned();
        let source = found
            .ok_or_else(|| error(StoreErrorKind::NotFound, call, "there is no such source"))?;
        if from.etag.as_ref().is_some_and(|etag| *etag != ETag::new(&source.etag)) {
            return Err(error(StoreErrorKind::Changed, call, "the source is another version"));
        }
        if source.is_archived() {
            return Err(error(StoreErrorKind::Archived, call, "the source is archived"));
        }
        Ok(source)
    }

    fn add_part(
        &mut self,
        upload: &Upload,
        number: u32,
        body: Bytes,
        checksum: Option<u32>,
        call: &Call,
    ) -> Result<Part, StoreError> {
        if !(1..=10_000).contains(&number) {
            return Err(error(StoreErrorKind::Other, call, "no such part number"));
        }
        let etag = ETag::new(&hex(&Md5::digest(&body)));
        let part = Part { number, etag, checksum };
        self.pending(upload, call)?.parts.insert(number, (body, part.clone()));
        Ok(part)
    }

    fn pending(&mut self, upload: &Upload, call: &Call) -> Result<&mut Pending, StoreError> {
        let found = self.uploads.get_mut(&*upload.id);
        let found = found.filter(|pending| pending.key == upload.key.as_str());
        found.ok_or_else(|| error(StoreErrorKind::NotFound, call, "there is no such upload"))
    }

    /// Puts an object unless a condition on the one it replaces fails.
    fn insert_if(
        &mut self,
        key: &ObjectKey,
        object: Object,
        condition: &Condition,
        call: &Call,
    ) -> Result<Written, StoreError> {
        let present = self.bucket.objects.get(key.as_str());
        match (condition, present) {
            (Condition::Absent, Some(_)) => {
                return Err(error(StoreErrorKind::Changed, call, "there is an object"));
            }
            (Condition::Unchanged(_), None) => {
                return Err(error(StoreErrorKind::NotFound, call, "there is no such object"));
            }
            (Condition::Unchanged(etag), Some(present)) if *etag != ETag::new(&present.etag) => {
                return Err(error(StoreErrorKind::Changed, call, "the object is another version"));
            }
            _ => {}
        }
        let object = self.tagged(object);
        let etag = Some(ETag::new(&object.etag));
        self.bucket.objects.insert(key.to_string(), Arc::new(object));
        Ok(Written { etag })
    }

    /// An object with the ETag that this store gives it.
    pub(super) fn tagged(&mut self, mut object: Object) -> Object {
        if self.style.opaque_etags {
            self.next_etag += 1;
            object.etag = format!("opaque-{}", self.next_etag);
        }
        object
    }
}

impl Pending {
    /// The parts that the caller names, one behind the other.
    fn joined(&self, wanted: &[Part], least: u64, call: &Call) -> Result<Object, StoreError> {
        let refuse = |detail: &str| error(StoreErrorKind::Other, call, detail);
        let ascending = wanted.windows(2).all(|pair| pair[0].number < pair[1].number);
        if wanted.is_empty() || !ascending {
            return Err(refuse("the parts are none or out of order"));
        }
        let (mut bytes, mut digests) = (Vec::new(), Vec::new());
        for (index, part) in wanted.iter().enumerate() {
            let (body, _) = self
                .parts
                .get(&part.number)
                .filter(|(_, kept)| kept == part)
                .ok_or_else(|| refuse("there is no such part"))?;
            if index + 1 < wanted.len() && (body.len() as u64) < least {
                return Err(refuse("a part is too small"));
            }
            bytes.extend_from_slice(body);
            digests.extend(unhex(part.etag.as_str().trim_matches('"')).unwrap_or_default());
        }
        let etag = format!("{}-{}", hex(&Md5::digest(&digests)), wanted.len());
        let content = Content::Stored(bytes.into());
        let mut object = Object::with_etag(content, etag, self.meta.clone());
        let checksums: Option<Vec<u32>> = wanted.iter().map(|part| part.checksum).collect();
        object.checksum = checksums.as_deref().map(told_of_parts);
        Ok(object)
    }
}

fn text(text: Option<Arc<str>>) -> Option<String> {
    text.map(|text| text.to_string())
}
