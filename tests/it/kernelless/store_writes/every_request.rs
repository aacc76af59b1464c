//! What every request to S3 carries, whichever it is.

use s3mem::key::Prefix;
use s3mem::store::{CopyPartRequest, GetRequest, ListRequest};

use super::*;

/// One of each of the requests that there are, all on what `server` has.
async fn one_of_each(
    store: &dyn ObjectStore,
    server: &TestServer,
    mut after: impl FnMut(&str, &TestServer),
) {
    let version = |at: &str| {
        let object = server.get(BUCKET, at).unwrap();
        ObjectVersion {
            key: key(at),
            size: object.content.size(),
            etag: Some(ETag::new(&object.etag)),
            last_modified: object.last_modified,
        }
    };
    let (prefix, delimited) = (Prefix::root(), true);
    store
        .list_page(ListRequest { prefix, delimited, token: None, after: None, max_keys: 9 })
        .await
        .unwrap();
    after("LIST", server);
    store.put(put(b"ours", Condition::Any)).await.unwrap();
    after("PUT", server);
    store.head(&key("obj")).await.unwrap();
    after("HEAD", server);
    store.get_range(GetRequest { key: key("obj"), range: 0..4, etag: None }).await.unwrap();
    after("GET", server);
    let (from, condition) = (version("obj"), Condition::Any);
    let copy = CopyRequest { from, to: key("copy"), condition, content_type: None };
    store.copy(copy).await.unwrap();
    after("COPY", server);
    let upload = store.begin_upload(BeginRequest::new(key("parts"), None)).await.unwrap();
    after("UPLOAD", server);
    let (body, number) = (Bytes::from(vec![0; PART_BYTES]), 1);
    let first = PartRequest { upload: upload.clone(), number, body };
    let first = store.put_part(first).await.unwrap();
    after("PUT part", server);
    let (from, range, number) = (version("copy"), 0..4, 2);
    let second = CopyPartRequest { upload: upload.clone(), number, from, range };
    let second = store.copy_part(second).await.unwrap();
    after("COPY part", server);
    let end = CompleteRequest { upload, parts: vec![first, second], condition: Condition::Any };
    store.complete_upload(end).await.unwrap();
    after("COMPLETE", server);
    let begin = BeginRequest { has_checksums: false, ..BeginRequest::new(key("none"), None) };
    let upload = store.begin_upload(begin).await.unwrap();
    after("UPLOAD of copies", server);
    store.abort_upload(&upload).await.unwrap();
    after("ABORT", server);
    store.delete(&key("obj"), version("obj").etag.as_ref()).await.unwrap();
    after("DELETE", server);
}

#[tokio::test]
async fn every_request_says_who_pays_and_who_must_own_the_bucket() {
    let owner = Some("123456789012".to_owned());
    for (requester_pays, expected_bucket_owner) in
        [(true, owner.clone()), (true, None), (false, owner.clone()), (false, None)]
    {
        let server = TestServer::start();
        server.create_bucket(BUCKET);
        let policy = Policy { requester_pays, owner: owner.clone(), ..Policy::default() };
        server.set_policy(BUCKET, policy);
        let without = (u64::from(!requester_pays), u64::from(expected_bucket_owner.is_none()));
        let config = S3Config::new(BUCKET.parse().unwrap());
        let config = S3Config { requester_pays, expected_bucket_owner, ..config };
        let s3 = connect(&server, config).await;
        let mut sent = 0;
        one_of_each(&*s3, &server, |request, server| {
            let counts = server.counts();
            assert_eq!(counts.requests(), 1, "{request}");
            assert_eq!((counts.without_payer, counts.without_owner), without, "{request}");
            server.reset_counts();
            sent += 1;
        })
        .await;
        assert_eq!(sent, 12);
    }
}
