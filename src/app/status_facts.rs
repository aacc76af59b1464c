//! What there is to say about a mount at one moment, gathered once for all who show it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::assemble::Assembled;
use super::buckets::{Connected, OpenedBucket};
use super::counted::{Counted, FileFigures};
use crate::cli::GivenFlag;
use crate::config::{Bill, OnUnmount, Pricing};
use crate::disk::Figures;
use crate::mem::Use;
use crate::publish::Pending;
use crate::raster;
use crate::stats::{Charged, ClassReads, RequestKind, STANDARD, Stats, Told};

/// What stays the same as long as the mount lasts.
#[derive(Debug)]
pub(super) struct About {
    pub(super) source: String,
    /// What all its keys begin with.
    pub(super) prefix: String,
    pub(super) mount_point: PathBuf,
    pub(super) since: SystemTime,
    pub(super) given: Vec<GivenFlag>,
    pub(super) writes: &'static str,
    pub(super) on_unmount: Option<OnUnmount>,
    /// Where the log goes.
    pub(super) log: String,
    /// Where its metrics are told.
    pub(super) metrics: Option<SocketAddr>,
    /// The folder of the cache on disk.
    pub(super) cache_dir: Option<PathBuf>,
    /// Where the shared cache is.
    pub(super) shared_cache: Option<String>,
}

/// Where the facts are.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) parts: Assembled,
    pub(super) stats: Arc<Stats>,
    pub(super) pricing: Option<Pricing>,
    /// Who knows in which region a bucket is.
    pub(super) server: Connected,
}

/// Memory that is held, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    pub(super) limit_bytes: u64,
    pub(super) used_bytes: u64,
    pub(super) by_use: Vec<(Use, u64)>,
    /// What written files take, and may take; `None` where nothing may be written.
    pub(super) written: Option<(u64, u64)>,
}

/// Bodies that are being sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uploads {
    pub(super) requests: u64,
    pub(super) bytes: u64,
    /// How fast bodies went lately; `None` if none did.
    pub(super) bytes_per_second: Option<f64>,
}

/// Where images are decoded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decoding {
    InProcess,
    /// Whether the processes are confined, once one was started.
    Workers(Option<bool>),
}

/// What it has cost.
#[derive(Debug, Clone)]
pub(super) struct Cost {
    pub(super) bill: Bill,
    /// The regions whose prices were taken.
    pub(super) regions: BTreeSet<String>,
    pub(super) pricing: Pricing,
    pub(super) downloads: Downloads,
}

/// What it would have cost to download each file that programs opened, once and whole.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Downloads {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) bill: Bill,
}

/// All of it at one moment.
#[derive(Debug)]
pub(super) struct Facts<'k> {
    pub(super) about: &'k About,
    pub(super) now: SystemTime,
    pub(super) memory: Memory,
    /// The cache on disk, where there is one, and its folder.
    pub(super) disk: Option<(&'k Path, Figures)>,
    pub(super) counted: Counted,
    /// Since when that was counted.
    pub(super) counted_since: SystemTime,
    pub(super) open_files: usize,
    pub(super) uploads: Uploads,
    /// The requests that take or took longest, lately.
    pub(super) slowest: Vec<Told>,
    pub(super) decoding: Decoding,
    pub(super) cost: Option<Cost>,
    pub(super) pending: Vec<Pending>,
    /// The buckets that were asked for, where there are several.
    pub(super) buckets: Option<Vec<OpenedBucket>>,
}

impl Facts<'_> {
    /// How long the bucket has been mounted.
    pub(super) fn mounted_for(&self) -> Duration {
        self.now.duration_since(self.about.since).unwrap_or_default()
    }
}

/// Gathers what is so now, and what was counted since then if somebody has begun anew.
pub(super) fn gather<'k>(
    about: &'k About,
    known: &Known,
    since: Option<&(SystemTime, Counted)>,
) -> Facts<'k> {
    let Known { parts, stats, .. } = known;
    let pending = parts.publisher.as_ref().map_or_else(Vec::new, |publisher| publisher.pending());
    let counted = count(known);
    let (counted_since, counted) = match since {
        None => (about.since, counted),
        Some((since, earlier)) => (*since, counted.since(earlier)),
    };
    Facts {
        about,
        buckets: known.server.buckets(),
        now: SystemTime::now(),
        memory: memory(parts),
        disk: about.cache_dir.as_deref().zip(parts.cache.disk().map(|disk| disk.figures())),
        open_files: parts.fs.open_count(),
        uploads: Uploads {
            requests: stats.uploads.requests(),
            bytes: stats.uploads.bytes(),
            bytes_per_second: stats.uploads.bytes_per_second(),
        },
        slowest: stats.requests.slowest(),
        decoding: match &parts.workers {
            None => Decoding::InProcess,
            Some(workers) => {
                Decoding::Workers(workers.confinement().map(|said| said.is_complete()))
            }
        },
        cost: cost(known, &counted),
        counted,
        counted_since,
        pending,
    }
}

/// What was counted since the mount.
pub(super) fn count(known: &Known) -> Counted {
    let Known { parts, stats, .. } = known;
    let all = stats.snapshot();
    let files = stats.files.busiest().into_iter();
    Counted {
        latencies: RequestKind::ALL.map(|kind| (kind, stats.latencies.of(kind))).into(),
        classes: stats.classes.reads(),
        charged: known
            .server
            .buckets()
            .into_iter()
            .flatten()
            .map(|bucket| (bucket.folder, bucket.charged))
            .collect(),
        ahead: parts.cache.ahead(),
        decoding: Duration::from_micros(
            raster::decoding_microseconds().saturating_add(all.decoders_microseconds),
        ),
        refused: parts.fs.refused_count(),
        shared: parts.shared.as_ref().map(|shared| shared.figures()),
        files: files.map(|(key, used)| FileFigures::of(key, &used)).collect(),
        all,
    }
}

fn memory(parts: &Assembled) -> Memory {
    let budget = &parts.budget;
    let written = parts.drafts.as_ref().map(|drafts| {
        let arena = drafts.arena();
        (arena.used_bytes(), arena.limit_bytes())
    });
    Memory {
        limit_bytes: budget.limit_bytes(),
        used_bytes: budget.used_bytes(),
        by_use: Use::ALL.map(|what| (what, budget.used_for_bytes(what))).into(),
        written,
    }
}

fn cost(known: &Known, counted: &Counted) -> Option<Cost> {
    let pricing = known.pricing.clone()?;
    let Counted { all, classes, charged: of_buckets, .. } = counted;
    let shared = counted.shared.unwrap_or_default();
    let mut read = classes.clone();
    if shared.get_requests > 0 {
        let reads = read.entry(STANDARD.to_owned()).or_default();
        reads.requests += shared.get_requests;
        reads.bytes += shared.get_bytes;
    }
    let mut rest = Charged {
        list_requests: all.list_requests,
        head_requests: all.head_requests,
        get_requests: all.get_requests + shared.get_requests,
        put_requests: all.put_requests + shared.put_requests,
        read,
    };
    let (mut bill, mut regions) = (Bill::default(), BTreeSet::new());
    for bucket in known.server.buckets().into_iter().flatten() {
        let charged = of_buckets.get(&bucket.folder).filter(|of| **of != Charged::default());
        if let Some(charged) = charged {
            bill += pricing.bill(&bucket.region, charged);
            rest = rest.without(charged);
            regions.insert(bucket.region);
        }
    }
    // Where there is one bucket, all of it; of several, what belongs to none of them.
    if rest != Charged::default() || regions.is_empty() {
        let region = known.server.region();
        bill += pricing.bill(&region, &rest);
        regions.insert(region);
    }
    let downloads = downloads(known, counted, &pricing);
    Some(Cost { bill, regions, pricing, downloads })
}

fn downloads(known: &Known, counted: &Counted, pricing: &Pricing) -> Downloads {
    let buckets = known.server.buckets().unwrap_or_default();
    let region_of = |key: &str| {
        let is_in =
            |folder: &str| key.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let bucket = buckets.iter().find(|bucket| is_in(&bucket.folder));
        bucket.map_or_else(|| known.server.region(), |bucket| bucket.region.clone())
    };
    let mut of_regions: BTreeMap<String, ClassReads> = BTreeMap::new();
    for file in counted.files.iter().filter(|file| file.opens > 0) {
        let reads = of_regions.entry(region_of(&file.key)).or_default();
        reads.requests += 1;
        reads.bytes += file.size_bytes;
    }
    let mut all = Downloads::default();
    for (region, reads) in of_regions {
        let read = BTreeMap::from([(STANDARD.to_owned(), reads)]);
        let charged = Charged { get_requests: reads.requests, read, ..Charged::default() };
        all.files += reads.requests;
        all.bytes += reads.bytes;
        all.bill += pricing.bill(&region, &charged);
    }
    all
}
