//! What a worker takes from itself before it sees the first byte of anybody's file.
//!
//! Mechanism: limits of the process (no files, no core, a bound on memory), then Landlock
//! (no path can be opened), then seccomp (only calls that a decoder needs; all others
//! fail with EPERM). Then it tries what it must not be able to do, and says what came of
//! it: a kernel that ignores one of these is noticed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::process::{Command, Stdio};

use landlock::{ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetStatus};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use serde::{Deserialize, Serialize};

use crate::sys;

/// The socket, three standard streams, a file and its pixels.
const DESCRIPTORS: u64 = 16;

/// How well a worker is confined, as it has tried itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Whether it can open a file.
    pub opens_files: bool,
    /// Whether it can make a socket.
    pub has_network: bool,
    /// Whether it can start a process.
    pub starts_processes: bool,
    /// Whether the kernel holds Landlock's rules too.
    pub has_landlock: bool,
}

impl Confinement {
    /// Whether it can do nothing that a decoder need not do.
    pub fn is_complete(&self) -> bool {
        !(self.opens_files || self.has_network || self.starts_processes)
    }
}

/// Confines this process for good: it may have up to `memory_bytes` of address space.
pub(super) fn confine(memory_bytes: u64) -> Confinement {
    // What fails here is seen by what is tried below.
    let limits = [
        (Resource::As, memory_bytes),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Nproc, 0),
    ];
    for (resource, most) in limits {
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
    let _ = sys::hide_memory();
    let has_landlock = forbid_paths().unwrap_or(false);
    let _ = forbid_calls();
    Confinement {
        opens_files: File::open("/proc/self/stat").is_ok() || File::open("/").is_ok(),
        has_network: UdpSocket::bind("127.0.0.1:0").is_ok(),
        starts_processes: starts_a_process(),
        has_landlock,
    }
}

fn starts_a_process() -> bool {
    let mut program = Command::new("/proc/self/exe");
    program.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    program.status().is_ok()
}

/// Has every path be refused.
fn forbid_paths() -> Result<bool, landlock::RulesetError> {
    let all = AccessFs::from_all(ABI::V5);
    let status = Ruleset::default().handle_access(all)?.create()?.restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// Has every call be refused that a decoder does not need.
fn forbid_calls() -> Result<(), Box<dyn std::error::Error>> {
    let anything = [
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_recvfrom,
        libc::SYS_recvmsg,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_close,
        libc::SYS_fcntl,
        libc::SYS_fstat,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_getrusage,
        libc::SYS_clock_gettime,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        anything.into_iter().map(|call| (call, Vec::new())).collect();
    let is = |argument, value| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    };
    let lacks = |argument, bit: u64| {
        let masked = SeccompCmpOp::MaskedEq(bit);
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, masked, 0)
    };
    // Memory, but none that can be run; signals and limits, but only its own.
    let executable = libc::PROT_EXEC as u64;
    let own = u64::from(std::process::id());
    for (call, condition) in [
        (libc::SYS_mmap, lacks(2, executable)?),
        (libc::SYS_mprotect, lacks(2, executable)?),
        (libc::SYS_tgkill, is(0, own)?),
        (libc::SYS_prlimit64, is(0, 0)?),
    ] {
        rules.insert(call, vec![SeccompRule::new(vec![condition])?]);
    }
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let machine = std::env::consts::ARCH.try_into()?;
    let filter: BpfProgram =
        SeccompFilter::new(rules, refuse, SeccompAction::Allow, machine)?.try_into()?;
    seccompiler::apply_filter(&filter)?;
    Ok(())
}

/// Lets this process have `memory_bytes` of address space and `seconds` more of the
/// processor for what it does next.
pub(super) fn allow(memory_bytes: u64, seconds: u64) -> io::Result<()> {
    let current = |resource, value| {
        let most = rustix::process::getrlimit(resource).maximum;
        let value = most.map_or(value, |most| most.min(value));
        setrlimit(resource, Rlimit { current: Some(value), maximum: most })
    };
    current(Resource::As, memory_bytes)?;
    current(Resource::Cpu, sys::processor_seconds() + seconds)?;
    Ok(())
}
