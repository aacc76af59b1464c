//! How long the kernel may believe what it is told, and how long we believe ourselves.
//!
//! | what | how long |
//! |---|---|
//! | a name of the bucket, or that there is none | what is left of `--metadata-ttl` for its listing |
//! | a missing name that a file written here could give a sibling to | not at all |
//! | a name that a program made, kept in memory | for ever |
//! | a name that a program made, published | `--metadata-ttl`: others may change the object |
//! | a sibling's name where programs may write | not at all: it goes with its image |
//! | a change that was made in the bucket, before a listing shows it | `--metadata-ttl` and a slack |
//! | attributes of a version | for ever: another version is another inode |
//! | attributes of what a program made | a second: the kernel knows the size that it writes |

use std::time::{Duration, Instant};

use super::thing::Thing;

/// The longest time that the kernel is told to believe something; stands for "for ever".
pub const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How long it believes the attributes of a file that programs write.
const DRAFT_ATTRIBUTES: Duration = Duration::from_secs(1);
/// A listing that began before a change and arrived after it may lack the change.
const LIST_SLACK: Duration = Duration::from_secs(5);

/// The rules for one mount.
#[derive(Debug, Clone, Copy)]
pub struct Ttl {
    /// How long a listing is believed; [`Duration::MAX`] for ever.
    metadata: Duration,
    writes: WritesGo,
}

/// Where what programs write goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WritesGo {
    /// Nothing may be written.
    Nowhere,
    /// It stays in memory.
    IntoMemory,
    /// It becomes an object when it is closed.
    IntoTheBucket,
}

impl Ttl {
    /// The rules where listings are believed for `metadata`.
    pub fn new(metadata: Duration, writes: WritesGo) -> Self {
        Ttl { metadata, writes }
    }

    /// How long it holds that a name is missing; `left` is what its listing has left, and
    /// `is_sibling` says that a file of another name could make it a sibling.
    pub fn missing(self, left: Duration, is_sibling: bool) -> Duration {
        match is_sibling && self.writes != WritesGo::Nowhere {
            true => Duration::ZERO,
            false => left.min(LONGEST),
        }
    }

    /// How long a listing is believed.
    pub fn listing(self) -> Duration {
        self.metadata
    }

    /// Whether what programs write becomes objects.
    pub(super) fn is_published(self) -> bool {
        self.writes == WritesGo::IntoTheBucket
    }

    /// How long a name that a program made is believed.
    pub fn draft(self) -> Duration {
        match self.writes {
            WritesGo::IntoTheBucket => self.metadata,
            WritesGo::Nowhere | WritesGo::IntoMemory => LONGEST,
        }
    }

    /// How long a name stands for a thing, whatever its listing says. When a program
    /// writes to an image or deletes it, the kernel can be told of its siblings only
    /// afterwards: so it asks for them each time.
    pub fn name(self, thing: &Thing) -> Duration {
        match thing {
            Thing::Sibling(_) if self.writes != WritesGo::Nowhere => Duration::ZERO,
            thing => Self::attributes(thing),
        }
    }

    /// How long attributes hold.
    pub fn attributes(thing: &Thing) -> Duration {
        match thing {
            Thing::Dir(_) | Thing::Object(_) => LONGEST,
            Thing::Sibling(sibling) if sibling.original.version().is_some() => LONGEST,
            Thing::Sibling(_) => Duration::ZERO,
            Thing::Draft(_) => DRAFT_ATTRIBUTES,
        }
    }

    /// Until when a change that was made in the bucket at `since` is known better here
    /// than from a listing; `None` for ever.
    pub fn known_until(self, since: Instant) -> Option<Instant> {
        since.checked_add(self.metadata.checked_add(LIST_SLACK)?)
    }
}
