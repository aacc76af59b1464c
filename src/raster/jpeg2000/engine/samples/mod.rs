//! The last step: components' rows become the image's samples.
//!
//! That is the inverse multiple component transformation (T.800, Annex G.2 and G.3), rounding, the
//! DC level shift (G.1.2), clamping to the component's range, and narrowing to the integers that the caller
//! wants, all in one pass. The bands of one pixel end up next to each other.

mod convert;
#[cfg(test)]
mod tests;

pub(crate) use convert::{Coefficient, Depth, Sample};

use crate::raster::jpeg2000::engine::simd::Simd;

/// Turns rows of components into rows of samples. It holds one narrow row for each band of a pixel.
#[derive(Debug)]
pub(crate) struct Finisher<S> {
    simd: Simd,
    bands: Vec<Vec<S>>,
}

impl<S: Sample> Default for Finisher<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// What is wrong with a call.
const LENGTHS: &str = "rows, depths and samples do not fit together";

impl<S: Sample> Finisher<S> {
    /// A finisher for this machine.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::on(Simd::detect())
    }

    /// A finisher for a given instruction set.
    pub(crate) const fn on(simd: Simd) -> Self {
        Self { simd, bands: Vec::new() }
    }

    /// Writes one row of pixels, whose bands are `rows`, to `out`, band by band within each pixel.
    ///
    /// If `transformed` is set, the first three rows are the outcome of the reversible transformation
    /// (integers) or the irreversible one (`f32`), which is undone.
    ///
    /// # Errors
    /// If the lengths of the arguments do not fit together, or the samples cannot hold a component's depth.
    pub(crate) fn put<T: Coefficient>(
        &mut self,
        rows: &[&[T]],
        transformed: bool,
        depths: &[Depth],
        out: &mut [S],
    ) -> Result<(), &'static str> {
        if let ([row], [depth]) = (rows, depths) {
            if row.len() != out.len() || transformed {
                return Err(LENGTHS);
            }
            narrow_row(self.simd, row, T::range(depth.range::<S>()?), out);
            return Ok(());
        }
        let width = rows.first().map_or(0, |row| row.len());
        if rows.is_empty() || width.checked_mul(rows.len()) != Some(out.len()) {
            return Err(LENGTHS);
        }
        self.narrow(rows, transformed, depths)?;
        interleave(self.simd, &self.bands, out);
        Ok(())
    }

    /// The samples of one row of pixels, band by band: what [`put`](Self::put) does but for the interleaving.
    ///
    /// # Errors
    /// If the lengths of the arguments do not fit together, or the samples cannot hold a component's depth.
    pub(crate) fn narrow<T: Coefficient>(
        &mut self,
        rows: &[&[T]],
        transformed: bool,
        depths: &[Depth],
    ) -> Result<&[Vec<S>], &'static str> {
        let width = rows.first().map_or(0, |row| row.len());
        let fits = rows.len() == depths.len()
            && rows.iter().all(|row| row.len() == width)
            && (!transformed || rows.len() >= 3);
        if !fits {
            return Err(LENGTHS);
        }
        let simd = self.simd;
        self.bands.resize_with(rows.len(), Vec::new);
        for band in &mut self.bands {
            band.resize(width, S::default());
        }
        let mut plain = 0;
        if transformed
            && let ([a, b, c, ..], [first, second, third, ..]) = (rows, &mut self.bands[..])
            && let [d0, d1, d2, ..] = depths
        {
            let ranges = [d0.range::<S>()?, d1.range::<S>()?, d2.range::<S>()?].map(T::range);
            transform_row(simd, [a, b, c], ranges, [first, second, third]);
            plain = 3;
        }
        for ((row, depth), band) in rows.iter().zip(depths).zip(&mut self.bands).skip(plain) {
            let range = T::range(depth.range::<S>()?);
            narrow_row(simd, row, range, band);
        }
        Ok(&self.bands)
    }

    /// Writes one band of a row of pixels, of which each has `bands` bands, to `out`.
    ///
    /// # Errors
    /// If the lengths of the arguments do not fit together, or the samples cannot hold the component's depth.
    pub(crate) fn put_band<T: Coefficient>(
        &mut self,
        row: &[T],
        depth: Depth,
        (band, bands): (usize, usize),
        out: &mut [S],
    ) -> Result<(), &'static str> {
        if band >= bands || row.len().checked_mul(bands) != Some(out.len()) {
            return Err(LENGTHS);
        }
        let range = T::range(depth.range::<S>()?);
        if bands == 1 {
            narrow_row(self.simd, row, range, out);
            return Ok(());
        }
        self.bands.resize_with(self.bands.len().max(1), Vec::new);
        let Some(narrow) = self.bands.first_mut() else {
            return Ok(());
        };
        narrow.resize(row.len(), S::default());
        narrow_row(self.simd, row, range, narrow);
        for (out, &sample) in out.iter_mut().skip(band).step_by(bands).zip(narrow.iter()) {
            *out = sample;
        }
        Ok(())
    }
}

/// Rounds, shifts, clamps and narrows one row.
fn narrow_row<T: Coefficient, S: Sample>(simd: Simd, row: &[T], range: T::Range, out: &mut [S]) {
    simd.run(
        #[inline(always)]
        || {
            if T::is_easy(&range) {
                for (out, &x) in out.iter_mut().zip(row) {
                    *out = S::narrow(x.finish_easily(&range));
                }
            } else {
                for (out, &x) in out.iter_mut().zip(row) {
                    *out = S::narrow(x.finish(&range));
                }
            }
        },
    );
}

/// Undoes the component transformation of three rows, and does the rest to each.
fn transform_row<T: Coefficient, S: Sample>(
    simd: Simd,
    rows: [&[T]; 3],
    ranges: [T::Range; 3],
    out: [&mut [S]; 3],
) {
    simd.run(
        #[inline(always)]
        || {
            let ([y0, y1, y2], [out0, out1, out2]) = (rows, out);
            let easy = ranges.iter().all(T::is_easy);
            let samples = y0.iter().zip(y1).zip(y2).zip(out0).zip(out1).zip(out2);
            if easy {
                for (((((&y0, &y1), &y2), out0), out1), out2) in samples {
                    let values = T::untransform([y0, y1, y2]);
                    *out0 = S::narrow(values[0].finish_easily(&ranges[0]));
                    *out1 = S::narrow(values[1].finish_easily(&ranges[1]));
                    *out2 = S::narrow(values[2].finish_easily(&ranges[2]));
                }
            } else {
                for (((((&y0, &y1), &y2), out0), out1), out2) in samples {
                    let values = T::untransform([y0, y1, y2]);
                    *out0 = S::narrow(values[0].finish(&ranges[0]));
                    *out1 = S::narrow(values[1].finish(&ranges[1]));
                    *out2 = S::narrow(values[2].finish(&ranges[2]));
                }
            }
        },
    );
}

/// Interleaves the bands of a row of pixels.
fn interleave<S: Sample>(simd: Simd, bands: &[Vec<S>], out: &mut [S]) {
    simd.run(
        #[inline(always)]
        || match bands {
            [a, b] => {
                for ((out, &a), &b) in out.as_chunks_mut().0.iter_mut().zip(a).zip(b) {
                    *out = [a, b];
                }
            }
            [a, b, c] => {
                for (((out, &a), &b), &c) in out.as_chunks_mut().0.iter_mut().zip(a).zip(b).zip(c) {
                    *out = [a, b, c];
                }
            }
            [a, b, c, d] => {
                let rows = out.as_chunks_mut().0.iter_mut().zip(a).zip(b).zip(c).zip(d);
                for ((((out, &a), &b), &c), &d) in rows {
                    *out = [a, b, c, d];
                }
            }
            _ => {
                for (index, band) in bands.iter().enumerate() {
                    let places = out.iter_mut().skip(index).step_by(bands.len());
                    for (out, &sample) in places.zip(band) {
                        *out = sample;
                    }
                }
            }
        },
    );
}
