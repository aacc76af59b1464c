//! Big-endian reading from a marker segment.

use crate::raster::jpeg2000::engine::error::{Error, Result};

/// A cursor over the bytes of one marker segment.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    name: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, the content of the marker segment `name`.
    #[must_use]
    pub(crate) const fn new(bytes: &'a [u8], name: &'static str) -> Self {
        Self { bytes, name }
    }

    /// The bytes not yet read.
    #[must_use]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether everything is read.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(count).ok_or_else(|| {
            Error::corrupt(format!("the {} marker segment is too short", self.name))
        })?;
        self.bytes = tail;
        Ok(head)
    }

    /// The next byte.
    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.take(1).map(|b| b.first().copied().unwrap_or(0))
    }

    /// The next two bytes.
    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.take(2).map(|b| b.iter().fold(0, |n, &b| n << 8 | u16::from(b)))
    }

    /// The next four bytes.
    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.take(4).map(|b| b.iter().fold(0, |n, &b| n << 8 | u32::from(b)))
    }

    /// A component's index: one byte if there are fewer than 257 components, else two.
    pub(crate) fn component(&mut self, components: usize) -> Result<u16> {
        if components < 257 { self.u8().map(u16::from) } else { self.u16() }
    }

    /// Fails if there are bytes left.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Error::corrupt(format!("the {} marker segment is too long", self.name)))
        }
    }
}
