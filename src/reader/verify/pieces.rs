//! The CRC of an object from blocks that come in any order.

use std::collections::BTreeMap;

use super::plan::{Completed, Plan};
use crate::store::checksum::{Crc, CrcKind};

/// Pieces that have come, by their first byte: how many bytes, and their checksum.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    by_start: BTreeMap<u64, (u64, Crc)>,
    /// How many bytes they have together; they never overlap.
    bytes: u64,
}

impl Pieces {
    /// Adds a block, in place of what it overlaps, cut where parts of the object meet.
    pub(super) fn add_cut(&mut self, kind: CrcKind, part_bytes: u64, block: &Completed<'_>) {
        let (mut at, end) = (block.start, block.start + block.length());
        let (mut bytes, mut now) = (block.bytes, block.now);
        while at < end {
            let cut = ((at / part_bytes + 1).saturating_mul(part_bytes)).min(end);
            let length = (cut - at) as usize;
            let (first, rest) = bytes.split_at(length.min(bytes.len()));
            let (second, behind) = now.split_at(length - first.len());
            self.add(at, cut - at, Crc::of(kind, first, second));
            (at, bytes, now) = (cut, rest, behind);
        }
    }

    /// Adds a piece, in place of those that it overlaps.
    fn add(&mut self, start: u64, bytes: u64, crc: Crc) {
        let mut doomed: Vec<u64> =
            self.by_start.range(start..start + bytes).map(|(&first, _)| first).collect();
        if let Some((&first, (before, _))) = self.by_start.range(..start).next_back()
            && first + before > start
        {
            doomed.push(first);
        }
        for first in doomed {
            self.bytes -= self.by_start.remove(&first).map_or(0, |(bytes, _)| bytes);
        }
        self.by_start.insert(start, (bytes, crc));
        self.bytes += bytes;
    }

    /// The checksum of all, if all have come.
    pub(super) fn whole(&self, size: u64, plan: &Plan) -> Option<Crc> {
        if self.bytes != size {
            return None;
        }
        let mut parts: Vec<Crc> = Vec::new();
        for (start, (bytes, crc)) in &self.by_start {
            match parts.last_mut() {
                Some(part) if !start.is_multiple_of(plan.part_bytes) => {
                    *part = part.followed_by(*crc, *bytes);
                }
                _ => parts.push(*crc),
            }
        }
        let kind = parts.first()?.kind;
        match plan.kept.has_parts() {
            true => Some(Crc::of_parts(kind, &parts)),
            false => parts.first().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::checksum::{Kept, Sum};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_add_up_in_any_order_and_one_that_comes_twice_does_not_count_twice(
            bytes in prop::collection::vec(any::<u8>(), 1..200),
            mut order in prop::collection::vec(0usize..20, 0..30),
            length in 1usize..40,
            part in 1u64..100,
            has_parts: bool,
        ) {
            let kind = CrcKind::Crc64Nvme;
            let size = bytes.len() as u64;
            let part_bytes = if has_parts { part } else { size };
            let of = |bytes: &[u8]| Crc::of(kind, bytes, b"");
            let parts: Vec<Crc> = bytes.chunks(part_bytes as usize).map(of).collect();
            let right = if has_parts { Crc::of_parts(kind, &parts) } else { of(&bytes) };
            let count = if has_parts { parts.len() as u32 } else { 0 };
            let plan = Plan { kept: Kept { sum: Sum::Crc(right), parts: count }, part_bytes };
            let count = bytes.len().div_ceil(length);
            order.extend((0..count).rev());
            let mut pieces = Pieces::default();
            for (at, piece) in order.iter().map(|n| n % count).enumerate() {
                let place = piece * length..bytes.len().min((piece + 1) * length);
                let (now, block) = (place.len() / 3, &bytes[place.clone()]);
                let (before, now) = block.split_at(block.len() - now);
                let start = place.start as u64;
                pieces.add_cut(kind, part_bytes, &Completed { start, bytes: before, now });
                let seen = &order[..=at];
                let is_all = (0..count).all(|n| seen.iter().any(|other| other % count == n));
                if !is_all {
                    prop_assert_eq!(pieces.whole(size, &plan), None);
                }
            }
            // The last of them came in order, each once: nothing is missing.
            prop_assert_eq!(pieces.whole(size, &plan), Some(right));
        }
    }
}
