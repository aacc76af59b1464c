//! Calls of the kernel in the trace, where one is written.

use std::ffi::OsStr;

use super::FileSystem;
use super::program::program_of;
use crate::names::{Ino, ROOT};
use crate::stats::Span;

/// No path has more names.
const MOST_NAMES: usize = 256;

impl FileSystem {
    /// Notes in the trace that a thread makes a call about an inode, or a name in it, until what
    /// is returned is dropped; `None` where there is no trace.
    pub fn trace_call(
        &self,
        thread: u32,
        call: &'static str,
        (ino, name): (Ino, Option<&OsStr>),
        facts: &[(&'static str, u64)],
    ) -> Option<Span> {
        let trace = self.readers.stats.requests.trace()?;
        let path = self.path_of(ino, name);
        let short = path.rsplit('/').next().unwrap_or_default();
        let program = program_of(thread);
        let group = || match program.pid {
            0 => "the kernel, or a program that can't be seen".to_owned(),
            pid => format!("{} ({pid})", program.name),
        };
        let mut told = vec![("path", path.as_str().into())];
        told.extend(facts.iter().map(|(name, fact)| (*name, (*fact).into())));
        trace.begin(program.pid, group, &format!("{call} {short}"), told)
    }

    /// Where an inode is in the mount, as far as its directories are known.
    fn path_of(&self, ino: Ino, name: Option<&OsStr>) -> String {
        let mut names: Vec<String> =
            name.map(|name| name.to_string_lossy().into_owned()).into_iter().collect();
        let mut at = ino;
        while at != ROOT && names.len() < MOST_NAMES {
            let Ok((_, place)) = self.names.inodes().current(at) else { break };
            names.push(place.name);
            at = place.parent;
        }
        names.reverse();
        names.join("/")
    }
}
