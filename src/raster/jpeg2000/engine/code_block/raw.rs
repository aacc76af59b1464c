//! The raw bits of segments that bypass the arithmetic coder: T.800 D.6.

/// Reads bits from the most significant down. After a byte FF comes a stuffed bit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    data: &'a [u8],
    position: usize,
    byte: u8,
    left: u32,
}

impl<'a> Raw<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0, byte: 0, left: 0 }
    }

    /// The next bit. Behind the end there are ones.
    #[inline(always)]
    pub(super) fn bit(&mut self) -> u32 {
        if self.left == 0 {
            let next = self.data.get(self.position).copied().unwrap_or(0xFF);
            if self.byte == 0xFF && next > 0x8F {
                self.left = 8;
            } else {
                self.left = if self.byte == 0xFF { 7 } else { 8 };
                self.byte = next;
                self.position += usize::from(self.position < self.data.len());
            }
        }
        self.left -= 1;
        u32::from(self.byte >> (self.left & 7)) & 1
    }

    /// Whether the reader met a marker, which no raw segment has.
    pub(super) fn met_marker(&self) -> bool {
        self.byte == 0xFF && self.data.get(self.position).is_some_and(|next| *next > 0x8F)
    }

    /// Whether what is left is the padding of D.6: zeros and ones in turn to the end of the byte.
    pub(super) fn ends_predictably(&self) -> bool {
        let padding = |bits: u32| 0x2A_u8 >> (7 - bits.min(7));
        match self.data.len() - self.position {
            0 if self.position == 0 || self.left == 0 => true,
            0 if self.byte == 0xFF => self.left == 8 || self.left == 7,
            0 => self.left < 8 && self.byte & ((1 << self.left) - 1) == padding(self.left),
            1 => self.byte == 0xFF && self.left == 0 && self.data[self.position] == padding(7),
            _ => false,
        }
    }
}
