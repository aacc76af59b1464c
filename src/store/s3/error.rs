//! What the SDK's errors mean.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;

use crate::store::{StoreError, StoreErrorKind};

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

/// What a failed request means.
pub(super) fn service_error<E>(request: String, error: SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let request_id = error.request_id().map(str::to_owned);
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
        SdkError::DispatchFailure(failure) if failure.is_io() => {
            (StoreErrorKind::Unreachable, "the server can't be reached".to_owned())
        }
        // The connection was closed before the answer.
        SdkError::DispatchFailure(failure) if failure.as_other().is_some() => {
            (StoreErrorKind::Transient, "the connection broke off".to_owned())
        }
        SdkError::TimeoutError(_) => (StoreErrorKind::Timeout, "no answer in time".to_owned()),
        SdkError::ResponseError(response) if is_cut(response.raw()) => {
            (StoreErrorKind::ShortBody, "the answer broke off".to_owned())
        }
        SdkError::ResponseError(response) => response_kind(response.raw()),
        _ => (StoreErrorKind::Other, "the request could not be sent".to_owned()),
    };
    let mut failed = StoreError::new(kind, request, detail).caused_by(error);
    failed.request_id = request_id;
    failed
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
    let mut failed = service_error(request, error);
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
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "InvalidSecurity",
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
        ("", None) => format!("the server answered with status {status}"),
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

/// An error and its causes, from above to below.
fn causes<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
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
