//! The forward transforms, by their formulas (F.4, G.2, G.3).

use crate::raster::jpeg2000::engine::geometry::{Orientation, Rect};
use crate::raster::jpeg2000::engine::wavelet::{Kernel, Plane};

/// One row or column that begins at index `start`, transformed in place.
fn forward(line: &mut [f64], start: u32, kernel: Kernel) {
    let n = line.len() as i64;
    let odd = i64::from(start % 2);
    if n == 1 {
        if odd == 1 {
            line[0] *= 2.0;
        }
        return;
    }
    let mirror = |i: i64| -> usize {
        let period = 2 * (n - 1);
        let i = i.rem_euclid(period);
        i.min(period - i) as usize
    };
    let mut step = |parity: i64, f: &dyn Fn(f64, f64, f64) -> f64| {
        let old = line.to_vec();
        for i in 0..n {
            if (i + odd) % 2 == parity {
                line[i as usize] = f(old[i as usize], old[mirror(i - 1)], old[mirror(i + 1)]);
            }
        }
    };
    match kernel {
        Kernel::Reversible53 => {
            step(1, &|x, a, b| x - ((a + b) / 2.0).floor());
            step(0, &|x, a, b| x + ((a + b + 2.0) / 4.0).floor());
        }
        Kernel::Irreversible97 => {
            step(1, &|x, a, b| x - 1.586_134_342_059_924 * (a + b));
            step(0, &|x, a, b| x - 0.052_980_118_572_961 * (a + b));
            step(1, &|x, a, b| x + 0.882_911_075_530_934 * (a + b));
            step(0, &|x, a, b| x + 0.443_506_852_043_971 * (a + b));
            step(1, &|x, _, _| x * 1.230_174_104_914_001);
            step(0, &|x, _, _| x / 1.230_174_104_914_001);
        }
    }
}

/// One decomposition level: the four sub-bands of a resolution.
pub(crate) fn decompose(plane: &Plane<f64>, kernel: Kernel) -> [(Orientation, Plane<f64>); 4] {
    let rect = plane.rect;
    let (w, h) = (rect.width() as usize, rect.height() as usize);
    let mut samples = plane.samples.clone();
    for x in 0..w {
        let mut column: Vec<f64> = (0..h).map(|y| samples[y * w + x]).collect();
        forward(&mut column, rect.y0, kernel);
        (0..h).for_each(|y| samples[y * w + x] = column[y]);
    }
    for row in samples.chunks_mut(w.max(1)) {
        forward(row, rect.x0, kernel);
    }
    [Orientation::Ll, Orientation::Hl, Orientation::Lh, Orientation::Hh].map(|orientation| {
        let (high_x, high_y) = orientation.high();
        let part = |low: u32, end: u32, high: bool| -> (Vec<u32>, u32, u32) {
            let all: Vec<u32> = (low..end).filter(|i| (i % 2 == 1) == high).collect();
            let first = if high { low / 2 } else { low.div_ceil(2) };
            let count = all.len() as u32;
            (all, first, first + count)
        };
        let (xs, x0, x1) = part(rect.x0, rect.x1, high_x);
        let (ys, y0, y1) = part(rect.y0, rect.y1, high_y);
        let samples = &samples;
        let samples = ys
            .iter()
            .flat_map(|y| {
                xs.iter().map(move |x| samples[(y - rect.y0) as usize * w + (x - rect.x0) as usize])
            })
            .collect();
        (orientation, Plane { rect: Rect { x0, y0, x1, y1 }, samples })
    })
}

/// The component transform of the first three components.
pub(crate) fn mix(planes: &mut [Plane<f64>], kernel: Kernel) {
    let [a, b, c, ..] = planes else { panic!("three components") };
    for ((r, g), b) in a.samples.iter_mut().zip(&mut b.samples).zip(&mut c.samples) {
        let (red, green, blue) = (*r, *g, *b);
        match kernel {
            Kernel::Reversible53 => {
                *r = ((red + 2.0 * green + blue) / 4.0).floor();
                *g = blue - green;
                *b = red - green;
            }
            Kernel::Irreversible97 => {
                *r = 0.299 * red + 0.587 * green + 0.114 * blue;
                *g = -0.168_736 * red - 0.331_264 * green + 0.5 * blue;
                *b = 0.5 * red - 0.418_688 * green - 0.081_312 * blue;
            }
        }
    }
}
