//! What a window needs: the supports of the synthesis filters (T.800 F.3.7), and the gains of the
//! sub-bands.

use super::Rect;

/// A wavelet kernel of T.800 (Table A.20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    /// The reversible 5/3 filter.
    Reversible53,
    /// The irreversible 9/7 filter.
    Irreversible97,
}

impl Kernel {
    /// How far a lifting cascade reaches past an even sample.
    const fn reach(self) -> u64 {
        match self {
            Self::Reversible53 => 1,
            Self::Irreversible97 => 3,
        }
    }
}

/// A sub-band of one decomposition level. The first letter is horizontal, the second vertical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Band {
    /// Low-pass in both directions.
    Ll,
    /// High-pass horizontally.
    Hl,
    /// High-pass vertically.
    Lh,
    /// High-pass in both directions.
    Hh,
}

impl Band {
    /// Whether the sub-band is high-pass horizontally.
    #[must_use]
    pub(crate) const fn high_x(self) -> bool {
        matches!(self, Self::Hl | Self::Hh)
    }

    /// Whether the sub-band is high-pass vertically.
    #[must_use]
    pub(crate) const fn high_y(self) -> bool {
        matches!(self, Self::Lh | Self::Hh)
    }
}

/// What of each sub-band of one level (on the sub-band's own grid) and of the resolution below a window needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Support {
    /// Of the resolution below.
    pub ll: Rect,
    /// Of HL.
    pub hl: Rect,
    /// Of LH.
    pub lh: Rect,
    /// Of HH.
    pub hh: Rect,
}

/// What a window needs at all resolutions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Of the LL sub-band of resolution 0.
    pub ll: Rect,
    /// Of the sub-bands of resolutions 1, 2 and so on, up to the window's. `details[r - 1].ll` is the
    /// window of resolution `r - 1`.
    pub details: Vec<Support>,
}

/// The samples of `from..to` that are low-pass (even), on the low-pass band's grid.
const fn low(from: u32, to: u32) -> (u32, u32) {
    (from.div_ceil(2), to.div_ceil(2))
}

/// The samples of `from..to` that are high-pass (odd), on the high-pass band's grid.
const fn high(from: u32, to: u32) -> (u32, u32) {
    (from / 2, to / 2)
}

/// The rectangle which `band` covers if the resolution it builds up covers `resolution` (B-15).
#[must_use]
pub(crate) const fn band_rect(resolution: Rect, band: Band) -> Rect {
    let (x0, x1) = if band.high_x() {
        high(resolution.x0, resolution.x1)
    } else {
        low(resolution.x0, resolution.x1)
    };
    let (y0, y1) = if band.high_y() {
        high(resolution.y0, resolution.y1)
    } else {
        low(resolution.y0, resolution.y1)
    };
    Rect { x0, y0, x1, y1 }
}

/// The interleaved samples of `i0..i1` on which the window `a..b` depends, in one dimension.
// both are clamped to 32-bit bounds
fn reach(kernel: Kernel, i0: u32, i1: u32, a: u32, b: u32) -> (u32, u32) {
    let reach = kernel.reach();
    let first = u64::from(a & !1).saturating_sub(reach).max(u64::from(i0)) as u32;
    // The last sample is b - 1. Round it up to an even one, and go one past it.
    let last = ((u64::from(b) / 2 * 2) + reach + 1).min(u64::from(i1)) as u32;
    (first, last)
}

/// The part of `resolution` whose interleaved sub-band samples the window depends on.
#[must_use]
pub(super) fn extended(kernel: Kernel, resolution: Rect, window: Rect) -> Rect {
    let window = window.intersection(&resolution);
    if window.is_empty() {
        return Rect::default();
    }
    let (x0, x1) = reach(kernel, resolution.x0, resolution.x1, window.x0, window.x1);
    let (y0, y1) = reach(kernel, resolution.y0, resolution.y1, window.y0, window.y1);
    Rect { x0, y0, x1, y1 }
}

/// What the window of a resolution needs of its sub-bands and of the resolution below, exactly.
#[must_use]
pub(crate) fn support(kernel: Kernel, resolution: Rect, window: Rect) -> Support {
    let extended = extended(kernel, resolution, window);
    Support {
        ll: band_rect(extended, Band::Ll),
        hl: band_rect(extended, Band::Hl),
        lh: band_rect(extended, Band::Lh),
        hh: band_rect(extended, Band::Hh),
    }
}

/// What the window of the last of `resolutions` needs at all of them.
///
/// `resolutions` are the rectangles of resolutions 0, 1 and so on of one tile-component (B-14).
#[must_use]
pub(crate) fn needs(kernel: Kernel, resolutions: &[Rect], window: Rect) -> Needs {
    let mut window = match resolutions.last() {
        Some(last) => window.intersection(last),
        None => Rect::default(),
    };
    let mut details = Vec::with_capacity(resolutions.len());
    for resolution in resolutions.iter().skip(1).rev() {
        let support = support(kernel, *resolution, window);
        window = support.ll;
        details.push(support);
    }
    details.reverse();
    Needs { ll: window, details }
}

/// The 9/7 filter's scaling factor K (Table F.4).
pub(super) const K: f64 = 1.230_174_104_914_001;

/// The factor by which one direction of one level scales a sub-band.
fn factor(length: u32, is_high: bool) -> f64 {
    match (length, is_high) {
        (0 | 1, false) => 1.0,
        (0 | 1, true) => 0.5,
        (_, false) => K,
        (_, true) => 1.0 / K,
    }
}

/// The factor by which coefficients of `band`, which builds up resolution `r`, must be multiplied before
/// [`Irreversible`](super::Irreversible) synthesis up to the last of `resolutions`.
///
/// It takes the place of the scaling by K and 1/K in each level (F.3.8.2, steps 1 and 2) and of the halving
/// of a single odd sample (F.3.6). Fold it into the quantisation step. The step itself is the standard's
/// (E-3, with the sub-band's own gain in Rb).
#[must_use]
pub(crate) fn gain(resolutions: &[Rect], r: usize, band: Band) -> f64 {
    let mut gain = 1.0;
    for (index, resolution) in resolutions.iter().enumerate().skip(1) {
        let (x, y) = (resolution.width(), resolution.height());
        if index == r {
            gain *= factor(x, band.high_x()) * factor(y, band.high_y());
        } else if index > r {
            gain *= factor(x, false) * factor(y, false);
        }
    }
    gain
}
