//! Waiting for what comes about by itself.

use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes as long as this, unless it hangs.
pub(crate) const FOREVER: Duration = Duration::from_secs(60);

/// Waits until something has come about.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < FOREVER, "{what} did not come about");
        thread::sleep(Duration::from_millis(5));
    }
}
