//! Answers that no S3 server gives: they are neither a success nor somebody else's change.

use s3mem::key::Prefix;
use s3mem::store::{GetRequest, ListRequest};

use super::*;

const SIGN_IN: &str = "<!DOCTYPE html>\n<html><body>Please sign in</body></html>";

/// What a sign-in page, a proxy or a web server says of any request.
const PAGES: [Effect; 4] = [
    Effect::Page(200, SIGN_IN),
    Effect::Page(200, ""),
    Effect::Page(404, SIGN_IN),
    Effect::Page(404, ""),
];

#[tokio::test]
async fn a_page_instead_of_the_answer_to_a_put_is_no_success_and_no_conflict() {
    for page in PAGES {
        // With a server behind it that answers the HEAD, and without.
        for op in [Some(Op::Put), None] {
            let stack = Stack::new().await;
            stack.server.put(BUCKET, "obj", "seen");
            let seen = stack.version("obj").etag.unwrap();
            let fault = Fault::new(page.clone());
            stack.server.fault(op.map_or(fault.clone(), |op| fault.on(op)));
            let replaced = stack.put(b"ours", Condition::Unchanged(seen.clone())).await;
            let error = replaced.unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::NotS3, "{page:?} {error}");
            assert!(error.detail.contains("something"), "{page:?} {error}");
            let new = PutRequest { key: key("new"), ..put(b"ours", Condition::Absent) };
            assert_eq!(kind(stack.store.put(new.clone()).await), StoreErrorKind::NotS3, "{page:?}");
            assert!(stack.holds(b"seen"));
            stack.server.clear_faults();
            stack.put(b"ours", Condition::Unchanged(seen)).await.unwrap();
            stack.store.put(new).await.unwrap();
            assert_eq!(stack.server.keys(BUCKET), ["new", "obj"]);
        }
    }
}

#[tokio::test]
async fn a_refusal_that_a_head_does_not_confirm_is_no_conflict() {
    for (status, code) in [(412, "PreconditionFailed"), (404, "NoSuchKey")] {
        let stack = Stack::new().await;
        let refusal = Effect::Refuse(Refusal::Other(status, code));
        let fault = stack.server.fault(Fault::new(refusal).on(Op::Put));
        assert_eq!(kind(stack.put(b"ours", Condition::Absent).await), StoreErrorKind::NotS3);
        assert_eq!(stack.server.counts().head, 1);
        stack.server.put(BUCKET, "obj", "seen");
        let seen = stack.version("obj").etag.unwrap();
        let replaced = stack.put(b"ours", Condition::Unchanged(seen.clone())).await;
        assert_eq!(kind(replaced), StoreErrorKind::NotS3);
        // What can't be looked at has not been seen to change.
        let denied = Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Head);
        let denied = stack.server.fault(denied);
        stack.server.put(BUCKET, "obj", "them");
        let replaced = stack.put(b"ours", Condition::Unchanged(seen.clone())).await;
        assert_eq!(kind(replaced), StoreErrorKind::AccessDenied);
        stack.server.clear_fault(denied);
        // Somebody else's object is a conflict, whatever the refusal calls it.
        let replaced = stack.put(b"ours", Condition::Unchanged(seen)).await;
        assert_eq!(kind(replaced), StoreErrorKind::Changed);
        assert_eq!(kind(stack.put(b"ours", Condition::Absent).await), StoreErrorKind::Changed);
        stack.server.clear_fault(fault);
        assert!(stack.holds(b"them"));
    }
}

#[tokio::test]
async fn a_refused_end_of_an_upload_is_a_conflict_only_if_the_object_has_changed() {
    let stack = Stack::new().await;
    let refusal = Effect::Refuse(Refusal::Other(412, "PreconditionFailed"));
    stack.server.fault(Fault::new(refusal).on(Op::CompleteUpload));
    assert_eq!(kind(stack.upload(Condition::Absent).await), StoreErrorKind::NotS3);
    stack.server.put(BUCKET, "obj", "them");
    assert_eq!(kind(stack.upload(Condition::Absent).await), StoreErrorKind::Changed);
    assert!(stack.holds(b"them"));
}

#[tokio::test]
async fn a_write_without_an_etag_costs_one_head() {
    let stack = Stack::new().await;
    // The first answer says who it is.
    stack.server.put(BUCKET, "from", "source");
    stack.store.head(&key("from")).await.unwrap();
    for op in [Op::Put, Op::CompleteUpload] {
        stack.server.fault(Fault::new(Effect::WithoutETag).on(op));
    }
    for way in ["put", "parts", "copy"] {
        stack.server.reset_counts();
        let written = match way {
            "put" => stack.put(b"ours", Condition::Any).await,
            "parts" => stack.upload(Condition::Any).await,
            _ => stack.copy(Condition::Any).await,
        };
        assert_eq!(written.unwrap().etag, stack.version("obj").etag, "{way}");
        assert_eq!(stack.server.counts().head, 1, "{way}");
    }
    stack.server.clear_faults();
    stack.server.reset_counts();
    stack.put(b"ours", Condition::Any).await.unwrap();
    stack.upload(Condition::Any).await.unwrap();
    stack.copy(Condition::Any).await.unwrap();
    assert_eq!(stack.server.counts().head, 0, "an answer with an ETag is believed");
}

#[tokio::test]
async fn a_copy_or_an_upload_answered_by_a_page_has_not_happened() {
    let stack = Stack::new().await;
    stack.server.put(BUCKET, "from", "source");
    for op in [Op::CreateUpload, Op::UploadPart, Op::CompleteUpload, Op::Put] {
        let page = stack.server.fault(Fault::new(Effect::Page(200, SIGN_IN)).on(op));
        let written = match op {
            Op::Put => stack.copy(Condition::Absent).await,
            _ => stack.upload(Condition::Absent).await,
        };
        assert_eq!(kind(written), StoreErrorKind::NotS3, "{op:?}");
        assert_eq!(stack.server.keys(BUCKET), ["from"], "{op:?}");
        assert_eq!(stack.server.open_uploads(BUCKET), [""; 0], "{op:?}");
        stack.server.clear_fault(page);
    }
    stack.server.fault(Fault::new(Effect::Page(200, SIGN_IN)).on(Op::AbortUpload));
    let upload = stack.store.begin_upload(BeginRequest::new(key("obj"), None)).await.unwrap();
    assert_eq!(kind(stack.store.abort_upload(&upload).await), StoreErrorKind::NotS3);
}

#[tokio::test]
async fn an_answer_that_stops_before_its_end_with_a_length_that_matches_is_cleared_up() {
    for bytes in [0, 60, 120] {
        let stack = Stack::new().await;
        stack.server.put(BUCKET, "from", "source");
        let cut = Fault::new(Effect::ShortenTo(bytes)).times(1);
        stack.server.fault(cut.clone().on(Op::Put));
        let written = stack.copy(Condition::Absent).await.unwrap();
        assert!(stack.holds(b"source") && written.etag == stack.version("obj").etag, "{bytes}");
        stack.server.fault(cut.on(Op::CompleteUpload));
        let written = stack.upload(Condition::Unchanged(written.etag.unwrap())).await.unwrap();
        assert!(stack.holds(&whole()) && written.etag == stack.version("obj").etag, "{bytes}");
    }
}

#[tokio::test]
async fn a_delete_answered_by_a_page_has_happened_only_if_the_object_is_gone() {
    let stack = Stack::new().await;
    stack.server.put(BUCKET, "obj", "x");
    let etag = stack.version("obj").etag;
    for page in [Effect::Page(200, SIGN_IN), Effect::Page(404, SIGN_IN)] {
        let page = stack.server.fault(Fault::new(page).on(Op::Delete));
        let deleted = stack.store.delete(&key("obj"), etag.as_ref()).await;
        assert_eq!(kind(deleted), StoreErrorKind::NotS3);
        assert!(stack.holds(b"x"));
        stack.store.delete(&key("gone"), etag.as_ref()).await.unwrap();
        stack.server.clear_fault(page);
    }
}

#[tokio::test]
async fn a_page_is_neither_an_object_nor_its_metadata_nor_a_listing() {
    let stack = Stack::new().await;
    stack.server.put(BUCKET, "obj", "x");
    for page in [Effect::Page(200, SIGN_IN), Effect::Page(200, "")] {
        let page = stack.server.fault(Fault::new(page));
        assert_eq!(kind(stack.store.head(&key("obj")).await), StoreErrorKind::NotS3);
        let get = GetRequest { key: key("obj"), range: 0..1, etag: None };
        assert_eq!(kind(stack.store.get_range(get).await), StoreErrorKind::NotS3);
        let (prefix, delimited) = (Prefix::root(), true);
        let list = ListRequest { prefix, delimited, token: None, after: None, max_keys: 9 };
        assert_eq!(kind(stack.store.list_page(list).await), StoreErrorKind::Other);
        stack.server.clear_fault(page);
    }
}

#[tokio::test]
async fn a_bucket_that_is_said_to_be_elsewhere_again_and_again_is_followed_once() {
    let stack = Stack::new().await;
    stack.server.put(BUCKET, "obj", "x");
    let elsewhere = |region: &str| Fault::new(Effect::Refuse(Refusal::Redirect(region.into())));
    let there = Fault::new(Effect::Refuse(Refusal::WrongRegion(REGION.into())));
    // To and fro, and each time to another one.
    for back in [elsewhere("eu-north-1"), there, elsewhere("eu-west-1")] {
        stack.server.clear_faults();
        stack.server.fault(elsewhere("eu-west-1").times(1));
        stack.server.fault(back.after(1));
        stack.server.reset_counts();
        let (prefix, delimited) = (Prefix::root(), true);
        let list = ListRequest { prefix, delimited, token: None, after: None, max_keys: 9 };
        let failed = stack.store.list_page(list).await;
        assert!(matches!(kind(failed), StoreErrorKind::WrongRegion(_)));
        assert_eq!(stack.server.counts().requests(), 2);
    }
    stack.server.clear_faults();
    stack.store.head(&key("obj")).await.unwrap();
}
