//! Which program makes a call, as well as it can be known.

use std::fs;

use crate::publish::process_of;
use crate::stats::Program;

/// The program that a thread belongs to: its process and its name, as they are now. Neither
/// is known of one in another PID namespace (0 and no name), and a process that has ended by
/// now has no name.
pub(super) fn program_of(thread: u32) -> Program {
    if thread == 0 {
        return Program { pid: 0, name: String::new() };
    }
    let pid = process_of(thread);
    // Not its command line: the kernel may make us wait there for something that the thread
    // holds while it waits for us.
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Program { pid, name: name.trim_end_matches('\n').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_belongs_to_a_program_and_an_unseen_one_to_none() {
        let me = std::process::id();
        let name = fs::read_to_string("/proc/self/comm").unwrap().trim_end().to_owned();
        let in_thread = std::thread::spawn(move || {
            let own = fs::read_link("/proc/thread-self").unwrap();
            program_of(own.file_name().unwrap().to_str().unwrap().parse().unwrap())
        });
        assert_eq!(in_thread.join().unwrap(), Program { pid: me, name });
        assert_eq!(program_of(0), Program { pid: 0, name: String::new() });
    }
}
