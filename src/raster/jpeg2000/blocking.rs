//! Work on the processor, off the async threads, that ends soon after nobody waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// Tells the work that nobody waits for it.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does the work on another thread; it is to ask now and then whether it should stop.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> Result<T, RasterError> + Send + 'static,
) -> Result<T, RasterError> {
    let gone = Arc::new(AtomicBool::new(false));
    let _guard = Gone(Arc::clone(&gone));
    let work = move || {
        catch_unwind(AssertUnwindSafe(|| work(&gone)))
            .unwrap_or_else(|_| Err(corrupt("the decoder gave up on it")))
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(corrupt("the decoder was stopped")))
}
