//! From packets to samples: a window of a tile, all components in step.
//!
//! One thread decodes lazily: each sub-band holds one row of code-blocks at a time, so that memory grows with the
//! window's width only. Several threads first decode all code-blocks into planes, then synthesise stripes of the window; if the
//! planes would take too much memory, they share the code-blocks of one row instead.

mod feed;
mod lines;
mod parallel;
mod work;

use std::collections::HashMap;

use crate::raster::jpeg2000::engine::body::Body;
use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::options::Options;
use crate::raster::jpeg2000::engine::packet::Precinct;
use crate::raster::jpeg2000::engine::packet::walk::{PrecinctId, Step, Walk};
use crate::raster::jpeg2000::engine::samples::Sample;
use crate::raster::jpeg2000::engine::strip::{self, Coefficients};
use crate::raster::jpeg2000::engine::tile::Tile;
use crate::raster::jpeg2000::engine::wavelet::Plane;
use crate::raster::jpeg2000::engine::window::{Plan, Span};
pub(crate) use work::{Decoded, Row};
use work::{Layout, Work};

/// Decodes what a plan takes, and hands out the rows of its components from top to bottom, in step on the reference
/// grid.
///
/// `S` must be able to hold the components' samples.
///
/// # Errors
/// Whatever is wrong with the packets or code-blocks, bytes that are not at hand, limits, and those of `sink`.
pub(crate) fn decode_rows<S: Sample>(
    tile: &Tile,
    plan: &Plan,
    body: &Body<'_>,
    options: &Options<'_>,
    mut sink: impl FnMut(Row<'_, S>) -> Result<()>,
) -> Result<()> {
    run(tile, plan, body, options, Layout::Planar, &mut sink)
}

/// Decodes what a plan takes, and hands out rows of pixels: one sample of each wanted component, then the next pixel.
///
/// The wanted components must have the same sampling.
///
/// # Errors
/// Those of [`decode_rows`], and components of different sampling.
pub(crate) fn decode_pixels<S: Sample>(
    tile: &Tile,
    plan: &Plan,
    body: &Body<'_>,
    options: &Options<'_>,
    mut sink: impl FnMut(Row<'_, S>) -> Result<()>,
) -> Result<()> {
    let mut windows = plan
        .components
        .iter()
        .filter(|component| component.wanted)
        .map(|component| component.window);
    let first = windows.next();
    if windows.any(|window| Some(window) != first) {
        return Err(Error::unsupported("pixels of components with different sampling"));
    }
    run(tile, plan, body, options, Layout::Pixels, &mut sink)
}

fn run<S: Sample>(
    tile: &Tile,
    plan: &Plan,
    body: &Body<'_>,
    options: &Options<'_>,
    layout: Layout,
    sink: &mut dyn FnMut(Row<'_, S>) -> Result<()>,
) -> Result<()> {
    let precincts = gather(tile, plan, body, options)?;
    let work =
        Work::new(tile, plan, layout, Coefficients { precincts: &precincts, body, options })?;
    if work.parallel()? {
        parallel::decode_rows(&work, sink)
    } else {
        work.lines(None)?.run(&work, sink)
    }
}

/// Decodes what a plan takes into planes.
///
/// # Errors
/// Those of [`decode_rows`].
pub(crate) fn decode<S: Sample>(
    tile: &Tile,
    plan: &Plan,
    body: &Body<'_>,
    options: &Options<'_>,
) -> Result<Vec<Decoded<S>>> {
    let wanted = || plan.components.iter().filter(|component| component.wanted);
    let asked = wanted().fold(0u64, |n, component| n.saturating_add(component.window.area()));
    if asked > options.max_samples {
        return Err(Error::Limit { what: "samples", asked, allowed: options.max_samples });
    }
    let precincts = gather(tile, plan, body, options)?;
    let work = Work::new(
        tile,
        plan,
        Layout::Planar,
        Coefficients { precincts: &precincts, body, options },
    )?;
    let mut planes: Vec<Decoded<S>> = wanted()
        .map(|component| Decoded {
            component: component.component,
            plane: Plane::new(component.window),
        })
        .collect();
    if work.parallel()? {
        parallel::decode(&work, &mut planes)?;
        return Ok(planes);
    }
    work.lines(None)?.run(&work, &mut |row: Row<'_, S>| {
        let plane = planes.iter_mut().find(|plane| plane.component == row.component);
        if let Some(to) =
            plane.and_then(|p| p.plane.row_mut(row.y, p.plane.rect.x0, p.plane.rect.x1))
        {
            to.copy_from_slice(row.samples);
        }
        Ok(())
    })?;
    Ok(planes)
}

/// The bytes of the code-blocks that a plan's windows touch. `body` needs to have the headers of its packets only.
///
/// # Errors
/// What is wrong with the headers, limits, and [`Error::Absent`] if one of them is not at hand.
pub(crate) fn touched(
    tile: &Tile,
    plan: &Plan,
    body: &Body<'_>,
    options: &Options<'_>,
) -> Result<Vec<Span>> {
    let precincts = gather(tile, plan, body, options)?;
    let coefficients = Coefficients { precincts: &precincts, body, options };
    let work = Work::new(tile, plan, Layout::Planar, coefficients)?;
    let mut spans = Vec::new();
    for view in work.views.iter().flatten().flatten() {
        options.check()?;
        spans.extend(strip::touched(coefficients, view).filter(|chunk| chunk.length > 0).map(
            |chunk| {
                let end = chunk.offset.saturating_add(chunk.length.into());
                Span { part: chunk.part as usize, range: chunk.offset..end }
            },
        ));
    }
    Ok(spans)
}

/// Reads the headers of the packets that a plan takes.
fn gather(
    tile: &Tile,
    plan: &Plan,
    body: &Body<'_>,
    options: &Options<'_>,
) -> Result<HashMap<PrecinctId, Precinct>> {
    let mut walk = Walk::new(tile, plan, options);
    while plan.whole || !walk.is_satisfied() {
        if walk.number.is_multiple_of(64) {
            options.check()?;
        }
        match walk.step(body)? {
            Step::Packet { .. } => {}
            Step::End if walk.is_satisfied() => break,
            // The progression order changes leave packets out.
            Step::End => return Err(Error::MissingPackets { found: walk.number }),
            Step::Wants { part, offset } => {
                return Err(Error::Absent { part, range: offset..offset.saturating_add(1) });
            }
        }
    }
    Ok(walk.into_precincts())
}
