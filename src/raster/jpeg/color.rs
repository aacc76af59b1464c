//! From the samples of components to pixels: chroma is brought to full size, and color
//! converted, to the bit as libjpeg-turbo does it, which nearly every reader uses.

use super::frame::{Component, Frame, Plane, Sample};

/// What the components mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// They are given out as they are.
    AsStored,
    /// YCbCr, to RGB.
    YCbCr,
    /// CMYK; full ink is stored as 0.
    Cmyk,
    /// The same with the first three in YCbCr.
    Ycck,
}

/// How a component becomes as large as the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growth {
    None,
    /// Between neighbours, weighted 3 to 1.
    Across,
    Down,
    Both,
    /// Each sample so often.
    Repeat(usize, usize),
}

/// How all components of a frame become as large as the image; `None` if one would have to
/// grow by a fraction.
fn growths(frame: &Frame) -> Option<Vec<Growth>> {
    let (h, v) = frame.largest();
    let smooth = frame.process.unit() > 1;
    let growth = |component: &Component| {
        if !h.is_multiple_of(component.h) || !v.is_multiple_of(component.v) {
            return None;
        }
        let is_wide = frame.samples(component).0 > 2;
        Some(match (h / component.h, v / component.v) {
            (1, 1) => Growth::None,
            (2, 1) if smooth && is_wide => Growth::Across,
            (1, 2) if smooth => Growth::Down,
            (2, 2) if smooth && is_wide => Growth::Both,
            (h, v) => Growth::Repeat(h as usize, v as usize),
        })
    };
    frame.components.iter().map(growth).collect()
}

/// Whether all components grow by whole numbers.
pub(super) fn is_whole(frame: &Frame) -> bool {
    growths(frame).is_some()
}

/// One component, and how it grows.
struct Growing<'a, S> {
    plane: &'a Plane<S>,
    growth: Growth,
    /// Samples that count, across and down.
    size: (usize, usize),
    /// Sums of two rows.
    sums: Vec<i32>,
}

impl<S: Sample> Growing<'_, S> {
    /// Row `y` of the full image, into `out`, which may be longer than the row.
    fn row(&mut self, y: usize, out: &mut [S]) {
        let (width, height) = self.size;
        // The other row that counts for `y`.
        let beside = |row: usize| match y % 2 {
            0 => row.saturating_sub(1),
            _ => (row + 1).min(height - 1),
        };
        match self.growth {
            Growth::None => {
                let row = self.plane.row(y);
                let length = row.len().min(out.len());
                out[..length].copy_from_slice(&row[..length]);
            }
            Growth::Repeat(h, v) => {
                for (out, sample) in out.chunks_mut(h).zip(&self.plane.row(y / v)[..width]) {
                    out.fill(*sample);
                }
            }
            Growth::Across => {
                let row = &self.plane.row(y)[..width];
                across(width, |x| row[x].value(), (1, 2, 2), (0, 0), out);
            }
            Growth::Down => {
                let bias = 1 + (y % 2) as i32;
                let (near, far) = (self.plane.row(y / 2), self.plane.row(beside(y / 2)));
                for ((out, near), far) in out.iter_mut().zip(&near[..width]).zip(far) {
                    *out = S::of((3 * near.value() + far.value() + bias) >> 2);
                }
            }
            Growth::Both => {
                let (near, far) = (self.plane.row(y / 2), self.plane.row(beside(y / 2)));
                let sum = |(near, far): (&S, &S)| 3 * near.value() + far.value();
                self.sums.clear();
                self.sums.extend(near[..width].iter().zip(far).map(sum));
                let sums = &self.sums;
                across(width, |x| sums[x], (8, 7, 4), (8, 7), out);
            }
        }
    }
}

/// Twice as many samples as `sample` gives: each between itself, thrice, and a neighbour.
/// `left`, `right` and `shift` round; `ends` rounds the first and the last.
fn across<S: Sample>(
    width: usize,
    sample: impl Fn(usize) -> i32,
    (left, right, shift): (i32, i32, i32),
    ends: (i32, i32),
    out: &mut [S],
) {
    let mut put = |at: usize, value: i32| {
        if let Some(out) = out.get_mut(at) {
            *out = S::of(value);
        }
    };
    // At the ends the sample stands for its missing neighbour, too.
    let last = width - 1;
    put(0, (4 * sample(0) + ends.0) >> shift);
    put(1, (3 * sample(0) + sample(1) + right) >> shift);
    for x in 1..last {
        let here = 3 * sample(x);
        put(2 * x, (here + sample(x - 1) + left) >> shift);
        put(2 * x + 1, (here + sample(x + 1) + right) >> shift);
    }
    put(2 * last, (3 * sample(last) + sample(last - 1) + left) >> shift);
    put(2 * last + 1, (4 * sample(last) + ends.1) >> shift);
}

/// Writes all pixels.
pub(super) fn write<S: Sample>(
    frame: &Frame,
    planes: &[Plane<S>],
    model: Model,
    pixels: &mut [u8],
) -> Option<()> {
    let width = frame.width as usize;
    let bands = planes.len();
    let row_bytes = width * bands * size_of::<S>();
    let growths = growths(frame)?;
    let mut growing: Vec<Growing<'_, S>> = (planes.iter().zip(growths).zip(&frame.components))
        .map(|((plane, growth), component)| {
            let (across, down) = frame.samples(component);
            let size = (across as usize, down as usize);
            Growing { plane, growth, size, sums: Vec::new() }
        })
        .collect();
    let mut rows = vec![vec![S::of(0); width]; bands];
    let mut line = vec![S::of(0); width * bands];
    let most = (1 << frame.precision) - 1;
    for (y, out) in pixels.chunks_exact_mut(row_bytes.max(1)).enumerate() {
        for (growing, row) in growing.iter_mut().zip(&mut rows) {
            growing.row(y, row);
        }
        join(&rows, model, most, &mut line);
        S::store(&line, out);
    }
    Some(())
}

/// One row of pixels from those of its components.
fn join<S: Sample>(rows: &[Vec<S>], model: Model, most: i32, line: &mut [S]) {
    match (model, rows) {
        (Model::YCbCr, [y, cb, cr]) => {
            let samples = y.iter().zip(cb).zip(cr);
            for (pixel, ((y, cb), cr)) in line.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
                *pixel = rgb(y.value(), cb.value(), cr.value(), most).map(S::of);
            }
        }
        (Model::Cmyk, [c, m, y, k]) => {
            let samples = c.iter().zip(m).zip(y).zip(k);
            for (pixel, (((c, m), y), k)) in line.as_chunks_mut::<4>().0.iter_mut().zip(samples) {
                *pixel = [c, m, y, k].map(|ink| S::of(most - ink.value()));
            }
        }
        (Model::Ycck, [y, cb, cr, k]) => {
            let samples = y.iter().zip(cb).zip(cr).zip(k);
            for (pixel, (((y, cb), cr), k)) in line.as_chunks_mut::<4>().0.iter_mut().zip(samples) {
                let [r, g, b] = rgb(y.value(), cb.value(), cr.value(), most);
                *pixel = [r, g, b, most - k.value()].map(S::of);
            }
        }
        (_, [single]) => line.copy_from_slice(single),
        _ => {
            for (band, row) in rows.iter().enumerate() {
                let out = line.iter_mut().skip(band).step_by(rows.len());
                out.zip(row).for_each(|(out, sample)| *out = *sample);
            }
        }
    }
}

/// JFIF's conversion, with 16 bits behind the point.
#[inline(always)]
fn rgb(y: i32, cb: i32, cr: i32, most: i32) -> [i32; 3] {
    let (cb, cr) = (cb - (most + 1) / 2, cr - (most + 1) / 2);
    let red = y + ((91_881 * cr + 32_768) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + 32_768) >> 16);
    let blue = y + ((116_130 * cb + 32_768) >> 16);
    [red, green, blue].map(|value| value.clamp(0, most))
}
