//! A daemon that is stopped for a while and goes on, as on a machine that is suspended.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A process that stands still until this goes, or until so many seconds are over. A program
/// of its own sees to that: whatever becomes of the test, nobody waits for ever who asks for a
/// file of the process.
#[derive(Debug)]
pub(crate) struct Stopped {
    process: Pid,
    watchdog: Child,
}

impl Stopped {
    /// Stops the process with this number, which is a child of ours, for at most so long.
    pub(crate) fn at_most(seconds: u32, process: u32) -> Self {
        let process = Pid::from_raw(process.try_into().unwrap()).unwrap();
        // Before, not afterwards. Not a word reaches the mount: it is another process that waits.
        let script = format!("sleep {seconds}; kill -s CONT {}", process.as_raw_pid());
        let mut watchdog = Command::new("/bin/sh");
        watchdog.args(["-c", &script]).current_dir("/");
        watchdog.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let stopped = Stopped { process, watchdog: watchdog.spawn().unwrap() };
        kill_process(process, Signal::STOP).unwrap();
        stopped
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill_process(self.process, Signal::CONT);
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
    }
}
