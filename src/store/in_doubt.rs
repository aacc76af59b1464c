//! What was sent and never answered, for each key.
//!
//! Contract: remembers of a write whose outcome nobody knows what tells its object from
//! others, until the state of the key is known. A later write to the key that is refused
//! can so be told from one that somebody else's object is in the way of. Bounded: of many
//! keys those that were noted longest ago are forgotten, and their refusals stand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ambiguous::Print;
use crate::key::ObjectKey;

/// How many keys are remembered, and how many writes to each.
const MOST_KEYS: usize = 1000;
const MOST_PRINTS: usize = 8;

/// A key, and its writes in doubt, the oldest first.
type Noted = (ObjectKey, Vec<Print>);

/// The writes in doubt. Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct InDoubt {
    /// The key that was noted last is at the end.
    keys: Arc<Mutex<VecDeque<Noted>>>,
}

impl InDoubt {
    /// Notes a write of which nobody knows whether it happened.
    pub(super) fn note(&self, key: &ObjectKey, print: Print) {
        let mut keys = self.lock();
        let place = keys.iter().position(|(noted, _)| noted == key);
        let mut prints = place.and_then(|at| keys.remove(at)).map_or_else(Vec::new, |(_, it)| it);
        if !prints.contains(&print) {
            prints.push(print);
        }
        if prints.len() > MOST_PRINTS {
            prints.remove(0);
        }
        if keys.len() >= MOST_KEYS {
            keys.pop_front();
        }
        keys.push_back((key.clone(), prints));
    }

    /// The writes to a key that are in doubt, the oldest first.
    pub(super) fn of(&self, key: &ObjectKey) -> Vec<Print> {
        let keys = self.lock();
        keys.iter().find(|(noted, _)| noted == key).map_or_else(Vec::new, |(_, it)| it.clone())
    }

    /// Notes that the state of a key is known.
    pub(super) fn forget(&self, key: &ObjectKey) {
        let mut keys = self.lock();
        if !keys.is_empty() {
            keys.retain(|(noted, _)| noted != key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Noted>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::{Condition, PutRequest};
    use super::*;

    fn print(number: usize) -> Print {
        Print::of_put(&PutRequest {
            key: ObjectKey::new("k"),
            body: Bytes::from(number.to_string()),
            content_type: None,
            condition: Condition::Absent,
        })
    }

    #[test]
    fn writes_in_doubt_are_remembered_until_the_key_is_known() {
        let (in_doubt, key, other) = (InDoubt::default(), ObjectKey::new("a"), ObjectKey::new("b"));
        for number in [1, 2, 1] {
            in_doubt.note(&key, print(number));
        }
        in_doubt.note(&other, print(3));
        assert_eq!(in_doubt.of(&key), [print(1), print(2)]);
        in_doubt.forget(&key);
        assert!(in_doubt.of(&key).is_empty());
        assert_eq!(in_doubt.of(&other), [print(3)]);
    }

    #[test]
    fn of_too_many_the_oldest_are_forgotten() {
        let in_doubt = InDoubt::default();
        let key = |number: usize| ObjectKey::new(number.to_string());
        for number in 0..=MOST_PRINTS {
            in_doubt.note(&key(0), print(number));
        }
        assert_eq!(in_doubt.of(&key(0)).len(), MOST_PRINTS);
        assert!(!in_doubt.of(&key(0)).contains(&print(0)));
        for number in 1..=MOST_KEYS {
            in_doubt.note(&key(number), print(1));
        }
        assert!(in_doubt.of(&key(0)).is_empty());
        assert_eq!(in_doubt.lock().len(), MOST_KEYS);
    }
}
