//! Whether a file is written from its beginning to its end, and which parts of it that
//! makes complete.

use std::ops::Range;

use super::parts::Parts;

/// Parts are sent while a file is written once it has this many.
const PARTS_AHEAD: u32 = 2;

/// How a file has been written so far.
#[derive(Debug)]
pub(super) struct WriteOrder {
    /// The size in bytes.
    pub(super) size: u64,
    /// Where the next write begins if the file is written in order.
    pub(super) end: u64,
    /// Whether every write began where the one before it ended.
    pub(super) is_in_order: bool,
    ahead: Ahead,
}

/// Which parts are sent while the file is still being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ahead {
    /// The next one that will be complete.
    Next(u32),
    /// None any more: an upload was finished or thrown away.
    Never,
}

impl WriteOrder {
    /// A file that has `size` bytes already.
    pub(super) fn new(size: u64) -> Self {
        WriteOrder { size, end: 0, is_in_order: size == 0, ahead: Ahead::Next(1) }
    }

    /// Notes a write; the parts that are complete since then.
    pub(super) fn written(&mut self, range: &Range<u64>, layout: Parts) -> Range<u32> {
        self.is_in_order &= range.start == self.end;
        self.end = self.end.max(range.end);
        let complete = layout.at(self.end);
        match self.ahead {
            Ahead::Next(from) if self.is_in_order && complete > PARTS_AHEAD && complete > from => {
                self.ahead = Ahead::Next(complete);
                from..complete
            }
            Ahead::Next(_) | Ahead::Never => 0..0,
        }
    }

    /// Notes another size. An empty file begins again.
    pub(super) fn resized(&mut self, size: u64) {
        self.size = size;
        if size == 0 {
            (self.end, self.is_in_order, self.ahead) = (0, true, Ahead::Next(1));
        } else {
            self.is_in_order = false;
        }
    }

    /// Sends no parts ahead from now on.
    pub(super) fn stop(&mut self) {
        self.ahead = Ahead::Never;
    }

    /// Whether parts are sent ahead.
    pub(super) fn goes_ahead(&self) -> bool {
        self.ahead != Ahead::Never
    }
}
