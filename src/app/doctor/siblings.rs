//! Which siblings a sample of images has, and which it lacks for which reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::finding::Finding;
use crate::app::assemble::start_workers;
use crate::config::MountSettings;
use crate::mem::Budget;
use crate::raster::{Decoders, InProcess};
use crate::reader::{BlockCache, CacheConfig};
use crate::stats::Stats;
use crate::store::{ListedObject, ObjectStore};
use crate::view::{Original, ViewError, ViewKind, ViewSet, ViewSources, Views, has_image_name};

/// So many images are looked at, of all endings in turn.
const SAMPLE: usize = 8;

/// What became of one image.
enum Seen {
    /// All of its siblings are there.
    All,
    /// These are not, for a reason.
    Lacks(Vec<(String, String)>),
    /// It is none, whatever its name says.
    NoImage,
    /// It can't be looked at.
    Failed(String),
}

/// Opens the headers of some of the images that were listed.
pub(super) async fn look(
    store: &Arc<dyn ObjectStore>,
    objects: &[ListedObject],
    settings: &MountSettings,
) -> Finding {
    let check = "siblings";
    let wanted = settings.fs.views.kinds;
    if wanted == ViewSet::NONE {
        return Finding::skipped(check, "siblings are turned off (--views none)");
    }
    let sample = sample(objects);
    if sample.is_empty() {
        return Finding::skipped(check, "none of the first objects has the name of an image");
    }
    let views = views(store, settings);
    let mut seen = Vec::new();
    for object in sample {
        let key = object.version.key.to_string();
        seen.push((key, see(&views, Original::object(object.version.clone()), wanted).await));
    }
    judge(&seen)
}

/// Images, those of the first ending first, then of each other one in turn.
fn sample(objects: &[ListedObject]) -> Vec<&ListedObject> {
    let mut by_ending: BTreeMap<String, Vec<&ListedObject>> = BTreeMap::new();
    for object in objects {
        let name = object.version.key.as_str().rsplit('/').next().unwrap_or_default();
        if has_image_name(name) && object.version.size > 0 && !object.is_archived() {
            let ending = name.rsplit('.').next().unwrap_or_default().to_lowercase();
            by_ending.entry(ending).or_default().push(object);
        }
    }
    let longest = by_ending.values().map(Vec::len).max().unwrap_or_default();
    let turns = (0..longest)
        .flat_map(|turn| by_ending.values().filter_map(move |objects| objects.get(turn).copied()));
    turns.take(SAMPLE).collect()
}

/// The siblings of a mount, without the mount.
fn views(store: &Arc<dyn ObjectStore>, settings: &MountSettings) -> Arc<Views> {
    let stats = Stats::new();
    let budget = Budget::new(settings.fs.memory_bytes);
    let cache = BlockCache::new(CacheConfig { budget: budget.clone(), verify: false, disk: None });
    let decoders: Arc<dyn Decoders> = match start_workers(&settings.fs, &budget, stats.clone()) {
        Some(workers) => workers,
        None => Arc::new(InProcess),
    };
    let sources = ViewSources { store: store.clone(), cache, shared: None };
    let mut config = settings.fs.views.clone();
    // Nothing is kept of what is looked at.
    config.index_cache = None;
    Views::new(config, sources, budget, decoders, Handle::current(), stats)
}

async fn see(views: &Arc<Views>, original: Original, wanted: ViewSet) -> Seen {
    let told = async {
        let Some(file) = views.open(&original, ViewKind::Json).await? else { return Ok(None) };
        let size = views.size(&original, ViewKind::Json).await?.unwrap_or_default();
        let text = file.read(0, usize::try_from(size).unwrap_or(usize::MAX)).await?;
        Ok::<_, ViewError>(serde_json::from_slice::<serde_json::Value>(&text).ok())
    };
    let told = match told.await {
        Err(error) => return Seen::Failed(error.to_string()),
        Ok(None) => return Seen::NoImage,
        Ok(Some(told)) => told,
    };
    let lacks = wanted.kinds().filter_map(|kind| {
        let reason = told["views"][kind.label()].as_str()?;
        Some((kind.label().to_owned(), reason.to_owned()))
    });
    let lacks: Vec<_> = lacks.collect();
    if lacks.is_empty() { Seen::All } else { Seen::Lacks(lacks) }
}

fn judge(seen: &[(String, Seen)]) -> Finding {
    let check = "siblings";
    let whole = seen.iter().filter(|(_, seen)| matches!(seen, Seen::All)).count();
    let summary = format!("{whole} of {} images that were looked at have all siblings", seen.len());
    let mut told: Vec<String> = Vec::new();
    for (key, seen) in seen {
        match seen {
            Seen::All => {}
            Seen::NoImage => told.push(format!("{key} is no image that s3mem knows")),
            Seen::Failed(error) => told.push(error.clone()),
            Seen::Lacks(lacks) => {
                // One reason may be that of several.
                let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                for (kind, reason) in lacks {
                    by_reason.entry(reason).or_default().push(kind);
                }
                for (reason, kinds) in by_reason {
                    told.push(format!("{key} has no {}: {reason}", kinds.join(", ")));
                }
            }
        }
    }
    match told.is_empty() {
        true => Finding::good(check, summary),
        false => Finding::warning(check, format!("{summary}; {}", told.join("; "))),
    }
}
