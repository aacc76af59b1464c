//! The rows of several components in step: synthesis, then component transform, level shift and clamp.

use super::feed::{Feed, StripSource};
use super::work::{Layout, Row, Work};
use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::geometry::Rect;
use crate::raster::jpeg2000::engine::samples::{Depth, Finisher, Sample};
use crate::raster::jpeg2000::engine::wavelet::{Irreversible, Kernel, Reversible, Synthesis};

/// One component's synthesis.
enum Pipe<'a> {
    Reversible(Synthesis<Reversible>, Feed<'a, i32>),
    Irreversible(Synthesis<Irreversible>, Feed<'a, f32>),
}

/// A row as the synthesis gives it.
#[derive(Clone, Copy)]
enum Line<'p> {
    Integers(&'p [i32]),
    Floats(&'p [f32]),
}

/// A component on its way to samples.
struct Channel<'a> {
    component: u16,
    wanted: bool,
    window: Rect,
    /// The row that comes next.
    y: u32,
    /// Vertical distance of rows on the reference grid.
    dy: u32,
    depth: Depth,
    pipe: Pipe<'a>,
}

/// The components of a plan.
pub(super) struct Lines<'a, S> {
    channels: Vec<Channel<'a>>,
    transform: bool,
    finisher: Finisher<S>,
    pixels: Vec<S>,
}

impl<'a, S: Sample> Lines<'a, S> {
    /// Prepares the rows of a stripe of the window, or of all of it. `feed` gives the source of a component of the plan
    /// for each kernel, of which one is used.
    pub(crate) fn new(
        work: &'a Work<'a>,
        stripe: Option<Rect>,
        feed: impl Fn(usize, Kernel) -> (Feed<'a, i32>, Feed<'a, f32>),
    ) -> Result<Self> {
        let mut channels = Vec::with_capacity(work.plan.components.len());
        for (index, plan) in work.plan.components.iter().enumerate() {
            let at = usize::from(plan.component);
            let none = || Error::corrupt("there is no such component");
            let geometry = work.tile.components().get(at).ok_or_else(none)?;
            let size = work.tile.siz().components.get(at).ok_or_else(none)?;
            let kernel = work.tile.coding().components.get(at).ok_or_else(none)?.style.kernel;
            let window = stripe.map_or(plan.window, |stripe| {
                stripe.divided(geometry.dx, geometry.dy).intersection(&plan.window)
            });
            let (integers, floats) = feed(index, kernel);
            let pipe = match kernel {
                Kernel::Reversible53 => {
                    Pipe::Reversible(Synthesis::new(&plan.resolutions, window), integers)
                }
                Kernel::Irreversible97 => {
                    Pipe::Irreversible(Synthesis::new(&plan.resolutions, window), floats)
                }
            };
            channels.push(Channel {
                component: plan.component,
                wanted: plan.wanted,
                window,
                y: window.y0,
                dy: geometry.dy,
                depth: Depth { bits: size.depth, signed: size.signed },
                pipe,
            });
        }
        let transform = work.tile.coding().style.component_transform
            && channels.get(..3).is_some_and(|c| c.iter().zip(0..).all(|(c, n)| c.component == n));
        Ok(Self { channels, transform, finisher: Finisher::new(), pixels: Vec::new() })
    }

    /// Hands out all rows.
    pub(crate) fn run(
        mut self,
        work: &Work<'_>,
        sink: &mut dyn FnMut(Row<'_, S>) -> Result<()>,
    ) -> Result<()> {
        if work.layout == Layout::Pixels {
            return self.run_pixels(work, sink);
        }
        loop {
            let open = self.channels.iter().enumerate().filter(|(_, c)| c.y < c.window.y1);
            let Some((next, _)) = open.min_by_key(|(n, c)| (u64::from(c.y) * u64::from(c.dy), *n))
            else {
                return Ok(());
            };
            work.coefficients.options.check()?;
            let together = self.transform && next < 3;
            let range = if together { 0..3 } else { next..next + 1 };
            let Some(channels) = self.channels.get_mut(range) else { return Ok(()) };
            let heads: Vec<_> =
                channels.iter().map(|c| (c.component, c.wanted, c.y, c.window.x0)).collect();
            let rows = narrow(channels, together, &mut self.finisher)?;
            for (&(component, wanted, y, x0), samples) in heads.iter().zip(rows) {
                if wanted {
                    sink(Row { component, y, x0, samples })?;
                }
            }
        }
    }

    /// Hands out rows of pixels. All components have the same window.
    fn run_pixels(
        mut self,
        work: &Work<'_>,
        sink: &mut dyn FnMut(Row<'_, S>) -> Result<()>,
    ) -> Result<()> {
        let bands = self.channels.iter().filter(|channel| channel.wanted).count();
        let Some(first) = self.channels.iter().find(|channel| channel.wanted) else {
            return Ok(());
        };
        let (component, window) = (first.component, first.window);
        self.pixels.resize(window.width() as usize * bands, S::default());
        let integers = self.channels.iter().all(|c| matches!(c.pipe, Pipe::Reversible(..)));
        let floats = self.channels.iter().all(|c| matches!(c.pipe, Pipe::Irreversible(..)));
        let simple = bands == self.channels.len() && (integers || floats);
        let depths: Vec<Depth> = self.channels.iter().map(|channel| channel.depth).collect();
        for y in window.y0..window.y1 {
            work.coefficients.options.check()?;
            if simple {
                let lines =
                    self.channels.iter_mut().map(Channel::pull).collect::<Result<Vec<_>>>()?;
                let put = match lines.first() {
                    Some(Line::Integers(_)) => self.finisher.put(
                        &all_integers(&lines)?,
                        self.transform,
                        &depths,
                        &mut self.pixels,
                    ),
                    _ => self.finisher.put(
                        &all_floats(&lines)?,
                        self.transform,
                        &depths,
                        &mut self.pixels,
                    ),
                };
                put.map_err(Error::unsupported)?;
            } else {
                self.mixed_pixels(bands)?;
            }
            sink(Row { component, y, x0: window.x0, samples: &self.pixels })?;
        }
        Ok(())
    }

    /// A row of pixels whose components differ in kernel, or of which some are not wanted.
    fn mixed_pixels(&mut self, bands: usize) -> Result<()> {
        let mut band = 0;
        let mut rest = self.channels.as_mut_slice();
        while !rest.is_empty() {
            let together =
                self.transform && rest.first().is_some_and(|channel| channel.component == 0);
            let Some((group, behind)) = rest.split_at_mut_checked(if together { 3 } else { 1 })
            else {
                break;
            };
            rest = behind;
            let wanted: Vec<bool> = group.iter().map(|channel| channel.wanted).collect();
            let rows = narrow(group, together, &mut self.finisher)?;
            for (row, _) in rows.iter().zip(wanted).filter(|(_, wanted)| *wanted) {
                let to = self.pixels.iter_mut().skip(band).step_by(bands);
                to.zip(row).for_each(|(to, sample)| *to = *sample);
                band += 1;
            }
        }
        Ok(())
    }
}

/// The next row of samples of some components; `together` says that the component transform mixed them.
fn narrow<'f, S: Sample>(
    channels: &mut [Channel<'_>],
    together: bool,
    finisher: &'f mut Finisher<S>,
) -> Result<&'f [Vec<S>]> {
    let depths: Vec<Depth> = channels.iter().map(|channel| channel.depth).collect();
    let lines = channels.iter_mut().map(Channel::pull).collect::<Result<Vec<_>>>()?;
    let narrowed = match lines.first() {
        Some(Line::Integers(_)) => finisher.narrow(&all_integers(&lines)?, together, &depths),
        _ => finisher.narrow(&all_floats(&lines)?, together, &depths),
    };
    narrowed.map_err(Error::unsupported)
}

fn disagree() -> Error {
    Error::corrupt("a component transform of components that do not agree")
}

fn all_integers<'p>(lines: &[Line<'p>]) -> Result<Vec<&'p [i32]>> {
    let one = |line: &Line<'p>| match line {
        Line::Integers(line) => Ok(*line),
        Line::Floats(_) => Err(disagree()),
    };
    lines.iter().map(one).collect()
}

fn all_floats<'p>(lines: &[Line<'p>]) -> Result<Vec<&'p [f32]>> {
    let one = |line: &Line<'p>| match line {
        Line::Floats(line) => Ok(*line),
        Line::Integers(_) => Err(disagree()),
    };
    lines.iter().map(one).collect()
}

impl Channel<'_> {
    /// Synthesises the next row.
    fn pull(&mut self) -> Result<Line<'_>> {
        self.y += 1;
        Ok(match &mut self.pipe {
            Pipe::Reversible(synthesis, feed) => {
                Line::Integers(synthesis.next_row(feed)?.unwrap_or(&[]))
            }
            Pipe::Irreversible(synthesis, feed) => {
                Line::Floats(synthesis.next_row(feed)?.unwrap_or(&[]))
            }
        })
    }
}

impl<'a> Work<'a> {
    /// The rows of a stripe of the window (on the reduced reference grid), or of all of it, decoded lazily.
    pub(super) fn lines<S: Sample>(&'a self, stripe: Option<Rect>) -> Result<Lines<'a, S>> {
        Lines::new(self, stripe, |index, _| {
            let views = self.views.get(index).map_or(&[][..], Vec::as_slice);
            (
                Feed::Strips(StripSource::new(self.coefficients, views)),
                Feed::Strips(StripSource::new(self.coefficients, views)),
            )
        })
    }
}
