//! How a code-block is laid out in groups: 16 columns of a stripe, which is four rows high.
//!
//! Coefficients of a group make up a 64-bit set, bit `4 * column + row`, which is the order in
//! which the coding passes scan. The sets of a stripe have one more at their end, which is the
//! border to the left of the next stripe too.

/// The most groups of a code-block with its borders.
pub(super) const GROUPS: usize = 1024;
/// The columns in a group.
pub(super) const COLUMNS: usize = 16;
/// The first row in the set of a group.
pub(super) const TOP: u64 = 0x1111_1111_1111_1111;

/// What comes to be a candidate for significance propagation when a coefficient in this row becomes
/// significant: its neighbours in the group that the scan has not reached, seen from itself.
pub(super) const AHEAD: [u64; 4] = [0b11_0010, 0b11_1010, 0b11_1010, 0b01_1000];

/// The dimensions of a code-block.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Words from one stripe to the next.
    pub(super) stride: usize,
    /// Groups from one stripe to the next.
    pub(super) group_stride: usize,
}

/// Where a group is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Of the group itself.
    pub(super) group: usize,
    /// Of its first column's word.
    pub(super) word: usize,
    /// The coefficients that are there: fewer at the right and lower edges.
    pub(super) there: u64,
    /// Whether the stripe has four rows.
    pub(super) full: bool,
}

impl Shape {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, stride: width + 1, group_stride: width.div_ceil(COLUMNS) + 1 }
    }

    /// Lists the groups in scan order.
    pub(super) fn list(self, places: &mut Vec<Place>) {
        places.clear();
        for (y, stripe) in (0..self.height).step_by(4).zip(1..) {
            let rows = TOP.wrapping_mul((1 << (self.height - y).min(4)) - 1);
            for (x, index) in (0..self.width).step_by(COLUMNS).zip(1..) {
                let columns = (self.width - x).min(COLUMNS);
                places.push(Place {
                    group: stripe * self.group_stride + index,
                    word: stripe * self.stride + 1 + x,
                    there: rows & u64::MAX.wrapping_shr(64 - 4 * columns as u32),
                    full: rows == u64::MAX,
                });
            }
        }
    }

    /// The column and row of a group's first coefficient.
    pub(super) const fn corner(self, place: Place) -> (usize, usize) {
        let stripe = place.group / self.group_stride - 1;
        (COLUMNS * (place.group % self.group_stride - 1), 4 * stripe)
    }

    /// The coefficients of a group with a neighbour in the sets that `of` gives for groups. `below`
    /// masks what the stripe below shows.
    #[inline(always)]
    pub(super) fn neighbours(self, group: usize, below: u64, of: impl Fn(usize) -> u64) -> u64 {
        let stride = self.group_stride;
        let column = |group: usize| {
            let own = of(group);
            let above = of(group.wrapping_sub(stride)) >> 3 & TOP;
            let below = (of(group.wrapping_add(stride)) & below) << 3;
            let beside = own << 1 & !TOP | own >> 1 & !(TOP << 3) | above | below;
            (beside, beside | own)
        };
        let (beside, own) = column(group);
        let (_, left) = column(group.wrapping_sub(1));
        let (_, right) = column(group.wrapping_add(1));
        beside | own << 4 | own >> 4 | left >> 60 | right << 60
    }
}
