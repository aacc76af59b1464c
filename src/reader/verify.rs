//! Whether what came of a version adds up to the checksum that its server keeps.
//!
//! Each block is counted when it is complete, just before the last of its bytes can be read.
//! A CRC adds up from blocks in any order. An MD5 is counted from the object's first byte on,
//! over the blocks that are in memory by then: it takes a program that reads in order. When
//! all have been counted, theirs is the checksum of the whole. What was handed out before
//! can't be taken back: the read that waits for the last block fails.

mod in_order;
mod pieces;
mod plan;

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use self::in_order::InOrder;
use self::pieces::Pieces;
pub(super) use self::plan::{Bytes, Completed, Plan};
use crate::key::ObjectVersion;
use crate::store::checksum::Sum;
use crate::store::{ObjectStore, StoreError};

/// What has come of one version, and what it should add up to.
#[derive(Debug, Default)]
pub(super) struct Verify {
    /// What the server keeps; `None` where it keeps nothing that bytes can be held against.
    plan: OnceCell<Option<Plan>>,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    pieces: Pieces,
    in_order: InOrder,
}

/// Nobody else counts a block of the version until this is dropped.
pub(super) struct Turn<'a>(#[expect(dead_code)] MutexGuard<'a, Counted>);

impl Verify {
    /// What the server keeps of a version, asked for once: by a HEAD, and by one more for the
    /// size of its parts where it is a sum of parts.
    pub(super) async fn plan(
        &self,
        store: &dyn ObjectStore,
        version: &ObjectVersion,
    ) -> Option<Plan> {
        let asked = self.plan.get_or_try_init(|| async {
            let head = store.head(&version.key).await?;
            let is_it = head.size == Some(version.size) && head.etag == version.etag;
            let Some(kept) = head.kept.filter(|_| is_it) else {
                say_unverified(version, "the server keeps no checksum of it");
                return Ok(None);
            };
            if !kept.has_parts() {
                return Ok(Some(Plan { kept, part_bytes: version.size.max(1) }));
            }
            let first = store.head_part(&version.key, 1).await?;
            let is_same = first.etag == version.etag;
            let part_bytes = first.size.filter(|size| *size > 0 && is_same);
            let fits = |size: &u64| version.size.div_ceil(*size) == u64::from(kept.parts);
            match part_bytes.filter(fits) {
                Some(part_bytes) => Ok(Some(Plan { kept, part_bytes })),
                None => {
                    say_unverified(version, "its parts differ in size, or are not told apart");
                    Ok(None)
                }
            }
        });
        match asked.await {
            Ok(plan) => *plan,
            Err::<_, StoreError>(error) => {
                tracing::debug!("what comes now is not verified: {}", error.chain());
                None
            }
        }
    }

    /// Counts a block that is about to be complete; it has to be complete when the turn ends.
    /// `read` gives the bytes from an offset on to the end of a block that is complete.
    ///
    /// # Errors
    /// All have come, and they do not add up.
    pub(super) fn count<B: Bytes>(
        &self,
        version: &ObjectVersion,
        plan: &Plan,
        block: &Completed<'_>,
        read: impl Fn(u64) -> Option<B>,
    ) -> Result<Turn<'_>, StoreError> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = match plan.kept.sum {
            Sum::Crc(crc) => {
                counted.pieces.add_cut(crc.kind, plan.part_bytes, block);
                counted.pieces.whole(version.size, plan).map(Sum::Crc)
            }
            Sum::Md5(_) => {
                counted.in_order.count(plan.part_bytes, block, read);
                counted.in_order.whole(version.size, plan).map(Sum::Md5)
            }
        };
        let Some(sum) = sum else { return Ok(Turn(counted)) };
        // Whoever fetches it again has it verified again.
        *counted = Counted::default();
        if sum == plan.kept.sum {
            tracing::debug!("{} is what its server keeps", version.key);
            return Ok(Turn(counted));
        }
        Err(StoreError::damaged(&version.key))
    }
}

fn say_unverified(version: &ObjectVersion, why: &str) {
    tracing::info!("{} can't be verified: {why}", version.key.as_str().escape_debug());
}
