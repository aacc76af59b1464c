//! Several threads that share a list of jobs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::raster::jpeg2000::engine::error::{Error, Result};

/// Lets several threads work off a list; the first error ends the work.
///
/// Each thread has a tool of its own, and takes the last job that is left.
pub(crate) fn work_off<J: Send, T: Default>(
    threads: usize,
    jobs: Vec<J>,
    work: impl Fn(&mut T, J) -> Result<()> + Sync,
) -> Result<()> {
    let threads = threads.clamp(1, jobs.len().max(1));
    let queue = Mutex::new(jobs);
    let failed = AtomicBool::new(false);
    let run = || {
        let mut tool = T::default();
        while !failed.load(Ordering::Relaxed) {
            let next = queue.lock().map_or(None, |mut queue| queue.pop());
            let Some(job) = next else { return Ok(()) };
            let done = work(&mut tool, job);
            if done.is_err() {
                failed.store(true, Ordering::Relaxed);
                return done;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut result = run();
        for other in others {
            let done = other.join().unwrap_or_else(|_| Err(Error::corrupt("a thread failed")));
            result = result.and(done);
        }
        result
    })
}
