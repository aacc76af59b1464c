//! The blocks of object versions in the cache on disk: an entry for each MiB of an object.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::block_map::ObjectBlock;
use crate::disk::{Disk, Name, Part};
use crate::key::ObjectVersion;

/// What an entry is about.
const CHUNK_BYTES: u64 = 1 << 20;
/// Less than this, with gaps on both sides, is fetched again rather than cutting a GET in two.
const WORTH_A_GET_BYTES: u64 = 1 << 20;

/// A complete block of a version, and the offset of its first byte.
pub(super) type Whole = (ObjectVersion, u64, Arc<ObjectBlock>);

/// A block as something that has bytes.
struct Filled(Arc<ObjectBlock>);

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// The cache, as the reader sees it.
#[derive(Debug, Clone)]
pub(super) struct OnDisk(Arc<Disk>);

impl OnDisk {
    pub(super) fn new(disk: Arc<Disk>) -> Self {
        OnDisk(disk)
    }

    /// The cache itself.
    pub(super) fn disk(&self) -> &Arc<Disk> {
        &self.0
    }

    fn name(&self, version: &ObjectVersion, chunk: u64) -> Option<Name> {
        self.0.name(version, &format!("bytes of MiB {chunk}"))
    }

    /// What of a range is there, in order: ranges that lie within one entry each.
    pub(super) async fn find(
        &self,
        version: &ObjectVersion,
        range: &Range<u64>,
    ) -> Vec<Range<u64>> {
        let chunks = chunks(range);
        let names: Option<Vec<Name>> =
            chunks.clone().map(|chunk| self.name(version, chunk)).collect();
        let Some(names) = names else { return Vec::new() };
        let found = self.0.ranges(names).await;
        let within = |(chunk, ranges): (u64, Vec<Range<u64>>)| {
            let start = chunk * CHUNK_BYTES;
            let limits = range.start.max(start)..range.end.min(start + CHUNK_BYTES);
            ranges.into_iter().map(move |found| {
                (start + found.start).max(limits.start)..(start + found.end).min(limits.end)
            })
        };
        chunks.zip(found).flat_map(within).filter(|found| found.start < found.end).collect()
    }

    /// The bytes of a range that [`OnDisk::find`] has named, if they are right.
    pub(super) async fn read(
        &self,
        version: &ObjectVersion,
        range: &Range<u64>,
    ) -> Option<Vec<u8>> {
        let chunk = range.start / CHUNK_BYTES;
        let start = chunk * CHUNK_BYTES;
        self.0.part(&self.name(version, chunk)?, range.start - start..range.end - start).await
    }

    /// All bytes of a range, if all are there.
    pub(super) async fn whole(
        &self,
        version: &ObjectVersion,
        range: &Range<u64>,
    ) -> Option<Vec<u8>> {
        let found = self.find(version, range).await;
        let mut bytes = Vec::new();
        let mut at = range.start;
        for part in found {
            if part.start != at {
                return None;
            }
            if bytes.is_empty() {
                bytes.reserve((range.end - range.start) as usize);
            }
            bytes.extend(self.read(version, &part).await?);
            at = part.end;
        }
        (at == range.end && !bytes.is_empty()).then_some(bytes)
    }

    /// Has a complete block written, unless too much waits for that already.
    pub(super) fn save(&self, (version, offset, block): Whole) {
        for (chunk, part) in parts(offset, &block) {
            if let Some(name) = self.name(&version, chunk) {
                self.0.join(name, vec![part]);
            }
        }
    }

    /// Has blocks written until `end`, in this order.
    pub(super) async fn save_all(&self, blocks: Vec<Whole>, end: Instant) {
        // Blocks of one entry are written as one, where the first of them stands.
        let mut places: BTreeMap<(usize, u64), usize> = BTreeMap::new();
        let mut versions: Vec<ObjectVersion> = Vec::new();
        let mut entries: Vec<(Name, Vec<Part>)> = Vec::new();
        for (version, offset, block) in blocks {
            let known = versions.iter().rposition(|known| *known == version);
            let number = known.unwrap_or_else(|| {
                versions.push(version.clone());
                versions.len() - 1
            });
            for (chunk, part) in parts(offset, &block) {
                if let Some(&place) = places.get(&(number, chunk)) {
                    entries[place].1.push(part);
                } else if let Some(name) = self.name(&version, chunk) {
                    places.insert((number, chunk), entries.len());
                    entries.push((name, vec![part]));
                }
            }
        }
        for (name, parts) in entries {
            if !self.0.put(name, parts, end).await {
                return;
            }
        }
    }

    /// Deletes all that there is of a version, since some of it is wrong.
    pub(super) fn forget(&self, version: &ObjectVersion) {
        let names = chunks(&(0..version.size)).filter_map(|chunk| self.name(version, chunk));
        self.0.forget(names);
    }

    /// Notes what a GET brought, and in which time.
    pub(super) fn note_network(&self, bytes: u64, took: Duration) {
        self.0.note_network(bytes, took);
    }
}

/// The entries that a range lies in.
fn chunks(range: &Range<u64>) -> Range<u64> {
    range.start / CHUNK_BYTES..range.end.div_ceil(CHUNK_BYTES)
}

/// A block as parts of entries.
fn parts(offset: u64, block: &Arc<ObjectBlock>) -> impl Iterator<Item = (u64, Part)> + use<> {
    let body: crate::disk::Body = Arc::new(Filled(block.clone()));
    let range = offset..offset + block.filled() as u64;
    chunks(&range).map(move |chunk| {
        let start = (chunk * CHUNK_BYTES).max(range.start);
        let end = ((chunk + 1) * CHUNK_BYTES).min(range.end);
        let part = (start - offset) as usize..(end - offset) as usize;
        (chunk, Part { start: start - chunk * CHUNK_BYTES, body: body.clone(), range: part })
    })
}

/// Which of what was found is taken from the disk, so that no more GETs are sent for the rest
/// than for all of `missing`: what comes first, what comes last, and what is long.
pub(super) fn useful(found: Vec<Range<u64>>, missing: &Range<u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Vec<Range<u64>>> = Vec::new();
    for range in found {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| last.end == range.start) => run.push(range),
            _ => runs.push(vec![range]),
        }
    }
    let is_useful = |run: &Vec<Range<u64>>| {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return false };
        first.start <= missing.start
            || last.end >= missing.end
            || last.end - first.start >= WORTH_A_GET_BYTES
    };
    runs.into_iter().filter(is_useful).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{BlockPool, Budget};

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_block_lies_in_the_entries_of_its_bytes() {
        let pool = BlockPool::new(Budget::new(8 << 20));
        let (block, mut writer) = pool.allocate(MIB as usize).unwrap();
        let bytes: Vec<u8> = (0..MIB).map(|n| (n % 251) as u8).collect();
        writer.append(&bytes);
        let parts: Vec<_> =
            parts(MIB / 2, &block).map(|(chunk, part)| (chunk, part.start, part.range)).collect();
        let half = MIB as usize / 2;
        assert_eq!(parts, [(0, MIB / 2, 0..half), (1, 0, half..2 * half)]);
    }

    #[test]
    fn no_get_is_cut_in_two_for_little() {
        let missing = 0..8 * MIB;
        let of = |found: &[Range<u64>]| useful(found.to_vec(), &missing);
        assert_eq!(of(&[0..100, 7 * MIB..8 * MIB]), [0..100, 7 * MIB..8 * MIB]);
        let (short, long) = (MIB..2 * MIB - 1, MIB..2 * MIB);
        assert!(of(std::slice::from_ref(&short)).is_empty());
        assert_eq!(of(std::slice::from_ref(&long)), std::slice::from_ref(&long));
        let two = [MIB..MIB + MIB / 2, MIB + MIB / 2..2 * MIB];
        assert_eq!(of(&two), two);
        assert!(of(&[MIB..MIB + MIB / 2, 2 * MIB - 9..2 * MIB]).is_empty());
    }
}
