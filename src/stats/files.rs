//! Which objects were read, how much, and for whom.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::counter::Counter;

/// So many objects are told apart, those that were used last.
const FILES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// So many programs are named of each, those that opened it last.
const PROGRAMS: usize = 4;

/// A program that has opened a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its process; 0 if it can't be seen from here.
    pub pid: u32,
    /// Its name, when it opened the file.
    pub name: String,
}

/// What was done with one object.
#[derive(Debug, Default)]
pub struct FileUse {
    /// GETs sent for it, each attempt counted.
    pub get_requests: Counter,
    /// Bytes of it that arrived.
    pub get_bytes: Counter,
    /// How often programs opened it or one of its siblings.
    pub opens: Counter,
    /// Bytes of it and of its siblings that programs were given; not those that the kernel
    /// had kept.
    pub read_bytes: Counter,
    size_bytes: AtomicU64,
    programs: Mutex<VecDeque<Program>>,
}

impl FileUse {
    /// Notes that a program opens the file, and how large it is.
    pub fn note_open(&self, program: Program, size_bytes: u64) {
        self.opens.add(1);
        self.size_bytes.store(size_bytes, Ordering::Relaxed);
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.retain(|known| *known != program);
        programs.push_front(program);
        programs.truncate(PROGRAMS);
    }

    /// How large it was when it was opened last, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Relaxed)
    }

    /// The programs that opened it last, the last one first.
    pub fn programs(&self) -> Vec<Program> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// The objects that were used, by their keys.
#[derive(Debug)]
pub struct Files(Mutex<LruCache<String, Arc<FileUse>>>);

impl Default for Files {
    fn default() -> Self {
        Files(Mutex::new(LruCache::new(FILES)))
    }
}

impl Files {
    /// What is counted of an object, from nothing if it was not used before.
    pub fn of(&self, key: &str) -> Arc<FileUse> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.get_or_insert_ref(key, Arc::default).clone()
    }

    /// The objects by how much of them arrived, the most first; what never left memory by how
    /// much programs were given of it.
    pub fn busiest(&self) -> Vec<(String, Arc<FileUse>)> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = files.iter().map(|(key, used)| (key.clone(), used.clone())).collect();
        drop(files);
        let weight = |used: &FileUse| (used.get_bytes.get(), used.read_bytes.get());
        all.sort_by(|(one, first), (other, second)| {
            weight(second).cmp(&weight(first)).then_with(|| one.cmp(other))
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_come_first_and_the_oldest_are_forgotten() {
        let files = Files::default();
        for (key, bytes) in [("a", 1), ("b", 30), ("c", 30), ("d", 2)] {
            files.of(key).get_bytes.add(bytes);
        }
        let keys = || files.busiest().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(), ["b", "c", "d", "a"]);
        files.of("b").get_requests.add(1);
        assert_eq!(files.of("b").get_bytes.get(), 30, "it is the same one");
        (0..FILES.get()).for_each(|n| drop(files.of(&n.to_string())));
        assert_eq!(keys().len(), FILES.get());
        assert!(!keys().contains(&"b".to_owned()));
    }

    #[test]
    fn the_last_programs_are_named_once_each() {
        let used = FileUse::default();
        let open = |pid, name: &str| used.note_open(Program { pid, name: name.into() }, 7);
        (1..=6).for_each(|pid| open(pid, "cat"));
        open(4, "cat");
        open(4, "python3");
        let told: Vec<_> = used.programs().into_iter().map(|p| (p.pid, p.name)).collect();
        let expected = [(4, "python3"), (4, "cat"), (6, "cat"), (5, "cat")];
        assert_eq!(told, expected.map(|(pid, name)| (pid, name.to_owned())));
        assert_eq!((used.opens.get(), used.size_bytes()), (8, 7));
    }
}
