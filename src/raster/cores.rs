//! How many decoders work at once: one for each core, whatever they decode, which
//! also bounds the memory that they take.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

static CORES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Arc::new(Semaphore::new(cores))
});

/// The right to decode, held while decoding. Only a closed semaphore gives none,
/// and nobody closes this one.
pub(super) async fn permit() -> Option<OwnedSemaphorePermit> {
    Arc::clone(&CORES).acquire_owned().await.ok()
}

/// As [`permit`], and up to `more` others that nobody needs now.
pub(super) async fn permits(more: u64) -> Vec<OwnedSemaphorePermit> {
    let mut permits: Vec<_> = permit().await.into_iter().collect();
    while permits.len() as u64 <= more
        && let Ok(another) = Arc::clone(&CORES).try_acquire_owned()
    {
        permits.push(another);
    }
    permits
}
