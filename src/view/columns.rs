//! Which columns of tiles a reader takes from each row of them.
//!
//! Who reads a window takes the same few columns from one row of tiles after the other: once
//! it comes to the next row, the others of it are wanted too, and come in one request.

use std::ops::Range;

/// A tile: its level, column and row.
pub(super) type Place = (u8, u32, u32);

/// What was taken from the row of tiles that a reader is in.
#[derive(Debug, Default)]
pub(super) struct Columns {
    level: u8,
    row: u32,
    touched: Range<u32>,
}

impl Columns {
    /// Notes the tiles that something is read of. Where the reader comes to the row under the one
    /// that it was in, at a column that it had: those that it took there, if they were several.
    pub(super) fn note(&mut self, tiles: &[Place]) -> Option<Vec<Place>> {
        let &(level, _, row) = tiles.first()?;
        if tiles.iter().any(|tile| (tile.0, tile.2) != (level, row)) {
            *self = Columns::default();
            return None;
        }
        let first = tiles.iter().map(|tile| tile.1).min()?;
        let end = tiles.iter().map(|tile| tile.1).max()? + 1;
        if self.touched.is_empty() || self.level != level {
            *self = Columns { level, row, touched: first..end };
            return None;
        }
        if self.row == row {
            self.touched = self.touched.start.min(first)..self.touched.end.max(end);
            return None;
        }
        let above = std::mem::replace(&mut self.touched, first..end);
        let is_next = self.row.checked_add(1) == Some(row);
        self.row = row;
        let goes_on = is_next && above.len() > 1 && above.contains(&first);
        goes_on.then(|| above.map(|column| (level, column, row)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiles(row: u32, columns: Range<u32>) -> Vec<Place> {
        columns.map(|column| (0, column, row)).collect()
    }

    #[test]
    fn the_columns_of_one_row_are_expected_in_the_next() {
        let mut columns = Columns::default();
        assert_eq!(columns.note(&tiles(4, 7..8)), None);
        assert_eq!(columns.note(&tiles(4, 8..9)), None);
        assert_eq!(columns.note(&tiles(4, 7..9)), None, "the row was known");
        assert_eq!(columns.note(&tiles(5, 7..8)), Some(tiles(5, 7..9)));
        assert_eq!(columns.note(&tiles(5, 8..9)), None, "once");
        assert_eq!(columns.note(&tiles(6, 7..8)), Some(tiles(6, 7..9)), "and so on");
    }

    #[test]
    fn only_what_was_taken_last_is_expected() {
        let mut columns = Columns::default();
        columns.note(&tiles(1, 0..8));
        columns.note(&tiles(2, 3..5));
        assert_eq!(columns.note(&tiles(3, 3..4)), Some(tiles(3, 3..5)));
    }

    #[test]
    fn nothing_is_expected_elsewhere() {
        for then in [tiles(6, 7..8), tiles(3, 7..8), tiles(5, 2..3), vec![(1, 7, 5)]] {
            let mut columns = Columns::default();
            columns.note(&tiles(4, 7..9));
            assert_eq!(columns.note(&then), None, "{then:?}");
        }
        let mut columns = Columns::default();
        columns.note(&tiles(4, 7..8));
        assert_eq!(columns.note(&tiles(5, 7..8)), None, "there is one column");
        let mut columns = Columns::default();
        columns.note(&tiles(4, 7..9));
        columns.note(&[tiles(4, 7..9), tiles(5, 7..9)].concat());
        assert_eq!(columns.note(&tiles(5, 7..8)), None, "that was no window");
    }
}
