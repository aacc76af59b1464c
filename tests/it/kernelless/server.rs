//! The test server itself, asked through the AWS SDK: what it gets wrong would
//! make every other test wrong.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::RequestId;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumMode, CompletedMultipartUpload, CompletedPart, EncodingType, RequestPayer,
};
use proptest::prelude::*;

use crate::harness::backend::http_client;
use crate::support::pattern::{pattern, pattern_bytes, pattern_mismatch};
use crate::support::server::{
    ACCESS_KEY, Bandwidth, Effect, Fault, ListingStyle, Meta, Op, Policy, Refusal, SECRET_KEY,
    TestServer,
};

const BUCKET: &str = "bucket";

fn client(server: &TestServer) -> Client {
    client_with(server, SECRET_KEY)
}

fn client_with(server: &TestServer, secret: &str) -> Client {
    let credentials = Credentials::new(ACCESS_KEY, secret, None, None, "test");
    Client::from_conf(settings(server).credentials_provider(credentials).build())
}

fn settings(server: &TestServer) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(server.endpoint())
        .force_path_style(true)
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .http_client(http_client())
}

#[tokio::test]
async fn a_delimited_listing_of_2500_keys_and_prefixes_pages_without_loss() {
    let server = TestServer::start();
    let files = (0..1250).map(|n| format!("d/file-{n:04}"));
    let nested = (0..1250).flat_map(|n| ["x", "y/z"].map(|leaf| format!("d/sub-{n:04}/{leaf}")));
    server.put_many(BUCKET, files.chain(nested).map(|key| (key, "1")));
    server.put_many(BUCKET, [("c", "1"), ("d", "1"), ("e/f", "1")]);

    let client = client(&server);
    let (mut keys, mut prefixes, mut pages, mut token) =
        (BTreeSet::new(), BTreeSet::new(), vec![], None);
    loop {
        let request = client.list_objects_v2().bucket(BUCKET).prefix("d/").delimiter("/");
        let page = request.set_continuation_token(token).send().await.unwrap();
        assert_eq!(
            page.key_count().unwrap() as usize,
            page.contents().len() + page.common_prefixes().len()
        );
        pages.push(page.key_count().unwrap());
        for object in page.contents() {
            assert!(keys.insert(object.key().unwrap().to_owned()), "{object:?} comes twice");
        }
        for prefix in page.common_prefixes() {
            assert!(prefixes.insert(prefix.prefix().unwrap().to_owned()), "{prefix:?} comes twice");
        }
        token = page.next_continuation_token().map(str::to_owned);
        assert_eq!(page.is_truncated().unwrap(), token.is_some());
        if token.is_none() {
            break;
        }
    }
    assert_eq!(pages, [1000, 1000, 500]);
    assert_eq!(keys, (0..1250).map(|n| format!("d/file-{n:04}")).collect());
    assert_eq!(prefixes, (0..1250).map(|n| format!("d/sub-{n:04}/")).collect());
    assert_eq!(server.counts().list, 3);
}

#[tokio::test]
async fn a_hundred_thousand_keys_list_in_a_hundred_pages() {
    let server = TestServer::start();
    server.put_many(BUCKET, (0..100_000).map(|n| (format!("k/{n:06}"), "x")));
    let client = client(&server);
    let whole = client.list_objects_v2().bucket(BUCKET).into_paginator().send();
    let keys: usize = whole
        .collect::<Result<Vec<_>, _>>()
        .await
        .unwrap()
        .iter()
        .map(|p| p.contents().len())
        .sum();
    assert_eq!((keys, server.counts().list), (100_000, 100));
    let rolled = client.list_objects_v2().bucket(BUCKET).delimiter("/").send().await.unwrap();
    assert_eq!(rolled.common_prefixes().len(), 1);
}

#[tokio::test]
async fn every_key_comes_back_from_an_encoded_listing() {
    let server = TestServer::start();
    let odd = [
        "/lead",
        "a",
        "a/../b",
        "a/./b",
        "a//b",
        "bell\u{7}",
        "dir/",
        "new\nline",
        "one two+three",
        "per%20cent",
        "snow\u{2603}\u{10ffff}",
        "star*~tilde",
        "x/\u{1}/y",
    ];
    server.put_many(BUCKET, odd.map(|key| (key, key)));
    let client = client(&server);
    let listing = client.list_objects_v2().bucket(BUCKET).encoding_type(EncodingType::Url);
    let page = listing.send().await.unwrap();
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8().unwrap().into_owned()
    };
    let listed: Vec<String> = page.contents().iter().map(|o| decode(o.key().unwrap())).collect();
    assert_eq!(listed, odd);
    for key in odd {
        let got = client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().into_bytes(), key.as_bytes(), "{key:?}");
    }
}

proptest! {
    #[test]
    fn the_pattern_reads_the_same_at_any_offset(
        seed: u64,
        offset in 0u64..10_000_000,
        length in 0usize..20_000,
        split in 0usize..20_000,
    ) {
        let whole = pattern_bytes(seed, offset..offset + length as u64);
        let split = split.min(length);
        let mut parts = vec![0; length];
        pattern(seed, offset, &mut parts[..split]);
        pattern(seed, offset + split as u64, &mut parts[split..]);
        prop_assert_eq!(&whole[..], &parts[..]);
        prop_assert_eq!(pattern_mismatch(seed, offset, &whole), None);
        if length >= 4096 + 16 {
            prop_assert!(pattern_mismatch(seed, offset + 4096, &whole).is_some());
            prop_assert!(pattern_mismatch(seed, offset + (1 << 20), &whole).is_some());
            prop_assert!(pattern_mismatch(seed + 1, offset, &whole).is_some());
        }
    }
}

#[tokio::test]
async fn ranges_conditions_and_archives_are_answered_as_s3_does() {
    let server = TestServer::start();
    let etag = server.put_pattern(BUCKET, "big", 5 << 30, 7);
    let archived = Meta { storage_class: Some("GLACIER".into()), ..Meta::default() };
    server.put_with(BUCKET, "cold", "ice", archived);
    let client = client(&server);
    let get = || client.get_object().bucket(BUCKET).key("big");

    let middle = get().range("bytes=5000000000-5000009999").send().await.unwrap();
    assert_eq!(middle.content_range(), Some("bytes 5000000000-5000009999/5368709120"));
    assert_eq!(middle.e_tag(), Some(format!("\"{etag}\"").as_str()));
    let bytes = middle.body.collect().await.unwrap().into_bytes();
    assert_eq!((bytes.len(), pattern_mismatch(7, 5_000_000_000, &bytes)), (10_000, None));
    let tail = get().range("bytes=-5").send().await.unwrap().body.collect().await.unwrap();
    assert_eq!(tail.into_bytes(), pattern_bytes(7, (5 << 30) - 5..5 << 30));

    let status = |error: Option<u16>| error.unwrap();
    let outside = get().range("bytes=5368709120-").send().await.unwrap_err();
    assert_eq!(status(outside.raw_response().map(|r| r.status().as_u16())), 416);
    let changed = get().if_match("\"other\"").send().await.unwrap_err();
    assert_eq!(status(changed.raw_response().map(|r| r.status().as_u16())), 412);
    let same = get().if_none_match(&etag).send().await.unwrap_err();
    assert_eq!(status(same.raw_response().map(|r| r.status().as_u16())), 304);
    let cold = client.get_object().bucket(BUCKET).key("cold").send().await.unwrap_err();
    assert_eq!(cold.code(), Some("InvalidObjectState"));
    assert!(cold.request_id().is_some());
    let head = client.head_object().bucket(BUCKET).key("cold").send().await.unwrap();
    assert_eq!(
        (head.content_length(), head.storage_class().unwrap().as_str()),
        (Some(3), "GLACIER")
    );
    let missing = client.head_object().bucket(BUCKET).key("none").send().await.unwrap_err();
    assert!(missing.into_service_error().is_not_found());

    let counts = server.counts();
    assert_eq!((counts.get, counts.head, counts.status_4xx), (6, 2, 4));
    assert_eq!(counts.body_bytes, 10_005);
    assert_eq!(counts.ranges[0], ("big".into(), 5_000_000_000, 10_000));
    assert_eq!(counts.ranges[1], ("big".into(), (5 << 30) - 5, 5));
}

#[tokio::test]
async fn signatures_are_checked_unless_the_bucket_is_public() {
    let server = TestServer::start();
    server.put(BUCKET, "key", "secret");
    let forged =
        client_with(&server, "wrong").head_bucket().bucket(BUCKET).send().await.unwrap_err();
    assert_eq!(forged.raw_response().unwrap().status().as_u16(), 403);
    let unsigned = Client::from_conf(settings(&server).allow_no_auth().build());
    let get = || unsigned.get_object().bucket(BUCKET).key("key").send();
    assert_eq!(get().await.unwrap_err().code(), Some("AccessDenied"));
    server.set_policy(BUCKET, Policy { anonymous: true, ..Policy::default() });
    assert_eq!(get().await.unwrap().body.collect().await.unwrap().into_bytes(), "secret");
}

#[tokio::test]
async fn a_bucket_in_another_region_says_so() {
    let server = TestServer::start();
    let policy = Policy { region: Some("eu-central-1".into()), ..Policy::default() };
    server.set_policy(BUCKET, policy);
    let client = client(&server);
    let refused = client.list_objects_v2().bucket(BUCKET).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("AuthorizationHeaderMalformed"));
    let head = client.head_bucket().bucket(BUCKET).send().await.unwrap_err();
    let told = head.raw_response().unwrap().headers().get("x-amz-bucket-region");
    assert_eq!(told, Some("eu-central-1"));
}

#[tokio::test]
async fn uploads_are_conditional_and_in_parts() {
    let server = TestServer::start();
    server.create_bucket(BUCKET);
    let client = client(&server);
    let put = || client.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"one"));
    let tag = put().if_none_match("*").send().await.unwrap().e_tag.unwrap();
    assert_eq!(tag, "\"f97c5d29941bfb1b2fdab0874906ab82\"");
    assert_eq!(
        put().if_none_match("*").send().await.unwrap_err().code(),
        Some("PreconditionFailed")
    );
    assert_eq!(
        put().if_match("\"x\"").send().await.unwrap_err().code(),
        Some("PreconditionFailed")
    );
    put().if_match(tag).send().await.unwrap();

    let upload = client.create_multipart_upload().bucket(BUCKET).key("m").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let mut parts = CompletedMultipartUpload::builder();
    for (number, size) in [(1, 5 << 20), (2, 1000)] {
        let body = ByteStream::from(vec![number as u8; size]);
        let part = client.upload_part().bucket(BUCKET).key("m").upload_id(id).part_number(number);
        let tag = part.body(body).send().await.unwrap().e_tag.unwrap();
        parts = parts.parts(CompletedPart::builder().part_number(number).e_tag(tag).build());
    }
    assert_eq!(server.open_uploads(BUCKET), ["m"]);
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("m").upload_id(id);
    complete.multipart_upload(parts.build()).send().await.unwrap();
    let object = server.get(BUCKET, "m").unwrap();
    assert_eq!((object.content.size(), object.etag.ends_with("-2")), ((5 << 20) + 1000, true));
    assert!(server.open_uploads(BUCKET).is_empty());
    assert_eq!(server.counts().put, 6);
}

#[tokio::test]
async fn checksums_are_checked_kept_and_told_to_who_asks() {
    let server = TestServer::start();
    server.create_bucket(BUCKET);
    let client = client(&server);
    let put = |told: &str| {
        let body = ByteStream::from_static(b"123456789");
        client.put_object().bucket(BUCKET).key("k").body(body).checksum_crc32_c(told).send()
    };
    assert_eq!(put("AAAAAA==").await.unwrap_err().code(), Some("BadDigest"));
    assert!(server.keys(BUCKET).is_empty());
    put("4waSgw==").await.unwrap();
    let head = || client.head_object().bucket(BUCKET).key("k");
    assert_eq!(head().send().await.unwrap().checksum_crc32_c(), None);
    let told = head().checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(told.checksum_crc32_c(), Some("4waSgw=="));
}

#[tokio::test]
async fn a_dropped_answer_is_one_to_a_request_that_was_done() {
    let server = TestServer::start();
    server.create_bucket(BUCKET);
    let client = client(&server);
    let put = |key: &str| {
        client.put_object().bucket(BUCKET).key(key).body(ByteStream::from_static(b"x")).send()
    };
    server.fault(Fault::new(Effect::DropAnswer).key("done"));
    server.fault(Fault::new(Effect::Drop).key("undone"));
    for key in ["done", "undone"] {
        let dropped = put(key).await.unwrap_err();
        assert!(dropped.raw_response().is_none(), "{dropped:?}");
    }
    assert_eq!(server.keys(BUCKET), ["done"]);
}

#[tokio::test]
async fn faults_strike_the_requests_they_name_and_no_others() {
    let server = TestServer::start();
    server.put_pattern(BUCKET, "a", 1 << 20, 1);
    server.put_pattern(BUCKET, "b", 1 << 20, 2);
    let client = client(&server);
    let get = |key: &str| client.get_object().bucket(BUCKET).key(key).send();

    let slow_down =
        Fault::new(Effect::Refuse(Refusal::SlowDown)).on(Op::Get).key("a").after(1).times(1);
    let id = server.fault(slow_down);
    get("a").await.unwrap();
    get("b").await.unwrap();
    assert_eq!(get("a").await.unwrap_err().code(), Some("SlowDown"));
    get("a").await.unwrap();
    assert_eq!(server.fault_hits(id), 1);
    server.clear_faults();

    server.fault(Fault::new(Effect::Drop).on(Op::Head));
    let dropped = client.head_object().bucket(BUCKET).key("a").send().await.unwrap_err();
    assert!(dropped.raw_response().is_none(), "{dropped:?}");
    server.clear_faults();

    for effect in [Effect::TruncateAfter(300_000), Effect::ResetAfter(300_000)] {
        let id = server.fault(Fault::new(effect.clone()).key("a"));
        let mut body = get("a").await.unwrap().body;
        let mut got = Vec::new();
        let ending = loop {
            match body.next().await {
                Some(Ok(bytes)) => got.extend_from_slice(&bytes),
                ending => break ending,
            }
        };
        assert!(ending.is_some(), "{effect:?} has to be an error");
        assert_eq!((got.len(), pattern_mismatch(1, 0, &got)), (300_000, None), "{effect:?}");
        server.clear_fault(id);
    }
}

#[tokio::test]
async fn what_hangs_or_stalls_goes_on_when_released() {
    let server = TestServer::start();
    server.put_pattern(BUCKET, "a", 1 << 20, 1);
    let client = client(&server);
    for effect in [Effect::Hang, Effect::StallAfter(0), Effect::StallAfter(123_456)] {
        let id = server.fault(Fault::new(effect.clone()).times(1));
        let request = client.get_object().bucket(BUCKET).key("a");
        let whole = tokio::spawn(async move {
            request.send().await.unwrap().body.collect().await.unwrap().into_bytes()
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!whole.is_finished(), "{effect:?}");
        assert_eq!(server.in_flight(), 1);
        server.clear_fault(id);
        server.release();
        assert_eq!(pattern_mismatch(1, 0, &whole.await.unwrap()), None, "{effect:?}");
    }
    assert!(server.wait_idle(Duration::from_secs(5)));
}

#[tokio::test]
async fn delays_and_bandwidth_caps_take_the_time_they_should() {
    let server = TestServer::start();
    server.put_pattern(BUCKET, "a", 20_000_000, 1);
    let client = client(&server);
    let read = || async {
        let start = Instant::now();
        let request = client.get_object().bucket(BUCKET).key("a");
        request.send().await.unwrap().body.collect().await.unwrap();
        start.elapsed().as_secs_f64()
    };
    read().await;
    server.set_bandwidth(Bandwidth { per_connection: Some(80_000_000), total: Some(100_000_000) });
    // The last piece may still be on its way in the socket's buffer.
    let one = read().await;
    assert!(one > 0.23, "20 MB at 80 MB/s took {one} s");
    let start = Instant::now();
    tokio::join!(read(), read());
    let two = start.elapsed().as_secs_f64();
    assert!(two > 0.37, "40 MB at 100 MB/s took {two} s");
    assert_eq!(server.counts().max_in_flight_gets, 2);
    server.set_bandwidth(Bandwidth::default());
    server.set_delay(Duration::from_millis(200));
    let delayed = read().await;
    assert!(delayed > 0.2, "{delayed} s");
}

#[tokio::test]
async fn a_dripping_body_takes_its_pauses_and_is_whole() {
    let server = TestServer::start();
    server.put_pattern(BUCKET, "a", 50_000, 1);
    let drip = Effect::Drip { bytes: 5_000, pause: Duration::from_millis(30) };
    server.fault(Fault::new(drip).on(Op::Get));
    let start = Instant::now();
    let got = client(&server).get_object().bucket(BUCKET).key("a").send().await.unwrap();
    let body = got.body.collect().await.unwrap().into_bytes();
    assert_eq!((body.len(), pattern_mismatch(1, 0, &body)), (50_000, None));
    // Nine pauses between ten pieces.
    assert!(start.elapsed() >= Duration::from_millis(270), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_bucket_may_want_a_payer_an_owner_and_bare_listings() {
    let server = TestServer::start();
    server.put(BUCKET, "one two", "x");
    let owner = Some("123456789012".to_owned());
    server.set_policy(BUCKET, Policy { requester_pays: true, owner, ..Policy::default() });
    server.set_listing(ListingStyle {
        etags: false,
        space_as_plus: false,
        ..ListingStyle::default()
    });
    let client = client(&server);
    let list = || client.list_objects_v2().bucket(BUCKET).encoding_type(EncodingType::Url);
    let paid = || list().request_payer(RequestPayer::Requester);
    assert_eq!(list().send().await.unwrap_err().code(), Some("AccessDenied"));
    let other = paid().expected_bucket_owner("210987654321").send().await.unwrap_err();
    assert_eq!(other.code(), Some("AccessDenied"));
    let page = paid().expected_bucket_owner("123456789012").send().await.unwrap();
    let object = &page.contents()[0];
    assert_eq!((object.key(), object.e_tag()), (Some("one%20two"), None));
}
