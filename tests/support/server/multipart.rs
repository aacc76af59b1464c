//! Uploads in parts.
//!
//! Contract: as S3 does it: parts in any order, a part may be sent again, the
//! ETag is the MD5 of the parts' MD5s with their number behind it, the checksum is
//! one of checksums likewise, and all parts but the last have 5 MiB. Listings of parts and uploads are in one page.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use md5::{Digest, Md5};
use s3mem::store::checksum::{crc32c, told_of_parts};
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Result, s3_error};

use super::super::bucket::{Content, Meta, Object as Stored, hex, unhex};
use super::Hosted;
use super::answers::{checked, told_crc32c};
use super::service::{Operations, collect};

/// What every part but the last has to have, in bytes.
const MIN_PART_BYTES: usize = 5 << 20;

/// An upload in parts that is under way.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) key: String,
    meta: Meta,
    parts: BTreeMap<PartNumber, UploadedPart>,
    initiated: SystemTime,
}

#[derive(Debug)]
struct UploadedPart {
    bytes: Bytes,
    etag: String,
    /// The CRC32C that came with it.
    checksum: Option<String>,
    modified: SystemTime,
}

impl Hosted {
    fn upload(&mut self, id: &str, key: &str) -> S3Result<&mut Upload> {
        let upload = self.uploads.get_mut(id).filter(|upload| upload.key == key);
        upload.ok_or_else(|| s3_error!(NoSuchUpload, "The specified upload does not exist."))
    }
}

pub(super) fn create(
    operations: &Operations,
    input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    operations.shared.lacks().checksum(input.checksum_algorithm.is_some())?;
    let id = format!("upload-{:08}", NEXT.fetch_add(1, Ordering::Relaxed));
    let meta = Meta {
        content_type: input.content_type,
        storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
        metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        last_modified: None,
        encryption: input.server_side_encryption.map(|sse| sse.as_str().to_owned()),
        kms_key: input.ssekms_key_id,
    };
    let (key, initiated) = (input.key.clone(), SystemTime::now());
    operations.write(&input.bucket, |hosted| {
        hosted.uploads.insert(id.clone(), Upload { key, meta, parts: BTreeMap::new(), initiated });
        Ok(())
    })?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        ..Default::default()
    })
}

pub(super) async fn upload(
    operations: &Operations,
    request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let input = request.input;
    operations.shared.lacks().checksum(input.checksum_crc32c.is_some())?;
    let bytes = collect(input.body, input.content_length).await?;
    let told = told_crc32c(input.checksum_crc32c, request.trailing_headers.as_ref());
    let checksum_crc32c = checked(&bytes, told)?;
    let to = (input.upload_id.as_str(), input.part_number);
    let (etag, _) = add(operations, &input.bucket, &input.key, to, bytes, checksum_crc32c.clone())?;
    let e_tag = Some(ETag::Strong(etag));
    Ok(UploadPartOutput { e_tag, checksum_crc32c, ..Default::default() })
}

pub(super) fn upload_copy(
    operations: &Operations,
    input: UploadPartCopyInput,
) -> S3Result<UploadPartCopyOutput> {
    let source = operations.source(&input.copy_source, input.copy_source_if_match.as_ref())?;
    let size = source.content.size();
    let range = match &input.copy_source_range {
        Some(header) => {
            let range = Range::parse(header).map_err(|_| S3ErrorCode::InvalidArgument)?;
            range.check(size)?
        }
        None => 0..size,
    };
    let bytes = source.content.slice(range);
    let to = (input.upload_id.as_str(), input.part_number);
    let (etag, modified) = add(operations, &input.bucket, &input.key, to, bytes, None)?;
    let copy_part_result = Some(CopyPartResult {
        e_tag: Some(ETag::Strong(etag)),
        last_modified: Some(modified.into()),
        ..Default::default()
    });
    Ok(UploadPartCopyOutput { copy_part_result, ..Default::default() })
}

fn add(
    operations: &Operations,
    bucket: &str,
    key: &str,
    (id, number): (&str, PartNumber),
    bytes: Bytes,
    checksum: Option<String>,
) -> S3Result<(String, SystemTime)> {
    if !(1..=10_000).contains(&number) {
        return Err(s3_error!(InvalidArgument, "Part number must be between 1 and 10000"));
    }
    let (etag, modified) = (hex(&Md5::digest(&bytes)), SystemTime::now());
    operations.write(bucket, |hosted| {
        let part = UploadedPart { bytes, etag: etag.clone(), checksum, modified };
        hosted.upload(id, key)?.parts.insert(number, part);
        Ok(())
    })?;
    Ok((etag, modified))
}

pub(super) fn complete(
    operations: &Operations,
    input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let wanted = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let lacks = operations.shared.lacks();
    lacks.checksum(wanted.iter().any(|part| part.checksum_crc32c.is_some()))?;
    lacks.condition(input.if_match.is_some() || input.if_none_match.is_some())?;
    let etag = operations.write(&input.bucket, |hosted| {
        let upload = hosted.upload(&input.upload_id, &input.key)?;
        let (bytes, etag, checksum) = join(upload, &wanted)?;
        let sizes = wanted.iter().filter_map(|part| upload.parts.get(&part.part_number?));
        let sizes: Vec<usize> = sizes.map(|part| part.bytes.len()).collect();
        lacks.parts(&sizes)?;
        let content = Content::Stored(bytes);
        let mut object = Stored::with_etag(content, etag.clone(), upload.meta.clone());
        object.checksum = checksum;
        object.parts = sizes.into_iter().map(|size| size as u64).collect();
        let (if_match, if_none_match) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        hosted.insert_if(input.key.clone(), object, if_match, if_none_match)?;
        hosted.uploads.remove(&input.upload_id);
        Ok(etag)
    })?;
    Ok(CompleteMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(etag)),
        ..Default::default()
    })
}

/// The parts that the client names, one behind the other, their common ETag, and
/// their common checksum where all came with one.
fn join(upload: &Upload, wanted: &[CompletedPart]) -> S3Result<(Bytes, String, Option<String>)> {
    if wanted.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    let (mut bytes, mut digests, mut last) = (Vec::new(), Vec::new(), 0);
    let mut checksums = Some(Vec::new());
    for (index, part) in wanted.iter().enumerate() {
        let number = part.part_number.unwrap_or_default();
        let found = upload.parts.get(&number).ok_or(S3ErrorCode::InvalidPart)?;
        if part.e_tag.as_ref().is_some_and(|tag| tag.value() != found.etag) {
            return Err(S3ErrorCode::InvalidPart.into());
        }
        if part.checksum_crc32c.is_some() && part.checksum_crc32c != found.checksum {
            return Err(S3ErrorCode::InvalidPart.into());
        }
        if number <= last {
            return Err(S3ErrorCode::InvalidPartOrder.into());
        }
        if index + 1 < wanted.len() && found.bytes.len() < MIN_PART_BYTES {
            return Err(S3ErrorCode::EntityTooSmall.into());
        }
        last = number;
        match (&mut checksums, &found.checksum) {
            (Some(all), Some(_)) => all.push(crc32c(&found.bytes)),
            _ => checksums = None,
        }
        bytes.extend_from_slice(&found.bytes);
        digests.extend(unhex(&found.etag).unwrap_or_default());
    }
    let etag = format!("{}-{}", hex(&Md5::digest(&digests)), wanted.len());
    Ok((bytes.into(), etag, checksums.as_deref().map(told_of_parts)))
}

pub(super) fn abort(
    operations: &Operations,
    input: &AbortMultipartUploadInput,
) -> S3Result<AbortMultipartUploadOutput> {
    operations.write(&input.bucket, |hosted| {
        hosted.upload(&input.upload_id, &input.key)?;
        hosted.uploads.remove(&input.upload_id);
        Ok(AbortMultipartUploadOutput::default())
    })
}

pub(super) fn list_parts(
    operations: &Operations,
    input: ListPartsInput,
) -> S3Result<ListPartsOutput> {
    let parts = operations.write(&input.bucket, |hosted| {
        let upload = hosted.upload(&input.upload_id, &input.key)?;
        let entry = |(number, part): (&PartNumber, &UploadedPart)| Part {
            part_number: Some(*number),
            e_tag: Some(ETag::Strong(part.etag.clone())),
            size: Some(part.bytes.len() as i64),
            last_modified: Some(part.modified.into()),
            ..Default::default()
        };
        Ok(upload.parts.iter().map(entry).collect::<Vec<_>>())
    })?;
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        is_truncated: Some(false),
        parts: Some(parts),
        ..Default::default()
    })
}

pub(super) fn list_uploads(
    operations: &Operations,
    input: ListMultipartUploadsInput,
) -> S3Result<ListMultipartUploadsOutput> {
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let mut uploads = operations.read(&input.bucket, |hosted| {
        let wanted = hosted.uploads.iter().filter(|(_, upload)| upload.key.starts_with(prefix));
        let entry = |(id, upload): (&String, &Upload)| MultipartUpload {
            upload_id: Some(id.clone()),
            key: Some(upload.key.clone()),
            initiated: Some(upload.initiated.into()),
            ..Default::default()
        };
        Ok(wanted.map(entry).collect::<Vec<_>>())
    })?;
    uploads.sort_by(|a, b| (&a.key, &a.upload_id).cmp(&(&b.key, &b.upload_id)));
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix,
        is_truncated: Some(false),
        uploads: Some(uploads),
        ..Default::default()
    })
}
