//! How many decoders work at once: one for each core, whatever they decode, which
//! also bounds the memory that they take.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

static CORES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Arc::new(Semaphore::new(cores))
});

/// How long cores were held so far, together.
static BUSY_MICROSECONDS: AtomicU64 = AtomicU64::new(0);

/// How long cores of this process were busy with decoding, together, in microseconds.
pub fn decoding_microseconds() -> u64 {
    BUSY_MICROSECONDS.load(Ordering::Relaxed)
}

/// A core that is there for one decoder.
#[derive(Debug)]
pub(super) struct Core {
    _permit: OwnedSemaphorePermit,
    since: Instant,
}

impl Core {
    fn new(permit: OwnedSemaphorePermit) -> Core {
        Core { _permit: permit, since: Instant::now() }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let microseconds = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        BUSY_MICROSECONDS.fetch_add(microseconds, Ordering::Relaxed);
    }
}

/// The right to decode, held while decoding. Only a closed semaphore gives none,
/// and nobody closes this one.
pub(super) async fn permit() -> Option<Core> {
    Arc::clone(&CORES).acquire_owned().await.ok().map(Core::new)
}

/// As [`permit`], and up to `more` others that nobody needs now.
pub(super) async fn permits(more: u64) -> Vec<Core> {
    let mut permits: Vec<_> = permit().await.into_iter().collect();
    while permits.len() as u64 <= more
        && let Ok(another) = Arc::clone(&CORES).try_acquire_owned()
    {
        permits.push(Core::new(another));
    }
    permits
}
