//! What a server was asked for of the kind that costs something: of one bucket, where there
//! are several, since prices are those of its region.

use std::collections::BTreeMap;

use super::classes::{ByClass, ClassReads};
use super::counter::Counter;

/// The counters of one bucket, each attempt counted.
#[derive(Debug, Default)]
pub struct Charges {
    /// Pages of listings.
    pub list_requests: Counter,
    /// HEADs.
    pub head_requests: Counter,
    /// GETs, answered or not.
    pub get_requests: Counter,
    /// Requests that write.
    pub put_requests: Counter,
    /// What was read of each storage class.
    pub classes: ByClass,
}

/// What was counted at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Charged {
    /// Pages of listings.
    pub list_requests: u64,
    /// HEADs.
    pub head_requests: u64,
    /// All GETs, answered or not.
    pub get_requests: u64,
    /// Requests that write.
    pub put_requests: u64,
    /// What was read, by storage class.
    pub read: BTreeMap<String, ClassReads>,
}

impl Charges {
    /// What was counted so far.
    pub fn charged(&self) -> Charged {
        Charged {
            list_requests: self.list_requests.get(),
            head_requests: self.head_requests.get(),
            get_requests: self.get_requests.get(),
            put_requests: self.put_requests.get(),
            read: self.classes.reads(),
        }
    }
}

impl Charged {
    /// What is left of it without `part`; nothing of what `part` has more of.
    pub fn without(mut self, part: &Charged) -> Charged {
        for (of, less) in [
            (&mut self.list_requests, part.list_requests),
            (&mut self.head_requests, part.head_requests),
            (&mut self.get_requests, part.get_requests),
            (&mut self.put_requests, part.put_requests),
        ] {
            *of = of.saturating_sub(less);
        }
        for (class, less) in &part.read {
            if let Some(reads) = self.read.get_mut(class) {
                reads.requests = reads.requests.saturating_sub(less.requests);
                reads.bytes = reads.bytes.saturating_sub(less.bytes);
            }
        }
        self.read.retain(|_, reads| *reads != ClassReads::default());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_never_less_than_nothing() {
        let charges = Charges::default();
        charges.list_requests.add(2);
        charges.get_requests.add(3);
        charges.classes.note_request(None);
        charges.classes.note_bytes(None, 10);
        let all = charges.charged();
        let part = Charged { list_requests: 5, get_requests: 1, ..Charged::default() };
        let left = all.clone().without(&part);
        assert_eq!((left.list_requests, left.get_requests, left.read.len()), (0, 2, 1));
        assert_eq!(all.clone().without(&all), Charged::default());
    }
}
