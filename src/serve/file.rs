//! A file: all of it or ranges of it, if the conditions hold.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED, RANGE,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::answer::{ASK_EACH_TIME, Answer, empty, refusal, set};
use super::body::{AnswerBody, FileBody, Piece, READ_BYTES};
use super::conditions::{Outcome, Validators};
use super::open::{Node, OpenFile};
use super::ranges::{self, Asked};
use super::recent::Lent;
use super::shared::Shared;
use super::target::Target;
use crate::fs::FsError;

/// Whoever asks for more at once reads in order, and does not come back for the next range.
const RANGE_BYTES: u64 = 4 << 20;

/// Answers a request for a file.
///
/// # Errors
/// What opening it, or reading its first bytes, failed with.
pub(super) async fn answer(
    shared: &Shared,
    asked: &Parts,
    target: &Target,
    node: Node,
) -> Result<Answer, FsError> {
    let name = target.names.last().map(|name| name.to_string_lossy()).unwrap_or_default();
    let size = node.attr.size;
    let validators = Validators::new(node.tag().as_deref(), node.attr.of.modified, size);
    match validators.judge(&asked.headers) {
        Outcome::Failed => {
            return Ok(refusal(StatusCode::PRECONDITION_FAILED, "This is another version."));
        }
        Outcome::NotModified => {
            let mut answer = empty(StatusCode::NOT_MODIFIED);
            describe(&mut answer, &validators);
            return Ok(answer);
        }
        Outcome::Holds => {}
    }
    let media = mime_guess::from_path(&*name).first_or_octet_stream();
    let range = asked.headers.get(RANGE).and_then(|value| value.to_str().ok());
    let range = range
        .filter(|_| asked.method == Method::GET && validators.is_meant_by_range(&asked.headers));
    let plan = match range.map_or(Asked::Whole, |range| ranges::parse(range, size)) {
        Asked::Whole => Plan::whole(size),
        Asked::Parts(parts) => Plan::parts(&parts, size, media.essence_str()),
        Asked::Outside => {
            let sentence = format!("The file has {size} bytes.");
            let mut answer = refusal(StatusCode::RANGE_NOT_SATISFIABLE, &sentence);
            set(&mut answer, CONTENT_RANGE, &format!("bytes */{size}"));
            describe(&mut answer, &validators);
            return Ok(answer);
        }
    };
    let Plan { status, pieces, content_range, content_type } = plan;
    let mut answer = empty(status);
    let length = match asked.method {
        Method::HEAD => size,
        _ => {
            let file = Arc::new(open(shared, target, &validators, node, &pieces).await?);
            let pieces = with_first_bytes(&file, pieces).await?;
            let body = FileBody::new(file, pieces, shared.counts.clone());
            let length = body.size();
            if length > 0 {
                *answer.body_mut() = AnswerBody::File(body);
            }
            length
        }
    };
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    describe(&mut answer, &validators);
    if let Some(range) = content_range {
        set(&mut answer, CONTENT_RANGE, &range);
    }
    set(&mut answer, CONTENT_TYPE, content_type.as_deref().unwrap_or(media.as_ref()));
    // What is in a bucket may be anybody's: a page of it does not act for this server.
    if media != mime_guess::mime::APPLICATION_PDF {
        set(&mut answer, CONTENT_SECURITY_POLICY, "sandbox");
    }
    Ok(answer)
}

/// The file, as whoever reads it in ranges had it open last.
async fn open(
    shared: &Shared,
    target: &Target,
    validators: &Validators,
    node: Node,
    pieces: &[Piece],
) -> Result<Lent, FsError> {
    if pieces.iter().map(Piece::bytes).sum::<u64>() > RANGE_BYTES {
        return Ok(Lent::once(OpenFile::open(node).await?));
    }
    let key = (target.path(), validators.etag.clone());
    match shared.recent.take(&key) {
        Some(file) => Ok(file),
        None => Ok(shared.recent.lend(key, OpenFile::open(node).await?)),
    }
}

/// What every answer about a file says.
fn describe(answer: &mut Answer, validators: &Validators) {
    set(answer, ETAG, &validators.etag);
    // No later than now, as the standard has it.
    let modified = validators.modified.min(SystemTime::now());
    set(answer, LAST_MODIFIED, &httpdate::fmt_http_date(modified));
    set(answer, ACCEPT_RANGES, "bytes");
    set(answer, CACHE_CONTROL, ASK_EACH_TIME);
}

/// What is sent.
struct Plan {
    status: StatusCode,
    pieces: Vec<Piece>,
    content_range: Option<String>,
    content_type: Option<String>,
}

impl Plan {
    fn whole(size: u64) -> Plan {
        let pieces = if size > 0 { vec![Piece::Range(0..size)] } else { Vec::new() };
        Plan { status: StatusCode::OK, pieces, content_range: None, content_type: None }
    }

    fn parts(parts: &[Range<u64>], size: u64, media: &str) -> Plan {
        let status = StatusCode::PARTIAL_CONTENT;
        let shown = |part: &Range<u64>| format!("bytes {}-{}/{size}", part.start, part.end - 1);
        if let [part] = parts {
            let pieces = vec![Piece::Range(part.clone())];
            return Plan { status, pieces, content_range: Some(shown(part)), content_type: None };
        }
        // Whether it stands in the file too does not matter to those who count, as all do.
        let boundary = format!("s3mem-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let mut pieces = Vec::with_capacity(parts.len() * 2 + 1);
        for (number, part) in parts.iter().enumerate() {
            let before = if number == 0 { "" } else { "\r\n" };
            let range = shown(part);
            let head = format!(
                "{before}--{boundary}\r\nContent-Type: {media}\r\nContent-Range: {range}\r\n\r\n"
            );
            pieces.push(Piece::Bytes(Bytes::from(head)));
            pieces.push(Piece::Range(part.clone()));
        }
        pieces.push(Piece::Bytes(Bytes::from(format!("\r\n--{boundary}--\r\n"))));
        let content_type = Some(format!("multipart/byteranges; boundary={boundary}"));
        Plan { status, pieces, content_range: None, content_type }
    }
}

/// The same pieces, of which the first bytes of the file are read: what fails then is still told
/// by a status.
async fn with_first_bytes(file: &Lent, pieces: Vec<Piece>) -> Result<Vec<Piece>, FsError> {
    let mut read = Vec::with_capacity(pieces.len() + 1);
    let mut is_read = false;
    for piece in pieces {
        match piece {
            Piece::Range(range) if !is_read => {
                is_read = true;
                let end = range.end.min(range.start + READ_BYTES);
                let first = file.read(range.start, (end - range.start) as usize).await?;
                read.push(Piece::Bytes(first));
                if end < range.end {
                    read.push(Piece::Range(end..range.end));
                }
            }
            other => read.push(other),
        }
    }
    Ok(read)
}
