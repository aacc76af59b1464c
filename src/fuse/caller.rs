//! Whether the program that made a call wants to end.
//!
//! The kernel tells a file system of a signal by FUSE_INTERRUPT, which the kernel library
//! refuses; after that the kernel sends none. What a thread has been sent is in /proc, where
//! the thread that waits for our answer is found by the number that came with its call.
//! Only threads of this process's PID namespace, and of those below it, have a number: of
//! all others nothing is known, and they wait as long as the request does.

use std::fs;

use crate::sys;

/// SIGINT, SIGTERM and SIGQUIT: a program that catches one is asked to end, too.
const ASKS: u64 = bit(2) | bit(15) | bit(3);
/// SIGKILL, which every signal becomes that ends all threads of a program.
const KILL: u64 = bit(9);
/// SIGCHLD, SIGCONT, SIGURG, SIGWINCH and the four that stop: they end nobody.
const HARMLESS: u64 = bit(17) | bit(18) | bit(23) | bit(28) | bit(19) | bit(20) | bit(21) | bit(22);
/// The flag of a thread that is on its way out.
const IS_EXITING: u64 = 0x4;
/// Which fields behind the name in `/proc/TID/stat` are the flags and the exit code.
const FLAGS: usize = 6;
const EXIT_CODE: usize = 49;

/// The thread that made a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller(u32);

impl Caller {
    /// The thread with this number, as the kernel gives it; 0 is one that we can't see.
    pub(super) fn new(thread: u32) -> Self {
        Caller(thread)
    }

    /// Whether a signal waits for it that ends it or asks it to, or has ended it, or it is
    /// gone, as whoever had the kernel read ahead may be; no if that can't be known. This may
    /// take as long as the call does: ask on a thread that answers nobody.
    pub(super) fn wants_to_end(self) -> bool {
        if self.0 == 0 {
            return false;
        }
        // The kernel may make us wait here for something that the thread holds while it waits
        // for an answer of ours.
        let told = |file| fs::read_to_string(format!("/proc/{}/{file}", self.0));
        match (told("status"), told("stat")) {
            (Ok(status), Ok(stat)) => has_fatal_signal(&status) || was_killed(&stat),
            // It may be hidden from us (`hidepid`).
            _ => !sys::is_alive(self.0),
        }
    }
}

const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// Whether `/proc/TID/status` shows a signal that ends the thread, or asks it to.
fn has_fatal_signal(status: &str) -> bool {
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or_default()
    };
    let waiting = mask("SigPnd:") | mask("ShdPnd:");
    let heard = waiting & !mask("SigBlk:") & !mask("SigIgn:");
    waiting & KILL != 0 || heard & !HARMLESS & (!mask("SigCgt:") | ASKS) != 0
}

/// Whether `/proc/TID/stat` shows a thread that a signal has ended, and that is closing
/// what it had open. One that ends by itself is waited for.
fn was_killed(stat: &str) -> bool {
    // The name, in parentheses, may have anything in it.
    let Some((_, fields)) = stat.rsplit_once(')') else { return false };
    let field = |at| fields.split_ascii_whitespace().nth(at).and_then(|text| text.parse().ok());
    let (flags, exit_code): (u64, u64) =
        (field(FLAGS).unwrap_or_default(), field(EXIT_CODE).unwrap_or_default());
    flags & IS_EXITING != 0 && exit_code & 0x7f != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(own: u64, shared: u64, blocked: u64, ignored: u64, caught: u64) -> String {
        format!(
            "Name:\tcat\nSigQ:\t0/1\nSigPnd:\t{own:016x}\nShdPnd:\t{shared:016x}\n\
             SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n"
        )
    }

    #[test]
    fn a_signal_counts_if_it_ends_the_program_or_asks_it_to() {
        let (hup, int, quit, kill, alarm, term) =
            (bit(1), bit(2), bit(3), bit(9), bit(14), bit(15));
        let all = u64::MAX;
        for (text, counts) in [
            (status(0, 0, 0, 0, 0), false),
            (status(kill, 0, all, all, all), true),
            // A core dump is not made a SIGKILL at once.
            (status(0, quit, 0, 0, 0), true),
            (status(0, int, 0, 0, int), true),
            (status(0, term, 0, 0, term), true),
            (status(0, int, int, 0, 0), false),
            (status(0, int, 0, int, 0), false),
            // Caught, these are mostly no wish to end: a daemon reads its settings again.
            (status(0, hup | alarm, 0, 0, hup | alarm), false),
            (status(0, hup, 0, 0, 0), true),
            (status(HARMLESS, HARMLESS, 0, 0, 0), false),
            (String::new(), false),
        ] {
            assert_eq!(has_fatal_signal(&text), counts, "{text}");
        }
    }

    #[test]
    fn a_thread_that_exits_counts_if_a_signal_ended_it() {
        let stat = |flags: u64, exit_code: u64| {
            let between = "0 ".repeat(EXIT_CODE - FLAGS - 1);
            format!("7 (a ) b) S 1 7 7 0 -1 {flags} {between}{exit_code}\n")
        };
        assert!(was_killed(&stat(IS_EXITING | 0x40_0000, 9)));
        // With the bit that says that there is a core.
        assert!(was_killed(&stat(IS_EXITING, 0x83)));
        assert!(!was_killed(&stat(IS_EXITING, 1 << 8)), "exit(1)");
        assert!(!was_killed(&stat(0x40_0000, 19)), "stopped");
        assert!(!was_killed(""));
    }

    #[test]
    fn a_running_thread_and_one_that_we_cannot_see_go_on_and_one_that_is_gone_does_not() {
        assert!(!Caller::new(std::process::id()).wants_to_end());
        assert!(!Caller::new(0).wants_to_end());
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        assert!(Caller::new(gone.id()).wants_to_end());
        // As this kernel writes it.
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        assert_eq!(own.rsplit_once(')').unwrap().1.split_ascii_whitespace().count(), EXIT_CODE + 1);
    }
}
