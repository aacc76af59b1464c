//! The synthesis against Annex F written out as naively as can be.

use proptest::prelude::*;

use super::*;
use crate::raster::jpeg2000::engine::simd::Simd;

/// Annex F's periodic symmetric extension (F.3.7): the index inside `i0..i1` that stands for `i`.
fn mirror(i: i64, i0: i64, i1: i64) -> i64 {
    let period = 2 * (i1 - i0 - 1);
    let d = (i - i0).rem_euclid(period);
    i0 + d.min(period - d)
}

/// Numbers that the naive filters work on.
trait Naive: Copy + Default {
    fn filter(y: &[Self], i0: i64) -> Vec<Self>;
}

impl Naive for i64 {
    fn filter(y: &[i64], i0: i64) -> Vec<i64> {
        let i1 = i0 + y.len() as i64;
        if y.len() == 1 {
            return vec![if i0 % 2 == 0 { y[0] } else { y[0] / 2 }];
        }
        if y.is_empty() {
            return vec![];
        }
        let y = |i: i64| y[(mirror(i, i0, i1) - i0) as usize];
        let even = |i: i64| y(i) - (y(i - 1) + y(i + 1) + 2).div_euclid(4);
        let at = |i: i64| {
            if i % 2 == 0 { even(i) } else { y(i) + (even(i - 1) + even(i + 1)).div_euclid(2) }
        };
        (i0..i1).map(at).collect()
    }
}

impl Naive for f64 {
    fn filter(y: &[f64], i0: i64) -> Vec<f64> {
        let i1 = i0 + y.len() as i64;
        if y.len() == 1 {
            return vec![if i0 % 2 == 0 { y[0] } else { y[0] / 2.0 }];
        }
        if y.is_empty() {
            return vec![];
        }
        let k = support::K;
        let (a, b) = (-1.586_134_342_059_924, -0.052_980_118_572_961);
        let (c, d) = (0.882_911_075_530_934, 0.443_506_852_043_971);
        let mut x: Vec<f64> = (i0 - 5..i1 + 5)
            .map(|i| y[(mirror(i, i0, i1) - i0) as usize] * if i % 2 == 0 { k } else { 1.0 / k })
            .collect();
        // Index 0 of `x` is coordinate i0 - 5.
        for (step, factor) in [d, c, b, a].into_iter().enumerate() {
            for i in i0 - 4 + step as i64..i1 + 4 - step as i64 {
                if (i + step as i64) % 2 == 0 {
                    let at = (i - i0 + 5) as usize;
                    x[at] -= factor * (x[at - 1] + x[at + 1]);
                }
            }
        }
        x[5..x.len() - 5].to_vec()
    }
}

/// A whole resolution from its four sub-bands (F.3.1 to F.3.5).
fn naive_level<T: Naive>(rect: Rect, bands: [&Plane<T>; 4]) -> Plane<T> {
    let mut out = Plane { rect, samples: vec![T::default(); rect.area() as usize] };
    let width = rect.width() as usize;
    for y in rect.y0..rect.y1 {
        for x in rect.x0..rect.x1 {
            let band = bands[(x % 2 + 2 * (y % 2)) as usize];
            let (u, v) = (x / 2 - band.rect.x0, y / 2 - band.rect.y0);
            out.samples[(y - rect.y0) as usize * width + (x - rect.x0) as usize] =
                band.samples[(v * band.rect.width() + u) as usize];
        }
    }
    if width == 0 {
        return out;
    }
    for row in out.samples.chunks_exact_mut(width) {
        let filtered = T::filter(row, i64::from(rect.x0));
        row.copy_from_slice(&filtered);
    }
    for x in 0..width {
        let column: Vec<T> = out.samples.iter().skip(x).step_by(width).copied().collect();
        let filtered = T::filter(&column, i64::from(rect.y0));
        for (to, from) in out.samples.iter_mut().skip(x).step_by(width).zip(filtered) {
            *to = from;
        }
    }
    out
}

fn resolutions(tile: Rect, levels: u32) -> Vec<Rect> {
    (0..=levels)
        .rev()
        .map(|n| {
            let at = |v: u32| v.div_ceil(1 << n);
            Rect::new(at(tile.x0), at(tile.y0), at(tile.x1), at(tile.y1))
        })
        .collect()
}

/// All sub-bands of a tile-component, filled from a generator.
struct Bands<T> {
    ll: Plane<T>,
    details: Vec<[Plane<T>; 3]>,
}

impl<T: Copy + Default> Bands<T> {
    fn new(resolutions: &[Rect], mut value: impl FnMut() -> T) -> Self {
        let mut plane = |rect: Rect| {
            let mut plane = Plane::new(rect);
            plane.samples.iter_mut().for_each(|x| *x = value());
            plane
        };
        let ll = plane(resolutions[0]);
        let details = resolutions[1..]
            .iter()
            .map(|r| [Band::Hl, Band::Lh, Band::Hh].map(|band| plane(band_rect(*r, band))))
            .collect();
        Self { ll, details }
    }

    fn map<U: Copy + Default>(&self, mut f: impl FnMut(usize, Band, T) -> U) -> Bands<U> {
        let mut plane = |r: usize, band: Band, plane: &Plane<T>| Plane {
            rect: plane.rect,
            samples: plane.samples.iter().map(|&x| f(r, band, x)).collect(),
        };
        let ll = plane(0, Band::Ll, &self.ll);
        let details = self.details.iter().enumerate().map(|(r, [hl, lh, hh])| {
            [plane(r + 1, Band::Hl, hl), plane(r + 1, Band::Lh, lh), plane(r + 1, Band::Hh, hh)]
        });
        let details = details.collect();
        Bands { ll, details }
    }

    fn naive(&self, resolutions: &[Rect]) -> Plane<T>
    where
        T: Naive,
    {
        let mut below = self.ll.clone();
        for (rect, [hl, lh, hh]) in resolutions[1..].iter().zip(&self.details) {
            below = naive_level(*rect, [&below, hl, lh, hh]);
        }
        below
    }
}

/// The rows of a window, put together.
fn synthesise<L: Lifting>(
    resolutions: &[Rect],
    window: Rect,
    bands: &Bands<L::Sample>,
) -> Plane<L::Sample>
where
    L::Sample: PartialEq,
{
    let mut synthesis = Synthesis::<L>::new(resolutions, window);
    let mut baseline = Synthesis::<L>::new(resolutions, window).on(Simd::baseline());
    let rect = synthesis.window();
    let mut source = Planes { ll: &bands.ll, details: &bands.details };
    let mut same = source;
    let mut samples = Vec::new();
    while let Some(row) = synthesis.next_row(&mut source).unwrap() {
        assert_eq!(row.len(), rect.width() as usize);
        assert!(row == baseline.next_row(&mut same).unwrap().unwrap());
        samples.extend_from_slice(row);
    }
    assert_eq!(samples.len() as u64, rect.area());
    Plane { rect, samples }
}

fn crop<T: Copy>(plane: &Plane<T>, rect: Rect) -> Vec<T> {
    let mut samples = Vec::new();
    for y in rect.y0..rect.y1 {
        let at = (y - plane.rect.y0) as usize * plane.rect.width() as usize;
        let (from, to) = (rect.x0 - plane.rect.x0, rect.x1 - plane.rect.x0);
        samples.extend_from_slice(&plane.samples[at + from as usize..at + to as usize]);
    }
    samples
}

/// A small generator of pseudo-random numbers.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn tile() -> impl Strategy<Value = (Rect, u32)> {
    let side = prop_oneof![0_u32..6, 0_u32..40, 60_u32..70];
    (0_u32..40, 0_u32..40, side.clone(), side, 0_u32..5)
        .prop_map(|(x, y, w, h, levels)| (Rect::new(x, y, x + w, y + h), levels))
}

/// A window of `rect`, from four random numbers.
fn part(rect: Rect, [a, b, c, d]: [u32; 4]) -> Rect {
    let (w, h) = (rect.width() + 1, rect.height() + 1);
    let (a, b, c, d) = (a % w, b % w, c % h, d % h);
    Rect::new(rect.x0 + a.min(b), rect.y0 + c.min(d), rect.x0 + a.max(b), rect.y0 + c.max(d))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn reversible_is_annex_f((tile, levels) in tile(), seed: u64, cut: [u32; 4]) {
        let resolutions = resolutions(tile, levels);
        let mut random = random(seed);
        let bands = Bands::new(&resolutions, || (random() % 8192) as i64 - 4096);
        let naive = bands.naive(&resolutions);
        let narrow = bands.map(|_, _, x| x as i32);
        let whole = synthesise::<Reversible>(&resolutions, tile, &narrow);
        prop_assert_eq!(&whole.samples, &naive.samples.iter().map(|&x| x as i32).collect::<Vec<_>>());
        let window = part(tile, cut);
        let some = synthesise::<Reversible>(&resolutions, window, &narrow);
        prop_assert_eq!(some.samples, crop(&whole, some.rect));
    }

    #[test]
    fn irreversible_is_annex_f((tile, levels) in tile(), seed: u64, cut: [u32; 4]) {
        let resolutions = resolutions(tile, levels);
        let mut random = random(seed);
        let bands = Bands::new(&resolutions, || (random() % 65536) as f64 - 32768.0);
        let naive = bands.naive(&resolutions);
        let narrow = bands.map(|r, band, x| (x * gain(&resolutions, r, band)) as f32);
        let whole = synthesise::<Irreversible>(&resolutions, tile, &narrow);
        for (&ours, &exact) in whole.samples.iter().zip(&naive.samples) {
            prop_assert!((f64::from(ours) - exact).abs() < 0.5, "{} {}", ours, exact);
        }
        let window = part(tile, cut);
        let some = synthesise::<Irreversible>(&resolutions, window, &narrow);
        prop_assert_eq!(some.samples, crop(&whole, some.rect));
    }

    /// The memory that is told is enough.
    #[test]
    fn memory_is_bounded(
        (x, y) in (0_u32..1000, 0_u32..1000),
        (w, h) in (1_u32..3000, 1_u32..3000),
        levels in 0_u32..33,
        cut: [u32; 4],
    ) {
        let tile = Rect::new(x, y, x + w, y + h);
        let resolutions = resolutions(tile, levels.min(31));
        let window = part(tile, cut);
        let held = Synthesis::<Irreversible>::new(&resolutions, window).held();
        let told = Synthesis::<Irreversible>::memory(window.width(), levels);
        prop_assert!(held as u64 * 4 <= told, "{} {}", held * 4, told);
        let held = Synthesis::<Reversible>::new(&resolutions, window).held();
        prop_assert!(held as u64 * 4 <= told, "{} {}", held * 4, told);
    }

    /// Rows that do not fit together (which no source should give) do no harm.
    #[test]
    fn misfits_do_not_panic(low in 0_usize..40, high in 0_usize..40, out in 0_usize..80, odd: bool) {
        let mut scratch = lifting::Scratch::new(low / 2, high);
        Reversible::horizontal(&vec![1; low], &vec![1; high], odd, &mut scratch, &mut vec![0; out]);
        let mut scratch = lifting::Scratch::new(low, high / 2);
        let (low, high) = (vec![1.0; low], vec![1.0; high]);
        Irreversible::horizontal(&low, &high, odd, &mut scratch, &mut vec![0.0; out]);
    }

    /// A window does not read what lies outside its support, and reads all corners of it.
    #[test]
    fn supports_are_exact((tile, _) in tile(), cut: [u32; 4]) {
        for kernel in [Kernel::Reversible53, Kernel::Irreversible97] {
            let window = part(tile, cut);
            let support = support(kernel, tile, window);
            for (index, (band, need)) in [
                (Band::Ll, support.ll), (Band::Hl, support.hl), (Band::Lh, support.lh), (Band::Hh, support.hh),
            ].into_iter().enumerate() {
                // The hull of all samples that an impulse of the band shows in.
                let rect = band_rect(tile, band);
                let touches = |along_x: bool, at: u32| {
                    let (i0, i1, high) = if along_x { (tile.x0, tile.x1, band.high_x()) } else { (tile.y0, tile.y1, band.high_y()) };
                    let mut y = vec![0.0; (i1 - i0) as usize];
                    y[(2 * at + u32::from(high) - i0) as usize] = 1.0;
                    let x = match kernel {
                        Kernel::Irreversible97 => f64::filter(&y, i64::from(i0)),
                        Kernel::Reversible53 => {
                            let y: Vec<i64> = y.iter().map(|&y| (y * 1e6) as i64).collect();
                            i64::filter(&y, i64::from(i0)).into_iter().map(|x| if x.abs() > 10 { 1.0 } else { 0.0 }).collect()
                        }
                    };
                    let (a, b) = if along_x { (window.x0, window.x1) } else { (window.y0, window.y1) };
                    (a..b).any(|i| x[(i - i0) as usize].abs() > 1e-9)
                };
                let hull = |along_x: bool, a: u32, b: u32| {
                    let hits: Vec<u32> = (a..b).filter(|&i| touches(along_x, i)).collect();
                    hits.first().map_or((0, 0), |&first| (first, hits[hits.len() - 1] + 1))
                };
                let (x0, x1) = hull(true, rect.x0, rect.x1);
                let (y0, y1) = hull(false, rect.y0, rect.y1);
                let exact = Rect::new(x0, y0, x1, y1);
                if window.is_empty() || exact.is_empty() {
                    prop_assert!(need.is_empty(), "band {}", index);
                } else {
                    prop_assert_eq!(need, exact, "band {}", index);
                }
            }
        }
    }
}

/// Planes that hold no more than the support give the same rows; smaller ones give an error.
#[test]
fn planes_may_be_as_small_as_the_support() {
    let tile = Rect::new(3, 5, 120, 98);
    let resolutions = resolutions(tile, 3);
    let window = Rect::new(40, 33, 77, 61);
    let mut random = random(7);
    let bands = Bands::new(&resolutions, || (random() % 512) as i32 - 256);
    let whole = synthesise::<Reversible>(&resolutions, window, &bands);
    let needs = needs(Kernel::Reversible53, &resolutions, window);
    let cut = |plane: &Plane<i32>, rect: Rect| Plane { rect, samples: crop(plane, rect) };
    let small = Bands {
        ll: cut(&bands.ll, needs.ll),
        details: bands
            .details
            .iter()
            .zip(&needs.details)
            .map(|([hl, lh, hh], need)| [cut(hl, need.hl), cut(lh, need.lh), cut(hh, need.hh)])
            .collect(),
    };
    assert!(Planes { ll: &small.ll, details: &small.details }.cover(&needs));
    assert_eq!(synthesise::<Reversible>(&resolutions, window, &small).samples, whole.samples);
    let wider = Rect { x1: window.x1 + 2, ..window };
    let mut synthesis = Synthesis::<Reversible>::new(&resolutions, wider);
    let mut source = Planes { ll: &small.ll, details: &small.details };
    assert!(synthesis.next_row(&mut source).is_err());
}

/// Coefficients that no encoder writes overflow in silence, as they do everywhere else.
#[test]
fn extreme_coefficients_wrap() {
    let tile = Rect::new(0, 0, 16, 16);
    let resolutions = resolutions(tile, 2);
    let mut random = random(3);
    let bands = Bands::new(&resolutions, || random() as i32);
    synthesise::<Reversible>(&resolutions, tile, &bands);
}

/// Single precision loses nothing of the lifting parameters (Table F.4) that it could hold.
#[test]
fn parameters_are_table_f_4() {
    let exact = [
        0.443_506_852_043_971_f64,
        0.882_911_075_530_934,
        -0.052_980_118_572_961,
        -1.586_134_342_059_924,
    ];
    let ours = [
        Irreversible::lift::<1>(0.0, -1.0, 0.0),
        Irreversible::lift::<2>(0.0, -1.0, 0.0),
        Irreversible::lift::<3>(0.0, -1.0, 0.0),
        Irreversible::lift::<4>(0.0, -1.0, 0.0),
    ];
    assert_eq!(ours.map(f32::to_bits), exact.map(|x| (x as f32).to_bits()));
}

/// The forward 9/7 transformation of one row (F.4.8.2), in place.
fn analyse(x: &mut [f64], i0: i64) {
    let i1 = i0 + x.len() as i64;
    if x.len() == 1 {
        if i0 % 2 == 1 {
            x[0] *= 2.0;
        }
        return;
    }
    let (a, b) = (-1.586_134_342_059_924, -0.052_980_118_572_961);
    let (c, d) = (0.882_911_075_530_934, 0.443_506_852_043_971);
    for (parity, factor) in [(1, a), (0, b), (1, c), (0, d)] {
        for i in (i0..i1).filter(|i| i % 2 == parity) {
            let neighbour = |i: i64| x[(mirror(i, i0, i1) - i0) as usize];
            x[(i - i0) as usize] += factor * (neighbour(i - 1) + neighbour(i + 1));
        }
    }
    for (x, i) in x.iter_mut().zip(i0..) {
        *x *= if i % 2 == 0 { 1.0 / support::K } else { support::K };
    }
}

/// The sub-bands of a picture.
fn analyse_picture(resolutions: &[Rect], mut picture: Plane<f64>) -> Bands<f64> {
    let mut details = Vec::new();
    for rect in resolutions[1..].iter().rev() {
        let width = rect.width() as usize;
        for x in 0..width {
            let mut column: Vec<f64> =
                picture.samples[x..].iter().step_by(width).copied().collect();
            analyse(&mut column, i64::from(rect.y0));
            for (to, from) in picture.samples[x..].iter_mut().step_by(width).zip(column) {
                *to = from;
            }
        }
        for row in picture.samples.chunks_exact_mut(width) {
            analyse(row, i64::from(rect.x0));
        }
        let take = |band: Band| {
            let mut plane = Plane::new(band_rect(*rect, band));
            let part = plane.rect;
            for v in part.y0..part.y1 {
                for u in part.x0..part.x1 {
                    let (x, y) =
                        (2 * u + u32::from(band.high_x()), 2 * v + u32::from(band.high_y()));
                    let at = (y - rect.y0) as usize * width + (x - rect.x0) as usize;
                    plane.row_mut(v, u, u + 1).unwrap()[0] = picture.samples[at];
                }
            }
            plane
        };
        details.push([Band::Hl, Band::Lh, Band::Hh].map(take));
        picture = take(Band::Ll);
    }
    details.reverse();
    Bands { ll: picture, details }
}

/// Pictures of 16 bits come back to a small part of a step, be they noise, steps or slopes.
#[test]
fn single_precision_is_enough() {
    let tile = Rect::new(5, 2, 300, 259);
    let resolutions = resolutions(tile, 6);
    let mut random = random(11);
    let mut worst = 0.0_f64;
    for kind in 0..3 {
        let mut picture = Plane::new(tile);
        for y in tile.y0..tile.y1 {
            for x in tile.x0..tile.x1 {
                picture.row_mut(y, x, x + 1).unwrap()[0] = match kind {
                    0 => (random() % 65536) as f64 - 32768.0,
                    1 => f64::from(x / 40 % 2 + y / 40 % 2) * 32767.5 - 32768.0,
                    _ => f64::from(x * 200 + y * 20) - 32768.0,
                };
            }
        }
        let bands = analyse_picture(&resolutions, picture.clone());
        let naive = bands.naive(&resolutions);
        for (back, there) in naive.samples.iter().zip(&picture.samples) {
            assert!((back - there).abs() < 1e-4, "{back} {there}");
        }
        let narrow = bands.map(|r, band, x| (x * gain(&resolutions, r, band)) as f32);
        let ours = synthesise::<Irreversible>(&resolutions, tile, &narrow);
        for (&ours, exact) in ours.samples.iter().zip(&picture.samples) {
            worst = worst.max((f64::from(ours) - exact).abs());
        }
    }
    assert!(worst < 0.1, "{worst}");
}
