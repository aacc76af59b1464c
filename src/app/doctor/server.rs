//! What the doctor asks the server, one permission at a time.
//!
//! Contract: without `--write-test` nothing is sent but LIST and GET, the latter for at most
//! 72 MiB beside the headers of a few images. What the test writes
//! has a name of its own, which must not exist before, and is deleted again.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;

use super::finding::{Finding, Outcome};
use super::{disk, keys, network, siblings, speed};
use crate::app::explain::{Asked, explain};
use crate::config::{Environment, MountSettings};
use crate::key::ObjectKey;
use crate::stats::Stats;
use crate::store::{
    BeginRequest, Condition, GetRequest, KeptConditions, ListPage, ListRequest, ListedObject,
    ObjectStore, PutRequest, S3, StackConfig, StoreError, StoreErrorKind, Written,
    production_stack,
};

/// Signatures are refused from a quarter of an hour on; this much is a sign of no clock service.
const SKEW_SECONDS: u64 = 60;
const FATAL_SKEW_SECONDS: u64 = 900;
/// How many objects are looked at to find one that can be read.
const SAMPLE: u16 = 1000;
const PINGS: usize = 3;

/// Asks the bucket; with `writes`, also whether it may be written to.
pub(super) async fn ask(
    settings: &MountSettings,
    environment: &Environment,
    writes: bool,
) -> Vec<Finding> {
    let said = |error: &StoreError| explain(error, &Asked::by(settings));
    let mut findings = vec![network::proxy(settings).await, network::ca(settings)];
    if findings.iter().any(|found| found.check == "ca-bundle" && found.outcome == Outcome::Problem)
    {
        findings.push(Finding::skipped("server", "nobody can be asked with these certificates"));
        return findings;
    }
    let s3 = match S3::connect(settings.s3.clone()).await {
        Ok(s3) => s3,
        Err(error) => {
            findings.push(no_credentials(said(&error)));
            return findings;
        }
    };
    findings.push(credentials(&s3));
    let stack = StackConfig::new(settings.retry.clone(), settings.fs.memory_bytes);
    let store = production_stack(Arc::new(s3.clone()), stack, Stats::new());
    let listed = list(&*store, settings, SAMPLE).await;
    let unheard = listed.as_ref().is_err_and(|error| error.request_id.is_none());
    findings.push(match unheard {
        true => Finding::skipped("server", "it has given no answer of an S3 server"),
        false => server(&s3, settings),
    });
    // The server tells its time with whatever it answers.
    findings.extend(s3.clock_skew_seconds().map(clock));
    let mut speed = None;
    match listed {
        Err(error) => {
            findings.push(refused(&error, "list", said(&error), settings));
            for check in ["get", "round-trip", "throughput", "keys", "siblings"] {
                findings.push(Finding::skipped(check, "the bucket can't be listed"));
            }
        }
        Ok(page) => {
            let found = page.objects.len() + page.prefixes.len();
            let more = if page.next.is_some() { " and more" } else { "" };
            findings.push(Finding::good("list", format!("allowed: {found} names{more}")));
            findings.push(get(&*store, &page, settings, said).await);
            findings.push(round_trip(&*store, settings).await);
            let can_read = findings.iter().all(|found| found.outcome != Outcome::Problem);
            findings.push(keys::look(&page, settings));
            if can_read {
                let measured = speed::measure(&*store, &page.objects, settings, said).await;
                findings.push(measured.0);
                speed = measured.1;
                findings.push(siblings::look(&store, &page.objects, settings).await);
            } else {
                for check in ["throughput", "siblings"] {
                    findings.push(Finding::skipped(check, "objects can't be read"));
                }
            }
        }
    }
    findings.extend(disk::look(settings, environment, speed, writes));
    match writes {
        true => findings.extend(write(&*store, settings, said).await),
        false => findings.push(Finding::skipped("put", "give --write-test to try writing, too")),
    }
    findings
}

/// There are none, or none that can be used.
pub(super) fn no_credentials(says: String) -> Finding {
    Finding::problem("credentials", says).mended_by("aws configure")
}

/// A bucket that can't be listed, with what mends that where one command does.
fn refused(
    error: &StoreError,
    check: &'static str,
    says: String,
    settings: &MountSettings,
) -> Finding {
    let finding = Finding::problem(check, says);
    match &error.kind {
        StoreErrorKind::NoSuchBucket => finding.mended_by("s3mem doctor s3://"),
        StoreErrorKind::NoCredentials | StoreErrorKind::BadCredentials => {
            finding.mended_by("aws configure")
        }
        StoreErrorKind::ExpiredCredentials => finding.mended_by("aws sso login"),
        StoreErrorKind::WrongRegion(Some(region)) => {
            finding.mended_by(format!("s3mem mount --region {region} ..."))
        }
        StoreErrorKind::AccessDenied => finding.mended_by(grant("s3:ListBucket", settings)),
        StoreErrorKind::Unreachable | StoreErrorKind::Timeout | StoreErrorKind::NotS3 => {
            let url = settings.endpoint_url.as_deref().unwrap_or("https://s3.amazonaws.com");
            finding.mended_by(format!("curl -v {url}"))
        }
        _ => finding,
    }
}

/// The command by which whoever rules over the account gives a user a permission.
fn grant(right: &str, settings: &MountSettings) -> String {
    let bucket = &settings.s3.bucket;
    let below = if right == "s3:ListBucket" { "" } else { "/*" };
    format!(
        "aws iam put-user-policy --user-name USER --policy-name s3mem-{bucket} --policy-document \
         '{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":\"{right}\",\
         \"Resource\":\"arn:aws:s3:::{bucket}{below}\"}}]}}'"
    )
}

pub(super) fn credentials(s3: &S3) -> Finding {
    let Some(known) = s3.credentials() else {
        return Finding::good("credentials", "none: requests are anonymous (--no-sign-request)");
    };
    let from = format!("the access key {} from {}", known.access_key_id, known.provider);
    let Some(end) = known.expiry else { return Finding::good("credentials", from) };
    let shown = humantime::format_rfc3339_seconds(end);
    match end.duration_since(SystemTime::now()) {
        Ok(_) => Finding::good("credentials", format!("{from}, until {shown}")),
        Err(_) => Finding::warning("credentials", format!("{from}, which expired at {shown}"))
            .mended_by("aws sso login"),
    }
}

fn server(s3: &S3, settings: &MountSettings) -> Finding {
    let endpoint = settings.endpoint_url.as_deref().unwrap_or("Amazon S3");
    let habits = match s3.kept_conditions() {
        KeptConditions::OnAllWrites => "it keeps conditions on all writes",
        KeptConditions::NotOnCopiesAndDeletes => {
            "it may ignore conditions on copies and deletes, so that a HEAD precedes each"
        }
    };
    Finding::good("server", format!("{endpoint}, region {}; {habits}", s3.region()))
}

pub(super) fn clock(skew_seconds: i64) -> Finding {
    let by = skew_seconds.unsigned_abs();
    let way = if skew_seconds > 0 { "ahead of" } else { "behind" };
    let says = match by {
        0 => "this machine's clock agrees with the server's".to_owned(),
        by => format!("this machine's clock is {by} s {way} the server's"),
    };
    let command = "sudo timedatectl set-ntp true";
    match by {
        0..SKEW_SECONDS => Finding::good("clock", says),
        SKEW_SECONDS..FATAL_SKEW_SECONDS => Finding::warning("clock", says).mended_by(command),
        _ => {
            let says = format!("{says}: signatures are refused from 15 minutes on");
            Finding::problem("clock", says).mended_by(command)
        }
    }
}

async fn list(
    store: &dyn ObjectStore,
    settings: &MountSettings,
    max_keys: u16,
) -> Result<ListPage, StoreError> {
    let prefix = settings.fs.prefix.clone();
    store
        .list_page(ListRequest { prefix, delimited: false, after: None, token: None, max_keys })
        .await
}

/// Reads the first byte of an object, if there is one that can be read.
async fn get(
    store: &dyn ObjectStore,
    page: &ListPage,
    settings: &MountSettings,
    said: impl Fn(&StoreError) -> String,
) -> Finding {
    let is_readable = |object: &&ListedObject| object.version.size > 0 && !object.is_archived();
    let Some(object) = page.objects.iter().find(is_readable) else {
        return Finding::skipped("get", "none of the first objects has bytes that can be read");
    };
    let version = &object.version;
    let request = GetRequest { key: version.key.clone(), range: 0..1, etag: version.etag.clone() };
    let outcome = match store.get_range(request).await {
        Ok(mut body) => match body.bytes.next().await {
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(()),
        },
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => Finding::good("get", format!("allowed: {}", version.key)),
        Err(error) if error.kind == StoreErrorKind::AccessDenied => Finding::problem(
            "get",
            format!(
                "objects may be listed but not read (s3:GetObject is missing): {}",
                said(&error)
            ),
        )
        .mended_by(grant("s3:GetObject", settings)),
        Err(error) => Finding::problem("get", said(&error)),
    }
}

/// How long the shortest of a few small requests takes: what each step of a program costs
/// that can't be foreseen.
async fn round_trip(store: &dyn ObjectStore, settings: &MountSettings) -> Finding {
    let mut best: Option<Duration> = None;
    for _ in 0..PINGS {
        let begun = Instant::now();
        if list(store, settings, 1).await.is_ok() {
            let took = begun.elapsed();
            best = Some(best.map_or(took, |best| best.min(took)));
        }
    }
    match best {
        None => Finding::warning("round-trip", "the bucket could be listed once, and then not"),
        Some(best) => {
            let milliseconds = best.as_secs_f64() * 1e3;
            Finding::good("round-trip", format!("{milliseconds:.1} ms for a small request"))
        }
    }
}

/// Writes, overwrites and deletes an object that nobody else has, and begins an upload.
async fn write(
    store: &dyn ObjectStore,
    settings: &MountSettings,
    said: impl Fn(&StoreError) -> String,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let key = test_key(settings);
    let put = |condition, text: &'static str| {
        let body = Bytes::from_static(text.as_bytes());
        store.put(PutRequest { key: key.clone(), body, content_type: None, condition })
    };
    let written = put(Condition::Absent, "s3mem doctor --write-test").await;
    let denied = |check, right: &str, error: &StoreError| match error.kind {
        StoreErrorKind::AccessDenied => {
            Finding::problem(check, format!("{right} is missing: {}", said(error)))
                .mended_by(grant(right, settings))
        }
        _ => Finding::problem(check, said(error)),
    };
    match &written {
        Err(error) => {
            findings.push(denied("put", "s3:PutObject", error));
            findings.push(Finding::skipped("delete", "nothing could be written"));
        }
        Ok(written) => {
            findings.push(Finding::good("put", format!("allowed: {key}")));
            let again = put(Condition::Absent, "s3mem doctor, once more").await;
            findings.push(conditions(again, &said));
            // Whatever is there under a name of ours is ours.
            let etag = written.etag.as_ref();
            let gone = match store.delete(&key, etag).await {
                Err(error) if error.kind == StoreErrorKind::Changed => {
                    store.delete(&key, None).await
                }
                outcome => outcome,
            };
            findings.push(match gone {
                Ok(()) => Finding::good("delete", "allowed: the object is gone again"),
                Err(error) => {
                    let finding = denied("delete", "s3:DeleteObject", &error);
                    let bucket = &settings.s3.bucket;
                    finding.mended_by(format!(
                        "aws s3api delete-object --bucket {bucket} --key '{key}'"
                    ))
                }
            });
        }
    }
    findings.push(match store.begin_upload(BeginRequest::new(key.clone(), None)).await {
        Err(error) => denied("abort", "s3:PutObject", &error),
        Ok(upload) => match store.abort_upload(&upload).await {
            Ok(()) => Finding::good("abort", "allowed: an unfinished upload was given up"),
            Err(error) => denied("abort", "s3:AbortMultipartUpload", &error),
        },
    });
    findings
}

/// Whether the server refused to write where something is.
fn conditions(
    again: Result<Written, StoreError>,
    said: &impl Fn(&StoreError) -> String,
) -> Finding {
    match again {
        Err(error) if error.kind == StoreErrorKind::Changed => {
            Finding::good("conditions", "the server does not replace what it was told not to")
        }
        Err(error) => Finding::warning("conditions", said(&error)),
        Ok(_) => Finding::warning(
            "conditions",
            "the server replaces objects that it was told not to replace (If-None-Match): of two \
             who write one name at the same time, one is lost without a word",
        ),
    }
}

/// A name that nobody else has.
fn test_key(settings: &MountSettings) -> ObjectKey {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (prefix, id) = (settings.fs.prefix.as_str(), std::process::id());
    ObjectKey::new(format!("{prefix}.s3mem-doctor-{id}-{}", now.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_told_by_how_much_and_in_which_direction() {
        for (skew, outcome, way) in [
            (0, Outcome::Good, "agrees with"),
            (1, Outcome::Good, "1 s ahead of"),
            (-59, Outcome::Good, "59 s behind"),
            (60, Outcome::Warning, "60 s ahead of"),
            (-899, Outcome::Warning, "899 s behind"),
            (900, Outcome::Problem, "900 s ahead of"),
        ] {
            let finding = clock(skew);
            assert_eq!(finding.outcome, outcome, "{skew}");
            assert!(finding.says.contains(way), "{}", finding.says);
        }
    }
}
