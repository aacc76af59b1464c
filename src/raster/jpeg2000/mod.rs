//! JPEG 2000 (T.800): JP2 and JPX files, and raw codestreams.
//!
//! Contract: [`open`] reads headers only, and holds them against the limits. For a reduced
//! image only the packets of the lower resolutions are fetched, where
//! the order of packets and their listed lengths (PLT) allow it. Pixels are those of
//! the components: no colour is converted except sYCC and through a palette.
//!
//! Mechanism, top to bottom: [`boxes`] and [`header`] parse, [`info`] describes and
//! checks, [`index`] finds tile-parts, [`fetch`] gets them, [`decode`] runs the decoder of
//! [`engine`]. Of tiles that are too large for that ([`giant`]) [`windows`] fetches and decodes
//! what is asked for. [`indexed`] and [`reduced`] write files of the same packets for other decoders
//! ([`Form`]), by [`rewrap`] and the arithmetic of [`geometry`].
//!
//! Non-goals: encoding, colour management, extensions other than HTJ2K (T.814).

mod blocking;
mod boxes;
mod codestreams;
mod decode;
#[expect(dead_code, unused_imports, reason = "its own tests take more of it than we do")]
mod engine;
mod fetch;
#[cfg(fuzzing)]
pub mod fuzzed;
mod geometry;
mod giant;
mod header;
mod index;
mod indexed;
mod info;
mod known;
#[cfg(test)]
mod memory;
mod palette;
mod parts;
mod pieces;
mod reading;
mod reduced;
mod rewrap;
mod sycc;
#[cfg(test)]
mod tests;
mod tlm;
mod walk;
mod walked;
mod window;
mod windows;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::error::corrupt;
use super::{
    Count, FileParts, Form, Limits, Page, Pixels, Raster, RasterError, RasterInfo, Rect, Source,
    Spliced,
};
use boxes::{Container, Length};
use codestreams::Codestreams;
use decode::{Job, Output};
use engine::{Codestream, Tile, TilePart};
use fetch::PartData;
use geometry::packets;
use header::{MainHeader, Parsed};
use index::{Index, Lazy, Origin, SOT_BYTES};
use indexed::Around;
use rewrap::cut_refusal;
use window::Window;
use windows::{Scene, Windows};

/// Whether these are the first bytes of a JPEG 2000 file or codestream.
pub fn is_jpeg2000(head: &[u8]) -> bool {
    boxes::is_jpeg2000(head)
}

/// Opens an image of which `head`, the first 16 KiB or all, was read already.
///
/// # Errors
/// [`RasterError::NotAnImage`] if it is no JPEG 2000, [`RasterError::Limit`] before
/// anything is decoded, [`RasterError::Corrupt`] or that of the source.
pub async fn open(
    source: Arc<dyn Source>,
    head: Bytes,
    limits: &Limits,
) -> Result<Arc<dyn Raster>, RasterError> {
    open_with(source, head, limits, index::SMALL_OBJECT).await
}

/// [`open`], with the size up to which an object is fetched whole.
async fn open_with(
    source: Arc<dyn Source>,
    head: Bytes,
    limits: &Limits,
    small_object: u64,
) -> Result<Arc<dyn Raster>, RasterError> {
    Ok(Arc::new(opened_as(source, head, limits, small_object).await?))
}

/// [`open`], as if the image's tiles were too large to be decoded whole.
///
/// # Errors
/// The same.
#[cfg(fuzzing)]
pub async fn open_in_windows(
    source: Arc<dyn Source>,
    head: Bytes,
    limits: &Limits,
) -> Result<Arc<dyn Raster>, RasterError> {
    let mut image = opened_as(source, head, limits, 0).await?;
    image.windows = Some(Windows::new(info::packets_of_a_tile(&image.header), limits));
    Ok(Arc::new(image))
}

async fn opened_as(
    source: Arc<dyn Source>,
    head: Bytes,
    limits: &Limits,
    small_object: u64,
) -> Result<Jpeg2000, RasterError> {
    let mut window = Window::new(Arc::clone(&source), head.clone());
    let container = boxes::walk(&mut window).await?;
    let of = container.codestreams.map(Count::AtLeast);
    let image = opened_in(&mut window, container, head.clone(), limits, small_object).await?;
    let Some(of) = of else { return Ok(image) };
    let pages = Pages {
        page: Page::first(of),
        codestreams: Arc::new(Codestreams::new(source, head)),
        limits: *limits,
    };
    Ok(image.of_several(pages))
}

/// The image in one codestream of a file.
async fn opened_in(
    window: &mut Window,
    container: Container,
    head: Bytes,
    limits: &Limits,
    small_object: u64,
) -> Result<Jpeg2000, RasterError> {
    let codestream = container.codestream.clone();
    let available = codestream.end - codestream.start;
    let mut length = 4096;
    let header = loop {
        let bytes = window.at(codestream.start, available.min(length)).await?;
        match header::parse(&bytes)? {
            Parsed::Done(header) => break header,
            Parsed::More(least) if least as u64 > available => {
                return Err(corrupt("the main header is cut short"));
            }
            Parsed::More(least) => length = (least as u64).max(length.saturating_mul(4)),
        }
    };
    // The tile grid is walked below: its size must be checked before that.
    info::check_size(&header, limits)?;
    let length = header.length as u64 + SOT_BYTES;
    let front = window.at(codestream.start, available.min(length)).await?;
    let main = Arc::new(Codestream::parse(&front).map_err(decode::failed)?);
    let (info, output) = info::describe(&container, &header, limits);
    let tile_bytes = info::check(&header, &info, available, limits)?;
    let tiles = header.grid.columns() * header.grid.rows();
    let origin = Origin {
        source: Arc::clone(window.source()),
        head,
        codestream,
        header_length: header.length as u64,
        listed: header.listed.clone(),
        tiles,
        small_object,
    };
    let around = Around { length: container.length, has_offsets: container.has_offsets };
    let index = Lazy::new(origin);
    let info = RasterInfo { ranges: Some(info::ranges(&header, &index)), ..info };
    let windows = giant::has_large_tiles(&header)
        .then(|| Windows::new(info::packets_of_a_tile(&header), limits));
    Ok(Jpeg2000 {
        around,
        info,
        header: *header,
        codestream: main,
        output: Arc::new(output),
        index,
        windows,
        decode_bytes: limits.decode_bytes,
        tile_bytes,
        pages: None,
    })
}

/// Which of a file's codestreams an image is in, and where the others are.
#[derive(Debug)]
struct Pages {
    page: Page,
    codestreams: Arc<Codestreams>,
    limits: Limits,
}

/// A JPEG 2000 image whose headers were read.
#[derive(Debug)]
struct Jpeg2000 {
    around: Around,
    info: RasterInfo,
    header: MainHeader,
    codestream: Arc<Codestream>,
    output: Arc<Output>,
    index: Lazy,
    /// If its tiles are too large to be decoded whole.
    windows: Option<Windows>,
    /// Compressed bytes held for one tile stay below this too.
    decode_bytes: u64,
    /// What the pixels of a tile take.
    tile_bytes: u64,
    /// If its file has several codestreams.
    pages: Option<Pages>,
}

/// What is to be decoded.
#[derive(Debug, Clone, Copy)]
struct Asked {
    level: u8,
    /// The tile that it lies in: its column and row.
    at: (u32, u32),
    /// Its pixels, in the level's image.
    rect: Rect,
    /// Whether that is all of the tile.
    is_whole: bool,
}

fn no_window(level: u8, rect: &Rect) -> RasterError {
    let Rect { x, y, width, height } = rect;
    RasterError::Unsupported(format!(
        "no tile of level {level} has all of the {width} x {height} pixels at {x}, {y}"
    ))
}

#[async_trait]
impl Raster for Jpeg2000 {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    fn held_bytes(&self) -> u64 {
        self.tile_bytes
    }

    async fn decode_tile(&self, level: u8, column: u32, row: u32) -> Result<Pixels, RasterError> {
        let (columns, rows) = self.info.tiles(level);
        if level >= self.info.levels || column >= columns || row >= rows {
            return Err(RasterError::Unsupported(format!(
                "there is no tile {column}, {row} at level {level}"
            )));
        }
        let rect = self.info.tile(level, column, row);
        self.decode(Asked { level, at: (column, row), rect, is_whole: true }).await
    }

    fn decodes_windows(&self) -> bool {
        true
    }

    async fn decode_window(&self, level: u8, rect: Rect) -> Result<Pixels, RasterError> {
        let at = self.info.tile_around(level, rect).ok_or_else(|| no_window(level, &rect))?;
        let is_whole = rect == self.info.tile(level, at.0, at.1);
        self.decode(Asked { level, at, rect, is_whole }).await
    }

    fn parts(&self) -> Option<&dyn FileParts> {
        // What is kept of a file, and seen of who steps through it, is about the first.
        let is_first = self.pages.as_ref().is_none_or(|pages| pages.page.number == 1);
        is_first.then_some(&self.index as &dyn FileParts)
    }

    async fn page(&self, number: u32) -> Result<Option<Arc<dyn Raster>>, RasterError> {
        let Some(Pages { page, codestreams, limits }) = &self.pages else { return Ok(None) };
        let Some((container, mut window)) = codestreams.get(number).await? else {
            return Ok(None);
        };
        let head = codestreams.head();
        let image = opened_in(&mut window, container, head, limits, index::SMALL_OBJECT).await?;
        let (codestreams, limits) = (codestreams.clone(), *limits);
        let pages = Pages { page: Page { number, ..*page }, codestreams, limits };
        Ok(Some(Arc::new(image.of_several(pages))))
    }

    fn form_size(&self, form: Form) -> Option<u64> {
        self.refusal(form).is_none().then(|| match form {
            Form::IndexedJp2 | Form::IndexedJ2k => indexed::size_known(&self.index, self.around),
            Form::ReducedJ2k(_) => None,
        })?
    }

    async fn form(&self, form: Form) -> Result<Spliced, RasterError> {
        if let Some(reason) = self.refusal(form) {
            return Err(RasterError::Unsupported(reason));
        }
        match self.file(form).await {
            Err(RasterError::Corrupt(_)) if self.index.distrust() => self.file(form).await,
            file => file,
        }
    }
}

impl Jpeg2000 {
    /// As one of several in a file.
    fn of_several(mut self, pages: Pages) -> Self {
        self.info.extras.page = Some(pages.page);
        Jpeg2000 { pages: Some(pages), ..self }
    }

    async fn decode(&self, asked: Asked) -> Result<Pixels, RasterError> {
        let trusted = self.trusts();
        match self.part(asked).await {
            // What was kept of an earlier life may be wrong where the file is right; somebody else
            // may have seen that meanwhile.
            Err(RasterError::Corrupt(_)) if self.distrust() || trusted != self.trusts() => {
                self.part(asked).await
            }
            decoded => decoded,
        }
    }

    fn trusts(&self) -> bool {
        self.windows.as_ref().is_none_or(Windows::trusts)
    }

    /// Lets go of what was remembered; says whether there was something.
    fn distrust(&self) -> bool {
        let windows = self.windows.as_ref();
        if self.index.distrust() {
            windows.inspect(|windows| windows.clear());
            return true;
        }
        windows.is_some_and(Windows::distrust)
    }

    async fn part(&self, asked: Asked) -> Result<Pixels, RasterError> {
        if let Some(reason) = &self.info.unsupported {
            return Err(RasterError::Unsupported(reason.clone()));
        }
        let Asked { level, rect, .. } = asked;
        let index = self.index.get().await?;
        if let Some(windows) = &self.windows {
            let (codestream, output) = (&self.codestream, &self.output);
            let scene = Scene { codestream, grid: &self.header.grid, index: &index, output };
            return windows.decode(scene, level, rect).await;
        }
        if level > 0
            && cut_refusal(&self.header).is_none()
            && let Some(job) = self.cut(&index, asked).await?
        {
            match decode::decode(job, Arc::clone(&self.output)).await {
                Ok(samples) => return Ok(Pixels { rect, samples: samples.into() }),
                // PLT may be wrong where the packets are right.
                Err(RasterError::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let decoded = decode::decode(self.uncut(&index, asked).await?, self.output.clone());
        let decoded = match decoded.await {
            // Cinema's files fill their frames with zeros. Whoever cut the file would have
            // cut its end off.
            Err(RasterError::Corrupt(why)) if index.is_closed().await? => {
                let job = Job { is_padded: true, ..self.uncut(&index, asked).await? };
                let padded = decode::decode(job, self.output.clone()).await;
                padded.map_err(|_| RasterError::Corrupt(why))
            }
            decoded => decoded,
        };
        Ok(Pixels { rect, samples: decoded?.into() })
    }

    async fn file(&self, form: Form) -> Result<Spliced, RasterError> {
        match form {
            Form::IndexedJp2 | Form::IndexedJ2k => indexed::file(&self.index, self.around).await,
            Form::ReducedJ2k(reduce) => {
                reduced::file(&self.header, &*self.index.get().await?, reduce).await
            }
        }
    }

    /// Why there is no file of this form, as far as the header tells.
    fn refusal(&self, form: Form) -> Option<String> {
        let why = |text: &str| Some(format!("the JPEG 2000 image: {text}"));
        let is_raw = self.around.length == Length::Raw;
        match form {
            Form::IndexedJp2 if is_raw => why("it is a raw codestream: ask for .indexed.j2k"),
            Form::IndexedJ2k if !is_raw => why("it is in a JP2 file: ask for .indexed.jp2"),
            Form::IndexedJp2 | Form::IndexedJ2k => {
                let has_wrong_index = self.header.has_list && !self.index.is_listed();
                if has_wrong_index {
                    return why("it has an index of its own (TLM) that is wrong");
                }
                if self.around.has_offsets {
                    return why(indexed::HAS_OFFSETS);
                }
                None
            }
            Form::ReducedJ2k(_) if self.output.sycc_depth.is_some() => {
                why("it is in sYCC, which a raw codestream can't say")
            }
            Form::ReducedJ2k(reduce) => match &self.info.unsupported {
                Some(reason) => Some(reason.clone()),
                None => reduced::refusal(&self.header, self.info.levels, reduce),
            },
        }
    }

    fn tile_number(&self, (column, row): (u32, u32)) -> u32 {
        row * self.header.grid.columns() + column
    }

    /// The lower resolutions of a tile alone, if its packets' lengths are known.
    async fn cut(&self, index: &Index, asked: Asked) -> Result<Option<Job>, RasterError> {
        let packets = packets(&self.header, asked.at.0, asked.at.1, asked.level);
        let tile = self.tile_number(asked.at);
        let parts = fetch::prefix(index, tile, packets, asked.level).await?;
        parts.map(|parts| self.job(index, &parts, asked)).transpose()
    }

    /// A tile with all its packets.
    async fn uncut(&self, index: &Index, asked: Asked) -> Result<Job, RasterError> {
        let tile = self.tile_number(asked.at);
        // Of whoever wants a window of a tile the next wish may be all of it.
        let parts = fetch::whole(index, tile, self.decode_bytes, !asked.is_whole).await?;
        self.job(index, &parts, asked)
    }

    fn job(&self, index: &Index, parts: &[PartData], asked: Asked) -> Result<Job, RasterError> {
        let header = |part: &PartData| {
            let ordinal = || index.parts().iter().take_while(|p| p.offset < part.offset).count();
            let ordinal = self.codestream.packs_headers().then(ordinal);
            TilePart::parse(&self.codestream, &part.bytes, ordinal).map_err(decode::failed)
        };
        let headers = parts.iter().map(header).collect::<Result<Vec<_>, _>>()?;
        let mut tile = Tile::new(&self.codestream, &headers).map_err(decode::failed)?;
        // All that is needed is here, one packet behind the other; PLT may be wrong.
        tile.forget_lengths();
        for (number, part) in parts.iter().enumerate() {
            tile.set_body_length(number, part.length - part.data.start as u64);
        }
        let body = |part: &PartData| part.bytes.slice(part.data.clone());
        Ok(Job {
            tile: Arc::new(tile),
            pieces: parts.iter().enumerate().map(|(n, part)| (n, 0, body(part))).collect(),
            reduction: asked.level,
            window: (!asked.is_whole)
                .then(|| windows::placed_at(&self.header.grid, asked.level, asked.rect)),
            rect: asked.rect,
            is_padded: false,
        })
    }
}
