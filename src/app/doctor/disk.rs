//! The cache on disk: whether it can be used, what is in it, what it brings, how fast it is.

use std::path::Path;
use std::time::Duration;

use super::finding::Finding;
use super::speed::Speed;
use crate::app::control::Daemon;
use crate::app::message;
use crate::app::mount_table::MountTable;
use crate::config::{Environment, MountSettings, show_size};
use crate::disk::{self, DiskError, Looked, Trial};
use crate::sys;

/// No daemon takes longer to say how it is.
const LIMIT: Duration = Duration::from_secs(5);
const CHECK: &str = "cache-disk";

/// What mounts of this user that are there now have asked the folder.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Used {
    mounts: u64,
    hits: u64,
    misses: u64,
    read_bytes: u64,
    written_bytes: u64,
    paused: bool,
}

/// Looks at the folder of `--cache-dir`; with `writes`, also how fast it is written to.
pub(super) fn look(
    settings: &MountSettings,
    environment: &Environment,
    speed: Option<Speed>,
    writes: bool,
) -> Option<Finding> {
    let config = settings.disk.as_ref()?;
    let folder = config.folder.as_path();
    let looked = match disk::look(folder) {
        Ok(looked) => looked,
        Err(error) => return Some(unusable(folder, &error)),
    };
    let read = disk::try_reading(folder);
    let written = (writes && looked.is_there).then(|| disk::try_writing(folder)).transpose();
    Some(match written {
        Err(error) => {
            Finding::problem(CHECK, format!("{} can't be written to: {error}", folder.display()))
        }
        Ok(written) => {
            let trials = Trials { read, written, network: speed.map(|speed| speed.many) };
            let used = used(folder, environment);
            judge(folder, looked, config.limit_bytes, trials, used)
        }
    })
}

/// What was measured.
#[derive(Debug, Clone, Copy, Default)]
struct Trials {
    read: Option<Trial>,
    written: Option<Trial>,
    /// Bytes in a second.
    network: Option<f64>,
}

fn quoted(folder: &Path) -> String {
    format!("'{}'", folder.display().to_string().replace('\'', "'\\''"))
}

fn unusable(folder: &Path, error: &DiskError) -> Finding {
    let finding = Finding::problem(CHECK, error.to_string());
    match error {
        DiskError::Open { .. } => finding.mended_by(format!("chmod 700 {}", quoted(folder))),
        DiskError::Foreign { .. } => {
            finding.mended_by("s3mem mount --cache-dir ~/.cache/s3mem-disk ...")
        }
        DiskError::Unusable { .. } => {
            finding.mended_by(format!("mkdir -p -m 700 {}", quoted(folder)))
        }
    }
}

fn judge(folder: &Path, looked: Looked, limit_bytes: u64, trials: Trials, used: Used) -> Finding {
    let rate = |rate: f64| show_size(rate as u64) + "/s";
    let shown = folder.display();
    let mut says = match looked.is_there {
        true => format!(
            "{shown} holds {} of {} in {} entries",
            show_size(looked.bytes),
            show_size(limit_bytes),
            looked.entries
        ),
        false => format!("{shown} is made by the first mount"),
    };
    if used.mounts > 0 {
        let mounts =
            if used.mounts == 1 { "1 mount".to_owned() } else { format!("{} mounts", used.mounts) };
        says += &format!(
            "; {mounts} asked it {} times and found {}, took {} and wrote {}",
            used.hits + used.misses,
            used.hits,
            show_size(used.read_bytes),
            show_size(used.written_bytes)
        );
    }
    if let Some(trial) = trials.read {
        says += &format!("; it is read at {}", rate(trial.rate()));
    }
    if let Some(trial) = trials.written {
        says += &format!("; it is written at {}", rate(trial.rate()));
    }
    if looked.is_memory {
        return Finding::warning(
            CHECK,
            format!("{says}; it is memory (tmpfs) and no disk: --memory is the better use of it"),
        )
        .mended_by("s3mem mount --cache-dir ~/.cache/s3mem-disk ...");
    }
    let wanted = limit_bytes.saturating_sub(looked.bytes);
    if looked.free_bytes < wanted {
        let room = looked.bytes.saturating_add(looked.free_bytes) / 2;
        return Finding::warning(
            CHECK,
            format!(
                "{says}; the disk has room for {} more, so it is full before --cache-size is \
                 reached, and then nothing is kept",
                show_size(looked.free_bytes)
            ),
        )
        .mended_by(format!("s3mem mount --cache-size {}M ...", (room >> 20).max(16)));
    }
    let is_slower = trials.read.zip(trials.network).filter(|(disk, net)| disk.rate() < *net);
    match is_slower {
        Some((_, network)) => Finding::warning(
            CHECK,
            format!(
                "{says}, which is slower than the bucket ({}): it saves requests, but where reads \
                 take long it is left alone",
                rate(network)
            ),
        )
        .mended_by("s3mem mount --cache-dir DIR ... (on a faster disk)"),
        None if used.paused => {
            Finding::warning(CHECK, format!("{says}; a mount leaves it alone, since it is slow"))
                .mended_by("s3mem mount --cache-dir DIR ... (on a faster disk)")
        }
        None => Finding::good(CHECK, says),
    }
}

/// What the mounts say that have this folder.
fn used(folder: &Path, environment: &Environment) -> Used {
    let mounts = MountTable::read().map(|table| table.of_user(sys::effective_uid()));
    let mut used = Used::default();
    for mounted in mounts.unwrap_or_default() {
        let daemon = Daemon::of(&mounted, environment);
        let told =
            daemon.and_then(|daemon| message::status(daemon.ask("status json", LIMIT).ok()?));
        let Some((_, text)) = told else { continue };
        let Ok(status) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
        add(&mut used, &status["disk"], folder);
    }
    used
}

/// Adds what a mount says of its disk, if that is the folder.
fn add(used: &mut Used, disk: &serde_json::Value, folder: &Path) {
    if disk["folder"].as_str().map(Path::new) != Some(folder) {
        return;
    }
    let of = |name: &str| disk[name].as_u64().unwrap_or_default();
    used.mounts += 1;
    used.hits += of("hits");
    used.misses += of("misses");
    used.read_bytes += of("read_bytes");
    used.written_bytes += of("written_bytes");
    used.paused |= disk["paused"].as_bool().unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::super::finding::Outcome;
    use super::*;

    const MIB: u64 = 1 << 20;

    fn there(bytes: u64, free_bytes: u64) -> Looked {
        Looked { is_there: true, entries: 3, bytes, free_bytes, is_memory: false }
    }

    fn judged(looked: Looked, trials: Trials, used: Used) -> Finding {
        judge(Path::new("/c"), looked, 100 * MIB, trials, used)
    }

    fn at(mib: u64) -> Option<Trial> {
        Some(Trial { bytes: mib * MIB, took: Duration::from_secs(1) })
    }

    #[test]
    fn a_disk_with_room_that_is_faster_than_the_bucket_is_good() {
        let trials = Trials { read: at(900), written: at(400), network: Some(1e8) };
        let used = Used { mounts: 2, hits: 3, misses: 4, ..Used::default() };
        let found = judged(there(MIB, 99 * MIB), trials, used);
        assert_eq!(found.outcome, Outcome::Good, "{}", found.says);
        for part in
            ["/c holds 1 MiB of 100 MiB in 3 entries", "2 mounts asked it 7 times and found 3"]
        {
            assert!(found.says.contains(part), "{}", found.says);
        }
        assert!(found.says.contains("read at 900 MiB/s; it is written at 400 MiB/s"));
    }

    #[test]
    fn little_room_a_slow_disk_and_memory_in_its_place_are_told_apart() {
        let full = judged(there(10 * MIB, 50 * MIB), Trials::default(), Used::default());
        assert_eq!(full.command.as_deref(), Some("s3mem mount --cache-size 30M ..."));
        let trials = Trials { read: at(20), written: None, network: Some(1e8) };
        let slow = judged(there(10 * MIB, 99 * MIB), trials, Used::default());
        assert!(slow.says.contains("slower than the bucket (95.3 MiB/s)"), "{}", slow.says);
        let paused = Used { mounts: 1, paused: true, ..Used::default() };
        let paused = judged(there(10 * MIB, 99 * MIB), Trials::default(), paused);
        assert!(paused.says.contains("leaves it alone"), "{}", paused.says);
        let memory = Looked { is_memory: true, ..there(0, 999 * MIB) };
        let memory = judged(memory, Trials::default(), Used::default());
        assert!(memory.says.contains("tmpfs"), "{}", memory.says);
        for found in [full, slow, paused, memory] {
            assert_eq!((found.outcome, found.command.is_some()), (Outcome::Warning, true));
        }
    }

    #[test]
    fn of_other_mounts_only_those_count_that_have_the_folder() {
        let mut used = Used::default();
        let disk = serde_json::json!({
            "folder": "/c", "hits": 2, "misses": 1, "read_bytes": 7, "written_bytes": 8, "paused": true
        });
        add(&mut used, &disk, Path::new("/other"));
        add(&mut used, &serde_json::Value::Null, Path::new("/c"));
        assert_eq!(used, Used::default());
        add(&mut used, &disk, Path::new("/c"));
        add(&mut used, &disk, Path::new("/c"));
        let (mounts, hits, misses) = (used.mounts, used.hits, used.misses);
        assert_eq!((mounts, hits, misses, used.read_bytes, used.paused), (2, 4, 2, 14, true));
    }
}
