//! Exact ranges of one version, fetched as asked for and not kept: for whoever
//! keeps what it makes of the bytes. What is in memory, since somebody has read the object
//! itself, is not fetched, and neither is what the cache on disk has all of.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::try_join_all;

use super::cache::{BlockCache, Piece};
use super::object::ReadBytes;
use super::pin::Pin;
use crate::key::ObjectVersion;
use crate::mem::{Reservation, Use};
use crate::store::{GetRequest, ObjectStore, StoreError, StoreErrorKind};

/// The longest range of one GET.
const PART_BYTES: u64 = 8 << 20;

/// Bytes between two gaps that are fetched again rather than sending another GET: few bytes
/// cost less than a request.
const BRIDGE_BYTES: u64 = 64 << 10;

/// What takes bytes as they come: where they belong, and the bytes.
pub type Take = dyn Fn(u64, &[u8]) -> io::Result<()> + Send + Sync;

/// Reads ranges of one version, each with GETs of its own.
#[derive(Debug)]
pub struct ExactReader {
    pin: Arc<Pin>,
    store: Arc<dyn ObjectStore>,
    /// The bytes of objects that are here.
    cache: Arc<BlockCache>,
}

/// Bytes that are counted while somebody holds them.
struct Held {
    bytes: Vec<u8>,
    _counted: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl ExactReader {
    /// A reader of one version, which costs nothing until it reads.
    pub fn new(
        version: &ObjectVersion,
        store: Arc<dyn ObjectStore>,
        cache: Arc<BlockCache>,
    ) -> Self {
        ExactReader { pin: Pin::new(version.clone()), store, cache }
    }

    /// The version that is read.
    pub fn version(&self) -> &ObjectVersion {
        &self.pin.version
    }

    /// The bytes of a range inside the object, counted while somebody holds them: one GET
    /// for each 8 MiB of what is not here, at once. What is here between what is not is fetched
    /// again, so a short range costs one GET at most.
    ///
    /// # Errors
    /// What a GET failed with; never bytes of another version, and never fewer.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, Arc<StoreError>> {
        let pieces = self.cache.pieces(self.version(), &range);
        let missing = gaps(&range, &pieces, u64::MAX).next();
        match (missing, &pieces[..]) {
            (None, [(_, block, part)]) => {
                Ok(Bytes::from_owner(ReadBytes::of_block(block.clone(), part.clone())))
            }
            (Some(missing), _) if missing == range => self.fetch(range).await,
            (missing, _) => {
                let missing = missing.unwrap_or(range.end..range.end);
                let fetched = match missing.is_empty() {
                    true => Bytes::new(),
                    false => self.fetch(missing.clone()).await?,
                };
                let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
                let (before, behind) = (range.start..missing.start, missing.end..range.end);
                pieces.iter().for_each(|piece| bytes.extend_from_slice(within(piece, &before)));
                bytes.extend_from_slice(&fetched);
                pieces.iter().for_each(|piece| bytes.extend_from_slice(within(piece, &behind)));
                Ok(self.held(bytes))
            }
        }
    }

    async fn fetch(&self, range: Range<u64>) -> Result<Bytes, Arc<StoreError>> {
        let parts = parts(range).map(|part| async move {
            if let Some(on_disk) = self.cache.on_disk()
                && let Some(bytes) = on_disk.whole(self.version(), &part).await
            {
                return Ok(bytes);
            }
            let mut bytes = Vec::with_capacity((part.end - part.start) as usize);
            let take = |_, chunk: &[u8]| {
                bytes.extend_from_slice(chunk);
                Ok(())
            };
            self.part(part, take).await?;
            Ok::<_, Arc<StoreError>>(bytes)
        });
        let mut parts = try_join_all(parts).await?;
        let bytes = match parts.len() {
            1 => parts.swap_remove(0),
            _ => parts.concat(),
        };
        Ok(self.held(bytes))
    }

    fn held(&self, bytes: Vec<u8>) -> Bytes {
        let counted = self.cache.budget().charge(bytes.len() as u64).of(Use::Blocks);
        Bytes::from_owner(Held { bytes, _counted: counted })
    }

    /// Hands out all bytes of the object as they come, each piece with its offset, in any
    /// order, some of them twice: one GET for each 8 MiB of what is not here, at once.
    ///
    /// # Errors
    /// As [`ExactReader::read`], or that of `take`. What was handed out is worth nothing
    /// then.
    pub async fn copy_to(&self, take: &Take) -> Result<(), Arc<StoreError>> {
        let whole = 0..self.version().size;
        let missing: Vec<Range<u64>> = {
            let pieces = self.cache.pieces(self.version(), &whole);
            for piece in &pieces {
                take(piece.0, within(piece, &whole)).map_err(|error| self.no_memory(error))?;
            }
            gaps(&whole, &pieces, BRIDGE_BYTES).collect()
        };
        let fetches = missing.into_iter().flat_map(parts).map(|part| self.part(part, take));
        try_join_all(fetches).await?;
        Ok(())
    }

    async fn part(
        &self,
        range: Range<u64>,
        take: impl FnMut(u64, &[u8]) -> io::Result<()> + Send,
    ) -> Result<(), Arc<StoreError>> {
        let outcome = self.get(range, take).await;
        if matches!(&outcome, Err(error) if error.kind == StoreErrorKind::Changed) {
            self.pin.note_changed();
        }
        outcome.map_err(Arc::new)
    }

    async fn get(
        &self,
        range: Range<u64>,
        mut take: impl FnMut(u64, &[u8]) -> io::Result<()> + Send,
    ) -> Result<(), StoreError> {
        let version = self.version();
        let (key, etag) = (version.key.clone(), self.pin.etag(version).cloned());
        let request = GetRequest { key, range: range.clone(), etag };
        let mut body = self.store.get_range(request).await?;
        self.pin.check(version, &body.head)?;
        let mut at = range.start;
        while at < range.end
            && let Some(chunk) = body.bytes.next().await
        {
            let chunk = chunk?;
            let end = at + chunk.len() as u64;
            if end > range.end {
                let detail = format!("more than bytes {}..{} came", range.start, range.end);
                return Err(StoreError::short_body(&version.key, detail));
            }
            take(at, &chunk).map_err(|error| self.no_memory(error))?;
            at = end;
        }
        if at != range.end {
            let came = at - range.start;
            let detail = format!("bytes {}..{} came as {came}", range.start, range.end);
            return Err(StoreError::short_body(&version.key, detail));
        }
        Ok(())
    }

    fn no_memory(&self, error: io::Error) -> StoreError {
        let request = format!("GET {}", self.version().key);
        StoreError::given_up(request, "there is no memory for its bytes").caused_by(error)
    }
}

/// The bytes of a piece that lie in a range.
fn within<'p>((start, block, part): &'p Piece, range: &Range<u64>) -> &'p [u8] {
    let bytes = &block.bytes()[part.clone()];
    let end = start + bytes.len() as u64;
    let from = range.start.clamp(*start, end) - start;
    let to = range.end.clamp(*start, end) - start;
    bytes.get(from as usize..to as usize).unwrap_or_default()
}

/// What of a range is in none of the pieces; gaps with no more than `bridge_bytes` between them
/// are one.
fn gaps(
    range: &Range<u64>,
    pieces: &[Piece],
    bridge_bytes: u64,
) -> impl Iterator<Item = Range<u64>> + use<> {
    let mut gaps: Vec<Range<u64>> = Vec::new();
    let mut at = range.start;
    let ends = pieces.iter().map(|(start, _, part)| (*start, start + part.len() as u64));
    for (start, end) in ends.chain([(range.end, range.end)]) {
        if at < start {
            match gaps.last_mut() {
                Some(last) if at - last.end <= bridge_bytes => last.end = start,
                _ => gaps.push(at..start),
            }
        }
        at = end;
    }
    gaps.into_iter()
}

/// Ranges that one GET each is sent for.
fn parts(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    range.step_by(PART_BYTES as usize).map(move |start| start..end.min(start + PART_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{BlockPool, Budget};
    use proptest::prelude::*;

    fn pieces(blocks: &[(u64, usize)]) -> Vec<Piece> {
        let pool = BlockPool::new(Budget::new(8 << 20));
        let filled = |&(start, length): &(u64, usize)| {
            let (block, mut writer) = pool.allocate(length).unwrap();
            let bytes: Vec<u8> = (start..start + length as u64).map(|at| at as u8).collect();
            writer.append(&bytes);
            (start, block, 0..length)
        };
        blocks.iter().map(filled).collect()
    }

    #[test]
    fn gaps_are_what_no_piece_has() {
        let here = pieces(&[(0, 10), (20, 10), (35, 5)]);
        let of = |range: Range<u64>, bridge| gaps(&range, &here, bridge).collect::<Vec<_>>();
        assert_eq!(of(0..50, 0), [10..20, 30..35, 40..50]);
        assert_eq!(of(0..50, 5), [10..20, 30..50]);
        assert_eq!(of(0..50, u64::MAX).first(), Some(&(10..50)));
        assert_eq!(of(0..50, u64::MAX).len(), 1);
        assert_eq!(gaps(&(0..9), &pieces(&[(0, 9)]), 0).count(), 0);
        assert_eq!(gaps(&(3..9), &[], 0).next(), Some(3..9));
    }

    proptest! {
        #[test]
        fn pieces_and_gaps_are_the_range(
            lengths in prop::collection::vec((1u64..50, 1usize..50), 0..8),
            bridge in 0u64..60,
        ) {
            let mut at = 0;
            let blocks: Vec<(u64, usize)> = lengths
                .iter()
                .map(|(gap, length)| {
                    let start = at + gap;
                    at = start + *length as u64;
                    (start, *length)
                })
                .collect();
            let (here, whole) = (pieces(&blocks), 0..at + 7);
            let mut bytes = vec![None; whole.end as usize];
            for piece in &here {
                for (n, byte) in within(piece, &whole).iter().enumerate() {
                    bytes[piece.0 as usize + n] = Some(*byte);
                }
            }
            for gap in gaps(&whole, &here, bridge) {
                prop_assert!(gap.start < gap.end);
                for at in gap {
                    bytes[at as usize] = Some(at as u8);
                }
            }
            let wanted: Vec<_> = (0..whole.end).map(|at| Some(at as u8)).collect();
            prop_assert_eq!(bytes, wanted);
        }
    }
}
