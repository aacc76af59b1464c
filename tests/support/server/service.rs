//! S3's operations over the buckets in memory.
//!
//! Contract: answers as AWS documents and, where the two differ, as AWS does;
//! `s3s` has parsed the request and checked its signature. Uploads in parts are
//! in `multipart`, listing itself is in [`Bucket::list`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::validation::NameValidation;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::super::bucket::{After, Content, Listing, Meta, Object as Stored, Page};
use super::answers::{
    Conditions, Render, archived, body, checked, condition, content_type, matches, metadata,
    precondition_failed, resolve, told_crc32c,
};
use super::{Hosted, REGION, SECRET_KEY, Shared, multipart};

/// S3 gives no more than this in one page, whatever is asked for.
const MAX_KEYS: i32 = 1000;

/// The service with signature checks over the given buckets.
pub(super) fn build(shared: &Arc<Shared>) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Operations { shared: Arc::clone(shared) });
    builder.set_auth(OneKey { shared: Arc::clone(shared) });
    builder.set_access(Access { shared: Arc::clone(shared) });
    builder.set_validation(AnyName);
    builder.build()
}

struct OneKey {
    shared: Arc<Shared>,
}

#[async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if self.shared.knows_key(access_key) {
            Ok(SECRET_KEY.into())
        } else {
            Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            ))
        }
    }
}

struct Access {
    shared: Arc<Shared>,
}

#[async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let bucket = context.s3_path().get_bucket_name().unwrap_or_default();
        let public = self.shared.policy(bucket).is_some_and(|policy| policy.anonymous);
        if public || context.credentials().is_some() {
            Ok(())
        } else {
            Err(s3_error!(AccessDenied, "Access Denied"))
        }
    }
}

/// Old buckets have names that today's rules forbid.
struct AnyName;

impl NameValidation for AnyName {
    fn validate_bucket_name(&self, name: &str) -> bool {
        !name.is_empty()
    }
}

pub(super) struct Operations {
    pub(super) shared: Arc<Shared>,
}

impl Operations {
    pub(super) fn read<T>(
        &self,
        bucket: &str,
        look: impl FnOnce(&Hosted) -> S3Result<T>,
    ) -> S3Result<T> {
        look(self.shared.read().get(bucket).ok_or(S3ErrorCode::NoSuchBucket)?)
    }

    pub(super) fn write<T>(
        &self,
        bucket: &str,
        change: impl FnOnce(&mut Hosted) -> S3Result<T>,
    ) -> S3Result<T> {
        change(self.shared.write().get_mut(bucket).ok_or(S3ErrorCode::NoSuchBucket)?)
    }

    pub(super) fn find(&self, bucket: &str, key: &str) -> S3Result<Arc<Stored>> {
        self.read(bucket, |hosted| {
            let found = hosted.bucket.objects.get(key).cloned();
            found.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
        })
    }

    /// The bytes that a copy reads, and the object they belong to.
    pub(super) fn source(
        &self,
        source: &CopySource,
        if_match: Option<&ETagCondition>,
    ) -> S3Result<Arc<Stored>> {
        let CopySource::Bucket { bucket, key, .. } = source else {
            return Err(s3_error!(NotImplemented, "Only sources of the form BUCKET/KEY"));
        };
        let object = self.find(bucket, key)?;
        let conditions = Conditions { if_match, ..Conditions::default() };
        conditions.check(&object)?;
        if object.is_archived() {
            return Err(archived());
        }
        Ok(object)
    }
}

#[async_trait]
impl S3 for Operations {
    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let buckets = self.shared.read();
        let most = request.input.max_buckets.map_or(usize::MAX, |most| most.max(1) as usize);
        let most = most.min(self.shared.buckets_on_a_page());
        // The token is the last name of the page before.
        let after = request.input.continuation_token.unwrap_or_default();
        let behind = buckets.iter().filter(|(name, _)| **name > after);
        let page: Vec<_> = behind.clone().take(most).collect();
        let has_more = behind.count() > page.len();
        let last = page.last().map(|(name, _)| (*name).clone());
        let continuation_token = last.filter(|_| has_more);
        let listed = page.into_iter().map(|(name, hosted)| Bucket {
            name: Some(name.clone()),
            creation_date: Some(hosted.created.into()),
            bucket_region: hosted.policy.region.clone(),
        });
        let buckets = Some(listed.collect());
        let output = ListBucketsOutput { buckets, continuation_token, ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.read(&request.input.bucket, |_| Ok(()))?;
        let bucket_region = self.shared.region(&request.input.bucket);
        Ok(S3Response::new(HeadBucketOutput { bucket_region, ..Default::default() }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.read(&request.input.bucket, |_| Ok(()))?;
        // For historical reasons S3 names every region but the first.
        let region = self.shared.region(&request.input.bucket).filter(|region| region != REGION);
        let location_constraint = region.map(BucketLocationConstraint::from);
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let after = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => After::from_token(token).ok_or_else(|| {
                s3_error!(InvalidArgument, "The continuation token provided is incorrect")
            })?,
            (None, Some(key)) if !key.is_empty() => After::Key(key.clone()),
            _ => After::Start,
        };
        let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
        let max_keys = input.max_keys.unwrap_or(MAX_KEYS).clamp(0, MAX_KEYS);
        let page = self.page(&input.bucket, prefix, delimiter, after, max_keys)?;
        let render = Render::new(self.shared.listing(), input.encoding_type.as_ref());
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(render.text(prefix.unwrap_or_default())),
            delimiter: delimiter.map(|text| render.text(text)),
            start_after: input.start_after.map(|text| render.text(&text)),
            max_keys: Some(max_keys),
            key_count: Some((page.objects.len() + page.prefixes.len()) as i32),
            is_truncated: Some(page.next.is_some()),
            continuation_token: input.continuation_token,
            next_continuation_token: page.next.as_ref().map(After::to_token),
            contents: Some(render.objects(&page)),
            common_prefixes: Some(render.prefixes(&page)),
            encoding_type: render.told(input.encoding_type),
            ..Default::default()
        }))
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
        let max_keys = input.max_keys.unwrap_or(MAX_KEYS).clamp(0, MAX_KEYS);
        // A marker that is a common prefix means: behind all of it.
        let after = match &input.marker {
            Some(marker) if delimiter.is_some_and(|d| !d.is_empty() && marker.ends_with(d)) => {
                After::Prefix(marker.clone())
            }
            Some(marker) if !marker.is_empty() => After::Key(marker.clone()),
            _ => After::Start,
        };
        let page = self.page(&input.bucket, prefix, delimiter, after, max_keys)?;
        let render = Render::new(self.shared.listing(), input.encoding_type.as_ref());
        let next = page.next.as_ref().map(|next| match next {
            After::Key(text) | After::Prefix(text) => render.text(text),
            After::Start => String::new(),
        });
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(render.text(prefix.unwrap_or_default())),
            delimiter: delimiter.map(|text| render.text(text)),
            marker: Some(render.text(input.marker.as_deref().unwrap_or_default())),
            max_keys: Some(max_keys),
            is_truncated: Some(page.next.is_some()),
            next_marker: next,
            contents: Some(render.objects(&page)),
            common_prefixes: Some(render.prefixes(&page)),
            encoding_type: render.told(input.encoding_type),
            ..Default::default()
        }))
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        self.versions(&request.input).map(S3Response::new)
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let (bucket, key, id) = (&input.bucket, &input.key, input.version_id.as_deref());
        let (object, version_id) = self.find_version(bucket, key, id)?;
        let conditions = Conditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        };
        conditions.check(&object)?;
        let (range, content_range) = resolve(input.range.as_ref(), object.content.size())?;
        let part = input.part_number.and_then(|number| object.parts.get(number as usize - 1));
        let checksum = input.checksum_mode.and_then(|_| object.checksum.clone());
        let has_parts = checksum.as_ref().is_some_and(|sum| sum.contains('-'));
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(part.copied().unwrap_or(range.end - range.start) as i64),
            content_range,
            content_type: Some(content_type(&object)),
            server_side_encryption: object.encryption.clone().map(ServerSideEncryption::from),
            checksum_type: has_parts.then(|| ChecksumType::COMPOSITE.to_owned().into()),
            e_tag: Some(ETag::Strong(object.etag.clone())),
            last_modified: Some(object.last_modified.into()),
            metadata: metadata(&object),
            version_id,
            storage_class: object.storage_class.clone().map(StorageClass::from),
            checksum_crc32c: checksum,
            ..Default::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let (bucket, key, id) = (&input.bucket, &input.key, input.version_id.as_deref());
        let (object, version_id) = self.find_version(bucket, key, id)?;
        let conditions = Conditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        };
        conditions.check(&object)?;
        if object.is_archived() {
            return Err(archived());
        }
        let whole = input.checksum_mode.filter(|_| input.range.is_none());
        let (range, content_range) = resolve(input.range.as_ref(), object.content.size())?;
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some((range.end - range.start) as i64),
            content_range,
            content_type: Some(content_type(&object)),
            e_tag: Some(ETag::Strong(object.etag.clone())),
            last_modified: Some(object.last_modified.into()),
            metadata: metadata(&object),
            version_id,
            storage_class: object.storage_class.clone().map(StorageClass::from),
            // As on S3, a range comes without the checksum of the whole.
            checksum_crc32c: whole.and_then(|_| object.checksum.clone()),
            body: Some(body(&object.content, range)),
            ..Default::default()
        }))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let lacks = self.shared.lacks();
        lacks.checksum(input.checksum_crc32c.is_some())?;
        lacks.condition(input.if_match.is_some() || input.if_none_match.is_some())?;
        let bytes = collect(input.body, input.content_length).await?;
        let meta = Meta {
            content_type: input.content_type,
            storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            last_modified: None,
            encryption: input.server_side_encryption.map(|sse| sse.as_str().to_owned()),
            kms_key: input.ssekms_key_id,
        };
        let told = told_crc32c(input.checksum_crc32c, request.trailing_headers.as_ref());
        let checksum = checked(&bytes, told)?;
        let mut object = Stored::new(Content::Stored(bytes), meta);
        object.checksum.clone_from(&checksum);
        let e_tag = Some(ETag::Strong(object.etag.clone()));
        self.write(&input.bucket, |hosted| {
            let (if_match, if_none_match) = (input.if_match.as_ref(), input.if_none_match.as_ref());
            hosted.insert_if(input.key, object, if_match, if_none_match)
        })?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag,
            checksum_crc32c: checksum,
            ..Default::default()
        }))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let keeps = !self.shared.ignores_conditions();
        let if_match = condition(&request.headers, "if-match")?.filter(|_| keeps);
        let if_none_match = condition(&request.headers, "if-none-match")?.filter(|_| keeps);
        self.shared.lacks().condition(if_match.is_some() || if_none_match.is_some())?;
        let input = request.input;
        let source = self.source(&input.copy_source, input.copy_source_if_match.as_ref())?;
        let replaced = input.metadata_directive.as_ref().map(MetadataDirective::as_str)
            == Some(MetadataDirective::REPLACE);
        let storage_class = input.storage_class.map(|class| class.as_str().to_owned());
        let (content_type, metadata) = if replaced {
            let metadata = input.metadata.unwrap_or_default();
            (input.content_type, metadata.into_iter().collect())
        } else {
            (source.content_type.clone(), source.metadata.clone())
        };
        let meta = Meta {
            content_type,
            storage_class,
            metadata,
            last_modified: None,
            encryption: input.server_side_encryption.map(|sse| sse.as_str().to_owned()),
            kms_key: input.ssekms_key_id,
        };
        let mut copy = Stored::new(source.content.clone(), meta);
        // That of an upload in parts is one of its parts, and the copy has none.
        copy.checksum = source.checksum.clone().filter(|told| !told.contains('-'));
        let copy_object_result = Some(CopyObjectResult {
            e_tag: Some(ETag::Strong(copy.etag.clone())),
            last_modified: Some(copy.last_modified.into()),
            ..Default::default()
        });
        self.write(&input.bucket, |hosted| {
            hosted.insert_if(input.key, copy, if_match.as_ref(), if_none_match.as_ref())
        })?;
        Ok(S3Response::new(CopyObjectOutput { copy_object_result, ..Default::default() }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let keeps = !self.shared.ignores_conditions();
        let input = request.input;
        self.shared.lacks().condition(input.if_match.is_some())?;
        self.write(&input.bucket, |hosted| {
            let condition = input.if_match.as_ref().filter(|_| keeps);
            match hosted.bucket.objects.get(&input.key) {
                None if condition.is_some() => return Err(S3ErrorCode::NoSuchKey.into()),
                Some(found) if condition.is_some() && !matches(condition, found) => {
                    return Err(precondition_failed());
                }
                _ => {}
            }
            // S3 says 204 whether there was an object or not.
            hosted.remove(&input.key);
            Ok(())
        })?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        if input.delete.objects.len() > MAX_KEYS as usize {
            return Err(s3_error!(MalformedXML, "At most 1,000 keys in one request"));
        }
        let keys: Vec<String> = input.delete.objects.into_iter().map(|object| object.key).collect();
        self.write(&input.bucket, |hosted| {
            for key in &keys {
                hosted.remove(key);
            }
            Ok(())
        })?;
        let quiet = input.delete.quiet.unwrap_or_default();
        let deleted = |key| DeletedObject { key: Some(key), ..Default::default() };
        let deleted = (!quiet).then(|| keys.into_iter().map(deleted).collect());
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..Default::default() }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        multipart::create(self, request.input).map(S3Response::new)
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        multipart::upload(self, request).await.map(S3Response::new)
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        multipart::upload_copy(self, request.input).map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        multipart::complete(self, request.input).map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        multipart::abort(self, &request.input).map(S3Response::new)
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        multipart::list_parts(self, request.input).map(S3Response::new)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        multipart::list_uploads(self, request.input).map(S3Response::new)
    }
}

impl Operations {
    fn page(
        &self,
        bucket: &str,
        prefix: Option<&str>,
        delimiter: Option<&str>,
        after: After,
        max_keys: i32,
    ) -> S3Result<Page> {
        let listing = Listing {
            prefix: prefix.unwrap_or_default(),
            delimiter: delimiter.unwrap_or_default(),
            after,
            max_keys: max_keys as usize,
        };
        self.read(bucket, |hosted| Ok(hosted.bucket.list(&listing)))
    }
}

impl Hosted {
    /// Puts an object unless a condition on the one it replaces fails.
    pub(super) fn insert_if(
        &mut self,
        key: String,
        object: Stored,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<()> {
        let present = self.bucket.objects.get(&key);
        match (if_match, present) {
            (Some(_), None) => return Err(S3ErrorCode::NoSuchKey.into()),
            (Some(_), Some(present)) if !matches(if_match, present) => {
                return Err(precondition_failed());
            }
            _ => {}
        }
        if present.is_some_and(|present| matches(if_none_match, present)) {
            return Err(precondition_failed());
        }
        self.replace(key, object);
        Ok(())
    }
}

/// The whole of an uploaded body.
pub(super) async fn collect(
    body: Option<StreamingBlob>,
    length: Option<ContentLength>,
) -> S3Result<Bytes> {
    let Some(mut body) = body else { return Ok(Bytes::new()) };
    let mut bytes = Vec::with_capacity(length.and_then(|n| n.try_into().ok()).unwrap_or_default());
    while let Some(piece) = body.next().await {
        let piece =
            piece.map_err(|error| S3Error::with_source(S3ErrorCode::IncompleteBody, error))?;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}
