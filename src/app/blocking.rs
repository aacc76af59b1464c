//! The thread for work that blocks, which is there before it is needed.
//!
//! Tokio ends such threads when they have nothing to do, and panics where none is left and the
//! system refuses to start one. With one that stays, work waits for its turn instead.

use std::time::Duration;

use tokio::runtime::Runtime;

/// Tokio ends a thread that had nothing to do for ten seconds.
const BEFORE_IT_ENDS: Duration = Duration::from_secs(4);

/// Starts a thread of this runtime for work that blocks, and never lets the last one end.
pub(super) fn keep_a_thread(runtime: &Runtime) {
    runtime.spawn(async {
        let mut ticks = tokio::time::interval(BEFORE_IT_ENDS);
        loop {
            ticks.tick().await;
            // Nothing to do is enough to be kept; it can't fail.
            let _ = tokio::task::spawn_blocking(|| ()).await;
        }
    });
}
