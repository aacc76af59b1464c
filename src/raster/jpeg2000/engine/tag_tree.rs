//! Tag trees (ITU-T T.800, B.10.2).

use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::packet::bits::BitReader;

/// A tag tree, of which a packet header tells the leaves bit by bit.
#[derive(Debug, Clone, Default)]
pub(crate) struct TagTree {
    /// Width of each level and the index of its first node, from the leaves to the root.
    levels: Vec<(u32, usize)>,
    /// Twice the value that a node has at least, and 1 more if that is its value.
    nodes: Vec<u32>,
}

/// The number of nodes of a tag tree.
#[must_use]
pub(crate) fn node_count(mut width: u32, mut height: u32) -> u64 {
    let mut count = 0;
    while width > 0 && height > 0 {
        count += u64::from(width) * u64::from(height);
        if width == 1 && height == 1 {
            break;
        }
        width = width.div_ceil(2);
        height = height.div_ceil(2);
    }
    count
}

impl TagTree {
    /// A tree of which nothing is known yet. The caller has limited its size.
    #[must_use]
    pub(crate) fn new(mut width: u32, mut height: u32) -> Self {
        let mut levels = Vec::new();
        let mut count = 0;
        while width > 0 && height > 0 {
            levels.push((width, count));
            count += width as usize * height as usize;
            if width == 1 && height == 1 {
                break;
            }
            width = width.div_ceil(2);
            height = height.div_ceil(2);
        }
        Self { levels, nodes: vec![0; count] }
    }

    /// Reads on until it is known whether the value of leaf (`x`, `y`) is less than `threshold`; tells the value if so.
    pub(crate) fn read(
        &mut self,
        bits: &mut BitReader<'_>,
        x: u32,
        y: u32,
        threshold: u32,
    ) -> Result<Option<u32>> {
        let mut least = 0;
        for (depth, &(width, first)) in self.levels.iter().enumerate().rev() {
            let at = first + (y >> depth) as usize * width as usize + (x >> depth) as usize;
            let Some(node) = self.nodes.get_mut(at) else {
                return Err(Error::corrupt("a leaf outside its tag tree"));
            };
            let mut value = (*node >> 1).max(least);
            let mut known = *node & 1 == 1;
            while !known && value < threshold {
                if bits.bit()? {
                    known = true;
                } else {
                    value += 1;
                }
            }
            *node = value << 1 | u32::from(known);
            if value >= threshold {
                return Ok(None);
            }
            least = value;
        }
        Ok(Some(least))
    }
}

#[cfg(test)]
mod tests;
