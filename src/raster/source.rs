//! Where the bytes of an image come from.

use std::error::Error;
use std::fmt::{self, Debug};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

/// Why bytes could not be read; whoever made the source knows what is inside.
pub type SourceError = Arc<dyn Error + Send + Sync>;

/// What takes bytes as they come: where they belong, and the bytes.
pub type Take = dyn Fn(u64, &[u8]) -> io::Result<()> + Send + Sync;

/// A file that lies beside an image and belongs to it: it has the image's name, with an ending
/// of its own behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Beside {
    /// Smaller versions of the image.
    Overviews,
    /// Which of its pixels are valid.
    Mask,
    /// Smaller versions of that.
    MaskOverviews,
}

impl Beside {
    /// All of them, each behind the one that it [belongs](Beside::of) to.
    pub const ALL: [Beside; 3] = [Beside::Overviews, Beside::Mask, Beside::MaskOverviews];

    /// The other file without which it says nothing of the image.
    pub fn of(self) -> Option<Beside> {
        match self {
            Beside::Overviews | Beside::Mask => None,
            Beside::MaskOverviews => Some(Beside::Mask),
        }
    }

    /// What its name has behind the image's.
    pub fn suffix(self) -> &'static str {
        match self {
            Beside::Overviews => ".ovr",
            Beside::Mask => ".msk",
            Beside::MaskOverviews => ".msk.ovr",
        }
    }
}

/// What is found out about an image once, and remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum About {
    /// Where its tile-parts are.
    TileParts,
    /// Where the packets of a tile are.
    Packets(u32),
}

impl fmt::Display for About {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            About::TileParts => to.write_str("tile-parts"),
            About::Packets(tile) => write!(to, "packets of tile {tile}"),
        }
    }
}

/// Memory that is counted until this is dropped.
pub type Kept = Box<dyn Debug + Send + Sync>;

/// The bytes of one version of one object.
#[async_trait]
pub trait Source: Send + Sync + Debug {
    /// The object's size in bytes.
    fn size(&self) -> u64;

    /// A file beside this one, in the version that it has while this one is read; `None` if
    /// there is none. Costs nothing.
    fn beside(&self, _which: Beside) -> Option<Arc<dyn Source>> {
        None
    }

    /// The bytes of a range that lies within the size; all of them, or an error.
    /// Costs at most one request, so callers ask for neighbours together.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError>;

    /// As [`Source::read`], but takes what is in memory and leaves what it fetches there, for
    /// as long as there is room: for small pieces that this or somebody else, who reads the
    /// object as it is, will want again. Sources that cost nothing just read.
    async fn read_kept(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        self.read(range).await
    }

    /// What [`Source::remember`] was given of this version, perhaps in an earlier life; it may
    /// be of another one, or damaged.
    async fn recall(&self, _about: About) -> Option<Bytes> {
        None
    }

    /// Keeps a few bytes about this version in place of those before, if there is a place for them.
    fn remember(&self, _about: About, _known: Bytes) {}

    /// Counts memory that is kept of what was read, until what is returned is dropped; `None` where
    /// nobody counts.
    fn count(&self, _bytes: u64) -> Option<Kept> {
        None
    }

    /// Hands out all bytes as they come, each piece with its offset, in any order. If this
    /// fails, what was handed out is worth nothing.
    async fn copy_to(&self, take: &Take) -> Result<(), SourceError> {
        let bytes = self.read(0..self.size()).await?;
        take(0, &bytes).map_err(|error| Arc::new(error) as SourceError)
    }
}
