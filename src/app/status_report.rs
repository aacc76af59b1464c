//! What the daemon says about its mount, for people and for programs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::assemble::Assembled;
use super::buckets::Connected;
use super::metrics_server::MetricsServer;
use super::status_facts::{About, Facts, Known, gather};
use super::{metrics, status_json, status_text};
use crate::config::{MountSettings, Writes};
use crate::stats::Stats;

/// What the daemon reports about its mount.
#[derive(Debug)]
pub(super) struct Report {
    about: About,
    known: Known,
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
            metrics: metrics.and_then(|metrics| metrics.address().ok()),
        };
        let pricing = settings.pricing.clone();
        Report { about, known: Known { parts: parts.clone(), stats, pricing, server } }
    }

    fn facts(&self) -> Facts<'_> {
        gather(&self.about, &self.known)
    }

    /// A line with the number of files that are not in the bucket yet, then the report.
    pub(super) fn for_people(&self) -> String {
        let facts = self.facts();
        format!("{}\n{}", facts.pending.len(), status_text::report(&facts))
    }

    /// The figures as Prometheus reads them.
    pub(super) fn for_metrics(&self) -> String {
        metrics::text(&self.facts())
    }

    /// A line with the number of files that are not in the bucket yet, then a line of JSON.
    pub(super) fn for_programs(&self) -> String {
        let facts = self.facts();
        format!("{}\n{}\n", facts.pending.len(), status_json::report(&facts))
    }
}
