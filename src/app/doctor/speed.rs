//! How fast bytes come over one connection and over many, and which `--memory` that calls for.
//!
//! Contract: at most 72 MiB are fetched, for at most six seconds; what has been asked for and not
//! come by then is dropped.

use std::ops::Range;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout_at;

use super::finding::Finding;
use crate::config::{MountSettings, show_size};
use crate::key::ObjectVersion;
use crate::store::{GetRequest, ListedObject, ObjectStore, StoreError};

/// Of less, nothing can be said.
const LEAST_BYTES: u64 = 1 << 20;
/// As long as the longest GETs of a mount are.
const ALONE_BYTES: u64 = 8 << 20;
const MANY: usize = 16;
const MANY_BYTES: u64 = 4 << 20;
const TIME: Duration = Duration::from_secs(3);
/// A mount has no more than half of its memory ahead of its readers, in parts of 8 MiB.
const MEMORY_PER_CONNECTION: u64 = 2 * ALONE_BYTES;
const LEAST_MEMORY: u64 = 64 << 20;

/// How fast bytes come, in a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speed {
    alone: f64,
    pub(super) many: f64,
}

/// Fetches parts of the objects that were listed; `None` beside a finding that nothing is known.
pub(super) async fn measure(
    store: &dyn ObjectStore,
    objects: &[ListedObject],
    settings: &MountSettings,
    said: impl Fn(&StoreError) -> String,
) -> (Finding, Option<Speed>) {
    let check = "throughput";
    let large = objects
        .iter()
        .filter(|object| object.version.size >= LEAST_BYTES && !object.is_archived())
        .map(|object| &object.version);
    let Some(largest) = large.clone().max_by_key(|version| version.size) else {
        let says = "none of the first objects has the MiB that is needed to measure it";
        return (Finding::skipped(check, says), None);
    };
    let alone = vec![(largest, 0..largest.size.min(ALONE_BYTES))];
    let many = parts(large.collect());
    let measured =
        async { Ok(Speed { alone: rate(store, alone).await?, many: rate(store, many).await? }) };
    match measured.await {
        Err(error) => (Finding::warning(check, said(&error)), None),
        Ok(speed) => (judge(speed, settings.fs.memory_bytes), Some(speed)),
    }
}

/// As many parts as there are to be connections, of as many different bytes as there are.
fn parts(objects: Vec<&ObjectVersion>) -> Vec<(&ObjectVersion, Range<u64>)> {
    let pieces = objects.into_iter().flat_map(|version| {
        let starts = (0..version.size).step_by(MANY_BYTES as usize);
        let piece = move |start| start..version.size.min(start + MANY_BYTES);
        starts.map(move |start| (version, piece(start)))
    });
    let pieces: Vec<_> =
        pieces.filter(|(_, range)| range.end - range.start >= LEAST_BYTES).take(MANY).collect();
    pieces.iter().cloned().cycle().take(MANY).collect()
}

/// Fetches all parts at once; how many bytes came in a second.
async fn rate(
    store: &dyn ObjectStore,
    parts: Vec<(&ObjectVersion, Range<u64>)>,
) -> Result<f64, StoreError> {
    let begun = Instant::now();
    let end = tokio::time::Instant::from_std(begun + TIME);
    let fetched = parts.into_iter().map(|(version, range)| async move {
        let mut bytes = 0;
        let fetch = async {
            let (key, etag) = (version.key.clone(), version.etag.clone());
            let mut body = store.get_range(GetRequest { key, range, etag }).await?;
            while let Some(piece) = body.bytes.next().await {
                bytes += piece?.len();
            }
            Ok::<_, StoreError>(())
        };
        // What has come by then counts.
        timeout_at(end, fetch).await.unwrap_or(Ok(()))?;
        Ok(bytes)
    });
    let mut fetched: FuturesUnordered<_> = fetched.collect();
    let mut sum = 0;
    while let Some(bytes) = fetched.next().await {
        sum += bytes?;
    }
    Ok(sum as f64 / begun.elapsed().as_secs_f64().max(1e-9))
}

/// The memory with which so many connections are used that more would bring nothing.
fn memory_for(speed: Speed) -> u64 {
    let connections = (speed.many / speed.alone.max(1.0)).ceil().clamp(1.0, MANY as f64);
    (connections as u64 * MEMORY_PER_CONNECTION).max(LEAST_MEMORY).next_power_of_two()
}

fn judge(speed: Speed, memory_bytes: u64) -> Finding {
    let check = "throughput";
    let shown = |rate: f64| show_size(rate as u64) + "/s";
    let (needed, given) = (memory_for(speed), show_size(memory_bytes));
    let says = format!(
        "one connection brings {}, {MANY} at once {}; to use that takes --memory {}",
        shown(speed.alone),
        shown(speed.many),
        show_size(needed)
    );
    match memory_bytes < needed {
        true => Finding::warning(check, format!("{says}, and it is {given}"))
            .mended_by(format!("s3mem mount --memory {}M ...", needed >> 20)),
        false => Finding::good(check, format!("{says} or more, and it is {given}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::finding::Outcome;
    use super::*;
    use crate::key::ObjectKey;

    #[test]
    fn many_connections_call_for_more_memory_than_one() {
        let of = |alone: f64, many: f64| memory_for(Speed { alone, many }) >> 20;
        // One fills the line, five do, or not even sixteen.
        assert_eq!(of(1e8, 1e8), 64);
        assert_eq!(of(1e8, 4.5e8), 128);
        assert_eq!(of(1e8, 3e9), 256);
        assert_eq!(of(0.0, 0.0), 64);
        let speed = Speed { alone: 1e8, many: 3e9 };
        let little = judge(speed, 128 << 20);
        assert_eq!(little.outcome, Outcome::Warning);
        assert_eq!(little.command.as_deref(), Some("s3mem mount --memory 256M ..."));
        assert_eq!(judge(speed, 256 << 20).outcome, Outcome::Good);
    }

    #[test]
    fn parts_are_of_different_bytes_as_long_as_there_are_any() {
        let version = |size| ObjectVersion {
            key: ObjectKey::new("a"),
            size,
            etag: None,
            last_modified: SystemTime::UNIX_EPOCH,
        };
        let (small, large) = (version(5 << 20), version(100 << 20));
        let found = parts(vec![&small, &large]);
        assert_eq!(found.len(), MANY);
        assert_eq!(found[0].1, 0..4 << 20);
        assert_eq!(found[1].1, 4 << 20..5 << 20);
        assert_eq!(found[15].1, 13 * MANY_BYTES..14 * MANY_BYTES);
        let again = parts(vec![&small]);
        assert_eq!((again.len(), &again[0].1, &again[1].1), (MANY, &again[2].1, &again[3].1));
    }
}
