//! Where the wavelet synthesis gets its rows from.

use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::geometry::Rect;
use crate::raster::jpeg2000::engine::strip::{BandView, Coefficient, Coefficients, StripDecoder};
use crate::raster::jpeg2000::engine::wavelet::{Needs, Planes, Source};
use crate::raster::jpeg2000::engine::window::band_window;

/// The source of a component's sub-bands.
pub(super) enum Feed<'a, T> {
    /// Decoded row of code-blocks by row of code-blocks.
    Strips(StripSource<'a, T>),
    /// Decoded before.
    Planes(Planes<'a, T>),
}

/// A sub-band, of which one row of code-blocks is decoded.
struct Strip<T> {
    view: BandView,
    row: Option<u32>,
    samples: Vec<T>,
    /// The lines that `samples` hold.
    lines: std::ops::Range<u32>,
}

/// The sub-bands of a component, decoded as they are asked for.
pub(super) struct StripSource<'a, T> {
    from: Coefficients<'a>,
    decoder: Box<StripDecoder>,
    /// By resolution: LL, or HL, LH and HH.
    strips: Vec<Vec<Strip<T>>>,
}

impl<'a, T: Coefficient> StripSource<'a, T> {
    pub(crate) fn new(from: Coefficients<'a>, views: &[Vec<BandView>]) -> Self {
        let strip =
            |view: &BandView| Strip { view: *view, row: None, samples: Vec::new(), lines: 0..0 };
        let strips = views.iter().map(|bands| bands.iter().map(strip).collect()).collect();
        Self { from, decoder: Box::default(), strips }
    }

    /// Lets the sub-band's strip hold line `y`.
    fn ensure(&mut self, r: usize, band: usize, y: u32) -> Result<()> {
        let Some(strip) = self.strips.get_mut(r).and_then(|bands| bands.get_mut(band)) else {
            return Err(Error::corrupt("there is no such sub-band"));
        };
        let row = y >> strip.view.resolution.block_height_exponent;
        if strip.row == Some(row) || strip.view.window.is_empty() {
            return Ok(());
        }
        strip.row = Some(row);
        strip.lines = strip.view.lines(row);
        let area = strip.lines.len() * strip.view.window.width() as usize;
        strip.samples.resize(area, T::default());
        self.decoder.decode(
            self.from,
            &strip.view,
            row,
            self.from.options.threads,
            &mut strip.samples,
        )
    }

    /// The columns of line `y` that a window needs; the strip holds the line.
    fn line(&self, r: usize, band: usize, y: u32, columns: &Rect) -> Result<&[T]> {
        if columns.is_empty() {
            return Ok(&[]);
        }
        let strip = self.strips.get(r).and_then(|bands| bands.get(band));
        let found = strip.and_then(|strip| {
            let width = strip.view.window.width() as usize;
            let at = y.checked_sub(strip.lines.start)? as usize * width
                + columns.x0.checked_sub(strip.view.window.x0)? as usize;
            strip.samples.get(at..at + columns.width() as usize)
        });
        found.ok_or_else(|| Error::corrupt("a sub-band lacks a line"))
    }
}

/// What a window needs of sub-band number `band` of resolution `r`.
fn columns(needs: &Needs, r: usize, band: usize) -> Rect {
    use crate::raster::jpeg2000::engine::geometry::Orientation;
    let orientation = if r == 0 {
        Orientation::Ll
    } else {
        Orientation::DETAILS.get(band).copied().unwrap_or(Orientation::Hh)
    };
    band_window(needs, r, orientation)
}

impl<T: Coefficient> Source<T> for Feed<'_, T> {
    type Error = Error;

    fn low(&mut self, r: usize, y: u32, needs: &Needs) -> Result<(&[T], &[T])> {
        match self {
            Self::Planes(planes) => planes.low(r, y, needs).map_err(Error::corrupt),
            Self::Strips(strips) => {
                if r <= 1 {
                    strips.ensure(0, 0, y)?;
                }
                if r > 0 {
                    strips.ensure(r, 0, y)?;
                }
                let ll = if r <= 1 { strips.line(0, 0, y, &columns(needs, 0, 0))? } else { &[] };
                let hl = if r > 0 { strips.line(r, 0, y, &columns(needs, r, 0))? } else { &[] };
                Ok((ll, hl))
            }
        }
    }

    fn high(&mut self, r: usize, y: u32, needs: &Needs) -> Result<(&[T], &[T])> {
        match self {
            Self::Planes(planes) => planes.high(r, y, needs).map_err(Error::corrupt),
            Self::Strips(strips) => {
                strips.ensure(r, 1, y)?;
                strips.ensure(r, 2, y)?;
                Ok((
                    strips.line(r, 1, y, &columns(needs, r, 1))?,
                    strips.line(r, 2, y, &columns(needs, r, 2))?,
                ))
            }
        }
    }
}
