//! The thread that writes: one entry after the other, each whole.

use std::io;
use std::time::{Duration, Instant};

use super::counts::microseconds;
use super::folder::{Folder, Name, Written};
use super::queue::{Item, Part};
use super::shared::Shared;

/// Pieces are cut so long: a small read has one checked, not all of an entry.
const PIECE_BYTES: usize = 128 << 10;
/// After a failure nothing is written for so long.
const PAUSE: Duration = Duration::from_secs(60);

/// A run of bytes, and which one comes first.
type Run = (u64, Vec<u8>);

/// Writes what comes, until the queue is closed.
pub(super) fn run(shared: &Shared) {
    let Shared { folder, queue, counts, .. } = shared;
    let tidied = folder.drop_older().and_then(|()| folder.tidy());
    match tidied {
        Ok(evicted) => counts.add(|counts| &counts.evicted, evicted),
        Err(error) => tracing::warn!("--cache-dir can't be tidied: {error}"),
    }
    let mut failed: Option<Instant> = None;
    while let Some(items) = queue.take() {
        if failed.is_some_and(|at| at.elapsed() < PAUSE) {
            counts.count(|counts| &counts.dropped);
            continue;
        }
        let begun = Instant::now();
        match write(folder, &items) {
            Ok(Written::New { bytes, evicted }) => {
                counts.count(|counts| &counts.entries);
                counts.add(|counts| &counts.written_bytes, bytes);
                counts.add(|counts| &counts.write_microseconds, microseconds(begun.elapsed()));
                counts.add(|counts| &counts.evicted, evicted);
            }
            Ok(Written::Known | Written::Refused) => {}
            Err(error) => {
                counts.count(|counts| &counts.failed);
                if failed.is_none() {
                    tracing::warn!(
                        "--cache-dir: nothing can be written ({error}); it is tried again every \
                         minute"
                    );
                }
                failed = Some(Instant::now());
                continue;
            }
        }
        failed = None;
    }
}

/// Writes one entry from all that is to be in it.
fn write(folder: &Folder, items: &[Item]) -> io::Result<Written> {
    let end = items.iter().rposition(Item::is_end);
    if let Some(end) = end {
        folder.remove(&items[end].name);
    }
    let items = &items[end.map_or(0, |end| end + 1)..];
    let Some(last) = items.last() else { return Ok(Written::Known) };
    let runs = match last.joins {
        true => {
            let parts = items.iter().flat_map(|item| &item.parts).collect();
            match joined(folder, &last.name, parts) {
                Some(runs) => runs,
                None => return Ok(Written::Known),
            }
        }
        false => last.parts.iter().map(|part| (part.start, part.bytes().to_vec())).collect(),
    };
    let pieces: Vec<(u64, &[u8])> = runs
        .iter()
        .flat_map(|(start, bytes)| {
            let pieces = bytes.chunks(PIECE_BYTES).enumerate();
            pieces.map(move |(n, piece)| (start + (n * PIECE_BYTES) as u64, piece))
        })
        .collect();
    folder.put(&last.name, &pieces)
}

/// These parts, and what the entry has beside them; `None` if it has all of them already.
fn joined(folder: &Folder, name: &Name, mut parts: Vec<&Part>) -> Option<Vec<Run>> {
    parts.sort_by_key(|part| part.start);
    let mut runs: Vec<Run> = Vec::new();
    for part in parts {
        add(&mut runs, part.start, part.bytes());
    }
    let Some((header, file)) = folder.find(name) else { return Some(runs) };
    let known = header.ranges();
    let is_known = |(start, bytes): &Run| {
        let end = start + bytes.len() as u64;
        known.iter().any(|range| range.start <= *start && end <= range.end)
    };
    if runs.iter().all(is_known) && header.is_right(&file) {
        return None;
    }
    // What is damaged is left out.
    let old = header.pieces.iter().filter_map(|piece| Some((piece.start, piece.read(&file)?)));
    let mut all: Vec<Run> = old.chain(runs).collect();
    all.sort_by_key(|(start, _)| *start);
    let mut runs = Vec::new();
    for (start, bytes) in all {
        add(&mut runs, start, &bytes);
    }
    Some(runs)
}

/// Adds bytes to runs that begin no later; those that are there already are the same ones.
fn add(runs: &mut Vec<Run>, start: u64, bytes: &[u8]) {
    match runs.last_mut() {
        Some((first, run)) if start <= *first + run.len() as u64 => {
            let known = *first + run.len() as u64 - start;
            let new = usize::try_from(known).ok().and_then(|known| bytes.get(known..));
            run.extend_from_slice(new.unwrap_or_default());
        }
        _ => runs.push((start, bytes.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_are_the_bytes_that_were_added(
            parts in prop::collection::vec((0u64..60, 1usize..20), 1..10),
        ) {
            let byte = |at: u64| at as u8;
            let mut parts = parts;
            parts.sort();
            let (mut runs, mut wanted) = (Vec::new(), [None; 100]);
            for (start, length) in parts {
                let range = start..start + length as u64;
                let bytes: Vec<u8> = range.clone().map(byte).collect();
                add(&mut runs, start, &bytes);
                range.for_each(|at| wanted[at as usize] = Some(byte(at)));
            }
            let mut found = [None; 100];
            for (start, bytes) in &runs {
                for (n, byte) in bytes.iter().enumerate() {
                    let place = &mut found[*start as usize + n];
                    prop_assert!(place.is_none(), "twice");
                    *place = Some(*byte);
                }
            }
            prop_assert_eq!(found, wanted);
        }
    }
}
