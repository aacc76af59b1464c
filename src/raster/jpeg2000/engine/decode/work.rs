//! What the work on a tile shares, and what it hands out.

use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::quantise::band_steps;
use crate::raster::jpeg2000::engine::strip::{BandView, Coefficients};
use crate::raster::jpeg2000::engine::tile::Tile;
use crate::raster::jpeg2000::engine::wavelet::{Kernel, Plane, Reversible, Synthesis, gain};
use crate::raster::jpeg2000::engine::window::{ComponentPlan, Plan, band_window};

/// A row of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row<'a, S> {
    /// The component; of pixels, the first one.
    pub component: u16,
    /// The row, on the grid of the component's resolution.
    pub y: u32,
    /// The column of the first sample.
    pub x0: u32,
    /// The samples, within the range of the component's depth. Those of a pixel stand next to each other.
    pub samples: &'a [S],
}

/// A window of a component.
#[derive(Debug, Clone)]
pub(crate) struct Decoded<S> {
    /// The component.
    pub component: u16,
    /// Its samples, on the grid of the component's resolution.
    pub plane: Plane<S>,
}

/// Whether components are handed out one by one or pixel by pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Planar,
    Pixels,
}

/// Everything that the work on a tile shares.
pub(super) struct Work<'a> {
    pub(super) tile: &'a Tile,
    pub(super) plan: &'a Plan,
    pub(super) layout: Layout,
    pub(super) coefficients: Coefficients<'a>,
    /// The sub-bands by component of the plan and resolution.
    pub(super) views: Vec<Vec<Vec<BandView>>>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        tile: &'a Tile,
        plan: &'a Plan,
        layout: Layout,
        coefficients: Coefficients<'a>,
    ) -> Result<Self> {
        let views = plan
            .components
            .iter()
            .map(|component| views(tile, component))
            .collect::<Result<_>>()?;
        Ok(Self { tile, plan, layout, coefficients, views })
    }

    /// Whether to decode whole sub-bands on several threads; an error if even one row of code-blocks of each sub-band takes
    /// too much memory.
    pub(super) fn parallel(&self) -> Result<bool> {
        let options = self.coefficients.options;
        let views = || self.views.iter().flatten().flatten();
        let bytes = |samples: u64| samples.saturating_mul(4);
        let rows = self.plan.components.iter().fold(0u64, |sum, component| {
            let levels = u32::try_from(component.resolutions.len()).unwrap_or(u32::MAX);
            // The two kernels take the same.
            sum.saturating_add(Synthesis::<Reversible>::memory(component.window.width(), levels))
        });
        let strips = views().fold(rows, |sum, view| {
            let height = view.window.height().min(1 << view.resolution.block_height_exponent);
            sum.saturating_add(bytes(u64::from(view.window.width()) * u64::from(height)))
        });
        if strips > options.max_memory {
            return Err(Error::Limit {
                what: "bytes of memory",
                asked: strips,
                allowed: options.max_memory,
            });
        }
        let threads = options.threads as u64;
        let planes = views().fold(rows.saturating_mul(threads), |sum, view| {
            sum.saturating_add(bytes(view.window.area()))
        });
        Ok(threads > 1 && planes <= options.max_memory)
    }

    /// The components that a caller sees rows of, with the number of samples for each of their pixels.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (&'a ComponentPlan, usize)> {
        let plan = self.plan;
        let wanted = || plan.components.iter().filter(|component| component.wanted);
        let (take, bands) = match self.layout {
            Layout::Planar => (usize::MAX, 1),
            Layout::Pixels => (1, wanted().count()),
        };
        wanted().take(take).map(move |component| (component, bands))
    }
}

/// The sub-bands of a component by resolution.
fn views(tile: &Tile, plan: &ComponentPlan) -> Result<Vec<Vec<BandView>>> {
    let index = usize::from(plan.component);
    let none = || Error::corrupt("there is no such component");
    let geometry = tile.components().get(index).ok_or_else(none)?;
    let coding = tile.coding().components.get(index).ok_or_else(none)?;
    let depth = tile.siz().components.get(index).ok_or_else(none)?.depth;
    let irreversible = coding.style.kernel == Kernel::Irreversible97;
    let resolutions = geometry.resolutions.iter().take(plan.resolutions.len());
    (0u8..)
        .zip(resolutions)
        .map(|(r, resolution)| {
            let of = |(number, &orientation): (
                usize,
                &crate::raster::jpeg2000::engine::geometry::Orientation,
            )|
             -> Result<BandView> {
                let steps = band_steps(coding, depth, r.into(), orientation)?;
                let scale = if irreversible {
                    gain(&plan.resolutions, r.into(), orientation.band())
                } else {
                    1.0
                };
                // f32 is what the synthesis works with
                let step = (steps.step * scale / 2.0) as f32;
                Ok(BandView {
                    component: plan.component,
                    r,
                    number,
                    orientation,
                    resolution: *resolution,
                    window: band_window(&plan.needs, r.into(), orientation),
                    style: coding.style.blocks,
                    roi_shift: coding.roi_shift,
                    step,
                })
            };
            resolution.orientations().iter().enumerate().map(of).collect()
        })
        .collect()
}
