//! What the SDK's errors mean.

use std::path::Path;
use std::time::SystemTime;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;

use super::times::timestamp;
use super::tls::{self, causes};
use crate::key::Bucket;
use crate::store::{Lack, StoreError, StoreErrorKind};

const NOT_S3: &str = "something other than an S3 server seems to answer";

/// Why no credentials could be had.
pub(super) fn credentials_error(error: CredentialsError) -> StoreError {
    let kind = match error {
        CredentialsError::CredentialsNotLoaded(_) => StoreErrorKind::NoCredentials,
        _ if mentions_expiry(&error) => StoreErrorKind::ExpiredCredentials,
        _ => StoreErrorKind::NoCredentials,
    };
    let detail = "no credentials could be had";
    StoreError::new(kind, "credentials", detail).caused_by(error)
}

/// A bucket's name that only other servers allow, where there is no other server.
pub(super) fn no_bucket_of_aws(bucket: &Bucket) -> StoreError {
    let detail = format!(
        "\"{bucket}\" is no bucket of AWS, whose names have 3 to 63 letters, digits, dots and \
         hyphens. If it is on another server, give its address with --endpoint-url"
    );
    StoreError::new(StoreErrorKind::Settings, "credentials", detail)
}

/// A file of certificates that can't be used.
pub(super) fn unusable_certificates(path: &Path, why: &str) -> StoreError {
    let detail = format!(
        "the certificates in {} (--ca-bundle, AWS_CA_BUNDLE, ca_bundle in the profile) can't be used: {why}. Give a file in \
         PEM format, with lines of BEGIN CERTIFICATE",
        path.display()
    );
    StoreError::new(StoreErrorKind::Settings, "certificates", detail)
}

/// Credentials that no request can carry.
pub(super) fn unusable_key(what: &str) -> StoreError {
    let detail = format!(
        "{what} contains a character that no key has, such as the end of a line or an accented \
         letter. Copy it again, without what is behind it, into AWS_ACCESS_KEY_ID, \
         AWS_SESSION_TOKEN or the profile"
    );
    StoreError::new(StoreErrorKind::Settings, "credentials", detail)
}

/// Whether a request may have failed because its credentials were replaced. The answer to a
/// HEAD has no body that says it.
pub(super) fn may_be_outdated_credentials(error: &StoreError) -> bool {
    match &error.kind {
        StoreErrorKind::ExpiredCredentials | StoreErrorKind::NoCredentials => true,
        StoreErrorKind::BadCredentials => !error.detail.contains("RequestTimeTooSkewed"),
        StoreErrorKind::AccessDenied | StoreErrorKind::Other => {
            error.request.starts_with("HEAD ")
                && [400, 401, 403].map(without_code).contains(&error.detail)
        }
        _ => false,
    }
}

/// What is told of an answer that has no code of S3.
fn without_code(status: u16) -> String {
    format!("the server answered with status {status}")
}

/// What a failed request means.
pub(super) fn service_error<E>(request: String, error: SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let request_id = error.request_id().map(Box::from);
    let (kind, detail) = match &error {
        SdkError::ServiceError(service) => service_kind(service.err(), service.raw()),
        _ if find_credentials_error(&error).is_some_and(mentions_expiry) => {
            (StoreErrorKind::ExpiredCredentials, "the credentials have expired".to_owned())
        }
        _ if find_credentials_error(&error).is_some() => {
            (StoreErrorKind::NoCredentials, "no credentials could be had".to_owned())
        }
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            (StoreErrorKind::Timeout, "the connection timed out".to_owned())
        }
        SdkError::DispatchFailure(failure) if failure.is_io() => match tls::reason(&error) {
            Some(reason) => {
                (StoreErrorKind::Unreachable, format!("no connection by TLS: {reason}"))
            }
            None => (StoreErrorKind::Unreachable, "the server can't be reached".to_owned()),
        },
        // The connection was closed before the answer.
        SdkError::DispatchFailure(failure) if failure.as_other().is_some() => {
            (StoreErrorKind::Transient, "the connection broke off".to_owned())
        }
        SdkError::TimeoutError(_) => (StoreErrorKind::Timeout, "no answer in time".to_owned()),
        SdkError::ResponseError(response) if is_cut(response.raw()) => {
            (StoreErrorKind::ShortBody, "the answer broke off".to_owned())
        }
        SdkError::ResponseError(response) => response_kind(response.raw()),
        // Nothing was sent: something in the settings does not go with something else.
        _ => {
            let why = format!("the request could not be sent: {}", innermost(&error));
            (StoreErrorKind::Settings, why)
        }
    };
    let retry_after = error.raw_response().and_then(|raw| {
        let header = |name| raw.headers().get(name);
        seconds_to_wait(header("retry-after")?, header("date"))
    });
    let is_throttling = error.raw_response().is_some_and(|raw| {
        let codes = ["SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"];
        matches!(raw.status().as_u16(), 429 | 503)
            || error.code().is_some_and(|code| codes.contains(&code))
    });
    let mut failed = StoreError::new(kind, request, detail).caused_by(error);
    failed.is_throttling = is_throttling;
    failed.retry_after_seconds = retry_after;
    failed.request_id = request_id;
    failed
}

/// What `Retry-After` asks for, in seconds: so many, or until a time by the server's own
/// clock, which `date` tells.
fn seconds_to_wait(text: &str, date: Option<&str>) -> Option<u16> {
    let seconds = match text.trim().parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let now = date.and_then(timestamp).unwrap_or_else(|| SystemTime::now().into());
            u64::try_from(timestamp(text)?.secs() - now.secs()).unwrap_or_default()
        }
    };
    Some(u16::try_from(seconds).unwrap_or(u16::MAX))
}

/// What a failed write means: as for other requests, but a server that does not
/// know conditions is told from one that does not know the request, and a 404 without
/// S3's word for what is missing says nothing of an object.
pub(super) fn write_error<E>(
    request: String,
    is_conditional: bool,
    error: SdkError<E, HttpResponse>,
) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let is_unknown = error.raw_response().is_some_and(|raw| raw.status().as_u16() == 501);
    // `NotFound` is what the SDK calls a 404 without a body.
    let has_code = error.code().is_some_and(|code| !matches!(code, "" | "NotFound"));
    let lack = error.raw_response().and_then(|raw| lack_in(error.code().unwrap_or(""), raw));
    let mut failed = service_error(request, error);
    if failed.kind == StoreErrorKind::Other {
        failed.lack = lack;
    }
    if failed.kind == StoreErrorKind::NotFound && !has_code {
        failed.kind = StoreErrorKind::NotS3;
        failed.detail = format!("{NOT_S3}: {}", failed.detail);
    }
    if is_conditional && is_unknown && failed.kind == StoreErrorKind::Other {
        failed.detail =
            format!("the server does not support conditional writes: {}", failed.detail);
    }
    failed
}

/// What a server does not know of a request that it refuses: its answer names the header,
/// or says only that there is one.
fn lack_in(code: &str, raw: &HttpResponse) -> Option<Lack> {
    // In S3's words: a proxy that fails knows nothing of the server.
    let is_refusal = matches!(raw.status().as_u16(), 400 | 501)
        && matches!(code, "InvalidArgument" | "InvalidRequest" | "NotImplemented");
    let body = raw.body().bytes().filter(|_| is_refusal)?;
    let text = nameless(&String::from_utf8_lossy(body).to_lowercase());
    let names = |headers: &[&str]| headers.iter().any(|header| text.contains(header));
    match code {
        _ if names(&["checksum"]) => Some(Lack::Checksums),
        _ if names(&["if-match", "if-none-match"]) => Some(Lack::Conditions),
        "NotImplemented" => Some(Lack::Unnamed),
        _ => None,
    }
}

/// An error in XML without the names of objects in it, which may be like anything.
fn nameless(text: &str) -> String {
    let mut text = text.to_owned();
    for (start, end) in [("<key>", "</key>"), ("<resource>", "</resource>")] {
        if let Some(from) = text.find(start)
            && let Some(to) = text[from..].find(end)
        {
            text.replace_range(from..from + to, "");
        }
    }
    text
}

fn service_kind(
    error: &(impl ProvideErrorMetadata + std::error::Error),
    raw: &HttpResponse,
) -> (StoreErrorKind, String) {
    let status = raw.status().as_u16();
    let region = raw.headers().get("x-amz-bucket-region").map(str::to_owned);
    let code = error.code().unwrap_or("");
    let kind = match (code, status) {
        ("NoSuchBucket", _) => StoreErrorKind::NoSuchBucket,
        ("NoSuchKey" | "NotFound" | "NoSuchVersion" | "NoSuchUpload", _) => {
            StoreErrorKind::NotFound
        }
        ("InvalidObjectState", _) => StoreErrorKind::Archived,
        ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired", _) => {
            StoreErrorKind::ExpiredCredentials
        }
        (
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "InvalidSecurity"
            | "InvalidClientTokenId" | "UnrecognizedClientException" | "AccessKeyDisabled",
            _,
        ) => StoreErrorKind::BadCredentials,
        ("PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed", _)
        | ("IllegalLocationConstraintException", _)
        | (_, 301 | 307) => StoreErrorKind::WrongRegion(region.or_else(|| region_in_body(raw))),
        ("PreconditionFailed", _) | (_, 412) => StoreErrorKind::Changed,
        ("InvalidRange", _) | (_, 416) => StoreErrorKind::RangeOutside,
        ("RequestTimeTooSkewed", _) => StoreErrorKind::BadCredentials,
        ("EntityTooLarge" | "QuotaExceeded" | "XMinioStorageFull", _)
        | ("XMinioAdminBucketQuotaExceeded", _)
        | (_, 413 | 507) => StoreErrorKind::Full,
        // Another write of the same key was under way.
        ("ConditionalRequestConflict", _)
        // Damaged on its way: the next attempt carries the same bytes.
        | ("BadDigest" | "XAmzContentChecksumMismatch", _) => StoreErrorKind::Transient,
        (
            "SlowDown" | "RequestTimeout" | "InternalError" | "ServiceUnavailable" | "Throttling",
            _,
        )
        | ("ThrottlingException" | "TooManyRequests" | "OperationAborted", _)
        | (_, 429 | 500 | 502 | 503 | 504) => StoreErrorKind::Transient,
        ("AccessDenied" | "AllAccessDisabled" | "AccountProblem", _) | (_, 401 | 403) => {
            StoreErrorKind::AccessDenied
        }
        (_, 404) => StoreErrorKind::NotFound,
        _ => StoreErrorKind::Other,
    };
    let detail = match (code, error.message()) {
        ("", None) => without_code(status),
        (code, None) => format!("{code} (status {status})"),
        (code, Some(message)) => format!("{code}: {message} (status {status})"),
    };
    (kind, detail)
}

/// Whether an answer broke off: its body could not be read to the end. Bodies of objects
/// are not read here, they stream.
fn is_cut(raw: &HttpResponse) -> bool {
    raw.body().bytes().is_none() && !raw.body().is_streaming()
}

/// What an error says at its bottom.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// An answer that is no answer of S3: worth another try if the server was
/// ailing, otherwise somebody else is listening there.
fn response_kind(raw: &HttpResponse) -> (StoreErrorKind, String) {
    let status = raw.status().as_u16();
    let kind = match status {
        413 | 507 => StoreErrorKind::Full,
        500.. => StoreErrorKind::Transient,
        _ => StoreErrorKind::Other,
    };
    (kind, format!("the answer (status {status}) is not one that an S3 server gives"))
}

/// The region that AuthorizationHeaderMalformed names in its body.
fn region_in_body(raw: &HttpResponse) -> Option<String> {
    let body = std::str::from_utf8(raw.body().bytes()?).ok()?;
    let (_, rest) = body.split_once("<Region>")?;
    let (region, _) = rest.split_once("</Region>")?;
    (!region.is_empty()).then(|| region.to_owned())
}

fn find_credentials_error<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<&'e CredentialsError> {
    causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())
}

fn mentions_expiry(error: &CredentialsError) -> bool {
    DisplayErrorContext(error).to_string().to_lowercase().contains("expired")
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;

    #[test]
    fn what_a_server_lacks_is_in_its_refusal_and_never_in_the_name_of_an_object() {
        let lack = |status: u16, code: &str, text: &str| {
            let body = SdkBody::from(format!("<Error><Code>{code}</Code>{text}</Error>"));
            lack_in(code, &HttpResponse::new(status.try_into().unwrap(), body))
        };
        // As Backblaze B2 says it.
        let unsupported = |header: &str| {
            format!("<Message>Unsupported header '{header}' received for this API call.</Message>")
        };
        let of = |header: &str| lack(400, "InvalidArgument", &unsupported(header));
        assert_eq!(of("x-amz-checksum-crc32c"), Some(Lack::Checksums));
        assert_eq!(of("If-None-Match"), Some(Lack::Conditions));
        assert_eq!(of("x-amz-storage-class"), None);
        // As Amazon S3 says it, and others after it.
        let message = "<Message>A header you provided implies functionality that is not \
                       implemented</Message>";
        assert_eq!(lack(501, "NotImplemented", message), Some(Lack::Unnamed));
        let named = format!("{message}<Header>If-Match</Header>");
        assert_eq!(lack(501, "NotImplemented", &named), Some(Lack::Conditions));
        // What fails for something else, or is a proxy's.
        assert_eq!(lack(501, "", "<html>Not Implemented</html>"), None);
        assert_eq!(lack(503, "SlowDown", &unsupported("If-None-Match")), None);
        let name = "<Message>Invalid</Message><Key>if-match/checksum</Key>\
                    <Resource>/b/if-match/checksum</Resource>";
        assert_eq!(lack(400, "InvalidArgument", name), None);
    }

    #[test]
    fn a_server_that_asks_to_wait_says_how_long_or_until_when() {
        let now = "Sat, 28 Nov 2026 21:56:10 GMT";
        for (text, seconds) in [
            ("2", Some(2)),
            (" 120 ", Some(120)),
            ("100000", Some(u16::MAX)),
            ("Sat, 28 Nov 2026 21:56:15 GMT", Some(5)),
            ("Sat, 28 Nov 2026 21:56:05 GMT", Some(0)),
            ("Mon, 28 Nov 2033 21:56:05 GMT", Some(u16::MAX)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(seconds_to_wait(text, Some(now)), seconds, "{text:?}");
        }
        // Without the server's clock, by ours.
        assert_eq!(seconds_to_wait("Sat, 28 Nov 2015 21:56:15 GMT", None), Some(0));
        assert_eq!(seconds_to_wait("Mon, 28 Nov 2095 21:56:05 GMT", Some("?")), Some(u16::MAX));
    }
}
