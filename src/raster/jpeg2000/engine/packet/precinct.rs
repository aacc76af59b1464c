//! What is known of a precinct's code-blocks, and the packet headers that tell it (B.10.2 to B.10.7).

use super::bits::BitReader;
use super::{read_passes, segment_room};
use crate::raster::jpeg2000::engine::code_block::Style;
use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::geometry::{Orientation, Rect, Resolution};
use crate::raster::jpeg2000::engine::tag_tree::{TagTree, node_count};

/// No chunk.
const NONE: u32 = u32::MAX;

/// The bytes that one packet contributes to one codeword segment of a code-block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The tile-part that holds them.
    pub part: u32,
    /// The number of bytes.
    pub length: u32,
    /// Where they begin in the tile-part's body.
    pub offset: u64,
    /// The number of coding passes.
    pub passes: u16,
    /// Whether a codeword segment begins here.
    pub begins: bool,
    next: u32,
}

/// What is known of a code-block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// Coding passes up to the layer read last.
    pub passes: u16,
    /// Of these, passes of which nothing is coded (T.814).
    pub placeholders: u16,
    /// Bit-planes without a significant coefficient.
    pub missing_bit_planes: u8,
    lblock: u8,
    first: u32,
    last: u32,
}

impl Default for Block {
    fn default() -> Self {
        Self {
            passes: 0,
            placeholders: 0,
            missing_bit_planes: 0,
            lblock: 3,
            first: NONE,
            last: NONE,
        }
    }
}

/// A precinct's part of a sub-band.
#[derive(Debug, Clone)]
pub(crate) struct PrecinctBand {
    /// Which sub-band.
    pub orientation: Orientation,
    /// The precinct's part of it, on the sub-band's grid.
    pub rect: Rect,
    /// The columns and rows of its code-blocks, counted in the whole plane.
    pub grid: Rect,
    /// Magnitude bit-planes: Mb and the shift of the region of interest.
    pub bit_planes: u8,
    inclusion: TagTree,
    missing: TagTree,
    /// The code-blocks in raster order.
    pub blocks: Vec<Block>,
}

/// A precinct: the state that its packets' headers build up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Precinct {
    /// Its parts of the resolution's sub-bands.
    pub bands: Vec<PrecinctBand>,
    chunks: Vec<Chunk>,
}

/// What a packet holds of one codeword segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contribution {
    band: u8,
    block: u32,
    length: u32,
    passes: u16,
    begins: bool,
}

impl Precinct {
    /// The number of code-blocks, or rather of what must be kept for them, of a precinct that is not made yet.
    pub(crate) fn weigh(
        resolution: &Resolution,
        precinct: u32,
        bands: &[(Orientation, Rect, u8)],
    ) -> u64 {
        bands
            .iter()
            .map(|(_, rect, _)| {
                let grid = resolution.block_grid(&resolution.precinct_band_rect(precinct, rect));
                node_count(grid.width(), grid.height())
            })
            .sum()
    }

    /// The same of a precinct that is made.
    pub(crate) fn weight(&self) -> u64 {
        self.bands.iter().map(|band| node_count(band.grid.width(), band.grid.height())).sum()
    }

    /// A precinct of a resolution with the given sub-bands (with their rectangles and numbers of bit-planes).
    pub(crate) fn new(
        resolution: &Resolution,
        precinct: u32,
        bands: &[(Orientation, Rect, u8)],
    ) -> Self {
        let bands = bands
            .iter()
            .map(|&(orientation, rect, bit_planes)| {
                let rect = resolution.precinct_band_rect(precinct, &rect);
                let grid = resolution.block_grid(&rect);
                PrecinctBand {
                    orientation,
                    rect,
                    grid,
                    bit_planes,
                    inclusion: TagTree::new(grid.width(), grid.height()),
                    missing: TagTree::new(grid.width(), grid.height()),
                    blocks: vec![Block::default(); grid.width() as usize * grid.height() as usize],
                }
            })
            .collect();
        Self { bands, chunks: Vec::new() }
    }

    /// Reads the header of the precinct's packet of a layer, behind the bit that says that it is not empty. Fills
    /// `contributions` and returns the length of the packet's body.
    pub(crate) fn read_header(
        &mut self,
        bits: &mut BitReader<'_>,
        layer: u16,
        style: Style,
        contributions: &mut Vec<Contribution>,
    ) -> Result<u64> {
        contributions.clear();
        let mut total = 0;
        for (index, band) in (0u8..).zip(&mut self.bands) {
            let wide = band.grid.width();
            if band.grid.is_empty() {
                continue;
            }
            let (mut x, mut y) = (0, 0);
            for (number, block) in (0u32..).zip(&mut band.blocks) {
                if block.passes > 0 {
                    if bits.bit()? {
                        total += block.read(
                            bits,
                            style,
                            band.bit_planes,
                            index,
                            number,
                            contributions,
                        )?;
                    }
                } else if band.inclusion.read(bits, x, y, u32::from(layer) + 1)?.is_some() {
                    let missing = band.missing.read(bits, x, y, 255)?;
                    match missing.and_then(|missing| u8::try_from(missing).ok()) {
                        Some(missing) if missing <= band.bit_planes => {
                            block.missing_bit_planes = missing
                        }
                        _ => {
                            return Err(Error::corrupt(
                                "a code-block lacks more bit-planes than there are",
                            ));
                        }
                    }
                    total +=
                        block.read(bits, style, band.bit_planes, index, number, contributions)?;
                }
                x += 1;
                if x == wide {
                    x = 0;
                    y += 1;
                }
            }
        }
        Ok(total)
    }

    /// Notes where the bytes of a packet's contributions stand: one behind the other from `offset` on.
    pub(crate) fn attach(
        &mut self,
        contributions: &[Contribution],
        part: u32,
        mut offset: u64,
    ) -> Result<()> {
        for contribution in contributions {
            let chunk = Chunk {
                part,
                length: contribution.length,
                offset,
                passes: contribution.passes,
                begins: contribution.begins,
                next: NONE,
            };
            offset += u64::from(contribution.length);
            let number = u32::try_from(self.chunks.len()).ok().filter(|&n| n != NONE);
            let number = number.ok_or(Error::Limit {
                what: "codeword segments in a precinct",
                asked: u64::from(NONE),
                allowed: u64::from(NONE) - 1,
            })?;
            let block = self
                .bands
                .get_mut(usize::from(contribution.band))
                .and_then(|band| band.blocks.get_mut(contribution.block as usize));
            let Some(block) = block else { continue };
            if block.first == NONE {
                block.first = number;
            } else if let Some(last) = self.chunks.get_mut(block.last as usize) {
                last.next = number;
            }
            block.last = number;
            self.chunks.push(chunk);
        }
        Ok(())
    }

    /// The chunks of a code-block in order.
    pub(crate) fn chunks(&self, block: &Block) -> impl Iterator<Item = &Chunk> {
        let mut next = block.first;
        std::iter::from_fn(move || {
            let chunk = self.chunks.get(next as usize)?;
            next = chunk.next;
            Some(chunk)
        })
    }
}

impl Block {
    /// Reads the number of new passes and the lengths of their codeword segments (B.10.6, B.10.7).
    fn read(
        &mut self,
        bits: &mut BitReader<'_>,
        style: Style,
        bit_planes: u8,
        band: u8,
        block: u32,
        contributions: &mut Vec<Contribution>,
    ) -> Result<u64> {
        let mut passes = read_passes(bits)?;
        let most =
            (3 * u16::from(bit_planes.saturating_sub(self.missing_bit_planes))).saturating_sub(2);
        if self.passes + passes > most {
            return Err(Error::corrupt(format!(
                "a code-block has {} coding passes, but its bit-planes allow {most}",
                self.passes + passes
            )));
        }
        while bits.bit()? {
            self.lblock = self.lblock.checked_add(1).ok_or_else(too_long)?;
        }
        let mut total = 0;
        // T.814: whole sets of three in front of the first cleanup pass are placeholders.
        let placeholders = if style.ht && self.passes == 0 { (passes - 1) / 3 * 3 } else { 0 };
        self.placeholders += placeholders;
        while passes > 0 {
            let room = segment_room(style, self.passes);
            let begins = self.passes == 0 || segment_room(style, self.passes - 1) == 1;
            let new =
                if self.passes == 0 && style.ht { placeholders + 1 } else { room.min(passes) };
            let width = u32::from(self.lblock) + new.ilog2();
            if width > 32 {
                return Err(too_long());
            }
            let length = bits.bits(width)?;
            let coded = if self.passes == 0 { new - placeholders } else { new };
            contributions.push(Contribution { band, block, length, passes: coded, begins });
            self.passes += new;
            passes -= new;
            total += u64::from(length);
        }
        Ok(total)
    }
}

fn too_long() -> Error {
    Error::corrupt("a codeword segment of more than 4 GiB")
}
