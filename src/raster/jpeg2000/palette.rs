//! Images whose samples are numbers of colours (T.800 I.5.3.4, I.5.3.5).
//!
//! Contract: a palette is taken only where it gives exact pixels in an easy way:
//! one component holds the numbers, and all columns are unsigned and of the same
//! depth, up to 16 bits.

use super::window::{u8_at, u16_at};

/// The colours, and which of their columns are the channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Palette {
    /// Entry by entry, channel by channel.
    pub(super) values: Vec<u16>,
    pub(super) channels: usize,
    pub(super) depth: u8,
}

impl Palette {
    /// Reads a palette box and, if there is one, a component mapping box.
    pub(super) fn parse(columns: &[u8], mapping: Option<&[u8]>) -> Result<Palette, &'static str> {
        const CUT: &str = "its palette is cut short";
        let entries = usize::from(u16_at(columns, 0).ok_or(CUT)?);
        let width = usize::from(u8_at(columns, 2).ok_or(CUT)?);
        if entries == 0 || entries > 1024 || width == 0 {
            return Err("its palette has no right size");
        }
        let depths = columns.get(3..3 + width).ok_or(CUT)?;
        let depth = depths.first().copied().ok_or(CUT)?;
        if depths.iter().any(|other| *other != depth) || depth > 15 {
            return Err("its palette has signed, uneven or very deep columns");
        }
        let bytes = if depth < 8 { 1 } else { 2 };
        let value = |entry: usize, column: usize| {
            let at = 3 + width + (entry * width + column) * bytes;
            match bytes {
                1 => u8_at(columns, at).map(u16::from),
                _ => u16_at(columns, at),
            }
        };
        let order: Vec<usize> = match mapping {
            None => (0..width).collect(),
            Some(mapping) => mapping
                .chunks_exact(4)
                .map(|channel| match channel {
                    [0, 0, 1, column] if usize::from(*column) < width => Some((*column).into()),
                    _ => None,
                })
                .collect::<Option<_>>()
                .ok_or("not all of its channels come from the palette")?,
        };
        if order.is_empty() {
            return Err("its palette has no channels");
        }
        let mut values = Vec::with_capacity(entries * order.len());
        for entry in 0..entries {
            for column in &order {
                values.push(value(entry, *column).ok_or(CUT)?);
            }
        }
        Ok(Palette { values, channels: order.len(), depth: depth + 1 })
    }

    /// The number of the last colour.
    pub(super) fn last(&self) -> usize {
        (self.values.len() / self.channels.max(1)).saturating_sub(1)
    }

    /// The colour of a number; `None` if the palette does not have it.
    pub(super) fn color(&self, index: usize) -> Option<&[u16]> {
        let start = index.checked_mul(self.channels)?;
        self.values.get(start..start.checked_add(self.channels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_taken_from_their_columns() {
        let columns = [0, 2, 3, 7, 7, 7, 1, 2, 3, 4, 5, 6];
        let mapping = [0, 0, 1, 2, 0, 0, 1, 0];
        let palette = Palette::parse(&columns, Some(&mapping)).unwrap();
        assert_eq!((palette.channels, palette.depth), (2, 8));
        assert_eq!(palette.color(1), Some(&[6, 4][..]));
        assert_eq!(palette.color(2), None);
        assert!(Palette::parse(&columns[..11], Some(&mapping)).is_err());
    }
}
