//! What was read of each storage class: they have prices of their own.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The class of objects of which nothing is said.
pub const STANDARD: &str = "STANDARD";
/// Servers can call a class what they like; of so many the names are kept.
const MOST_CLASSES: usize = 32;
const OTHERS: &str = "OTHERS";

/// What was read of a storage class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassReads {
    /// GETs that were answered with bytes.
    pub requests: u64,
    /// The bytes that came.
    pub bytes: u64,
}

/// What was read, by storage class.
#[derive(Debug, Default)]
pub struct ByClass(Mutex<BTreeMap<String, ClassReads>>);

impl ByClass {
    /// Notes a GET that was answered; nothing is said of the standard class.
    pub fn note_request(&self, class: Option<&str>) {
        with(&mut self.lock(), class, |reads| reads.requests += 1);
    }

    /// Notes bytes that came of an object.
    pub fn note_bytes(&self, class: Option<&str>, bytes: u64) {
        with(&mut self.lock(), class, |reads| reads.bytes += bytes);
    }

    /// What was read so far, by the name of the class.
    pub fn reads(&self) -> BTreeMap<String, ClassReads> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ClassReads>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn with(
    classes: &mut BTreeMap<String, ClassReads>,
    class: Option<&str>,
    note: impl FnOnce(&mut ClassReads),
) {
    let class = class.unwrap_or(STANDARD);
    if let Some(reads) = classes.get_mut(class) {
        return note(reads);
    }
    let name = if classes.len() < MOST_CLASSES { class } else { OTHERS };
    note(classes.entry(name.to_owned()).or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_told_apart_and_their_number_has_an_end() {
        let classes = ByClass::default();
        classes.note_request(None);
        classes.note_request(Some("STANDARD_IA"));
        classes.note_bytes(Some("STANDARD_IA"), 7);
        let reads = classes.reads();
        assert_eq!(reads[STANDARD], ClassReads { requests: 1, bytes: 0 });
        assert_eq!(reads["STANDARD_IA"], ClassReads { requests: 1, bytes: 7 });
        (0..100).for_each(|n| classes.note_request(Some(&n.to_string())));
        let reads = classes.reads();
        assert_eq!(reads.len(), MOST_CLASSES + 1);
        assert_eq!(reads.values().map(|reads| reads.requests).sum::<u64>(), 102);
    }
}
