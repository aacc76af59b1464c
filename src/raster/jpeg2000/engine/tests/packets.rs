//! The encoder's packets: tag trees and headers (B.10).

use std::collections::HashMap;

/// Writes a packet header's bits.
#[derive(Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    byte: u8,
    left: u8,
    begun: bool,
}

impl BitWriter {
    pub(crate) fn bit(&mut self, bit: bool) {
        if !self.begun {
            self.left = 8;
            self.begun = true;
        }
        self.left -= 1;
        self.byte |= u8::from(bit) << self.left;
        if self.left == 0 {
            self.bytes.push(self.byte);
            self.left = if self.byte == 0xff { 7 } else { 8 };
            self.byte = 0;
        }
    }

    pub(crate) fn bits(&mut self, value: u32, count: u32) {
        (0..count).rev().for_each(|n| self.bit(value >> n & 1 == 1));
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let stuffed = self.bytes.last() == Some(&0xff);
        if self.begun && (self.left < if stuffed { 7 } else { 8 } || stuffed) {
            self.bytes.push(self.byte);
        }
        self.bytes
    }
}

/// A tag tree to be written: what its leaves are, and what of it is known to the reader.
pub(crate) struct TagWriter {
    values: HashMap<(u32, u32, u32), u32>,
    low: HashMap<(u32, u32, u32), (u32, bool)>,
    depth: u32,
}

impl TagWriter {
    pub(crate) fn new(width: u32, height: u32, leaves: &[u32]) -> Self {
        let mut values = HashMap::new();
        let mut depth = 0;
        while (width - 1) >> depth > 0 || (height - 1) >> depth > 0 {
            depth += 1;
        }
        for y in 0..height {
            for x in 0..width {
                let leaf = leaves[(y * width + x) as usize];
                for level in 0..=depth {
                    let node = values.entry((level, x >> level, y >> level)).or_insert(leaf);
                    *node = leaf.min(*node);
                }
            }
        }
        Self { values, low: HashMap::new(), depth }
    }

    pub(crate) fn write(&mut self, bits: &mut BitWriter, x: u32, y: u32, threshold: u32) {
        let mut least = 0;
        for level in (0..=self.depth).rev() {
            let key = (level, x >> level, y >> level);
            let value = self.values[&key];
            let (low, known) = self.low.entry(key).or_insert((0, false));
            *low = least.max(*low);
            while *low < threshold && !*known {
                if value <= *low {
                    *known = true;
                    bits.bit(true);
                } else {
                    bits.bit(false);
                    *low += 1;
                }
            }
            least = *low;
        }
    }
}

/// Writes the number of new passes (Table B.4).
pub(crate) fn write_passes(bits: &mut BitWriter, passes: u32) {
    match passes {
        1 => bits.bit(false),
        2 => bits.bits(0b10, 2),
        3..=5 => {
            bits.bits(0b11, 2);
            bits.bits(passes - 3, 2);
        }
        6..=36 => {
            bits.bits(0b1111, 4);
            bits.bits(passes - 6, 5);
        }
        _ => {
            bits.bits(0b1_1111_1111, 9);
            bits.bits(passes - 37, 7);
        }
    }
}

/// A code-block to be written: passes and bytes of its codeword segments, and how many passes are in the first layers.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockPlan {
    pub missing: u32,
    pub segments: Vec<(u32, Vec<u8>)>,
    /// Passes up to and with each layer.
    pub cuts: Vec<u32>,
    /// Whether the first part of a segment takes all of its bytes.
    pub upfront: bool,
}

/// A precinct's part of a sub-band to be written.
pub(crate) struct BandPlan {
    wide: u32,
    blocks: Vec<BlockPlan>,
    state: Option<(TagWriter, TagWriter)>,
    lblocks: Vec<u32>,
}

impl BandPlan {
    pub(crate) fn new(wide: u32, high: u32, blocks: Vec<BlockPlan>) -> Self {
        let layers =
            |b: &BlockPlan| b.cuts.iter().position(|&c| c > 0).unwrap_or(b.cuts.len()) as u32;
        let state = (wide > 0 && high > 0).then(|| {
            let inclusion: Vec<u32> = blocks.iter().map(layers).collect();
            let missing: Vec<u32> = blocks.iter().map(|b| b.missing).collect();
            (TagWriter::new(wide, high, &inclusion), TagWriter::new(wide, high, &missing))
        });
        let lblocks = vec![3; blocks.len()];
        Self { wide, blocks, state, lblocks }
    }
}

/// Writes a packet: its header and its body.
pub(crate) fn write_packet(bands: &mut [BandPlan], layer: usize) -> (Vec<u8>, Vec<u8>) {
    let mut bits = BitWriter::default();
    let mut body = Vec::new();
    let before = |block: &BlockPlan| if layer == 0 { 0 } else { block.cuts[layer - 1] };
    let empty =
        bands.iter().all(|band| band.blocks.iter().all(|block| block.cuts[layer] == before(block)));
    bits.bit(!empty);
    if empty {
        return (bits.finish(), body);
    }
    for band in bands {
        let Some((inclusion, missing)) = &mut band.state else { continue };
        for (number, block) in band.blocks.iter().enumerate() {
            let (x, y) = (number as u32 % band.wide, number as u32 / band.wide);
            let (from, to) = (before(block), block.cuts[layer]);
            if from > 0 {
                bits.bit(to > from);
            } else {
                inclusion.write(&mut bits, x, y, layer as u32 + 1);
                if to > 0 {
                    (1..=block.missing + 1).for_each(|t| missing.write(&mut bits, x, y, t));
                }
            }
            if to == from {
                continue;
            }
            write_passes(&mut bits, to - from);
            let mut parts: Vec<(u32, &[u8])> = Vec::new();
            let mut first = 0;
            for (passes, bytes) in &block.segments {
                let (low, high) = (first.max(from), (first + passes).min(to));
                // The bytes are cut in proportion to the passes, or all come first.
                let cut = |pass: u32| {
                    if block.upfront && pass > first {
                        bytes.len()
                    } else {
                        bytes.len() * (pass - first) as usize / *passes as usize
                    }
                };
                if low < high {
                    parts.push((high - low, &bytes[cut(low)..cut(high)]));
                }
                first += passes;
            }
            let lblock = &mut band.lblocks[number];
            while parts
                .iter()
                .any(|(passes, bytes)| bytes.len() as u64 >= 1 << (*lblock + passes.ilog2()))
            {
                bits.bit(true);
                *lblock += 1;
            }
            bits.bit(false);
            for (passes, bytes) in parts {
                bits.bits(bytes.len() as u32, *lblock + passes.ilog2());
                body.extend_from_slice(bytes);
            }
        }
    }
    (bits.finish(), body)
}
