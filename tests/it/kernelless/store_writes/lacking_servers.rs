//! Servers that do not know all of what a write asks of them.

use super::*;
use crate::support::server::Lacks;

async fn on_a_server_without(lacks: Lacks) -> Stack {
    let stack = Stack::new().await;
    stack.server.set_lacks(lacks);
    // By its first answer it is known not to be Amazon S3.
    let _ = stack.store.head(&key("obj")).await;
    stack.server.reset_counts();
    stack
}

fn checksums() -> Lacks {
    Lacks { checksums: true, ..Lacks::default() }
}

fn conditions() -> Lacks {
    Lacks { conditions: true, ..Lacks::default() }
}

#[tokio::test]
async fn a_server_that_refuses_checksums_is_sent_signed_bodies_and_refuses_once() {
    let stack = on_a_server_without(checksums()).await;
    stack.put(b"first", Condition::Absent).await.unwrap();
    let counts = stack.server.counts();
    assert_eq!((counts.put, counts.status_4xx, counts.unsigned_bodies), (2, 1, 1), "{counts:?}");
    let etag = stack.server.get(BUCKET, "obj").map(|object| ETag::new(&object.etag));
    stack.put(b"second", Condition::Unchanged(etag.unwrap())).await.unwrap();
    assert!(stack.holds(b"second"));
    let counts = stack.server.counts();
    assert_eq!((counts.put, counts.status_4xx, counts.unsigned_bodies), (3, 1, 1), "{counts:?}");
    stack.server.delete(BUCKET, "obj");
    stack.upload(Condition::Absent).await.unwrap();
    assert!(stack.holds(&bodies().concat()));
    assert_eq!(stack.server.counts().status_4xx, 1);
}

#[tokio::test]
async fn each_request_of_an_upload_finds_out_that_checksums_are_refused() {
    let stack = on_a_server_without(checksums()).await;
    stack.upload(Condition::Absent).await.unwrap();
    assert!(stack.holds(&bodies().concat()));
    assert_eq!(stack.server.counts().status_4xx, 1, "only its beginning was refused");
    // One that was begun before, by a server that has changed its mind.
    let stack = on_a_server_without(Lacks { uneven_parts: true, ..Lacks::default() }).await;
    let begin = BeginRequest::new(key("obj"), None);
    let upload = stack.store.begin_upload(begin).await.unwrap();
    let [first, second] = bodies();
    let part = |number, body| PartRequest { upload: upload.clone(), number, body };
    let first = stack.store.put_part(part(1, first)).await.unwrap();
    assert!(first.checksum.is_some());
    stack.server.set_lacks(checksums());
    let second = stack.store.put_part(part(2, second)).await.unwrap();
    assert_eq!(second.checksum, None);
    let (parts, condition) = (vec![first, second], Condition::Absent);
    stack.store.complete_upload(CompleteRequest { upload, parts, condition }).await.unwrap();
    assert!(stack.holds(&bodies().concat()));
}

#[tokio::test]
async fn amazon_s3_is_never_sent_less_than_it_takes() {
    for (status, code) in [(501, "NotImplemented"), (400, "InvalidArgument")] {
        let stack = Stack::new().await;
        stack.server.fault(Fault::new(Effect::Refuse(Refusal::Other(status, code))).on(Op::Put));
        assert!(stack.put(b"ours", Condition::Absent).await.is_err());
        assert_eq!(stack.server.counts().put, 1, "{code}");
        stack.server.clear_faults();
        stack.put(b"ours", Condition::Absent).await.unwrap();
        assert_eq!(stack.server.counts().unsigned_bodies, 2, "its CRC32C is with it");
    }
}

#[tokio::test]
async fn a_refusal_that_is_for_something_else_is_told_and_changes_nothing() {
    let stack = on_a_server_without(Lacks { uneven_parts: true, ..Lacks::default() }).await;
    stack
        .server
        .fault(Fault::new(Effect::Refuse(Refusal::Other(501, "NotImplemented"))).on(Op::Put));
    let error = stack.put(b"ours", Condition::Absent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Other);
    stack.server.clear_faults();
    stack.server.reset_counts();
    stack.put(b"ours", Condition::Absent).await.unwrap();
    let counts = stack.server.counts();
    assert_eq!((counts.put, counts.head, counts.unsigned_bodies), (1, 0, 1), "{counts:?}");
}

#[tokio::test]
async fn on_a_server_without_conditions_a_look_comes_before_each_write() {
    let stack = on_a_server_without(conditions()).await;
    stack.put(b"ours", Condition::Absent).await.unwrap();
    assert!(stack.holds(b"ours"));
    stack.server.reset_counts();
    let error = stack.put(b"other", Condition::Absent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Changed, "there is one: {error}");
    assert!(stack.holds(b"ours"));
    let etag = ETag::new(&stack.server.get(BUCKET, "obj").unwrap().etag);
    stack.put(b"newer", Condition::Unchanged(etag.clone())).await.unwrap();
    let error = stack.put(b"newest", Condition::Unchanged(etag)).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Changed, "{error}");
    assert!(stack.holds(b"newer"));
    assert_eq!(stack.server.counts().put, 1, "what is refused by a look is not sent");
    let error = stack.upload(Condition::Absent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Changed, "{error}");
    stack.server.delete(BUCKET, "obj");
    stack.upload(Condition::Absent).await.unwrap();
    assert!(stack.holds(&bodies().concat()));
}

#[tokio::test]
async fn copies_and_deletions_do_without_conditions_where_the_server_knows_none() {
    let stack = on_a_server_without(conditions()).await;
    let etag = stack.server.put(BUCKET, "obj", "ours");
    let from = |etag: &str| ObjectVersion {
        key: key("obj"),
        size: 4,
        etag: Some(ETag::new(etag)),
        last_modified: std::time::SystemTime::UNIX_EPOCH,
    };
    let copy = |etag: &str, to: &str| CopyRequest {
        from: from(etag),
        to: key(to),
        condition: Condition::Absent,
        content_type: None,
    };
    for to in ["one", "two"] {
        stack.store.copy(copy(&etag, to)).await.unwrap();
        assert!(stack.server.get(BUCKET, to).is_some());
    }
    stack.server.put(BUCKET, "one", "theirs");
    assert_eq!(
        stack.store.copy(copy(&etag, "one")).await.unwrap_err().kind,
        StoreErrorKind::Changed
    );
    let other = ETag::new("other");
    let error = stack.store.delete(&key("obj"), Some(&other)).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Changed);
    for name in ["obj", "two"] {
        stack.store.delete(&key(name), Some(&ETag::new(&etag))).await.unwrap();
        assert!(stack.server.get(BUCKET, name).is_none());
    }
}

#[tokio::test]
async fn a_server_that_knows_neither_is_sent_neither() {
    let stack = on_a_server_without(Lacks { conditions: true, ..checksums() }).await;
    stack.put(b"ours", Condition::Absent).await.unwrap();
    stack.server.reset_counts();
    stack.server.delete(BUCKET, "obj");
    stack.put(b"again", Condition::Absent).await.unwrap();
    let counts = stack.server.counts();
    assert_eq!((counts.put, counts.head, counts.unsigned_bodies), (1, 1, 0), "{counts:?}");
    stack.server.delete(BUCKET, "obj");
    stack.upload(Condition::Absent).await.unwrap();
    assert!(stack.holds(&bodies().concat()));
}
