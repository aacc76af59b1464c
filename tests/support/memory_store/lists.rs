//! Listings: which are under way, and where they begin.

use s3mem::store::ListRequest;

use super::MemoryStore;
use crate::support::bucket::After;

/// Where a listing begins that is to begin behind a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAfter {
    /// There.
    Kept,
    /// At the first key, as without it.
    Ignored,
    /// One entry further.
    TooFar,
}

impl StartAfter {
    /// Where a listing begins that should begin at `after`, and how many entries it leaves out.
    pub(super) fn applied(self, request: &ListRequest, after: After) -> (After, usize) {
        let is_told = request.token.is_none() && request.after.is_some();
        match self {
            StartAfter::Ignored if is_told => (After::Start, 0),
            StartAfter::TooFar if is_told => (after, 1),
            StartAfter::Kept | StartAfter::Ignored | StartAfter::TooFar => (after, 0),
        }
    }
}

/// How many listings are under way.
#[derive(Debug, Default)]
pub(super) struct Lists {
    now: u64,
    most: u64,
}

/// A listing that is under way until this is dropped.
pub(super) struct UnderWay(MemoryStore);

impl UnderWay {
    pub(super) fn list(store: &MemoryStore) -> Self {
        let mut state = store.lock();
        state.lists.now += 1;
        state.lists.most = state.lists.most.max(state.lists.now);
        drop(state);
        UnderWay(store.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().lists.now -= 1;
    }
}

impl MemoryStore {
    /// Listings that are neither answered nor given up.
    pub fn lists_under_way(&self) -> u64 {
        self.lock().lists.now
    }

    /// The most listings that were under way at once since this was asked the last time.
    pub fn most_lists(&self) -> u64 {
        let mut state = self.lock();
        let now = state.lists.now;
        std::mem::replace(&mut state.lists.most, now)
    }
}
