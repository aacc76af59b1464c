//! A sign of life of the daemon, so that `s3mem umount` can wait until it has ended.
//!
//! The daemon listens on a socket with an abstract name (no file; the kernel
//! forgets it with the process) made of the mount's device number, and never
//! answers. Whoever connects hears from the kernel when the process is gone.

use std::io::{self, Read};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;

/// Held by a daemon for as long as it lives.
#[derive(Debug)]
pub(super) struct Presence {
    _listener: UnixListener,
}

impl Presence {
    /// Shows that this process serves the mount with this device number.
    pub(super) fn announce(device: &str) -> io::Result<Presence> {
        Ok(Presence { _listener: UnixListener::bind_addr(&name(device)?)? })
    }
}

/// Somebody else's daemon, to wait for.
#[derive(Debug)]
pub(super) struct Daemon(UnixStream);

impl Daemon {
    /// The daemon that serves the mount with this device number; `None` if it shows
    /// no sign of life, because it is dead or lives in another container.
    pub(super) fn of(device: &str) -> Option<Daemon> {
        UnixStream::connect_addr(&name(device).ok()?).ok().map(Daemon)
    }

    /// Waits until the daemon has ended; `false` when it has not by then.
    pub(super) fn wait(mut self, timeout: Duration) -> bool {
        if self.0.set_read_timeout(Some(timeout)).is_err() {
            return false;
        }
        let in_time = |error: io::Error| {
            !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        };
        // It never writes: an end or a reset is all that can come.
        self.0.read_exact(&mut [0]).err().is_none_or(in_time)
    }
}

fn name(device: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("s3mem/mount/{device}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_waited_for_until_it_is_gone() {
        let device = format!("test:{}", std::process::id());
        assert!(Daemon::of(&device).is_none());
        let presence = Presence::announce(&device).unwrap();
        assert!(!Daemon::of(&device).unwrap().wait(Duration::from_millis(10)));
        let waiting = Daemon::of(&device).unwrap();
        drop(presence);
        assert!(waiting.wait(Duration::from_secs(10)));
        assert!(Daemon::of(&device).is_none());
    }
}
