//! The headers that calls share: who pays, who must own the bucket, and how objects are
//! stored and encrypted.
//!
//! Contract: these headers are set here and nowhere else. Each call of the SDK is wrapped
//! in exactly one of four macros, by what it does with the bytes of an object:
//!
//! | macro | calls |
//! |---|---|
//! | `addressed!` | ListObjectsV2, ListObjectVersions, DeleteObject, AbortMultipartUpload |
//! | `object_read!` | HeadObject, GetObject |
//! | `object_made!` | PutObject, CreateMultipartUpload, CopyObject |
//! | `part_made!` | UploadPart, UploadPartCopy, CompleteMultipartUpload |
//!
//! A copy is wrapped in `source_read!` as well, for the object that it reads. Keys of the
//! server's (SSE-S3, SSE-KMS) are named when an object is made. Keys of the customer's own
//! (SSE-C, which we don't support) have to be sent with every call except those that are
//! `addressed!` alone, so each of the other macros would get them.

use aws_sdk_s3::types::{RequestPayer, ServerSideEncryption, StorageClass};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::S3;
use crate::key::ObjectKey;
use crate::store::Encryption;

/// What every call says: which bucket, who pays, who must own it.
macro_rules! addressed {
    ($s3:expr, $call:expr) => {
        $call
            .bucket($s3.config.bucket.as_str())
            .set_request_payer($s3.payer())
            .set_expected_bucket_owner($s3.owner())
    };
}

/// A call that reads an object, or its headers.
macro_rules! object_read {
    ($s3:expr, $call:expr) => {
        $crate::store::s3::payer_owner_encryption::addressed!($s3, $call)
    };
}

/// A call that makes an object, or begins to.
macro_rules! object_made {
    ($s3:expr, $call:expr) => {
        $crate::store::s3::payer_owner_encryption::addressed!($s3, $call)
            .set_storage_class($s3.storage_class())
            .set_server_side_encryption($s3.encryption())
            .set_ssekms_key_id($s3.kms_key())
    };
}

/// A call that goes on with an object that was begun.
macro_rules! part_made {
    ($s3:expr, $call:expr) => {
        $crate::store::s3::payer_owner_encryption::addressed!($s3, $call)
    };
}

/// A copy, from the version `$from` of an object in the same bucket.
macro_rules! source_read {
    ($s3:expr, $from:expr, $call:expr) => {
        $call
            .copy_source($s3.copy_source(&$from.key))
            .set_copy_source_if_match($from.etag.as_ref().map(|etag| etag.condition().to_owned()))
            .set_expected_source_bucket_owner($s3.owner())
    };
}

pub(super) use {addressed, object_made, object_read, part_made, source_read};

impl S3 {
    pub(super) fn payer(&self) -> Option<RequestPayer> {
        self.config.requester_pays.then_some(RequestPayer::Requester)
    }

    pub(super) fn owner(&self) -> Option<String> {
        self.config.expected_bucket_owner.clone()
    }

    pub(super) fn storage_class(&self) -> Option<StorageClass> {
        self.config.writes.storage_class.as_deref().map(StorageClass::from)
    }

    pub(super) fn encryption(&self) -> Option<ServerSideEncryption> {
        match &self.config.writes.encryption {
            Encryption::BucketDefault => None,
            Encryption::Aes256 => Some(ServerSideEncryption::Aes256),
            Encryption::Kms { .. } => Some(ServerSideEncryption::AwsKms),
        }
    }

    pub(super) fn kms_key(&self) -> Option<String> {
        match &self.config.writes.encryption {
            Encryption::Kms { key } => key.clone(),
            Encryption::BucketDefault | Encryption::Aes256 => None,
        }
    }

    /// The source of a copy as the header takes it: percent-encoded, which the SDK leaves
    /// to us.
    pub(super) fn copy_source(&self, key: &ObjectKey) -> String {
        source_in(self.config.bucket.as_str(), key)
    }
}

fn source_in(bucket: &str, key: &ObjectKey) -> String {
    const ENCODED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    let source = match bucket.starts_with("arn:") {
        true => format!("{bucket}/object/{}", key.as_str()),
        false => format!("{bucket}/{}", key.as_str()),
    };
    utf8_percent_encode(&source, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_of_a_copy_names_any_bucket_and_any_key() {
        let arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine";
        for (bucket, key, source) in [
            ("plain.bucket-1", "d/a~b_c.txt", "plain.bucket-1/d/a~b_c.txt"),
            ("a", "k", "a/k"),
            ("ab", "one two+three", "ab/one%20two%2Bthree"),
            // Servers decode before they look for the tenant, as Ceph does.
            ("tenant:bucket", "50%", "tenant%3Abucket/50%25"),
            ("ab", "new\nline \u{fc}?versionId=x", "ab/new%0Aline%20%C3%BC%3FversionId%3Dx"),
            (arn, "k", "arn%3Aaws%3As3%3Aeu-west-1%3A123456789012%3Aaccesspoint/mine/object/k"),
        ] {
            assert_eq!(source_in(bucket, &ObjectKey::new(key)), source, "{bucket}");
        }
    }
}
