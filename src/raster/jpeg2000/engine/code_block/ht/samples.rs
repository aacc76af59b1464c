//! The samples of a code-block while it is decoded.

/// The samples of a code-block, in rows made even in length and number.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) width: usize,
    pub(super) height: usize,
    /// From one row to the next.
    pub(super) stride: usize,
    /// Magnitudes with one fractional bit, the sign in the top bit.
    pub(super) values: Vec<u32>,
}

impl Samples {
    pub(super) fn start(&mut self, width: usize, height: usize) {
        self.width = width;
        self.height = height;
        self.stride = width.next_multiple_of(2);
        self.values.clear();
        self.values.resize(self.stride * height.next_multiple_of(2), 0);
    }

    /// A row and the one below it.
    pub(super) fn rows(&mut self, y: usize) -> (&mut [u32], &mut [u32]) {
        let first = (y * self.stride).min(self.values.len());
        let rows = &mut self.values[first..];
        let (upper, rest) = rows.split_at_mut(self.stride.min(rows.len()));
        let length = self.stride.min(rest.len());
        (upper, &mut rest[..length])
    }

    /// Whether nothing is where there are no samples.
    pub(super) fn padding_is_zero(&self) -> bool {
        let used = self.stride * self.height;
        let (rows, padding) = self.values.split_at(used.min(self.values.len()));
        padding.iter().all(|value| *value == 0)
            && (self.stride == self.width
                || rows.iter().skip(self.width).step_by(self.stride).all(|value| *value == 0))
    }
}
