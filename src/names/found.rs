//! The answer to a question for a name.

use std::time::Duration;

use super::thing::Thing;
use crate::catalog::Lookup;

/// What a name stands for, and how long that holds.
#[derive(Debug, Clone)]
pub struct Found {
    /// What it stands for, if for anything.
    pub thing: Option<Thing>,
    /// How long the answer holds.
    pub ttl: Duration,
    /// Whether a program deleted it.
    pub is_hidden: bool,
}

impl Found {
    /// The name stands for this.
    pub fn thing(thing: Thing, ttl: Duration) -> Self {
        Found { thing: Some(thing), ttl, is_hidden: false }
    }

    /// There is no such name.
    pub fn missing(ttl: Duration) -> Self {
        Found { thing: None, ttl, is_hidden: false }
    }

    /// Whether nothing else may have the name: neither a sibling nor a new file.
    pub(super) fn is_final(&self) -> bool {
        self.thing.is_some() || self.is_hidden
    }
}

impl From<Lookup> for Found {
    fn from(found: Lookup) -> Self {
        Found { thing: found.node.map(Thing::from), ttl: found.ttl, is_hidden: false }
    }
}
