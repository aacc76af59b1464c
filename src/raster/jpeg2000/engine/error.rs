//! What can go wrong, told apart so that a caller can act on it.

use std::fmt;
use std::ops::Range;

/// Why a codestream, a tile or a window could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// The bytes break a rule of the standard.
    Corrupt(String),
    /// The bytes are well-formed but use something that this decoder does not do.
    Unsupported(String),
    /// Decoding would exceed a limit that the caller set.
    Limit {
        /// What is limited.
        what: &'static str,
        /// How much the codestream asks for.
        asked: u64,
        /// How much the caller allows.
        allowed: u64,
    },
    /// A header goes on behind the bytes at hand: ask again with at least this many.
    Incomplete {
        /// The least number of bytes, counted from the start of the given slice, that takes the reader further.
        needed: u64,
    },
    /// The source does not hold bytes that the decoder needs.
    Absent {
        /// The tile-part, counted within the tile.
        part: usize,
        /// The bytes, counted from the first byte behind the tile-part's SOD marker.
        range: Range<u64>,
    },
    /// The tile-parts end before the last packet of the progression.
    MissingPackets {
        /// How many packets there are.
        found: u64,
    },
    /// A tile-part ends inside a packet.
    TruncatedPacket {
        /// The packet's number in the tile, from 0.
        packet: u64,
    },
    /// Bytes are left over behind the last packet of the progression.
    LeftOver {
        /// The tile-part, counted within the tile.
        part: usize,
        /// How many bytes.
        bytes: u64,
    },
    /// The caller cancelled the work.
    Cancelled,
}

/// The result of everything that reads a codestream.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Shorthand for [`Error::Corrupt`].
    pub(crate) fn corrupt(text: impl Into<String>) -> Self {
        Self::Corrupt(text.into())
    }

    /// Shorthand for [`Error::Unsupported`].
    pub(crate) fn unsupported(text: impl Into<String>) -> Self {
        Self::Unsupported(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt(text) => write!(f, "corrupt codestream: {text}"),
            Self::Unsupported(text) => write!(f, "unsupported codestream: {text}"),
            Self::Limit { what, asked, allowed } => {
                write!(f, "limit exceeded: {asked} {what}, of which {allowed} are allowed")
            }
            Self::Incomplete { needed } => write!(f, "the header needs at least {needed} bytes"),
            Self::Absent { part, range } => {
                write!(
                    f,
                    "bytes {}..{} of tile-part {part} are not at hand",
                    range.start, range.end
                )
            }
            Self::MissingPackets { found } => {
                write!(f, "the tile ends after packet {found}, before the last one")
            }
            Self::TruncatedPacket { packet } => {
                write!(f, "the tile-part ends inside packet {packet}")
            }
            Self::LeftOver { part, bytes } => {
                write!(f, "{bytes} bytes are left over behind the last packet, in tile-part {part}")
            }
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for Error {}
