//! Several threads: code-blocks into planes, then stripes of the window.

use super::feed::Feed;
use super::lines::Lines;
use super::work::{Decoded, Row, Work};
use crate::raster::jpeg2000::engine::error::Result;
use crate::raster::jpeg2000::engine::geometry::Rect;
use crate::raster::jpeg2000::engine::pool::work_off;
use crate::raster::jpeg2000::engine::samples::Sample;
use crate::raster::jpeg2000::engine::strip::{BandView, Coefficient, StripDecoder};
use crate::raster::jpeg2000::engine::wavelet::{Kernel, Plane, Planes};

/// The rows that one thread synthesises at a time. Fewer would repeat too much of the overlap.
const STRIPE: u32 = 128;

/// The planes of a component's sub-bands.
struct Bands<T> {
    ll: Plane<T>,
    details: Vec<[Plane<T>; 3]>,
}

enum ComponentBands {
    Reversible(Bands<i32>),
    Irreversible(Bands<f32>),
}

/// A row of code-blocks that is to be decoded.
struct Job<'p, T> {
    view: BandView,
    row: u32,
    out: &'p mut [T],
}

enum AnyJob<'p> {
    Reversible(Job<'p, i32>),
    Irreversible(Job<'p, f32>),
}

impl<T: Coefficient> Bands<T> {
    fn new(views: &[Vec<BandView>]) -> Self {
        let plane = |r: usize, band: usize| {
            Plane::new(
                views
                    .get(r)
                    .and_then(|bands| bands.get(band))
                    .map_or(Rect::default(), |view| view.window),
            )
        };
        Self {
            ll: plane(0, 0),
            details: (1..views.len()).map(|r| [plane(r, 0), plane(r, 1), plane(r, 2)]).collect(),
        }
    }

    /// Cuts the planes into rows of code-blocks.
    fn jobs<'p>(
        &'p mut self,
        views: &[Vec<BandView>],
        jobs: &mut Vec<AnyJob<'p>>,
        wrap: fn(Job<'p, T>) -> AnyJob<'p>,
    ) {
        let planes = std::iter::once(&mut self.ll).chain(self.details.iter_mut().flatten());
        for (view, plane) in views.iter().flatten().zip(planes) {
            let mut rest = plane.samples.as_mut_slice();
            let width = view.window.width() as usize;
            for row in view.rows() {
                let count = view.lines(row).len() * width;
                let Some((out, behind)) = rest.split_at_mut_checked(count) else { break };
                rest = behind;
                jobs.push(wrap(Job { view: *view, row, out }));
            }
        }
    }

    const fn planes(&self) -> Planes<'_, T> {
        Planes { ll: &self.ll, details: self.details.as_slice() }
    }
}

/// Decodes all code-blocks into planes.
fn decode_bands(work: &Work<'_>) -> Result<Vec<ComponentBands>> {
    let options = work.coefficients.options;
    let mut components: Vec<ComponentBands> = work
        .plan
        .components
        .iter()
        .zip(&work.views)
        .map(|(plan, views)| {
            let coding = work.tile.coding().components.get(usize::from(plan.component));
            match coding.map(|coding| coding.style.kernel) {
                Some(Kernel::Irreversible97) => ComponentBands::Irreversible(Bands::new(views)),
                _ => ComponentBands::Reversible(Bands::new(views)),
            }
        })
        .collect();
    let mut jobs = Vec::new();
    for (bands, views) in components.iter_mut().zip(&work.views) {
        match bands {
            ComponentBands::Reversible(bands) => bands.jobs(views, &mut jobs, AnyJob::Reversible),
            ComponentBands::Irreversible(bands) => {
                bands.jobs(views, &mut jobs, AnyJob::Irreversible)
            }
        }
    }
    work_off(options.threads, jobs, |decoder: &mut StripDecoder, job| match job {
        AnyJob::Reversible(job) => {
            decoder.decode(work.coefficients, &job.view, job.row, 1, job.out)
        }
        AnyJob::Irreversible(job) => {
            decoder.decode(work.coefficients, &job.view, job.row, 1, job.out)
        }
    })?;
    Ok(components)
}

/// The rows of a stripe, from planes.
fn lines<'a, S: Sample>(
    work: &'a Work<'a>,
    bands: &'a [ComponentBands],
    stripe: Rect,
) -> Result<Lines<'a, S>> {
    static NO_INTEGERS: Plane<i32> = Plane { rect: Rect::new(0, 0, 0, 0), samples: Vec::new() };
    static NO_FLOATS: Plane<f32> = Plane { rect: Rect::new(0, 0, 0, 0), samples: Vec::new() };
    Lines::new(work, Some(stripe), |index, _| {
        let mut integers = Planes { ll: &NO_INTEGERS, details: &[] };
        let mut floats = Planes { ll: &NO_FLOATS, details: &[] };
        match bands.get(index) {
            Some(ComponentBands::Reversible(bands)) => integers = bands.planes(),
            Some(ComponentBands::Irreversible(bands)) => floats = bands.planes(),
            None => {}
        }
        (Feed::Planes(integers), Feed::Planes(floats))
    })
}

/// The rectangle on the reduced reference grid that a plan's windows span, cut into stripes.
fn stripes(work: &Work<'_>, height: u32) -> Vec<Rect> {
    // The component's row y stands at y * dy or less of the reduced reference grid.
    let mut all = Rect::default();
    for plan in &work.plan.components {
        let geometry = work.tile.components().get(usize::from(plan.component));
        let (dx, dy) = geometry.map_or((1, 1), |geometry| (geometry.dx, geometry.dy));
        let window = plan.window;
        if window.is_empty() {
            continue;
        }
        all = all.union(&Rect {
            x0: (window.x0.saturating_sub(1)).saturating_mul(dx),
            y0: (window.y0.saturating_sub(1)).saturating_mul(dy),
            x1: window.x1.saturating_mul(dx),
            y1: window.y1.saturating_mul(dy),
        });
    }
    let mut stripes = Vec::new();
    let mut y = all.y0;
    while y < all.y1 {
        let end = y.saturating_add(height).min(all.y1);
        stripes.push(Rect { y0: y, y1: end, ..all });
        y = end;
    }
    stripes
}

/// The stripes' height for a number of rows: some stripes for each thread.
fn stripe_height(work: &Work<'_>) -> u32 {
    let rows =
        work.plan.components.iter().map(|component| component.window.height()).max().unwrap_or(0);
    let threads = u32::try_from(work.coefficients.options.threads).unwrap_or(u32::MAX).max(1);
    rows.div_ceil(threads).max(STRIPE)
}

/// The rows of an output that one thread writes.
struct Out<'p, S> {
    component: u16,
    y0: u32,
    samples: &'p mut [S],
}

/// What one thread writes: a stripe of all outputs.
struct StripeJob<'p, S> {
    stripe: Rect,
    outs: Vec<Out<'p, S>>,
}

/// An output, or the rows of one that a batch of stripes gives.
struct Output<S> {
    component: u16,
    rect: Rect,
    /// Samples of a pixel.
    bands: usize,
    dx: u32,
    dy: u32,
    samples: Vec<S>,
}

impl<S: Sample> Output<S> {
    /// The outputs without their samples.
    fn all(work: &Work<'_>) -> Vec<Self> {
        work.outputs()
            .map(|(plan, bands)| {
                let geometry = work.tile.components().get(usize::from(plan.component));
                let (dx, dy) = geometry.map_or((1, 1), |geometry| (geometry.dx, geometry.dy));
                Self {
                    component: plan.component,
                    rect: plan.window,
                    bands,
                    dx,
                    dy,
                    samples: Vec::new(),
                }
            })
            .collect()
    }
}

/// Decodes into planes that have the windows' sizes.
pub(super) fn decode<S: Sample>(work: &Work<'_>, planes: &mut [Decoded<S>]) -> Result<()> {
    let bands = decode_bands(work)?;
    let mut outputs = Output::all(work);
    for (output, plane) in outputs.iter_mut().zip(planes.iter_mut()) {
        output.samples = std::mem::take(&mut plane.plane.samples);
    }
    fill(work, &bands, &stripes(work, stripe_height(work)), &mut outputs)?;
    for (output, plane) in outputs.into_iter().zip(planes) {
        plane.plane.samples = output.samples;
    }
    Ok(())
}

/// Synthesises stripes, which follow each other, into outputs that hold just their rows.
fn fill<S: Sample>(
    work: &Work<'_>,
    bands: &[ComponentBands],
    stripes: &[Rect],
    outputs: &mut [Output<S>],
) -> Result<()> {
    let mut jobs: Vec<StripeJob<'_, S>> = stripes
        .iter()
        .map(|&stripe| StripeJob { stripe, outs: Vec::with_capacity(outputs.len()) })
        .collect();
    for output in outputs {
        let mut rest = output.samples.as_mut_slice();
        for job in &mut jobs {
            let own = job.stripe.divided(output.dx, output.dy).intersection(&output.rect);
            let count = own.width() as usize * own.height() as usize * output.bands;
            let Some((samples, behind)) = rest.split_at_mut_checked(count) else { break };
            rest = behind;
            job.outs.push(Out { component: output.component, y0: own.y0, samples });
        }
    }
    work_off(work.coefficients.options.threads, jobs, |(): &mut (), mut job| {
        lines(work, bands, job.stripe)?.run(work, &mut |row: Row<'_, S>| {
            if let Some(out) = job.outs.iter_mut().find(|out| out.component == row.component) {
                let at = (row.y - out.y0) as usize * row.samples.len();
                if let Some(to) = out.samples.get_mut(at..at + row.samples.len()) {
                    to.copy_from_slice(row.samples);
                }
            }
            Ok(())
        })
    })
}

/// Decodes and hands out the rows in order.
pub(super) fn decode_rows<S: Sample>(
    work: &Work<'_>,
    sink: &mut dyn FnMut(Row<'_, S>) -> Result<()>,
) -> Result<()> {
    let bands = decode_bands(work)?;
    let stripes = stripes(work, STRIPE);
    for batch in stripes.chunks(work.coefficients.options.threads) {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { continue };
        let all = Rect { y1: last.y1, ..*first };
        let mut outputs = Output::all(work);
        for output in &mut outputs {
            output.rect = all.divided(output.dx, output.dy).intersection(&output.rect);
            let area = usize::try_from(output.rect.area()).unwrap_or(usize::MAX);
            output.samples.resize(area.saturating_mul(output.bands), S::default());
        }
        fill(work, &bands, batch, &mut outputs)?;
        let mut next: Vec<u32> = outputs.iter().map(|output| output.rect.y0).collect();
        loop {
            let open = outputs.iter().zip(&mut next).filter(|(output, y)| **y < output.rect.y1);
            let first = open.min_by_key(|(output, y)| {
                (u64::from(**y) * u64::from(output.dy), output.component)
            });
            let Some((output, y)) = first else { break };
            let width = output.rect.width() as usize * output.bands;
            let at = (*y - output.rect.y0) as usize * width;
            let samples = output.samples.get(at..at + width).unwrap_or(&[]);
            sink(Row { component: output.component, y: *y, x0: output.rect.x0, samples })?;
            *y += 1;
        }
    }
    Ok(())
}
