//! What was counted, and what of it since somebody has begun anew.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::fleet;
use crate::reader::Ahead;
use crate::stats::{Charged, ClassReads, Distribution, FileUse, Program, RequestKind, Snapshot};

/// What was counted since the mount, or since then.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) all: Snapshot,
    pub(super) latencies: Vec<(RequestKind, Distribution)>,
    pub(super) classes: BTreeMap<String, ClassReads>,
    /// What each of several buckets was asked for, by its folder.
    pub(super) charged: BTreeMap<String, Charged>,
    pub(super) ahead: Ahead,
    /// How long decoders worked, wherever they are.
    pub(super) decoding: Duration,
    /// Changes that were refused for want of a flag.
    pub(super) refused: u64,
    /// What the shared cache did, where there is one.
    pub(super) shared: Option<fleet::Figures>,
    /// The objects that were used, the busiest first.
    pub(super) files: Vec<FileFigures>,
}

/// What was counted of one object.
#[derive(Debug, Clone)]
pub(super) struct FileFigures {
    pub(super) key: String,
    pub(super) get_requests: u64,
    pub(super) get_bytes: u64,
    pub(super) opens: u64,
    pub(super) size_bytes: u64,
    pub(super) read_bytes: u64,
    /// The programs that opened it last.
    pub(super) programs: Vec<Program>,
}

impl Counted {
    /// What of it was counted after `earlier`.
    pub(super) fn since(mut self, earlier: &Counted) -> Counted {
        self.all = self.all - earlier.all;
        for ((_, now), (_, before)) in self.latencies.iter_mut().zip(&earlier.latencies) {
            *now = now.since(before);
        }
        for (class, reads) in &mut self.classes {
            let before = earlier.classes.get(class).copied().unwrap_or_default();
            reads.requests = reads.requests.saturating_sub(before.requests);
            reads.bytes = reads.bytes.saturating_sub(before.bytes);
        }
        for (folder, charged) in &mut self.charged {
            if let Some(before) = earlier.charged.get(folder) {
                *charged = std::mem::take(charged).without(before);
            }
        }
        self.classes.retain(|_, reads| *reads != ClassReads::default());
        self.ahead = Ahead {
            fetched_bytes: self.ahead.fetched_bytes.saturating_sub(earlier.ahead.fetched_bytes),
            used_bytes: self.ahead.used_bytes.saturating_sub(earlier.ahead.used_bytes),
        };
        self.decoding = self.decoding.saturating_sub(earlier.decoding);
        self.refused = self.refused.saturating_sub(earlier.refused);
        self.shared = self.shared.zip(earlier.shared).map(|(now, before)| now - before);
        let before: HashMap<&str, &FileFigures> =
            earlier.files.iter().map(|file| (file.key.as_str(), file)).collect();
        for file in &mut self.files {
            if let Some(before) = before.get(file.key.as_str()) {
                file.take_away(before);
            }
        }
        self.files.retain(|file| file.is_used());
        let weight = |file: &FileFigures| std::cmp::Reverse((file.get_bytes, file.read_bytes));
        self.files.sort_by_key(weight);
        self
    }
}

impl FileFigures {
    pub(super) fn of(key: String, used: &FileUse) -> FileFigures {
        FileFigures {
            key,
            get_requests: used.get_requests.get(),
            get_bytes: used.get_bytes.get(),
            opens: used.opens.get(),
            size_bytes: used.size_bytes(),
            read_bytes: used.read_bytes.get(),
            programs: used.programs(),
        }
    }

    /// Whoever was forgotten in between, and is new, has counted less than before.
    fn take_away(&mut self, before: &FileFigures) {
        let figures = [
            (&mut self.get_requests, before.get_requests),
            (&mut self.get_bytes, before.get_bytes),
            (&mut self.opens, before.opens),
            (&mut self.read_bytes, before.read_bytes),
        ];
        if figures.iter().all(|(now, before)| **now >= *before) {
            figures.into_iter().for_each(|(now, before)| *now -= before);
        }
    }

    fn is_used(&self) -> bool {
        [self.get_requests, self.get_bytes, self.opens, self.read_bytes].iter().any(|n| *n > 0)
    }
}
