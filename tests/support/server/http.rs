//! Connections and requests around the S3 service.
//!
//! Contract: every request is recognised, counted and given a request id here,
//! and struck here by faults and bucket policies; what gets through goes to
//! `s3s`, which checks the signature and speaks S3.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, ETAG, HeaderMap, HeaderValue, RANGE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use s3s::service::S3Service;
use tokio::net::{TcpListener, TcpStream};

use super::body::{Link, Pace, ShapedBody};
use super::faults::Refusal;
use super::{BoxError, IfMatch, Shared};

/// The kinds of request that faults tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// ListBuckets.
    ListBuckets,
    /// ListObjectsV2 and ListObjects.
    List,
    /// ListObjectVersions.
    ListVersions,
    /// GetObject.
    Get,
    /// HeadObject.
    Head,
    /// HeadBucket.
    HeadBucket,
    /// PutObject and CopyObject.
    Put,
    /// UploadPart and UploadPartCopy.
    UploadPart,
    /// CreateMultipartUpload.
    CreateUpload,
    /// CompleteMultipartUpload.
    CompleteUpload,
    /// AbortMultipartUpload.
    AbortUpload,
    /// DeleteObject and DeleteObjects.
    Delete,
    /// Everything else.
    Other,
}

/// What a request asks for, as far as its line tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) op: Op,
    pub(super) bucket: String,
    /// The key; of a listing, the prefix.
    pub(super) key: String,
    /// The number of the part that is written.
    pub(super) part: Option<u64>,
    /// Whether the signature does not cover the body.
    pub(super) is_body_unsigned: bool,
    /// Whether it says that the requester pays.
    pub(super) names_payer: bool,
    /// Whether it says who must own the bucket; of a copy, the source's bucket too.
    pub(super) names_owner: bool,
}

impl Asked {
    fn of<T>(request: &Request<T>) -> Self {
        let path = request.uri().path().strip_prefix('/').unwrap_or("");
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let query = request.uri().query().unwrap_or("");
        let has = |name: &str| parameters(query).any(|(given, _)| given == name);
        let method = request.method();
        let op = match (method, bucket.is_empty(), key.is_empty()) {
            (&Method::GET, true, true) => Op::ListBuckets,
            (&Method::HEAD, false, true) => Op::HeadBucket,
            (&Method::HEAD, false, false) => Op::Head,
            (&Method::GET, false, true) if is_listing(query) => Op::List,
            (&Method::GET, false, true) if has("versions") => Op::ListVersions,
            (&Method::GET, false, false) if !is_subresource(query) => Op::Get,
            (&Method::PUT, false, false) if has("uploadId") => Op::UploadPart,
            (&Method::PUT, false, false) if !is_subresource(query) => Op::Put,
            (&Method::POST, false, false) if has("uploads") => Op::CreateUpload,
            (&Method::POST, false, false) if has("uploadId") => Op::CompleteUpload,
            (&Method::POST, false, true) if has("delete") => Op::Delete,
            (&Method::DELETE, false, false) if has("uploadId") => Op::AbortUpload,
            (&Method::DELETE, false, false) => Op::Delete,
            _ => Op::Other,
        };
        let key = match op {
            Op::List | Op::ListVersions => {
                parameters(query).find(|(name, _)| *name == "prefix").map_or("", |(_, v)| v)
            }
            _ => key,
        };
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let part = parameters(query).find(|(name, _)| *name == "partNumber");
        let part = part.and_then(|(_, number)| number.parse().ok());
        let signed = request.headers().get("x-amz-content-sha256");
        let is_body_unsigned = signed.is_some_and(|hash| hash == "UNSIGNED-PAYLOAD");
        let has_header = |name: &str| request.headers().contains_key(name);
        let is_copy = has_header("x-amz-copy-source");
        Asked {
            op,
            bucket: decode(bucket),
            key: decode(key),
            part,
            is_body_unsigned,
            names_payer: has_header("x-amz-request-payer"),
            names_owner: has_header("x-amz-expected-bucket-owner")
                && (!is_copy || has_header("x-amz-source-expected-bucket-owner")),
        }
    }
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Whether a GET of a bucket lists it, rather than one of its many settings.
fn is_listing(query: &str) -> bool {
    const LISTING: [&str; 11] = [
        "",
        "list-type",
        "prefix",
        "delimiter",
        "max-keys",
        "encoding-type",
        "start-after",
        "continuation-token",
        "marker",
        "fetch-owner",
        "x-id",
    ];
    parameters(query).all(|(name, _)| LISTING.contains(&name))
}

/// Whether the query turns a request for an object into one for something beside it.
fn is_subresource(query: &str) -> bool {
    const BESIDE: [&str; 9] = [
        "acl",
        "tagging",
        "attributes",
        "legal-hold",
        "retention",
        "torrent",
        "uploadId",
        "uploads",
        "restore",
    ];
    parameters(query).any(|(name, _)| BESIDE.contains(&name))
}

/// Accepts connections until it is dropped.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    service: S3Service,
) {
    let listener = TcpListener::from_std(listener).expect("the runtime has an I/O driver");
    loop {
        // Fails for a connection that is gone already or for want of
        // descriptors; either way the next one may do better.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        tokio::spawn(connection(stream, Arc::clone(&shared), service.clone()));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, service: S3Service) {
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else { return };
    let link = Arc::new(Link { socket, pace: Pace::default() });
    // Fails only where the peer has hung up already.
    let _ = stream.set_nodelay(true);
    let handler = service_fn(move |request| {
        handle(request, Arc::clone(&shared), Arc::clone(&link), service.clone())
    });
    // An error is a fault at work or a client that went away.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), handler)
        .await;
}

async fn handle(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    link: Arc<Link>,
    service: S3Service,
) -> Result<Response<ShapedBody>, BoxError> {
    let asked = Asked::of(&request);
    let is_head = request.method() == Method::HEAD;
    let range = asked_range(&asked, request.headers(), &shared);
    let mut in_flight = shared.counters.arrived(&asked, range);
    let plan = shared.faults.plan(&asked);
    let delay = plan.delay + shared.delay();
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if plan.hang {
        shared.faults.released().await;
    }
    if plan.drop {
        return Err("dropped on command".into());
    }

    let id = request_id();
    let refusal = plan.refusal.clone().or_else(|| breach(&asked, request.headers(), &shared));
    let refusal = refusal.or_else(|| misread_tag(request.headers(), &shared));
    let response = match refusal {
        _ if plan.page.is_some() => {
            discard(request.into_body()).await;
            let (status, text) = plan.page.unwrap_or_default();
            let page = Response::builder().status(status).header("content-type", "text/html");
            page.body(s3s::Body::from(text.to_owned()))?
        }
        Some(refusal) => {
            discard(request.into_body()).await;
            refuse(&refusal, &id)?
        }
        None => service
            .call(request.map(s3s::Body::from))
            .await
            .map_err(|error| format!("{error:?}"))?,
    };
    if plan.drop_answer {
        return Err("dropped on command".into());
    }

    let (mut head, mut body) = response.into_parts();
    in_flight.answered(head.status);
    head.headers.insert("x-amz-request-id", HeaderValue::from_str(&id)?);
    head.headers.insert("server", HeaderValue::from_static(shared.name()));
    if asked.op == Op::HeadBucket
        && let Some(region) = shared.region(&asked.bucket)
    {
        // S3 tells the region to whoever asks, refused or not.
        head.headers.insert("x-amz-bucket-region", HeaderValue::from_str(&region)?);
    }
    if is_head || head.status == StatusCode::NOT_MODIFIED {
        body = s3s::Body::empty();
    }
    if plan.without_etag {
        head.headers.remove(ETAG);
    }
    if let Some(etag) = head.headers.get(ETAG).and_then(|etag| etag.to_str().ok()) {
        let told =
            HeaderValue::from_str(&shared.tags().told.replace("TAG", etag.trim_matches('"')))?;
        head.headers.insert(ETAG, told);
    }
    for (name, value) in &plan.headers {
        head.headers.insert(*name, HeaderValue::from_bytes(value)?);
    }
    if !plan.elements.is_empty() && !is_head {
        let whole = BodyExt::collect(body).await?.to_bytes();
        let mut text = String::from_utf8(whole.to_vec())?;
        for (name, new) in &plan.elements {
            text = replace_elements(&text, name, *new);
        }
        body = s3s::Body::from(text);
        head.headers.remove(CONTENT_LENGTH);
    }
    if plan.without_etag && !is_head {
        let whole = BodyExt::collect(body).await?.to_bytes();
        let text = String::from_utf8(whole.to_vec())?;
        let stripped = match (text.split_once("<ETag>"), text.split_once("</ETag>")) {
            (Some((before, _)), Some((_, behind))) => format!("{before}{behind}"),
            _ => text,
        };
        body = s3s::Body::from(stripped);
        head.headers.remove(CONTENT_LENGTH);
    }
    if let Some(at) = plan.damage {
        let mut whole = BodyExt::collect(body).await?.to_bytes().to_vec();
        if let Some(byte) = whole.get_mut(at) {
            *byte ^= 1;
        }
        body = s3s::Body::from(whole);
    }
    if let Some(bytes) = plan.shorten_to {
        let whole = BodyExt::collect(body).await?.to_bytes();
        body = s3s::Body::from(whole.slice(..bytes.min(whole.len())));
        head.headers.remove(CONTENT_LENGTH);
    }
    Ok(Response::from_parts(head, ShapedBody::new(body, &plan, in_flight, link, shared)))
}

/// The first byte and the length in bytes that a GetObject asks for.
fn asked_range(asked: &Asked, headers: &HeaderMap, shared: &Shared) -> (u64, u64) {
    let Some(size) = shared.object_size(&asked.bucket, &asked.key) else { return (0, 0) };
    let Some(header) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else {
        return (0, size);
    };
    let Ok(range) = s3s::dto::Range::parse(header) else { return (0, size) };
    let first = match range {
        s3s::dto::Range::Int { first, .. } => first,
        s3s::dto::Range::Suffix { length } => size.saturating_sub(length),
    };
    range.check(size).map_or((first, 0), |range| (range.start, range.end - range.start))
}

/// A document with another text in each element of this name, or without them.
fn replace_elements(document: &str, name: &str, text: Option<&str>) -> String {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut pieces = document.split(&open);
    let mut replaced = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        if let Some(text) = text {
            replaced += &format!("{open}{text}{close}");
        }
        replaced += piece.split_once(&close).map_or("", |(_, behind)| behind);
    }
    replaced
}

/// What is said of a condition on a tag in a form that the server does not understand.
fn misread_tag(headers: &HeaderMap, shared: &Shared) -> Option<Refusal> {
    let named = ["if-match", "x-amz-copy-source-if-match"].map(|name| headers.get(name));
    let named = named.into_iter().flatten().next()?;
    let is_understood = match shared.tags().if_match {
        IfMatch::AsUsual => true,
        IfMatch::Bare => !named.as_bytes().starts_with(b"\""),
        IfMatch::Never => false,
    };
    (!is_understood).then_some(Refusal::Other(412, "PreconditionFailed"))
}

/// How a request breaks the policy of its bucket, if it does.
fn breach(asked: &Asked, headers: &HeaderMap, shared: &Shared) -> Option<Refusal> {
    let policy = shared.policy(&asked.bucket)?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if policy.requester_pays && header("x-amz-request-payer") != Some("requester") {
        return Some(Refusal::AccessDenied);
    }
    let expected_owner = header("x-amz-expected-bucket-owner");
    if expected_owner.is_some_and(|owner| policy.owner.as_deref() != Some(owner)) {
        return Some(Refusal::AccessDenied);
    }
    let region = policy.region?;
    // Credential=KEY/DATE/REGION/s3/aws4_request; an unsigned request has no region.
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let scope = authorization.split("Credential=").nth(1)?;
    let signed_for = scope.split('/').nth(2)?;
    (signed_for != region).then_some(Refusal::WrongRegion(region))
}

fn refuse(refusal: &Refusal, id: &str) -> Result<Response<s3s::Body>, BoxError> {
    let (status, code, message, region) = refusal.parts();
    let told = region.map(|region| format!("<Region>{region}</Region>")).unwrap_or_default();
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>{message}</Message>{told}<RequestId>{id}</RequestId></Error>"
    );
    let mut response = Response::builder().status(status).header("content-type", "application/xml");
    if let Some(region) = region {
        response = response.header("x-amz-bucket-region", region);
    }
    Ok(response.body(s3s::Body::from(xml))?)
}

/// Reads a body to its end, so that the client sees the answer and no broken pipe.
async fn discard(mut body: Incoming) {
    while let Some(Ok(_)) =
        std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await
    {
    }
}

/// Sixteen characters, as S3's request ids have, counted up within the process.
fn request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:016X}", NEXT.fetch_add(1, Ordering::Relaxed) | 0xA3 << 56)
}
