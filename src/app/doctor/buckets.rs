//! What the doctor asks of one bucket, of each of several, or of the list of all.

use std::sync::Arc;

use super::finding::{Finding, Outcome};
use super::{network, server};
use crate::app::explain::{Asked, explain};
use crate::config::{Environment, MountSettings, Shown};
use crate::key::Prefix;
use crate::stats::Stats;
use crate::store::{
    ListRequest, ObjectStore, S3, S3Buckets, StackConfig, StoreError, StoreErrorKind, Trail,
    production_stack,
};

/// What all buckets have in common, and is told once.
const COMMON: [&str; 5] = ["proxy", "ca-bundle", "credentials", "clock", "cache-disk"];

/// Asks what the settings show; with `writes`, also whether it may be written to.
pub(super) async fn ask(
    settings: &MountSettings,
    environment: &Environment,
    writes: bool,
) -> Vec<Finding> {
    let sources = match &settings.source {
        Shown::One(_) => return server::ask(settings, environment, writes).await,
        Shown::All => return all(settings).await,
        Shown::Several(sources) => sources,
    };
    let mut findings: Vec<Finding> = Vec::new();
    for source in sources {
        for found in server::ask(&settings.of_one(source), environment, writes).await {
            if !COMMON.contains(&found.check) {
                findings.push(found.about(&source.to_string()));
            } else if findings.iter().all(|earlier| earlier.check != found.check) {
                findings.push(found);
            }
        }
    }
    findings
}

/// Whether the buckets may be listed.
async fn all(settings: &MountSettings) -> Vec<Finding> {
    let said = |error: &StoreError| explain(error, &Asked::by(settings));
    let mut findings = vec![network::proxy(settings).await, network::ca(settings)];
    if findings.iter().any(|found| found.check == "ca-bundle" && found.outcome == Outcome::Problem)
    {
        return findings;
    }
    let s3 = match S3::connect(settings.s3.clone()).await {
        Ok(s3) => s3,
        Err(error) => {
            findings.push(server::no_credentials(said(&error)));
            return findings;
        }
    };
    findings.push(server::credentials(&s3));
    let stack = StackConfig::new(settings.retry.clone(), settings.fs.memory_bytes);
    let store = production_stack(Arc::new(S3Buckets::new(s3.clone())), stack, Stats::new());
    let listed = count(&*store).await;
    findings.extend(s3.clock_skew_seconds().map(server::clock));
    findings.push(match listed {
        Ok(0) => Finding::warning(
            "buckets",
            "these credentials have no buckets; those of others are found by their names",
        ),
        Ok(1) => Finding::good("buckets", "1 is listed; name it to look into it"),
        Ok(count) => {
            Finding::good("buckets", format!("{count} are listed; name those to look into"))
        }
        Err(error) if error.kind == StoreErrorKind::AccessDenied => Finding::warning(
            "buckets",
            "they can't be listed (s3:ListAllMyBuckets is missing), but each is found by its name",
        ),
        Err(error) => Finding::problem("buckets", said(&error)),
    });
    findings
}

/// How many buckets are listed.
async fn count(store: &dyn ObjectStore) -> Result<usize, StoreError> {
    let (mut count, mut token, mut trail) = (0, None, Trail::default());
    loop {
        let prefix = Prefix::root();
        let request = ListRequest {
            prefix: prefix.clone(),
            delimited: true,
            after: None,
            token,
            max_keys: 1000,
        };
        let page = store.list_page(request).await?;
        count += page.prefixes.len();
        let Some(next) = &page.next else { return Ok(count) };
        trail.follow(&prefix, page.ends(), next)?;
        token = page.next;
    }
}
