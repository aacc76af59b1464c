//! The bits of a packet header, in which a byte of `FF` is followed by a stuffed zero bit (B.10.1).

use crate::raster::jpeg2000::engine::error::{Error, Result};

/// Reads a packet header bit by bit. Where the bytes end it fails with [`Error::Incomplete`].
#[derive(Debug, Clone)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    byte: u8,
    left: u8,
}

impl<'a> BitReader<'a> {
    /// Begins at the first byte.
    #[must_use]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, byte: 0, left: 0 }
    }

    /// The next bit.
    ///
    /// # Errors
    /// [`Error::Incomplete`] at the end of the bytes; a marker inside a header.
    pub(crate) fn bit(&mut self) -> Result<bool> {
        if self.left == 0 {
            let stuffed = self.byte == 0xff;
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(Error::Incomplete { needed: self.at as u64 + 1 });
            };
            if stuffed && byte & 0x80 != 0 {
                return Err(Error::corrupt("a packet header contains a marker"));
            }
            self.byte = byte;
            self.at += 1;
            self.left = if stuffed { 7 } else { 8 };
        }
        self.left -= 1;
        Ok(self.byte >> self.left & 1 == 1)
    }

    /// The next `count` bits, at most 32, as a number.
    ///
    /// # Errors
    /// Those of [`bit`](Self::bit).
    pub(crate) fn bits(&mut self, count: u32) -> Result<u32> {
        let mut value = 0;
        for _ in 0..count.min(32) {
            value = value << 1 | u32::from(self.bit()?);
        }
        Ok(value)
    }

    /// Goes on to the end of the header's last byte, and tells how many bytes the header has.
    ///
    /// # Errors
    /// Those of [`bit`](Self::bit).
    pub(crate) fn finish(mut self) -> Result<usize> {
        if self.byte == 0xff {
            // B.10.1: a header does not end in FF; a stuffed byte follows.
            self.left = 0;
            self.bit()?;
        }
        Ok(self.at)
    }
}
