//! Strips of a sub-band: a row of code-blocks, cut to what a window needs, decoded and dequantised.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::raster::jpeg2000::engine::body::Body;
use crate::raster::jpeg2000::engine::code_block::{
    Coded, Decoder, MAX_BIT_PLANES, Orientation, Segment, Style, undo_roi_shift,
};
use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::geometry::{Rect, Resolution, floor_shift};
use crate::raster::jpeg2000::engine::options::Options;
use crate::raster::jpeg2000::engine::packet::walk::{PrecinctId, chunk_bytes};
use crate::raster::jpeg2000::engine::packet::{Block, Chunk, Precinct};
use crate::raster::jpeg2000::engine::pool::work_off;

/// A coefficient in the form in which the wavelet synthesis takes it.
pub(crate) trait Coefficient: Copy + Default + Send + Sync + 'static {
    /// Converts what the code-block decoder gives: `step` is half the size of a quantisation step.
    fn convert(from: &[i32], step: f32, to: &mut [Self]);
}

impl Coefficient for i32 {
    fn convert(from: &[i32], _: f32, to: &mut [Self]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from / 2;
        }
    }
}

impl Coefficient for f32 {
    // a coefficient of more than 24 bits is rounded
    fn convert(from: &[i32], step: f32, to: &mut [Self]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from as Self * step;
        }
    }
}

/// What the decoding of a sub-band takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BandView {
    pub component: u16,
    pub r: u8,
    /// The sub-band's number in its resolution.
    pub number: usize,
    pub orientation: Orientation,
    pub resolution: Resolution,
    /// What is needed of the sub-band, on its grid.
    pub window: Rect,
    pub style: Style,
    pub roi_shift: u8,
    /// Half the size of a quantisation step.
    pub step: f32,
}

impl BandView {
    /// The rows of code-blocks that the window touches, counted in the whole plane.
    pub(crate) fn rows(&self) -> std::ops::Range<u32> {
        let grid = self.resolution.block_grid(&self.window);
        grid.y0..grid.y1
    }

    /// The rows of coefficients of the window that belong to a row of code-blocks.
    pub(crate) fn lines(&self, row: u32) -> std::ops::Range<u32> {
        let exponent = u32::from(self.resolution.block_height_exponent);
        let top = u64::from(row) << exponent;
        let low = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        low(top).max(self.window.y0)..low(top + (1 << exponent)).min(self.window.y1)
    }
}

/// Decodes strips; one for each thread.
#[derive(Default)]
pub(crate) struct StripDecoder {
    decoder: Decoder,
    values: Vec<i32>,
    joined: Vec<u8>,
}

/// Codeword segments of a code-block, before their bytes are found.
struct Passes {
    passes: u16,
    at: std::ops::Range<usize>,
}

/// Precincts and the bytes that their packets hold.
#[derive(Clone, Copy)]
pub(crate) struct Coefficients<'a> {
    pub precincts: &'a HashMap<PrecinctId, Precinct>,
    pub body: &'a Body<'a>,
    pub options: &'a Options<'a>,
}

/// A code-block with something coded that touches a strip.
struct Cell<'a> {
    precinct: &'a Precinct,
    block: &'a Block,
    bit_planes: u8,
    /// The code-block on the sub-band's grid.
    rect: Rect,
    /// The part of it that belongs to the strip.
    wanted: Rect,
}

/// The bytes of the code-blocks of a sub-band that touch its window.
pub(crate) fn touched<'a>(
    from: Coefficients<'a>,
    band: &'a BandView,
) -> impl Iterator<Item = Chunk> + 'a {
    let rows = if band.window.is_empty() { 0..0 } else { band.rows() };
    rows.flat_map(move |row| {
        let lines = band.lines(row);
        let strip = Rect { y0: lines.start, y1: lines.end, ..band.window };
        if strip.is_empty() { Vec::new() } else { cells(from, band, row, &strip) }
    })
    .flat_map(|cell| cell.precinct.chunks(cell.block).copied().collect::<Vec<_>>())
}

/// The code-blocks of a row that touch a strip.
fn cells<'a>(from: Coefficients<'a>, band: &BandView, row: u32, strip: &Rect) -> Vec<Cell<'a>> {
    let resolution = &band.resolution;
    let touched = resolution.precincts_of(strip);
    let mut cells = Vec::new();
    for py in touched.y0..touched.y1 {
        for px in touched.x0..touched.x1 {
            let number = py.wrapping_mul(resolution.precincts_wide).wrapping_add(px);
            let Some(precinct) = from.precincts.get(&(band.component, band.r, number)) else {
                continue;
            };
            let Some(part) = precinct.bands.get(band.number) else { continue };
            if part.grid.is_empty() || !(part.grid.y0..part.grid.y1).contains(&row) {
                continue;
            }
            let (width, height) =
                (resolution.block_width_exponent, resolution.block_height_exponent);
            let first = floor_shift(strip.x0, width.into()).max(part.grid.x0);
            let end = (floor_shift(strip.x1 - 1, width.into()) + 1).min(part.grid.x1);
            for column in first..end {
                let at = (row - part.grid.y0) as usize * part.grid.width() as usize;
                let Some(block) = part.blocks.get(at + (column - part.grid.x0) as usize) else {
                    continue;
                };
                let edge = |n: u32, exponent: u8| {
                    u32::try_from(u64::from(n) << exponent).unwrap_or(u32::MAX)
                };
                let rect = Rect {
                    x0: edge(column, width),
                    y0: edge(row, height),
                    x1: edge(column + 1, width),
                    y1: edge(row + 1, height),
                }
                .intersection(&part.rect);
                let wanted = rect.intersection(strip);
                if !wanted.is_empty() && precinct.chunks(block).next().is_some() {
                    cells.push(Cell { precinct, block, bit_planes: part.bit_planes, rect, wanted });
                }
            }
        }
    }
    cells
}

impl StripDecoder {
    /// Decodes a row of code-blocks of a sub-band. `out` has the lines of [`BandView::lines`], each as wide as the window.
    /// All of it is written. `threads` share the work.
    pub(crate) fn decode<T: Coefficient>(
        &mut self,
        from: Coefficients<'_>,
        band: &BandView,
        row: u32,
        threads: usize,
        out: &mut [T],
    ) -> Result<()> {
        let lines = band.lines(row);
        if lines.is_empty() || band.window.is_empty() {
            return Ok(());
        }
        let strip = Rect { y0: lines.start, y1: lines.end, ..band.window };
        let cells = cells(from, band, row, &strip);
        let covered = cells.iter().fold(0u64, |sum, cell| sum + cell.wanted.area());
        if covered < strip.area() {
            out.fill(T::default());
        }
        if threads > 1 && cells.len() >= 2 * threads {
            let out = Mutex::new(out);
            return work_off(threads, cells, |decoder: &mut Self, cell| {
                from.options.check()?;
                if decoder.block(from, band, &cell)?
                    && let Ok(mut out) = out.lock()
                {
                    decoder.place(band, &cell, &strip, &mut out);
                }
                Ok(())
            });
        }
        for cell in &cells {
            from.options.check()?;
            if self.block(from, band, cell)? {
                self.place(band, cell, &strip, out);
            }
        }
        Ok(())
    }

    /// Decodes a code-block into `values`; `false`: nothing is coded.
    fn block(&mut self, from: Coefficients<'_>, band: &BandView, cell: &Cell<'_>) -> Result<bool> {
        let &Cell { precinct, block, bit_planes, ref rect, .. } = cell;
        let mut list: Vec<Passes> = Vec::new();
        let mut chunks = precinct.chunks(block).peekable();
        if chunks.peek().is_none() {
            return Ok(false);
        }
        // Most code-blocks have one chunk a segment, whose bytes can stay where they are.
        let in_place = precinct.chunks(block).all(|chunk| chunk.begins);
        let mut slices: Vec<&[u8]> = Vec::new();
        self.joined.clear();
        for chunk in chunks {
            let bytes = chunk_bytes(from.body, chunk)?;
            if in_place {
                slices.push(bytes);
                list.push(Passes { passes: chunk.passes, at: 0..0 });
                continue;
            }
            let start = self.joined.len();
            self.joined.extend_from_slice(bytes);
            match list.last_mut().filter(|_| !chunk.begins) {
                Some(last) => {
                    last.passes += chunk.passes;
                    last.at.end = self.joined.len();
                }
                None => list.push(Passes { passes: chunk.passes, at: start..self.joined.len() }),
            }
        }
        let mut missing = block.missing_bit_planes;
        let mut segments: Vec<Segment<'_>> = Vec::with_capacity(list.len());
        for (index, passes) in list.iter().enumerate() {
            let data = match slices.get(index) {
                Some(slice) => slice,
                None => self.joined.get(passes.at.clone()).unwrap_or(&[]),
            };
            let passes = u8::try_from(passes.passes)
                .map_err(|_| Error::corrupt("too many coding passes"))?;
            segments.push(Segment { passes, data });
        }
        if band.style.ht {
            missing =
                missing.saturating_add(u8::try_from(block.placeholders / 3).unwrap_or(u8::MAX));
            // Each set of passes begins with a cleanup pass and replaces the one before it.
            let sets = segments.len().div_ceil(2);
            if sets > 1 {
                segments.drain(..2 * (sets - 1));
                missing = missing.saturating_add(u8::try_from(sets - 1).unwrap_or(u8::MAX));
            }
        }
        let coded_planes = bit_planes.saturating_sub(missing);
        if coded_planes > MAX_BIT_PLANES {
            return Err(Error::unsupported(format!("a code-block of {coded_planes} bit-planes")));
        }
        let area = rect.width() as usize * rect.height() as usize;
        self.values.resize(area.max(self.values.len()), 0);
        let values = self.values.get_mut(..area).unwrap_or(&mut []);
        let coded = Coded {
            width: rect.width(),
            height: rect.height(),
            orientation: band.orientation,
            style: band.style,
            bit_planes: coded_planes,
            missing_bit_planes: missing,
            segments: &segments,
        };
        self.decoder.decode(&coded, values).map_err(|text| {
            Error::corrupt(format!(
                "{text} (component {}, resolution {}, sub-band {:?}, at {}, {})",
                band.component, band.r, band.orientation, rect.x0, rect.y0
            ))
        })?;
        undo_roi_shift(values, band.roi_shift);
        Ok(true)
    }

    /// Copies the wanted part of a decoded code-block into a strip.
    fn place<T: Coefficient>(&self, band: &BandView, cell: &Cell<'_>, strip: &Rect, out: &mut [T]) {
        let Cell { rect: cell, wanted, .. } = cell;
        let (from_width, to_width) = (cell.width() as usize, strip.width() as usize);
        let count = wanted.width() as usize;
        for y in wanted.y0..wanted.y1 {
            let from = (y - cell.y0) as usize * from_width + (wanted.x0 - cell.x0) as usize;
            let to = (y - strip.y0) as usize * to_width + (wanted.x0 - strip.x0) as usize;
            if let (Some(from), Some(to)) =
                (self.values.get(from..from + count), out.get_mut(to..to + count))
            {
                T::convert(from, band.step, to);
            }
        }
    }
}
