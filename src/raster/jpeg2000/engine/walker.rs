//! Finds the lengths of a tile's packets where no PLT tells them, by reading packet headers only.

use crate::raster::jpeg2000::engine::body::Body;
use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::options::Options;
use crate::raster::jpeg2000::engine::packet::walk::{Step, Walk};
use crate::raster::jpeg2000::engine::tile::Tile;
use crate::raster::jpeg2000::engine::window::Plan;

/// How far a [`Walker`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All packets that the plan needs are found.
    Done,
    /// The number of packets that the caller allowed is walked.
    Paused,
    /// The walker needs bytes from `offset` on in the body of tile-part `part`; those in front it needs no more.
    Wants {
        /// The tile-part.
        part: usize,
        /// Where the next packet begins.
        offset: u64,
    },
}

/// Walks from packet to packet from the start of a tile. It reads the headers and skips the bodies; packets whose lengths
/// are known it skips altogether.
#[derive(Debug)]
pub(crate) struct Walker<'t> {
    walk: Walk<'t>,
    options: &'t Options<'t>,
    lengths: Vec<Vec<u32>>,
    ended: bool,
}

impl<'t> Walker<'t> {
    /// A walker that stops as soon as it has found all packets of `plan`.
    #[must_use]
    pub(crate) fn new(tile: &'t Tile, plan: &'t Plan, options: &'t Options<'t>) -> Self {
        Self {
            walk: Walk::new(tile, plan, options).skipping(),
            options,
            lengths: Vec::new(),
            ended: false,
        }
    }

    /// Goes on by at most `packets` packets with the bytes at hand.
    ///
    /// # Errors
    /// What is wrong with a packet header, limits, and cancelling.
    pub(crate) fn advance(&mut self, body: &Body<'_>, packets: u64) -> Result<Progress> {
        for _ in 0..packets {
            if self.walk.is_satisfied() {
                return Ok(Progress::Done);
            }
            self.options.check()?;
            match self.walk.step(body)? {
                Step::Packet { part, length } => {
                    if self.lengths.len() <= part {
                        self.lengths.resize(part + 1, Vec::new());
                    }
                    let length = u32::try_from(length)
                        .map_err(|_| Error::corrupt("a packet of more than 4 GiB"))?;
                    if let Some(lengths) = self.lengths.get_mut(part) {
                        lengths.push(length);
                    }
                }
                Step::End => {
                    self.ended = true;
                    return Ok(Progress::Done);
                }
                Step::Wants { part, offset } => return Ok(Progress::Wants { part, offset }),
            }
        }
        Ok(if self.walk.is_satisfied() { Progress::Done } else { Progress::Paused })
    }

    /// The lengths found so far by tile-part, and whether they are all of the tile-part's, as
    /// [`Tile::set_lengths`] takes them.
    #[must_use]
    pub(crate) fn into_lengths(self) -> Vec<(Vec<u32>, bool)> {
        let last = self.lengths.len().saturating_sub(1);
        self.lengths
            .into_iter()
            .enumerate()
            .map(|(part, lengths)| (lengths, part < last || self.ended))
            .collect()
    }
}
