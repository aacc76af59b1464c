//! The rows of a window, from the rows of its sub-bands (T.800 F.3.1 to F.3.6), all levels at once.

use super::Rect;
use super::lifting::{Lifting, RING, Scratch};
use super::support::{Needs, Support, extended, needs};
use crate::raster::jpeg2000::engine::simd::Simd;

/// Where the sub-bands' rows come from.
///
/// Each row of each sub-band is asked for once, from top to bottom, and only those which `needs`
/// names. Each answer holds exactly the columns which `needs` names.
pub(crate) trait Source<T> {
    /// What can go wrong.
    type Error;

    /// Row `y` of two sub-bands that are low-pass vertically: LL and HL of resolution `r`.
    ///
    /// LL is empty if `r > 1`, as the synthesis has it from the resolution below. HL is empty if `r` is 0.
    ///
    /// # Errors
    /// Whatever the source's trouble is.
    fn low(&mut self, r: usize, y: u32, needs: &Needs) -> Result<(&[T], &[T]), Self::Error>;

    /// Row `y` of two sub-bands that are high-pass vertically: LH and HH of resolution `r`, from 1 on.
    ///
    /// # Errors
    /// Whatever the source's trouble is.
    fn high(&mut self, r: usize, y: u32, needs: &Needs) -> Result<(&[T], &[T]), Self::Error>;
}

/// One decomposition level of a window.
#[derive(Debug)]
struct Level<T> {
    /// The resolution that the level builds up, from 1 on.
    resolution: usize,
    /// The part of the resolution that the lifting runs over: the window and what it depends on.
    area: Rect,
    /// The columns of `area` that are the window's.
    columns: std::ops::Range<usize>,
    /// `rows[k]` is row `arrived - k`.
    rows: [Vec<T>; RING],
    scratch: Scratch<T>,
    simd: Simd,
    /// The row that arrived last. It counts on past the last row of `area` to drain the cascade.
    arrived: i64,
    /// The next row to hand out.
    next: i64,
}

impl<T: Copy + Default> Level<T> {
    fn new<L: Lifting<Sample = T>>(
        resolution: usize,
        rect: Rect,
        window: Rect,
        need: &Support,
    ) -> Self {
        let area = extended(L::KERNEL, rect, window);
        let first = window.x0.saturating_sub(area.x0) as usize;
        let half = |rect: &Rect| rect.width() as usize;
        Self {
            resolution,
            area,
            columns: first..first + window.width() as usize,
            rows: std::array::from_fn(|_| vec![T::default(); area.width() as usize]),
            scratch: Scratch::new(
                half(&need.ll).max(half(&need.lh)),
                half(&need.hl).max(half(&need.hh)),
            ),
            simd: Simd::detect(),
            arrived: i64::from(area.y0) - 1,
            next: i64::from(window.y0),
        }
    }

    /// Whether row `y` has gone through the whole cascade.
    fn is_ready<L: Lifting<Sample = T>>(&self, y: i64) -> bool {
        if self.area.height() == 1 {
            return self.arrived >= y;
        }
        // The cascade moves on with each odd row.
        let odd = (self.arrived - 1) | 1;
        y + i64::from(L::STEPS) < odd + 2
    }

    /// Does the vertical steps that row `arrived` allows.
    fn lift<L: Lifting<Sample = T>>(&mut self) {
        let (top, end) = (i64::from(self.area.y0), i64::from(self.area.y1));
        if end - top == 1 {
            if self.arrived == top && top % 2 == 1 {
                for x in &mut self.rows[0] {
                    *x = L::single_odd(*x);
                }
            }
            return;
        }
        if self.arrived % 2 == 0 {
            return;
        }
        if self.arrived < end && self.arrived - i64::from(L::STEPS) > top {
            let rows = &mut self.rows;
            self.simd.run(
                #[inline(always)]
                || L::vertical(rows),
            );
            return;
        }
        for step in 1..=L::STEPS {
            let y = self.arrived - i64::from(step);
            if y < top || y >= end {
                continue;
            }
            let (below, rest) = self.rows.split_at_mut(usize::from(step));
            let (Some(below), Some((row, rest))) = (below.last(), rest.split_first_mut()) else {
                continue;
            };
            let Some(above) = rest.first() else { continue };
            let above = if y > top { above } else { below };
            let below = if y + 1 < end { below } else { above };
            self.simd.run(
                #[inline(always)]
                || L::vertical_step(step, row, above, below),
            );
        }
    }
}

/// The synthesis of a window of a tile-component, row by row.
///
/// It holds [`RING`] rows and two half rows of scratch at each level: about `18 * width * 4` bytes for all levels
/// of a window `width` samples wide ([`memory`](Self::memory)). To share a window among threads, cut it into stripes
/// and give each thread a `Synthesis` of its own.
#[derive(Debug)]
pub(crate) struct Synthesis<L: Lifting> {
    levels: Vec<Level<L::Sample>>,
    needs: Needs,
    window: Rect,
    next: u32,
}

impl<L: Lifting> Synthesis<L> {
    /// Prepares to synthesise `window` of the last of `resolutions`, which are the rectangles of
    /// resolutions 0, 1 and so on of one tile-component (B-14).
    #[must_use]
    pub(crate) fn new(resolutions: &[Rect], window: Rect) -> Self {
        let needs = needs(L::KERNEL, resolutions, window);
        let window = resolutions.last().copied().unwrap_or_default().intersection(&window);
        let mut levels = Vec::with_capacity(needs.details.len());
        for (index, need) in needs.details.iter().enumerate() {
            let target = needs.details.get(index + 1).map_or(window, |above| above.ll);
            let resolution = resolutions.get(index + 1).copied().unwrap_or_default();
            levels.push(Level::new::<L>(index + 1, resolution, target, need));
        }
        Self { levels, needs, window, next: window.y0 }
    }

    /// The same on a given instruction set.
    #[cfg(test)]
    pub(super) fn on(mut self, simd: Simd) -> Self {
        for level in &mut self.levels {
            level.simd = simd;
        }
        self
    }

    /// The samples that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let rows = |level: &Level<L::Sample>| level.rows.iter().map(Vec::len).sum::<usize>();
        self.levels.iter().map(|level| rows(level) + level.scratch.len()).sum()
    }

    /// What the source will be asked for.
    #[must_use]
    pub(crate) const fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The window, clipped to the resolution.
    #[must_use]
    pub(crate) const fn window(&self) -> Rect {
        self.window
    }

    /// The bytes that the synthesis of a window `width` samples wide holds, at most (with `levels` levels).
    #[must_use]
    pub(crate) const fn memory(width: u32, levels: u32) -> u64 {
        // A level's rows are at most 7 columns wider than its window, and the windows' widths halve.
        let columns = 2 * (width as u64) + 16 * (levels as u64);
        columns * (RING as u64 + 1) * size_of::<L::Sample>() as u64
    }

    /// The next row of the window, or `None` after the last one.
    ///
    /// # Errors
    /// Those of the source. The synthesis is of no use afterwards.
    pub(crate) fn next_row<'a, S: Source<L::Sample>>(
        &'a mut self,
        source: &'a mut S,
    ) -> Result<Option<&'a [L::Sample]>, S::Error> {
        if self.next >= self.window.y1 || self.window.is_empty() {
            return Ok(None);
        }
        let y = self.next;
        self.next += 1;
        if self.levels.is_empty() {
            return Ok(Some(source.low(0, y, &self.needs)?.0));
        }
        advance::<L, S>(&mut self.levels, source, &self.needs).map(Some)
    }
}

/// One row from its halves.
fn horizontal<L: Lifting>(
    simd: Simd,
    low: &[L::Sample],
    high: &[L::Sample],
    odd: bool,
    scratch: &mut Scratch<L::Sample>,
    out: &mut [L::Sample],
) {
    simd.run(
        #[inline(always)]
        || L::horizontal(low, high, odd, scratch, out),
    );
}

/// The next row of the last of `levels`.
fn advance<'a, L: Lifting, S: Source<L::Sample>>(
    levels: &'a mut [Level<L::Sample>],
    source: &mut S,
    needs: &Needs,
) -> Result<&'a [L::Sample], S::Error> {
    let Some((level, below)) = levels.split_last_mut() else {
        return Ok(&[]);
    };
    let y = level.next;
    level.next += 1;
    let odd = level.area.x0 % 2 == 1;
    while !level.is_ready::<L>(y) {
        level.rows.rotate_right(1);
        level.arrived += 1;
        let row = u32::try_from(level.arrived).unwrap_or(u32::MAX);
        if row < level.area.y1 {
            let out = &mut level.rows[0];
            let scratch = &mut level.scratch;
            let simd = level.simd;
            if row % 2 == 1 {
                let (lh, hh) = source.high(level.resolution, row / 2, needs)?;
                horizontal::<L>(simd, lh, hh, odd, scratch, out);
            } else if below.is_empty() {
                let (ll, hl) = source.low(level.resolution, row / 2, needs)?;
                horizontal::<L>(simd, ll, hl, odd, scratch, out);
            } else {
                let ll = advance::<L, S>(below, source, needs)?;
                let (_, hl) = source.low(level.resolution, row / 2, needs)?;
                horizontal::<L>(simd, ll, hl, odd, scratch, out);
            }
        }
        level.lift::<L>();
    }
    let age = usize::try_from(level.arrived - y).unwrap_or(0);
    let row = level.rows.get(age).and_then(|row| row.get(level.columns.clone()));
    Ok(row.unwrap_or_default())
}
