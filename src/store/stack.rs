//! The stack of decorators that every request of the program passes through.
//!
//! `LargeCopies(Respell(Retry(CheckConditions(Limit(Meter(store))))))`. Everything below `Retry`
//! runs once for each attempt, so each attempt is checked, limited and counted, and no
//! permit is held between attempts. Everything above it is made of requests that are
//! each retried. A mount of several buckets has such a stack for each, below
//! [`Buckets`](super::Buckets), and all of them share one set of limits.
//!
//! A cache that nobody depends on has `CheckConditions(Limit(Meter(store)))`: its requests are
//! never tried again, and whoever sends them has a deadline for each.

use std::sync::Arc;

use super::large_copy::MAX_COPY_BYTES;
use super::{
    CheckConditions, LargeCopies, Limit, Limits, Meter, ObjectStore, Respell, Retry, RetryConfig,
    writes_at_once,
};
use crate::stats::{Charges, Stats};

/// How requests are retried and limited.
#[derive(Debug, Clone)]
pub struct StackConfig {
    /// How long to wait, and when to try again.
    pub retry: RetryConfig,
    /// The memory that the program may use, in bytes. It decides how many bodies are under
    /// way at once.
    pub memory_bytes: u64,
    /// The largest object, in bytes, that is copied in one request; larger ones are copied
    /// in parts. S3 allows no more than 5 GiB, other servers may allow less.
    pub max_copy_bytes: u64,
    /// How many requests are under way at once, in all stacks that are made of clones of this.
    pub limits: Limits,
    /// Where requests to this bucket are counted that cost something.
    pub charges: Arc<Charges>,
}

impl StackConfig {
    /// The stack for a server with the limits of S3.
    pub fn new(retry: RetryConfig, memory_bytes: u64) -> Self {
        let limits = Limits::new(memory_bytes);
        let (max_copy_bytes, charges) = (MAX_COPY_BYTES, Arc::default());
        StackConfig { retry, memory_bytes, max_copy_bytes, limits, charges }
    }
}

/// The stack over `store`, of whichever kind. Each attempt is counted in `stats`.
pub fn production_stack(
    store: Arc<dyn ObjectStore>,
    config: StackConfig,
    stats: Arc<Stats>,
) -> Arc<dyn ObjectStore> {
    let StackConfig { retry, memory_bytes, max_copy_bytes, limits, charges } = config;
    let metered = Arc::new(Meter::new(store, stats.clone(), charges));
    let limited = Arc::new(Limit::new(metered, limits));
    let checked = Arc::new(CheckConditions::new(limited));
    let retried = Arc::new(Retry::new(checked, retry, stats));
    let respelled = Arc::new(Respell::new(retried));
    Arc::new(LargeCopies::new(respelled, max_copy_bytes, writes_at_once(memory_bytes)))
}

/// The stack of a cache over `store`: each request is one attempt, and its limits are its own, so
/// that it never takes the place of what a program waits for.
pub fn cache_stack(
    store: Arc<dyn ObjectStore>,
    memory_bytes: u64,
    stats: Arc<Stats>,
) -> Arc<dyn ObjectStore> {
    let metered = Arc::new(Meter::new(store, stats, Arc::default()));
    let limited = Arc::new(Limit::new(metered, Limits::new(memory_bytes)));
    Arc::new(CheckConditions::new(limited))
}
