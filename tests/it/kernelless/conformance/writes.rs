//! What every `ObjectStore` must do when it is written to.

use bytes::Bytes;
use s3mem::key::ObjectVersion;
use s3mem::store::checksum::{crc32c, told, told_of_parts};
use s3mem::store::{
    BeginRequest, CompleteRequest, Condition, CopyPartRequest, CopyRequest, Part, PartRequest,
    PutRequest, Upload, Written,
};

use super::*;

/// S3 wants at least this in every part but the last.
const PART_BYTES: usize = 5 << 20;

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text)
}

fn kind<T: std::fmt::Debug>(outcome: Result<T, s3mem::store::StoreError>) -> StoreErrorKind {
    outcome.unwrap_err().kind
}

impl Subject {
    /// The claims about writes, each on keys of its own.
    pub(super) async fn writes_conform(&self) {
        self.puts_keep_their_conditions().await;
        self.what_is_written_has_type_and_checksum().await;
        self.parts_become_an_object_at_once().await;
        self.uploads_keep_their_conditions_and_can_be_given_up().await;
        self.copies_are_of_one_version().await;
        self.parts_are_copied_of_one_version().await;
        self.deletes_say_what_was_not_there().await;
        self.copies_and_deletes_keep_their_conditions().await;
    }

    async fn write(
        &self,
        at: &str,
        bytes: &'static str,
        condition: Condition,
    ) -> Result<Written, StoreErrorKind> {
        let body = Bytes::from_static(bytes.as_bytes());
        let request = PutRequest { key: key(at), body, content_type: None, condition };
        self.store.put(request).await.map_err(|error| error.kind)
    }

    async fn begin(&self, at: &str, content_type: Option<&str>) -> Upload {
        let request = BeginRequest::new(key(at), content_type.map(Into::into));
        self.store.begin_upload(request).await.unwrap()
    }

    async fn part(&self, upload: &Upload, number: u32, bytes: Bytes) -> Part {
        let request = PartRequest { upload: upload.clone(), number, body: bytes };
        self.store.put_part(request).await.unwrap()
    }

    async fn complete(
        &self,
        upload: &Upload,
        parts: &[Part],
        condition: Condition,
    ) -> Result<Written, StoreErrorKind> {
        let (upload, parts) = (upload.clone(), parts.to_vec());
        let request = CompleteRequest { upload, parts, condition };
        self.store.complete_upload(request).await.map_err(|error| error.kind)
    }

    async fn version(&self, at: &str) -> ObjectVersion {
        let head = self.store.head(&key(at)).await.unwrap();
        let last_modified = head.last_modified.unwrap();
        ObjectVersion { key: key(at), size: head.size.unwrap(), etag: head.etag, last_modified }
    }

    async fn copy(
        &self,
        from: ObjectVersion,
        to: &str,
        condition: Condition,
    ) -> Result<Written, StoreErrorKind> {
        let request = CopyRequest { from, to: key(to), condition, content_type: None };
        self.store.copy(request).await.map_err(|error| error.kind)
    }

    async fn puts_keep_their_conditions(&self) {
        let unchanged = |written: &Written| Condition::Unchanged(written.etag.clone().unwrap());
        let first = self.write("w/put", "first", Condition::Absent).await.unwrap();
        assert_eq!(
            self.write("w/put", "other", Condition::Absent).await,
            Err(StoreErrorKind::Changed)
        );
        assert_eq!(self.get("w/put", 0, 5, first.etag.clone()).await.as_deref(), Ok("first"));
        let second = self.write("w/put", "second", unchanged(&first)).await.unwrap();
        assert_ne!(first.etag, second.etag);
        let stale = self.write("w/put", "third", unchanged(&first)).await;
        assert_eq!(stale, Err(StoreErrorKind::Changed));
        assert_eq!(self.get("w/put", 0, 6, second.etag.clone()).await.as_deref(), Ok("second"));
        assert!(self.write("w/put", "whatever", Condition::Any).await.is_ok());
        assert!(self.write("w/new", "whatever", Condition::Any).await.is_ok());
        let missing = self.write("w/none", "x", unchanged(&first)).await;
        assert_eq!(missing, Err(StoreErrorKind::NotFound));
        self.write("w/empty", "", Condition::Absent).await.unwrap();
        assert_eq!(self.version("w/empty").await.size, 0);
    }

    async fn what_is_written_has_type_and_checksum(&self) {
        let body = Bytes::from_static(b"123456789");
        let content_type = Some("image/tiff".into());
        let (at, condition) = (key("w/ty ped+%&日本"), Condition::Absent);
        let request = PutRequest { key: at.clone(), body, content_type, condition };
        let written = self.store.put(request).await.unwrap();
        let head = self.store.head(&at).await.unwrap();
        assert_eq!((head.size, &head.etag), (Some(9), &written.etag));
        assert_eq!(head.content_type.as_deref(), Some("image/tiff"));
        assert_eq!(head.checksum.as_deref(), Some("4waSgw=="));
        let listed = &self.list("w/ty", true, 1000).await[0].objects[0].version;
        assert_eq!((&listed.key, &listed.etag), (&at, &written.etag));
    }

    async fn parts_become_an_object_at_once(&self) {
        let upload = self.begin("w/parts", Some("image/jp2")).await;
        let (first, last) = (Bytes::from(vec![1; PART_BYTES]), Bytes::from_static(b"the end"));
        // In any order, and one of them twice.
        let second = self.part(&upload, 2, last.clone()).await;
        self.part(&upload, 1, Bytes::from_static(b"replaced")).await;
        let parts = [self.part(&upload, 1, first.clone()).await, second];
        assert_eq!(parts[1].checksum, Some(crc32c(&last)));
        assert_eq!(kind(self.store.head(&key("w/parts")).await), StoreErrorKind::NotFound);
        let written = self.complete(&upload, &parts, Condition::Absent).await.unwrap();
        let head = self.store.head(&key("w/parts")).await.unwrap();
        assert_eq!((head.size, &head.etag), (Some(PART_BYTES as u64 + 7), &written.etag));
        assert_eq!(head.content_type.as_deref(), Some("image/jp2"));
        let composite = told_of_parts(&[crc32c(&first), crc32c(&last)]);
        assert_eq!(head.checksum, Some(composite));
        let end = head.size.unwrap() - 7;
        assert_eq!(self.get("w/parts", end, end + 7, None).await.as_deref(), Ok("the end"));
    }

    async fn uploads_keep_their_conditions_and_can_be_given_up(&self) {
        self.write("w/taken", "foreign", Condition::Absent).await.unwrap();
        let upload = self.begin("w/taken", None).await;
        let parts = [self.part(&upload, 1, Bytes::from_static(b"ours")).await];
        let refused = self.complete(&upload, &parts, Condition::Absent).await;
        assert_eq!(refused, Err(StoreErrorKind::Changed));
        assert_eq!(self.get("w/taken", 0, 7, None).await.as_deref(), Ok("foreign"));
        self.store.abort_upload(&upload).await.unwrap();
        self.store.abort_upload(&upload).await.unwrap();
        let part = PartRequest { upload: upload.clone(), number: 1, body: Bytes::new() };
        assert_eq!(kind(self.store.put_part(part).await), StoreErrorKind::NotFound);
        let gone = self.complete(&upload, &parts, Condition::Any).await;
        assert_eq!(gone, Err(StoreErrorKind::NotFound));
    }

    async fn copies_are_of_one_version(&self) {
        let meta = Meta {
            content_type: Some("image/jp2".into()),
            metadata: [("sensor".to_owned(), "MSI".to_owned())].into(),
            ..Meta::default()
        };
        self.put("w/from + %日本", "source", meta).await;
        let from = self.version("w/from + %日本").await;
        let written = self.copy(from.clone(), "w/to + %日本", Condition::Any).await.unwrap();
        let head = self.store.head(&key("w/to + %日本")).await.unwrap();
        assert_eq!((head.size, &head.etag), (Some(6), &written.etag));
        assert_eq!(head.content_type.as_deref(), Some("image/jp2"));
        assert_eq!(head.metadata["sensor"], "MSI");
        assert_eq!(self.get("w/to + %日本", 0, 6, None).await.as_deref(), Ok("source"));
        self.put("w/from + %日本", "newer!", Meta::default()).await;
        let stale = self.copy(from.clone(), "w/to", Condition::Any).await;
        assert_eq!(stale, Err(StoreErrorKind::Changed));
        let missing = ObjectVersion { key: key("w/none"), ..from };
        let missing = self.copy(missing, "w/to", Condition::Any).await;
        assert_eq!(missing, Err(StoreErrorKind::NotFound));
        assert_eq!(kind(self.store.head(&key("w/to")).await), StoreErrorKind::NotFound);
    }

    async fn parts_are_copied_of_one_version(&self) {
        let body = Bytes::from([vec![1; PART_BYTES], vec![2; PART_BYTES]].concat());
        let (at, condition) = (key("w/large + %日本"), Condition::Absent);
        let request = PutRequest { key: at, body, content_type: None, condition };
        self.store.put(request).await.unwrap();
        let from = self.version("w/large + %日本").await;
        let begin = BeginRequest {
            key: key("w/copied"),
            content_type: Some("image/jp2".into()),
            metadata: [("sensor".to_owned(), "MSI".to_owned())].into(),
            has_checksums: false,
        };
        let upload = self.store.begin_upload(begin).await.unwrap();
        let copy =
            |number, range, from| CopyPartRequest { upload: upload.clone(), number, from, range };
        let half = PART_BYTES as u64;
        // The halves change places; the second is one byte short.
        let last = self.store.copy_part(copy(2, 1..half, from.clone())).await.unwrap();
        let first = self.store.copy_part(copy(1, half..2 * half, from.clone())).await.unwrap();
        assert_eq!((first.number, first.checksum, last.number), (1, None, 2));
        let mut old = from.clone();
        old.etag = Some(ETag::new("0123456789abcdef0123456789abcdef"));
        let stale = self.store.copy_part(copy(3, 0..half, old)).await;
        assert_eq!(kind(stale), StoreErrorKind::Changed);
        let missing = ObjectVersion { key: key("w/none"), ..from };
        let missing = self.store.copy_part(copy(3, 0..half, missing)).await;
        assert_eq!(kind(missing), StoreErrorKind::NotFound);
        let written = self.complete(&upload, &[first, last], Condition::Absent).await.unwrap();
        let head = self.store.head(&key("w/copied")).await.unwrap();
        assert_eq!((head.size, &head.etag), (Some(2 * half - 1), &written.etag));
        assert_eq!(head.content_type.as_deref(), Some("image/jp2"));
        assert_eq!(head.metadata["sensor"], "MSI");
        let middle = self.get("w/copied", half - 1, half + 1, None).await;
        assert_eq!(middle.as_deref(), Ok("\u{2}\u{1}"));
    }

    async fn deletes_say_what_was_not_there(&self) {
        let written = self.write("w/gone", "x", Condition::Absent).await.unwrap();
        self.store.delete(&key("w/gone"), written.etag.as_ref()).await.unwrap();
        assert_eq!(kind(self.store.head(&key("w/gone")).await), StoreErrorKind::NotFound);
        self.store.delete(&key("w/gone"), None).await.unwrap();
        self.write("w/gone", "x", Condition::Absent).await.unwrap();
        self.store.delete(&key("w/gone"), None).await.unwrap();
        assert_eq!(kind(self.store.head(&key("w/gone")).await), StoreErrorKind::NotFound);
    }

    async fn copies_and_deletes_keep_their_conditions(&self) {
        let foreign = self.write("w/there", "foreign", Condition::Absent).await.unwrap();
        let ours = self.write("w/ours", "ours", Condition::Absent).await.unwrap();
        let (there, tag) = (key("w/there"), |written: &Written| written.etag.clone().unwrap());
        let from = self.version("w/ours").await;
        let refused = self.copy(from.clone(), "w/there", Condition::Absent).await;
        assert_eq!(refused, Err(StoreErrorKind::Changed));
        let refused = self.copy(from.clone(), "w/there", Condition::Unchanged(tag(&ours))).await;
        assert_eq!(refused, Err(StoreErrorKind::Changed));
        assert_eq!(
            kind(self.store.delete(&there, Some(&tag(&ours))).await),
            StoreErrorKind::Changed
        );
        assert_eq!(self.get("w/there", 0, 7, None).await.as_deref(), Ok("foreign"));
        let copied = self.copy(from, "w/there", Condition::Unchanged(tag(&foreign))).await;
        let copied = copied.unwrap();
        assert_eq!(self.get("w/there", 0, 4, None).await.as_deref(), Ok("ours"));
        let checksum = self.store.head(&there).await.unwrap().checksum;
        assert_eq!(checksum, Some(told(crc32c(b"ours"))));
        self.store.delete(&there, Some(&tag(&copied))).await.unwrap();
        let gone = self.store.delete(&there, Some(&tag(&copied))).await;
        assert_eq!(kind(gone), StoreErrorKind::NotFound);
    }
}
