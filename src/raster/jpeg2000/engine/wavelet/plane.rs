//! Rectangles and the planes of samples that fill them.

/// A rectangle on some grid: `x0 <= x < x1`, `y0 <= y < y1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Rect {
    /// The first column.
    pub x0: u32,
    /// The first row.
    pub y0: u32,
    /// The column after the last one.
    pub x1: u32,
    /// The row after the last one.
    pub y1: u32,
}

impl Rect {
    /// A rectangle from its corners.
    #[must_use]
    pub(crate) const fn new(x0: u32, y0: u32, x1: u32, y1: u32) -> Self {
        Self { x0, y0, x1, y1 }
    }

    /// The number of columns.
    #[must_use]
    pub(crate) const fn width(&self) -> u32 {
        self.x1.saturating_sub(self.x0)
    }

    /// The number of rows.
    #[must_use]
    pub(crate) const fn height(&self) -> u32 {
        self.y1.saturating_sub(self.y0)
    }

    /// Whether the rectangle holds no samples.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.x0 >= self.x1 || self.y0 >= self.y1
    }

    /// The number of samples.
    #[must_use]
    pub(crate) const fn area(&self) -> u64 {
        self.width() as u64 * self.height() as u64
    }

    /// Whether `other` lies inside this rectangle. An empty rectangle lies inside any other.
    #[must_use]
    pub(crate) const fn contains(&self, other: &Self) -> bool {
        other.is_empty()
            || (self.x0 <= other.x0
                && self.y0 <= other.y0
                && self.x1 >= other.x1
                && self.y1 >= other.y1)
    }

    /// What this rectangle and `other` have in common. It is the default (empty) rectangle if that is nothing.
    #[must_use]
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let common = Self {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        };
        if common.is_empty() { Self::default() } else { common }
    }
}

/// Samples that fill a rectangle, row after row without gaps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plane<T> {
    /// The rectangle, on the grid of the sub-band or resolution.
    pub rect: Rect,
    /// `width * height` samples.
    pub samples: Vec<T>,
}

impl<T: Copy + Default> Plane<T> {
    /// A plane of zeros.
    #[must_use]
    pub(crate) fn new(rect: Rect) -> Self {
        let area = usize::try_from(rect.area()).unwrap_or(usize::MAX);
        Self { rect, samples: vec![T::default(); area] }
    }

    /// The samples of row `y` from column `x0` up to `x1`, if the plane holds them all.
    #[must_use]
    pub(crate) fn row(&self, y: u32, x0: u32, x1: u32) -> Option<&[T]> {
        if x0 >= x1 {
            return Some(&[]);
        }
        if y < self.rect.y0 || y >= self.rect.y1 || x0 < self.rect.x0 || x1 > self.rect.x1 {
            return None;
        }
        let start =
            (y - self.rect.y0) as usize * self.rect.width() as usize + (x0 - self.rect.x0) as usize;
        self.samples.get(start..start + (x1 - x0) as usize)
    }

    /// The samples of row `y` from column `x0` up to `x1`, to write to.
    #[must_use]
    pub(crate) fn row_mut(&mut self, y: u32, x0: u32, x1: u32) -> Option<&mut [T]> {
        if x0 >= x1 {
            return Some(&mut []);
        }
        if y < self.rect.y0 || y >= self.rect.y1 || x0 < self.rect.x0 || x1 > self.rect.x1 {
            return None;
        }
        let start =
            (y - self.rect.y0) as usize * self.rect.width() as usize + (x0 - self.rect.x0) as usize;
        self.samples.get_mut(start..start + (x1 - x0) as usize)
    }
}
