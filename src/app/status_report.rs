//! What the daemon says about its mount, for people and for programs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::assemble::Assembled;
use super::buckets::Connected;
use super::counted::Counted;
use super::metrics_server::MetricsServer;
use super::status_facts::{About, Facts, Known, count, gather};
use super::{metrics, status_json, status_text};
use crate::config::{MountSettings, Writes};
use crate::stats::Stats;
use crate::sync::lock;

/// What the daemon reports about its mount.
#[derive(Debug)]
pub(super) struct Report {
    about: About,
    known: Known,
    /// When somebody has begun to count anew, and what was counted until then.
    since: Mutex<Option<(SystemTime, Counted)>>,
}

impl Report {
    pub(super) fn new(
        settings: &MountSettings,
        mount_point: PathBuf,
        parts: &Assembled,
        stats: Arc<Stats>,
        (server, metrics): (Connected, Option<&MetricsServer>),
        log: String,
    ) -> Self {
        let (writes, on_unmount) = match settings.fs.writes {
            Writes::Deny => ("deny", None),
            Writes::Memory { .. } => ("memory", None),
            Writes::Upload { .. } => ("upload", Some(settings.on_unmount)),
        };
        let about = About {
            source: settings.source.to_string(),
            prefix: settings.fs.prefix.as_str().to_owned(),
            mount_point,
            since: SystemTime::now(),
            given: settings.given.clone(),
            writes,
            on_unmount,
            log,
            cache_dir: settings.disk.as_ref().map(|disk| disk.folder.clone()),
            shared_cache: parts.shared.as_ref().map(|shared| shared.shown()),
            metrics: metrics.and_then(|metrics| metrics.address().ok()),
        };
        let pricing = settings.pricing.clone();
        let known = Known { parts: parts.clone(), stats, pricing, server };
        Report { about, known, since: Mutex::default() }
    }

    fn facts(&self) -> Facts<'_> {
        gather(&self.about, &self.known, lock(&self.since).as_ref())
    }

    /// The answer to a question about the status, with the number of files that are not in the
    /// bucket yet in its first line; `None` if the question is another one.
    pub(super) fn answer(&self, question: &str) -> Option<String> {
        let (question, resets) = match question.strip_suffix(" reset") {
            Some(question) => (question, true),
            None => (question, false),
        };
        let text = match question {
            "status" => self.for_people(),
            "status json" => self.for_programs(),
            _ => return None,
        };
        if resets {
            let counted = count(&self.known);
            self.known.stats.requests.forget_ended();
            *lock(&self.since) = Some((SystemTime::now(), counted));
        }
        Some(text)
    }

    /// A line with the number of files that are not in the bucket yet, then the report.
    fn for_people(&self) -> String {
        let facts = self.facts();
        format!("{}\n{}", facts.pending.len(), status_text::report(&facts))
    }

    /// The figures as Prometheus reads them, which only grow.
    pub(super) fn for_metrics(&self) -> String {
        metrics::text(&gather(&self.about, &self.known, None))
    }

    /// A line with the number of files that are not in the bucket yet, then a line of JSON.
    fn for_programs(&self) -> String {
        let facts = self.facts();
        format!("{}\n{}\n", facts.pending.len(), status_json::report(&facts))
    }
}
