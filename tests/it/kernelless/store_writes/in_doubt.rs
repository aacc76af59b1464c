//! Writes of which no answer came, until the deadline: the bucket holds ours, and nobody
//! is told that somebody else has been there.

use super::*;
use crate::support::memory_store::StoreStyle;

const LOST: StoreErrorKind = StoreErrorKind::Timeout;

fn over(style: StoreStyle) -> (MemoryStore, Retry) {
    let memory = MemoryStore::with_style(StoreStyle { min_part_bytes: 1, ..style });
    let config = RetryConfig::within(Duration::from_millis(400));
    let retry = Retry::new(Arc::new(memory.clone()), config, Stats::new());
    (memory, retry)
}

/// A store that does writes of a kind and says nothing, nor what they have made.
fn silent(kind: CallKind) -> (MemoryStore, Retry) {
    let (memory, retry) = over(StoreStyle::default());
    silence(&memory, kind);
    (memory, retry)
}

fn silence(memory: &MemoryStore, kind: CallKind) {
    memory.lose_answers(kind, None, LOST, 100);
    memory.fail_next(CallKind::Head, None, LOST, 1);
}

fn bytes(memory: &MemoryStore) -> Bytes {
    let object = memory.object("obj").unwrap();
    object.content.slice(0..object.content.size())
}

/// An upload of one part, up to its end.
async fn parts(retry: &Retry, body: &'static [u8]) -> CompleteRequest {
    let upload = retry.begin_upload(BeginRequest::new(key("obj"), None)).await.unwrap();
    let (upload_of_part, body) = (upload.clone(), Bytes::from_static(body));
    let part = PartRequest { upload: upload_of_part, number: 1, body };
    let part = retry.put_part(part).await.unwrap();
    CompleteRequest { upload, parts: vec![part], condition: Condition::Absent }
}

fn copy(memory: &MemoryStore) -> CopyRequest {
    let source = memory.object("from").unwrap();
    let from = ObjectVersion {
        key: key("from"),
        size: source.content.size(),
        etag: Some(ETag::new(&source.etag)),
        last_modified: source.last_modified,
    };
    CopyRequest { from, to: key("obj"), condition: Condition::Absent, content_type: None }
}

#[tokio::test]
async fn one_head_settles_a_write_of_which_no_answer_came() {
    let (memory, retry) = over(StoreStyle::default());
    memory.lose_answers(CallKind::Put, None, LOST, 100);
    let written = retry.put(put(b"ours", Condition::Absent)).await.unwrap();
    assert_eq!(written.etag, Some(ETag::new(&memory.object("obj").unwrap().etag)));
    assert_eq!(memory.tally().head, 1);
    // One that has not happened is an error.
    let (memory, retry) = over(StoreStyle::default());
    memory.fail_next(CallKind::Put, None, LOST, 100);
    assert_eq!(kind(retry.put(put(b"ours", Condition::Absent)).await), LOST);
    assert_eq!(memory.tally().head, 1);
    memory.heal();
    retry.put(put(b"ours", Condition::Absent)).await.unwrap();
}

#[tokio::test]
async fn a_put_that_nobody_answered_is_ours_when_it_is_sent_again() {
    let (memory, retry) = silent(CallKind::Put);
    assert_eq!(kind(retry.put(put(b"ours", Condition::Absent)).await), LOST);
    assert_eq!(bytes(&memory), "ours", "it has happened");
    memory.heal();
    memory.reset();
    let written = retry.put(put(b"ours", Condition::Absent)).await.unwrap();
    assert_eq!((memory.tally().put, memory.tally().head), (1, 1));
    // From then on the key is known.
    retry.put(put(b"next", Condition::Unchanged(written.etag.unwrap()))).await.unwrap();
    assert_eq!(kind(retry.put(put(b"next", Condition::Absent)).await), StoreErrorKind::Changed);
}

#[tokio::test]
async fn what_was_written_on_meanwhile_replaces_the_write_that_nobody_answered() {
    let (memory, retry) = over(StoreStyle::default());
    let seen = retry.put(put(b"seen", Condition::Absent)).await.unwrap().etag.unwrap();
    for body in [b"first".as_slice(), b"second"] {
        silence(&memory, CallKind::Put);
        let sent = retry.put(put(body, Condition::Unchanged(seen.clone()))).await;
        assert_eq!(kind(sent), LOST);
        memory.heal();
    }
    assert_eq!(bytes(&memory), "first");
    retry.put(put(b"third", Condition::Unchanged(seen))).await.unwrap();
    assert_eq!(bytes(&memory), "third");
}

#[tokio::test]
async fn somebody_elses_object_is_not_taken_for_a_write_that_nobody_answered() {
    let (memory, retry) = silent(CallKind::Put);
    retry.put(put(b"ours", Condition::Absent)).await.unwrap_err();
    memory.heal();
    memory.put("obj", "them");
    for body in [b"ours".as_slice(), b"newer"] {
        let sent = retry.put(put(body, Condition::Absent)).await;
        assert_eq!(kind(sent), StoreErrorKind::Changed);
    }
    assert_eq!(bytes(&memory), "them");
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_any_more_is_in_doubt_too() {
    let memory = MemoryStore::new();
    let config = RetryConfig::within(Duration::from_secs(60));
    let retry = Retry::new(Arc::new(memory.clone()), config, Stats::new());
    memory.lose_answers(CallKind::Put, None, LOST, 100);
    let sending = retry.put(put(b"ours", Condition::Absent));
    tokio::time::timeout(Duration::from_millis(10), sending).await.unwrap_err();
    memory.heal();
    assert_eq!(bytes(&memory), "ours");
    retry.put(put(b"ours", Condition::Absent)).await.unwrap();
}

#[tokio::test]
async fn the_end_of_an_upload_that_nobody_answered_is_ours_when_it_is_asked_for_again() {
    for body in [None, Some(b"parts".as_slice()), Some(b"others")] {
        let (memory, retry) = silent(CallKind::CompleteUpload);
        let first = parts(&retry, b"parts").await;
        assert_eq!(kind(retry.complete_upload(first.clone()).await), LOST);
        memory.heal();
        assert_eq!(bytes(&memory), "parts");
        // The same upload; another one of the same bytes; one of what was written since.
        let next = match body {
            None => first,
            Some(body) => parts(&retry, body).await,
        };
        let written = retry.complete_upload(next).await.unwrap();
        assert_eq!(written.etag, Some(ETag::new(&memory.object("obj").unwrap().etag)));
        assert_eq!(bytes(&memory), body.unwrap_or(b"parts"));
        assert_eq!(memory.open_uploads(), [""; 0]);
    }
}

#[tokio::test]
async fn a_copy_that_nobody_answered_is_ours_when_it_is_asked_for_again() {
    for opaque_etags in [false, true] {
        let (memory, retry) = over(StoreStyle { opaque_etags, ..StoreStyle::default() });
        let from = PutRequest { key: key("from"), ..put(b"source", Condition::Absent) };
        retry.put(from).await.unwrap();
        silence(&memory, CallKind::Copy);
        assert_eq!(kind(retry.copy(copy(&memory)).await), LOST);
        memory.heal();
        assert_eq!(bytes(&memory), "source");
        memory.reset();
        let written = retry.copy(copy(&memory)).await.unwrap();
        assert_eq!(written.etag, Some(ETag::new(&memory.object("obj").unwrap().etag)));
        // Where the ETags differ, the source's checksum is asked for as well.
        assert_eq!(memory.tally().head, if opaque_etags { 2 } else { 1 });
    }
    // With neither the same ETag nor a checksum their bytes tell.
    for theirs in [None, Some("theirs")] {
        let (memory, retry) = over(StoreStyle { opaque_etags: true, ..StoreStyle::default() });
        memory.put("from", "source");
        silence(&memory, CallKind::Copy);
        retry.copy(copy(&memory)).await.unwrap_err();
        memory.heal();
        theirs.iter().for_each(|bytes| drop(memory.put("obj", *bytes)));
        let copied = retry.copy(copy(&memory)).await;
        match theirs {
            None => drop(copied.unwrap()),
            Some(_) => assert_eq!(kind(copied), StoreErrorKind::Changed),
        }
        assert_eq!(bytes(&memory), theirs.unwrap_or("source"));
    }
}
