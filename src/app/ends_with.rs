//! A daemon that ends when another process does, however that one ends.

use std::io;
use std::thread;

use crate::sys::{self, Process};

/// Asks this process to end, by SIGTERM, as soon as one of `processes` is gone.
///
/// # Errors
/// The kernel does not let anybody wait for other processes' end (before Linux 5.3).
pub(super) fn watch(processes: &[u32]) -> io::Result<()> {
    for process in processes {
        let process = match Process::open(*process) {
            Ok(process) => Some(process),
            // Gone already.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => None,
            Err(error) => return Err(error),
        };
        let wait = move || {
            // Only fails where nothing can be waited for.
            while process.as_ref().is_some_and(|process| !process.wait(None).unwrap_or(true)) {}
            let _ = sys::signal(std::process::id(), libc::SIGTERM);
        };
        thread::Builder::new().name("ends-with".into()).spawn(wait)?;
    }
    Ok(())
}
