//! The bytes of a tile's packets that are at hand.

/// Pieces of the tile-parts' bodies. A body is what stands behind SOD, up to the end of the tile-part.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body<'a> {
    /// Tile-part, offset in its body and bytes, in that order.
    pieces: Vec<(usize, u64, &'a [u8])>,
}

impl<'a> Body<'a> {
    /// No bytes yet.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self { pieces: Vec::new() }
    }

    /// The whole bodies of the tile's tile-parts, in order.
    #[must_use]
    pub(crate) fn whole(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self {
            pieces: parts.into_iter().enumerate().map(|(part, bytes)| (part, 0, bytes)).collect(),
        }
    }

    /// Adds bytes that stand at `offset` in the body of tile-part `part`. A packet must lie in one piece.
    pub(crate) fn add(&mut self, part: usize, offset: u64, bytes: &'a [u8]) {
        let at = self.pieces.partition_point(|piece| (piece.0, piece.1) <= (part, offset));
        self.pieces.insert(at, (part, offset, bytes));
    }

    /// What is at hand of a tile-part's body from `offset` on without a gap.
    #[must_use]
    pub(crate) fn from(&self, part: usize, offset: u64) -> &'a [u8] {
        let behind = self.pieces.partition_point(|piece| (piece.0, piece.1) <= (part, offset));
        let found = self
            .pieces
            .get(..behind)
            .into_iter()
            .flatten()
            .rev()
            .take_while(|piece| piece.0 == part);
        found
            .filter_map(|piece| piece.2.get(usize::try_from(offset - piece.1).ok()?..))
            .find(|bytes| !bytes.is_empty())
            .unwrap_or(&[])
    }

    /// `length` bytes of a tile-part's body from `offset` on; `None` if they are not all at hand in one piece.
    #[must_use]
    pub(crate) fn get(&self, part: usize, offset: u64, length: u32) -> Option<&'a [u8]> {
        if length == 0 { Some(&[]) } else { self.from(part, offset).get(..length as usize) }
    }
}

#[cfg(test)]
mod tests {
    use super::Body;

    #[test]
    fn pieces_are_found() {
        let mut body = Body::new();
        body.add(1, 10, &[1, 2, 3]);
        body.add(0, 5, &[9, 8]);
        body.add(1, 0, &[7]);
        assert_eq!(body.from(1, 11), [2, 3]);
        assert_eq!(body.get(1, 10, 3), Some(&[1, 2, 3][..]));
        assert_eq!(body.get(1, 10, 4), None);
        assert!(body.from(1, 1).is_empty());
        assert_eq!(body.from(0, 6), [8]);
        assert_eq!(body.get(0, 7, 0), Some(&[][..]));
        assert_eq!(body.get(2, 0, 1), None);
    }
}
