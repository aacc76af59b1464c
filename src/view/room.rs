//! Memory for what is decoded: how much of it there may be at once.
//!
//! Contract: what would take more than half of `--memory` is refused, since nothing else
//! would be left to those who read objects. All that decode at one time take no more
//! than half together; each waits for its turn holding nothing, and whoever it waits for
//! is a decoder with a deadline.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::mem::{Budget, Reservation, Use};
use crate::raster::RasterError;

/// What turns are counted in.
const UNIT_BYTES: u64 = 64 << 10;

/// Memory for decoders.
#[derive(Debug)]
pub(super) struct Room {
    budget: Arc<Budget>,
    turns: Semaphore,
}

/// Memory that a decoder has while it holds this.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    _turn: SemaphorePermit<'a>,
    _counted: Reservation,
}

impl Room {
    /// Half of `budget`.
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        let units = (share(&budget) / UNIT_BYTES).clamp(1, u32::MAX.into());
        let units = usize::try_from(units).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Room { budget, turns: Semaphore::new(units) }
    }

    /// Waits for a turn with so much memory.
    ///
    /// # Errors
    /// [`RasterError::Limit`] if there will never be so much.
    pub(super) async fn enter(&self, bytes: u64) -> Result<Taken<'_>, RasterError> {
        self.check(bytes)?;
        let units = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX);
        let turn = self.turns.acquire_many(units).await;
        let turn = turn.map_err(|_| RasterError::Stopped("the mount has ended".to_owned()))?;
        Ok(Taken { _turn: turn, _counted: self.budget.charge(bytes).of(Use::Images) })
    }

    /// Counts memory without a turn: for what waits for decoders meanwhile.
    ///
    /// # Errors
    /// As [`Room::enter`].
    pub(super) fn count(&self, bytes: u64) -> Result<Reservation, RasterError> {
        self.check(bytes)?;
        Ok(self.budget.charge(bytes).of(Use::Images))
    }

    /// Whether so much can be had at all.
    ///
    /// # Errors
    /// [`RasterError::Limit`] if not.
    pub(super) fn check(&self, bytes: u64) -> Result<(), RasterError> {
        if bytes <= share(&self.budget) {
            return Ok(());
        }
        let what = format!("decoding the image takes {bytes} bytes");
        Err(RasterError::Limit { what, option: "half of --memory", allowed: share(&self.budget) })
    }
}

fn share(budget: &Budget) -> u64 {
    budget.limit_bytes() / 2
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn half_of_the_memory_is_had_by_turns_and_more_by_nobody() {
        let budget = Budget::new(1 << 20);
        let room = Room::new(budget.clone());
        let refused = room.enter((512 << 10) + 1).await.unwrap_err();
        assert!(
            matches!(refused, RasterError::Limit { option: "half of --memory", .. }),
            "{refused}"
        );
        let first = room.enter(512 << 10).await.unwrap();
        assert_eq!(budget.used_bytes(), 512 << 10);
        let second = timeout(Duration::from_millis(20), room.enter(64 << 10));
        assert!(second.await.is_err(), "there is nothing left for it");
        drop(first);
        assert_eq!(budget.used_bytes(), 0);
        room.enter(64 << 10).await.unwrap();
    }
}
