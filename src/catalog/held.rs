//! Pages that were listed ahead, as long as a walk has not come to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::page::Page;
use crate::mem::{Budget, Reservation, Use};

/// A page that is held for a walk.
#[derive(Debug)]
pub(super) struct Held {
    page: Arc<Page>,
    counted: Reservation,
    /// What all walks hold, in bytes.
    all: Arc<AtomicU64>,
}

impl Held {
    /// Counts a page in the budget, and among those of all walks.
    pub(super) fn new(page: Arc<Page>, budget: &Arc<Budget>, all: &Arc<AtomicU64>) -> Self {
        let counted = budget.charge(page.weight_bytes()).of(Use::Listings);
        all.fetch_add(counted.bytes(), Ordering::Relaxed);
        Held { page, counted, all: all.clone() }
    }

    pub(super) fn page(&self) -> &Arc<Page> {
        &self.page
    }

    pub(super) fn bytes(&self) -> u64 {
        self.counted.bytes()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.counted.bytes(), Ordering::Relaxed);
    }
}
