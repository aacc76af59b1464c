//! The MD5 of an object, from its first byte on.

use md5::{Digest, Md5};

use super::plan::{Bytes, Completed, Plan};

/// How far an object was counted.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    /// The byte that is counted next.
    at: u64,
    /// Of the part that it is in.
    part: Md5,
    /// The MD5s of the parts that are complete.
    parts: Vec<u8>,
}

impl InOrder {
    /// Counts what is in memory from where it stopped, and a block that is about to be
    /// complete. `read` gives the bytes from an offset on to the end of a complete block.
    pub(super) fn count<B: Bytes>(
        &mut self,
        part_bytes: u64,
        block: &Completed<'_>,
        read: impl Fn(u64) -> Option<B>,
    ) {
        let end = block.start + block.length();
        loop {
            if (block.start..end).contains(&self.at) {
                let skip = (self.at - block.start) as usize;
                let (before, now) = (block.bytes, block.now);
                self.update(part_bytes, before.get(skip..).unwrap_or_default());
                let skip = skip.saturating_sub(before.len());
                self.update(part_bytes, now.get(skip..).unwrap_or_default());
            } else if let Some(bytes) = read(self.at).filter(|bytes| !bytes.bytes().is_empty()) {
                self.update(part_bytes, bytes.bytes());
            } else {
                return;
            }
        }
    }

    fn update(&mut self, part_bytes: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let left = part_bytes - self.at % part_bytes;
            let now = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let (of_part, rest) = bytes.split_at(now);
            self.part.update(of_part);
            self.at += now as u64;
            if self.at.is_multiple_of(part_bytes) {
                self.end_part();
            }
            bytes = rest;
        }
    }

    fn end_part(&mut self) {
        self.parts.extend(std::mem::take(&mut self.part).finalize());
    }

    /// The MD5 of all, if all were counted.
    pub(super) fn whole(&mut self, size: u64, plan: &Plan) -> Option<[u8; 16]> {
        if self.at != size {
            return None;
        }
        if !size.is_multiple_of(plan.part_bytes) {
            self.end_part();
        }
        match plan.kept.has_parts() {
            true => Some(Md5::digest(&self.parts).into()),
            false => self.parts.first_chunk().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::checksum::{Kept, Sum};
    use proptest::prelude::*;

    impl Bytes for Vec<u8> {
        fn bytes(&self) -> &[u8] {
            self
        }
    }

    proptest! {
        #[test]
        fn blocks_are_counted_once_those_before_them_are_here(
            bytes in prop::collection::vec(any::<u8>(), 1..200),
            seed: u64,
            length in 1usize..40,
            part in 1u64..100,
            has_parts: bool,
        ) {
            let size = bytes.len() as u64;
            let part_bytes = if has_parts { part } else { size };
            let parts: Vec<u8> =
                bytes.chunks(part_bytes as usize).flat_map(Md5::digest).collect();
            let right = if has_parts { Md5::digest(&parts) } else { Md5::digest(&bytes) };
            let count = if has_parts { size.div_ceil(part_bytes) as u32 } else { 0 };
            let plan = Plan { kept: Kept { sum: Sum::Md5(right.into()), parts: count }, part_bytes };
            let blocks = bytes.len().div_ceil(length);
            let mut order: Vec<usize> = (0..blocks).collect();
            order.sort_by_key(|n| (*n as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
            let (mut here, mut in_order) = (vec![false; blocks], InOrder::default());
            let place = |n: usize| n * length..bytes.len().min((n + 1) * length);
            for n in order {
                prop_assert_eq!(in_order.whole(size, &plan), None);
                let block = &bytes[place(n)];
                let (before, now) = block.split_at(block.len() / 2);
                let block = Completed { start: (n * length) as u64, bytes: before, now };
                in_order.count(part_bytes, &block, |at| {
                    let n = at as usize / length;
                    let is_here = here.get(n).copied().unwrap_or(false);
                    is_here.then(|| bytes[at as usize..place(n).end].to_vec())
                });
                here[n] = true;
            }
            prop_assert_eq!(in_order.whole(size, &plan), Some(right.into()));
        }
    }
}
