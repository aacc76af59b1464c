//! Answers that are not a file's bytes.

use bytes::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use hyper::{Response, StatusCode};

use super::body::AnswerBody;
use crate::fs::{FsError, Trouble};

pub(super) type Answer = Response<AnswerBody>;

pub(super) const JSON: &str = "application/json";
pub(super) const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
/// May be kept, and is asked about each time.
pub(super) const ASK_EACH_TIME: &str = "private, no-cache";

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(AnswerBody::Text(None));
    *answer.status_mut() = status;
    answer
}

/// An answer of a short text.
pub(super) fn text(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Answer {
    let text = text.into();
    let mut answer = empty(status);
    let length = HeaderValue::from(text.len());
    *answer.body_mut() = AnswerBody::Text(Some(text).filter(|text| !text.is_empty()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(ASK_EACH_TIME));
    answer
}

/// A refusal, as a sentence.
pub(super) fn refusal(status: StatusCode, sentence: &str) -> Answer {
    text(status, TEXT, format!("{sentence}\n"))
}

/// What an operation failed with.
pub(super) fn failure(error: &FsError) -> Answer {
    let (status, sentence) = match error.trouble() {
        Trouble::NotFound => (StatusCode::NOT_FOUND, "There is nothing of this name."),
        Trouble::Denied => (StatusCode::FORBIDDEN, "The bucket does not allow this."),
        Trouble::Changed => (
            StatusCode::SERVICE_UNAVAILABLE,
            "This was overwritten while it was read. Ask again for the new version.",
        ),
        Trouble::TooLarge => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "This image is over a limit of what is decoded. The image file itself can be read.",
        ),
        Trouble::Timeout => {
            (StatusCode::GATEWAY_TIMEOUT, "The bucket's server does not answer in time.")
        }
        Trouble::Unreachable => {
            (StatusCode::BAD_GATEWAY, "The bucket's server can't be reached, or fails.")
        }
        Trouble::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "This can't be read."),
    };
    if error.trouble() != Trouble::NotFound {
        error.report();
    }
    let mut answer = refusal(status, sentence);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

/// An answer that leads to another place, given by a relative link.
pub(super) fn redirect(status: StatusCode, link: &str) -> Answer {
    let mut answer = empty(status);
    set(&mut answer, LOCATION, link);
    answer
}

/// Sets a header; a value that none can have is left out.
pub(super) fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}
