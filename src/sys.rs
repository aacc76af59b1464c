//! The few calls to the kernel and the C library that Rust's own library lacks.
//!
//! Contract: each function is safe to call with any arguments, takes and returns
//! plain values, and reports failure as [`io::Error`]. The only module besides
//! `mem` with unsafe code.

#![expect(unsafe_code, reason = "libc calls; each block says why it is sound")]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The user in whose name this process acts; 0 is root.
pub fn effective_uid() -> u32 {
    // SAFETY: takes no arguments, touches no memory of ours and cannot fail.
    unsafe { libc::geteuid() }
}

/// The main group in whose name this process acts.
pub fn effective_gid() -> u32 {
    // SAFETY: takes no arguments, touches no memory of ours and cannot fail.
    unsafe { libc::getegid() }
}

/// Whether there is a thread of this number.
pub fn is_alive(thread: u32) -> bool {
    let Ok(thread @ 1..) = libc::pid_t::try_from(thread) else { return false };
    // SAFETY: takes numbers only, and signal 0 is none.
    let outcome = check(unsafe { libc::kill(thread, 0) });
    outcome.map_or_else(|error| error.raw_os_error() != Some(libc::ESRCH), |()| true)
}

/// Makes this process the leader of a session of its own, so that closing the
/// terminal or Ctrl-C in it no longer reaches this process.
pub fn start_session() -> io::Result<()> {
    // SAFETY: takes no arguments and touches no memory of ours.
    check(unsafe { libc::setsid() })
}

/// Puts `file` in the place of a standard stream (0, 1 or 2).
pub fn replace_stream(stream: i32, file: &File) -> io::Result<()> {
    if !(0..=2).contains(&stream) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: `file` keeps its descriptor open during the call. No Rust value owns
    // the standard streams, so nobody's descriptor is closed behind their back.
    check(unsafe { libc::dup2(file.as_raw_fd(), stream) })
}

/// Has this process have as many files open as it may at all. Programs are started
/// with less, since some keep lists of all descriptors that there could be.
pub fn allow_many_open_files() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes into `limit`, which lives until the call returns.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel reads from `limit`, which lives until the call returns.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })
}

/// Whether this process may mount by itself: as root, or in a user namespace of its own.
pub fn may_mount() -> bool {
    const SYS_ADMIN: u32 = 21;
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let digits = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let rights = digits.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    effective_uid() == 0 || rights.is_some_and(|rights| rights >> SYS_ADMIN & 1 == 1)
}

/// Gives this process a user namespace and mounts of its own, in which it may mount. Fails
/// where it has several threads.
pub fn leave_for_own_mounts() -> io::Result<()> {
    // SAFETY: changes what the process sees, and no memory.
    check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) })
}

/// Which namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// Users and rights.
    User,
    /// Mounts.
    Mount,
}

/// Moves this process into a namespace, given as its file in `/proc/PID/ns`. Fails where it
/// has several threads.
pub fn enter_namespace(file: &File, which: Namespace) -> io::Result<()> {
    let kind = match which {
        Namespace::User => libc::CLONE_NEWUSER,
        Namespace::Mount => libc::CLONE_NEWNS,
    };
    // SAFETY: `file` keeps its descriptor open; changes what the process sees, and no memory.
    check(unsafe { libc::setns(file.as_raw_fd(), kind) })
}

/// Whether programs that this process starts can gain rights, as `fusermount3` has to.
pub fn may_gain_rights() -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let flag = status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:"));
    flag.is_none_or(|flag| flag.trim() == "0")
}

/// Has this process get `signal` when the one that has started it ends.
pub fn signal_at_parents_end(signal: i32) -> io::Result<()> {
    let (signal, none) = (signal as libc::c_ulong, 0 as libc::c_ulong);
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, none, none, none) })
}

/// Has a command that is about to be started be killed when this process ends.
pub fn kill_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec it makes one call of the kernel, which takes numbers only.
    unsafe { command.pre_exec(|| signal_at_parents_end(libc::SIGKILL)) };
}

/// Sends a signal to a process.
pub fn signal(process: u32, signal: i32) -> io::Result<()> {
    let Ok(process @ 1..) = libc::pid_t::try_from(process) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    // SAFETY: takes numbers only.
    check(unsafe { libc::kill(process, signal) })
}

/// A process that is never taken for another one that gets its number. Needs Linux 5.3.
#[derive(Debug)]
pub struct Process(OwnedFd);

impl Process {
    /// The process that has this number now.
    pub fn open(id: u32) -> io::Result<Process> {
        let id = i32::try_from(id).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        Ok(Process(pidfd_open(id, PidfdFlags::empty())?))
    }

    /// Waits until it has ended, but no longer than `limit`, and says whether it has. A signal
    /// may end the waiting early.
    pub fn wait(&self, limit: Option<Duration>) -> io::Result<bool> {
        let limit = limit.map_or(-1, |limit| i32::try_from(limit.as_millis()).unwrap_or(i32::MAX));
        let mut asked = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: the kernel reads and writes the one `pollfd`, which lives until it returns.
        let found = unsafe { libc::poll(&raw mut asked, 1, limit) };
        match check(found) {
            Ok(()) => Ok(found > 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks it to end, by SIGTERM.
    pub fn terminate(&self) -> io::Result<()> {
        Ok(pidfd_send_signal(self.0.as_fd(), Signal::TERM)?)
    }
}

/// Whether the terminal's keys reach this process: it is one of those in the foreground.
pub fn is_in_foreground() -> bool {
    // SAFETY: takes numbers only, and no memory of ours is touched.
    unsafe { libc::tcgetpgrp(0) == libc::getpgrp() }
}

/// Keeps the memory of this process, and what it has open, from every other process but
/// root's, and from core dumps. Its files in `/proc` then belong to root.
pub fn hide_memory() -> io::Result<()> {
    let off: libc::c_ulong = 0;
    // SAFETY: only sets a flag of this process; no memory of ours is touched.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, off, off, off, off) })
}

/// Has files and folders that this process makes be its user's alone.
pub fn keep_new_files_private() {
    // SAFETY: only sets a number of this process, and cannot fail.
    unsafe { libc::umask(0o077) };
}

/// Has every descriptor but the standard streams, and the one `but`, closed in programs that
/// this process starts. Kernels before 5.11 do not know how; then nothing changes.
pub fn keep_descriptors_from_children(but: Option<u32>) {
    let ranges = match but {
        None => [Some((3, u32::MAX)), None],
        Some(one) => {
            let before = (one > 3).then(|| (3, one - 1));
            [before, Some((one.saturating_add(1).max(3), u32::MAX))]
        }
    };
    for (first, last) in ranges.into_iter().flatten() {
        // SAFETY: only sets a flag on descriptors: none is closed, and no memory is touched.
        // A failure leaves all as it was.
        let _ =
            unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) };
    }
}

/// Whether this descriptor, which another program has handed to this one, is a FUSE device.
///
/// # Errors
/// There is no such descriptor.
pub fn is_fuse_device(descriptor: u32) -> io::Result<bool> {
    // 10 is for what has no number of its own, 229 is FUSE.
    const FUSE: libc::dev_t = libc::makedev(10, 229);
    let mut told = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the kernel writes into `told`, which lives until the call returns.
    check(unsafe { libc::fstat(descriptor as i32, told.as_mut_ptr()) })?;
    // SAFETY: zeros are a valid `stat`, and the kernel has written one over them.
    let told = unsafe { told.assume_init() };
    Ok(told.st_mode & libc::S_IFMT == libc::S_IFCHR && told.st_rdev == FUSE)
}

/// Takes a FUSE device that another program has handed to this one. Programs that this one
/// starts don't get it.
///
/// # Errors
/// It is none, or one of the standard streams.
pub fn take_fuse_device(descriptor: u32) -> io::Result<OwnedFd> {
    if descriptor < 3 || !is_fuse_device(descriptor)? {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: touches no memory, and the descriptor is open.
    check(unsafe { libc::fcntl(descriptor as i32, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it is open, and is a FUSE device; nothing in this process opens one of them
    // before it mounts, so nobody here owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) })
}

/// Closes every descriptor but the standard streams. Kernels before 5.9 do not know how;
/// then nothing changes.
pub fn close_all_but_streams() {
    // SAFETY: touches no memory. Whoever owns a descriptor above 2 gets an error from it;
    // only a process that has just begun, and owns none, calls this.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0) };
}

/// Names this process, as `ps` and `top` show it; at most 15 bytes of the name are kept.
pub fn name_process(name: &CStr) {
    // SAFETY: the kernel reads a C string, which lives until the call returns.
    let _ = unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// How long this process has used the processor, in whole seconds, rounded up.
pub fn processor_seconds() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes into `usage`, which lives until the call returns.
    let done = check(unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) });
    if done.is_err() {
        return 0;
    }
    // SAFETY: zeros are a valid value, and the call has filled it in.
    let usage = unsafe { usage.assume_init() };
    let seconds = usage.ru_utime.tv_sec.saturating_add(usage.ru_stime.tv_sec);
    u64::try_from(seconds).unwrap_or(0) + 2
}

/// Keeps what is freed from staying with the process: the C library otherwise
/// gives each thread arenas of its own, and after the first large buffer that is
/// freed takes such buffers from them, where they leave holes.
pub fn keep_heap_small() {
    #[cfg(target_env = "gnu")]
    for (option, value) in [(libc::M_ARENA_MAX, 2), (libc::M_MMAP_THRESHOLD, 1 << 20)] {
        // SAFETY: only sets numbers of the allocator, which may be done at any time.
        // Where the C library knows no such option, nothing changes.
        let _ = unsafe { libc::mallopt(option, value) };
    }
}

/// Unmounts what is mounted on `mount_point`; with `lazily` it vanishes from the
/// tree at once and ends when its last user is gone. Needs to be root.
pub fn unmount(mount_point: &Path, lazily: bool) -> io::Result<()> {
    let path = CString::new(mount_point.as_os_str().as_bytes())?;
    let flags = libc::UMOUNT_NOFOLLOW | if lazily { libc::MNT_DETACH } else { 0 };
    // SAFETY: `path` is a C string that lives until the call returns.
    check(unsafe { libc::umount2(path.as_ptr(), flags) })
}

/// Has the kernel follow no symbolic link in the mount on `path`. Needs to be root, and
/// Linux 5.12.
pub fn forbid_symlinks(path: &Path) -> io::Result<()> {
    const NO_SYMLINKS: u64 = 0x0020_0000;
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attributes = Attributes { set: NO_SYMLINKS, clear: 0, propagation: 0, user_namespace: 0 };
    // SAFETY: the kernel reads the path, a C string, and as many bytes of `attributes` as
    // are given; both live until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Connects to the socket at `path` without waiting: one whose queue of connections is full
/// is [`io::ErrorKind::WouldBlock`]. The connection then waits as any other.
pub fn connect_at_once(path: &Path) -> io::Result<UnixStream> {
    let bytes = path.as_os_str().as_bytes();
    // SAFETY: a plain structure of numbers, for which zeros are a value.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    // A zero has to end the path.
    if bytes.len() >= address.sun_path.len() || bytes.contains(&0) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes numbers only.
    let socket = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
    check(socket)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    let stream = UnixStream::from(unsafe { OwnedFd::from_raw_fd(socket) });
    let length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes of `address`, which lives until the call
    // returns, as `stream` does, which keeps the descriptor open.
    check(unsafe { libc::connect(stream.as_raw_fd(), (&raw const address).cast(), length) })?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// In whose name the process at the other end of a socket acted when it connected, or
/// began to listen.
pub fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `peer`, which lives, as
    // `length` does, until the call returns; `stream` keeps its descriptor open.
    check(unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    })?;
    Ok(peer.uid)
}

/// Whether this process may write to `path`, as far as permissions say.
pub fn may_write(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: `path` is a C string that lives until the call returns.
    unsafe { libc::access(path.as_ptr(), libc::W_OK) == 0 }
}

/// Ends the process now: nothing is flushed, dropped or waited for.
pub fn exit_at_once(status: i32) -> ! {
    // SAFETY: does not return, so no state that it leaves is seen by anybody.
    unsafe { libc::_exit(status) }
}

/// Whether a log daemon listens.
pub fn has_syslog() -> bool {
    // Most take datagrams, some a stream; the C library speaks both.
    let is_taken = |error: &io::Error| error.raw_os_error() == Some(libc::EPROTOTYPE);
    let connected = UnixDatagram::unbound().and_then(|socket| socket.connect("/dev/log"));
    connected.map_or_else(|error| is_taken(&error), |()| true)
}

/// How grave a line in the system's log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Something failed.
    Error,
    /// Something may need attention.
    Warning,
    /// Something happened.
    Info,
    /// Something that only helps to find a fault.
    Debug,
}

/// Writes one line to the system's log under the name `s3mem` and the process id.
/// Does nothing where no log daemon listens.
pub fn syslog(severity: Severity, line: &str) {
    let priority = match severity {
        Severity::Error => libc::LOG_ERR,
        Severity::Warning => libc::LOG_WARNING,
        Severity::Info => libc::LOG_INFO,
        Severity::Debug => libc::LOG_DEBUG,
    };
    // A NUL would end the line early; lines are escaped before they get here.
    let Ok(line) = CString::new(line.replace('\0', "\\0")) else { return };
    // SAFETY: the identity is a static C string, which the C library keeps a pointer
    // to; the format consumes exactly the one C string that is passed, and both live
    // until the call returns. The C library locks inside.
    unsafe {
        libc::openlog(c"s3mem".as_ptr(), libc::LOG_PID, libc::LOG_DAEMON);
        libc::syslog(priority, c"%s".as_ptr(), line.as_ptr());
    }
}

/// The socket of systemd's journal, which takes events with fields.
pub const JOURNAL: &str = "/run/systemd/journal/socket";

/// Sends one event to the journal that listens at `socket`, with fields whose names are those of
/// environment variables. `false` if it could not be sent.
pub fn journal(socket: &Path, severity: Severity, fields: &[(String, String)]) -> bool {
    let priority = match severity {
        Severity::Error => libc::LOG_ERR,
        Severity::Warning => libc::LOG_WARNING,
        Severity::Info => libc::LOG_INFO,
        Severity::Debug => libc::LOG_DEBUG,
    };
    let mut event = format!("PRIORITY={priority}\nSYSLOG_IDENTIFIER=s3mem\n").into_bytes();
    for (name, value) in fields {
        event.extend(name.as_bytes());
        match value.contains('\n') {
            false => event.extend(format!("={value}\n").as_bytes()),
            // A value with lines comes with its length.
            true => {
                event.push(b'\n');
                event.extend((value.len() as u64).to_le_bytes());
                event.extend(format!("{value}\n").as_bytes());
            }
        }
    }
    UnixDatagram::unbound().and_then(|from| from.send_to(&event, socket)).is_ok()
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
