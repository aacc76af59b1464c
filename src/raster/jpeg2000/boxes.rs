//! The boxes of a JP2 or JPX file (T.800 Annex I): where the codestream is, what
//! the components mean, and where the image lies on the earth.
//!
//! Contract: [`walk`] reads box headers and the few boxes it wants; big boxes that
//! are not wanted are stepped over without being read. A raw codestream is a file
//! without boxes. Lengths are checked against what is around them.

use bytes::Bytes;

use super::palette::Palette;
use super::window::{Window, u8_at, u16_at, u32_at, u64_at};
use crate::raster::error::corrupt;
use crate::raster::{GeoTags, RasterError};

/// The UUID of the GeoJP2 box.
const GEOJP2: [u8; 16] = [
    0xB1, 0x4B, 0xF8, 0xBD, 0x08, 0x3D, 0x4B, 0x43, 0xA5, 0xAE, 0x8C, 0xD7, 0xD5, 0xA6, 0xCE, 0x03,
];
/// Boxes that are read whole are no larger.
const MAX_HEADER_BOX: u64 = 8 << 20;
const MAX_GEO_BOX: u64 = 1 << 20;
/// Boxes that say where in the file something is: fragment tables (T.801 M.11.3) and the
/// indexes of JPIP (T.808 I.3).
const OFFSETS: [&[u8; 4]; 6] = [b"ftbl", b"flst", b"cidx", b"fidx", b"iptr", b"mhix"];
/// Boxes of one level that are looked at.
const MAX_BOXES: usize = 1024;

/// What the colour specification boxes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Gray,
    Rgb,
    /// Converted to RGB.
    Sycc,
    /// One that has to be converted; its name.
    Other(&'static str),
}

/// A channel definition (I.5.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) index: u16,
    /// 0 colour, 1 opacity, 2 premultiplied opacity.
    pub(super) kind: u16,
    /// 0 the whole image, else the number of the colour.
    pub(super) of: u16,
}

/// How the box that the codestream is in says where it ends (I.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Length {
    /// There is no box.
    #[default]
    Raw,
    /// In 4 bytes (LBox).
    Short,
    /// In 8 bytes (XLBox).
    Long,
    /// It is the end of the file.
    ToEnd,
}

/// What a file says besides its codestream.
#[derive(Debug, Default)]
pub(super) struct Container {
    /// Where the codestream is.
    pub(super) codestream: std::ops::Range<u64>,
    /// The length of its box.
    pub(super) length: Length,
    /// By how many bytes its box says that it is longer than the file.
    pub(super) missing: u64,
    /// A box that says where in the file something is: the codestream can't be moved.
    pub(super) has_offsets: bool,
    pub(super) space: Option<Space>,
    pub(super) channels: Vec<Channel>,
    pub(super) palette: Option<Palette>,
    /// A palette that is not as it should be: why.
    pub(super) palette_error: Option<&'static str>,
    pub(super) geo: Option<GeoTags>,
    /// How many codestreams there are at least, in a JPX file with boxes behind the first.
    pub(super) codestreams: Option<u32>,
}

/// What was found of a JPX file on the way through its boxes.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Where the next box begins.
    at: u64,
    is_at_end: bool,
    /// The file's header, then those of its codestreams and layers, and the codestreams.
    header: Option<Bytes>,
    codestream_headers: Vec<Bytes>,
    layers: Vec<Bytes>,
    codestreams: Vec<(std::ops::Range<u64>, Length, u64)>,
}

/// What became of a step to the next box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There may be more.
    On,
    /// There was none.
    End,
}

impl Found {
    /// Whether a codestream was found, and all that is said of it, as far as that can be told:
    /// headers may lie behind, unless there are some before.
    pub(super) fn has_all_of(&self, index: usize) -> bool {
        let has = |headers: &[Bytes]| headers.is_empty() || headers.len() > index;
        let has_headers = has(&self.codestream_headers) && has(&self.layers);
        self.is_at_end || (self.codestreams.len() > index && has_headers)
    }

    /// What is said of a codestream.
    pub(super) fn container(&self, index: usize) -> Option<Container> {
        let (codestream, length, missing) = self.codestreams.get(index)?.clone();
        let mut found = Container { codestream, length, missing, ..Container::default() };
        let own = [self.layers.get(index), self.codestream_headers.get(index)];
        for contents in own.into_iter().chain([self.header.as_ref()]).flatten() {
            if header_box(&mut found, contents).is_err() {
                found.palette_error.get_or_insert("its header is damaged");
            }
        }
        Some(found)
    }
}

/// Steps over one box of a file, and keeps what is wanted of it.
///
/// # Errors
/// It is broken; that of the source.
pub(super) async fn step(window: &mut Window, found: &mut Found) -> Result<Step, RasterError> {
    let place = match found.at < window.size() {
        true => place(window, found.at, window.size()).await?,
        false => None,
    };
    let Some(place) = place.filter(|place| place.contents.end > found.at) else {
        found.is_at_end = true;
        return Ok(Step::End);
    };
    let length = place.contents.end - place.contents.start;
    let headers = match &place.kind {
        b"jp2h" if found.header.is_none() => Some(None),
        b"jpch" => Some(Some(&mut found.codestream_headers)),
        b"jplh" => Some(Some(&mut found.layers)),
        _ => None,
    };
    match headers {
        Some(_) if length > MAX_HEADER_BOX => {
            return Err(corrupt("a header box is larger than 8 MiB"));
        }
        Some(list) => {
            let contents = window.at(place.contents.start, length).await?;
            match list {
                Some(list) => list.push(contents),
                None => found.header = Some(contents),
            }
        }
        None if place.kind == *b"jp2c" => {
            found.codestreams.push((place.contents.clone(), place.length, place.missing));
        }
        None => {}
    }
    found.at = place.contents.end;
    Ok(Step::On)
}

/// Whether these are the first bytes of a JP2 file or of a raw codestream.
pub(super) fn is_jpeg2000(head: &[u8]) -> bool {
    head.starts_with(b"\0\0\0\x0CjP  \r\n\x87\n") || head.starts_with(b"\xFF\x4F\xFF\x51")
}

/// A box's place.
struct Place {
    kind: [u8; 4],
    length: Length,
    /// Where its contents are.
    contents: std::ops::Range<u64>,
    /// By how much it says that it is longer than what is around it. The codestream alone
    /// may be: its tile-parts say themselves whether anything is missing.
    missing: u64,
}

/// Reads one box header at `at`; the box ends at `limit` at the latest.
async fn place(window: &mut Window, at: u64, limit: u64) -> Result<Option<Place>, RasterError> {
    let header = window.at(at, 16.min(limit.saturating_sub(at))).await?;
    place_in(&header, at, limit)
}

fn place_in(header: &[u8], at: u64, limit: u64) -> Result<Option<Place>, RasterError> {
    let (Some(length), Some(kind)) = (u32_at(header, 0), header.get(4..8)) else {
        return Ok(None);
    };
    let (start, end, length) = match length {
        0 => (at + 8, limit, Length::ToEnd),
        1 => match u64_at(header, 8) {
            Some(long) => (at + 16, at.saturating_add(long), Length::Long),
            None => return Ok(None),
        },
        short => (at + 8, at + u64::from(short), Length::Short),
    };
    let kind = <[u8; 4]>::try_from(kind).unwrap_or_default();
    if end > limit && kind == *b"jp2c" {
        return Ok(Some(Place { kind, length, contents: start..limit, missing: end - limit }));
    }
    if end < start || end > limit {
        let name = kind.escape_ascii();
        return Err(corrupt(match end > limit {
            true => format!("the box '{name}' ends {} bytes behind the end", end - limit),
            false => format!("the box '{name}' is shorter than its header"),
        }));
    }
    Ok(Some(Place { kind, length, contents: start..end, missing: 0 }))
}

/// Whether a box behind the codestream, at `at`, says where in the file something is; what is
/// no box says nothing.
pub(super) async fn has_offsets_behind(window: &mut Window, at: u64) -> Result<bool, RasterError> {
    let mut at = at;
    for _ in 0..MAX_BOXES {
        match place(window, at, window.size()).await {
            Ok(Some(place)) if OFFSETS.contains(&&place.kind) => return Ok(true),
            Ok(Some(place)) if place.contents.end > at => at = place.contents.end,
            Ok(_) | Err(RasterError::Corrupt(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Finds everything in a file; `window` holds its first bytes.
pub(super) async fn walk(window: &mut Window) -> Result<Container, RasterError> {
    let head = window.at(0, 12).await?;
    if !is_jpeg2000(&head) {
        return Err(RasterError::NotAnImage);
    }
    let mut found = Container::default();
    if head.starts_with(b"\xFF\x4F") {
        found.codestream = 0..window.size();
        return Ok(found);
    }
    let (mut at, mut geo, mut gml, mut codestream) = (0, None, None, None);
    let (mut is_jpx, mut count) = (false, 0);
    // Of its compositing layer, of itself, and of the file: the first that says something counts.
    let mut headers: [Option<Bytes>; 3] = Default::default();
    for _ in 0..MAX_BOXES {
        // Behind the codestream there may be a georeference, and nothing else that
        // matters: what is broken there breaks nothing.
        let place = match place(window, at, window.size()).await {
            Ok(Some(place)) => place,
            Ok(None) => break,
            Err(RasterError::Corrupt(_)) if codestream.is_some() => break,
            Err(error) => return Err(error),
        };
        let length = place.contents.end - place.contents.start;
        match &place.kind {
            b"jp2h" if length <= MAX_HEADER_BOX => {
                headers[2] = Some(window.at(place.contents.start, length).await?);
            }
            b"jp2h" => return Err(corrupt("the header box is larger than 8 MiB")),
            b"jp2c" if codestream.is_none() => {
                codestream = Some(place.contents.clone());
                found.length = place.length;
                found.missing = place.missing;
                let goes_on = place.contents.end < window.size();
                found.codestreams = (is_jpx && goes_on).then_some(count.max(1));
            }
            b"ftyp" => is_jpx = window.at(place.contents.start, 4).await?[..] == *b"jpx ",
            b"jpch" | b"jplh" if is_jpx && codestream.is_none() => {
                let is_layer = place.kind == *b"jplh";
                count += u32::from(!is_layer);
                let own = &mut headers[usize::from(!is_layer)];
                if own.is_none() && length <= MAX_HEADER_BOX {
                    *own = Some(window.at(place.contents.start, length).await?);
                }
            }
            b"uuid" if geo.is_none() && (16..=MAX_GEO_BOX).contains(&length) => {
                let id = window.at(place.contents.start, 16).await?;
                if id[..] == GEOJP2 {
                    let tiff = window.at(place.contents.start + 16, length - 16).await?;
                    geo = GeoTags::from_tiff(&tiff);
                }
            }
            b"asoc" if gml.is_none() && length <= MAX_GEO_BOX => {
                let contents = window.at(place.contents.start, length).await?;
                gml = gml_box(&contents, 0);
            }
            kind => found.has_offsets |= OFFSETS.contains(&kind),
        }
        at = place.contents.end;
        if at >= window.size() || (codestream.is_some() && (geo.is_some() || gml.is_some())) {
            break;
        }
    }
    for contents in headers.iter().flatten() {
        header_box(&mut found, contents)?;
    }
    found.geo = geo.or(gml);
    found.codestream =
        codestream.ok_or_else(|| corrupt("there is no contiguous codestream in the file"))?;
    Ok(found)
}

/// The boxes directly inside of another; stops at the first that is not right.
fn inside(contents: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut at = 0usize;
    std::iter::from_fn(move || {
        let place = place_in(contents.get(at..)?, at as u64, contents.len() as u64).ok()??;
        at = place.contents.end as usize;
        let range = place.contents.start as usize..place.contents.end as usize;
        Some((place.kind, contents.get(range)?))
    })
    .take(MAX_BOXES)
}

/// The JP2 header box (I.5.3).
fn header_box(found: &mut Container, contents: &[u8]) -> Result<(), RasterError> {
    let (mut columns, mut mapping) = (None, None);
    for (kind, body) in inside(contents) {
        match &kind {
            // The first that is understood counts (I.5.3.3).
            b"colr" if found.space.is_none() => found.space = space(body),
            b"cdef" if found.channels.is_empty() => {
                let count = usize::from(u16_at(body, 0).unwrap_or(0));
                let entry = |at: usize| {
                    let (index, kind) = (u16_at(body, at)?, u16_at(body, at + 2)?);
                    Some(Channel { index, kind, of: u16_at(body, at + 4)? })
                };
                let channels: Option<_> = (0..count).map(|i| entry(2 + 6 * i)).collect();
                found.channels =
                    channels.ok_or_else(|| corrupt("the channel definitions are cut short"))?;
            }
            // The colours of a compositing layer (T.801, M.11.7.1).
            b"cgrp" => {
                let first = inside(body).find(|(kind, _)| kind == b"colr");
                found.space = found.space.or_else(|| space(first?.1));
            }
            b"pclr" => columns = Some(body),
            b"cmap" => mapping = Some(body),
            _ => {}
        }
    }
    if let Some(columns) = columns.filter(|_| found.palette.is_none()) {
        match Palette::parse(columns, mapping) {
            Ok(palette) => found.palette = Some(palette),
            Err(why) => found.palette_error = Some(why),
        }
    }
    Ok(())
}

/// A colour specification box; `None` if its method is not one of the standard's.
fn space(body: &[u8]) -> Option<Space> {
    Some(match u8_at(body, 0)? {
        1 => match u32_at(body, 3)? {
            16 | 21 => Space::Rgb,
            17 => Space::Gray,
            18 => Space::Sycc,
            12 => Space::Other("CMYK"),
            14 => Space::Other("CIELab"),
            11 => Space::Other("CMY"),
            13 => Space::Other("YCCK"),
            1 | 3 | 4 => Space::Other("YCbCr"),
            19 => Space::Other("CIEJab"),
            20 => Space::Other("e-sRGB"),
            24 => Space::Other("e-sYCC"),
            15 => Space::Other("bi-level"),
            // 0 is bi-level in T.801, and what some encoders write for "unknown".
            _ => return None,
        },
        2 | 3 => match body.get(19..23)? {
            b"GRAY" => Space::Gray,
            b"RGB " => Space::Rgb,
            b"CMYK" => Space::Other("CMYK"),
            b"Lab " => Space::Other("CIELab"),
            b"YCbr" | b"YCbC" => Space::Other("YCbCr"),
            _ => Space::Other("that of its ICC profile"),
        },
        _ => return None,
    })
}

/// Looks for GML in association boxes: a label `gml.root-instance`, then XML.
fn gml_box(contents: &[u8], depth: u8) -> Option<GeoTags> {
    // GMLJP2 has two levels; a hostile file may have more.
    if depth > 4 {
        return None;
    }
    let mut label: &[u8] = b"";
    for (kind, body) in inside(contents) {
        match &kind {
            b"lbl " => label = text(body),
            b"asoc" => {
                if let Some(tags) = gml_box(body, depth + 1) {
                    return Some(tags);
                }
            }
            b"xml " if label == b"gml.root-instance" => {
                let tags = GeoTags::from_gml(&String::from_utf8_lossy(text(body)));
                if tags.is_some() {
                    return tags;
                }
            }
            _ => {}
        }
    }
    None
}

/// A text up to its NUL, which some writers put behind it, whatever follows.
fn text(body: &[u8]) -> &[u8] {
    body.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::jpeg2000::memory::Memory;

    fn boxed(kind: &[u8; 4], contents: &[u8]) -> Vec<u8> {
        let mut bytes = (contents.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend(kind);
        bytes.extend(contents);
        bytes
    }

    fn file(parts: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"\0\0\0\x0CjP  \r\n\x87\n".to_vec();
        bytes.extend(boxed(b"ftyp", b"jp2 \0\0\0\0jp2 "));
        bytes.extend(parts.concat());
        bytes
    }

    async fn walked(bytes: Vec<u8>) -> (Result<Container, RasterError>, usize) {
        let source = Memory::new(bytes);
        let mut window = Window::new(source.clone(), source.head());
        (walk(&mut window).await, source.reads())
    }

    #[tokio::test]
    async fn colour_and_codestream_are_found_in_the_head() {
        let colr = boxed(b"colr", &[1, 0, 0, 0, 0, 0, 16]);
        let cdef = boxed(b"cdef", &[0, 1, 0, 3, 0, 1, 0, 0]);
        let bytes = file(&[boxed(b"jp2h", &[colr, cdef].concat()), boxed(b"jp2c", b"code")]);
        let end = bytes.len() as u64;
        let (found, reads) = walked(bytes).await;
        let found = found.unwrap();
        assert_eq!(found.space, Some(Space::Rgb));
        assert_eq!(found.channels, [Channel { index: 3, kind: 1, of: 0 }]);
        assert_eq!((found.codestream, reads), (end - 4..end, 0));
    }

    #[tokio::test]
    async fn a_big_box_is_stepped_over_in_one_request() {
        let mut long = vec![0, 0, 0, 1];
        long.extend(b"xml ");
        long.extend((16u64 + 3_000_000).to_be_bytes());
        long.extend(vec![0; 3_000_000]);
        let mut code = vec![0, 0, 0, 0];
        code.extend(b"jp2cabc");
        let (found, reads) = walked(file(&[long, code])).await;
        let codestream = found.unwrap().codestream;
        assert_eq!((codestream.end - codestream.start, reads), (3, 1));
    }

    #[tokio::test]
    async fn a_file_that_was_cut_is_damaged_unless_only_the_codestream_can_tell() {
        let mut bytes = file(&[boxed(b"jp2h", &[7; 100])]);
        bytes.truncate(bytes.len() - 1);
        assert!(matches!(walked(bytes).await.0, Err(RasterError::Corrupt(_))));
        let mut bytes = file(&[boxed(b"jp2c", &[7; 100])]);
        bytes.truncate(bytes.len() - 3);
        let end = bytes.len() as u64;
        let found = walked(bytes).await.0.unwrap();
        assert_eq!((found.codestream, found.missing), (end - 97..end, 3));
    }

    #[tokio::test]
    async fn codestreams_are_found_one_behind_the_other_with_what_is_said_of_each() {
        let colr = |space| boxed(b"colr", &[1, 0, 0, 0, 0, 0, space]);
        let layer = |space| boxed(b"jplh", &boxed(b"cgrp", &colr(space)));
        let parts = [
            boxed(b"jp2h", &colr(16)),
            layer(17),
            layer(18),
            boxed(b"jp2c", b"one"),
            boxed(b"free", &[0; 50]),
            boxed(b"jp2c", b"second"),
            boxed(b"jp2c", b"3"),
        ];
        let source = Memory::new(file(&parts));
        let mut window = Window::new(source.clone(), source.head());
        let mut found = Found::default();
        while !found.has_all_of(3) {
            step(&mut window, &mut found).await.unwrap();
        }
        let all: Vec<_> = (0..4)
            .map_while(|index| found.container(index))
            .map(|one| (one.codestream.end - one.codestream.start, one.space))
            .collect();
        assert_eq!(all, [(3, Some(Space::Gray)), (6, Some(Space::Sycc)), (1, Some(Space::Rgb))]);
    }

    #[tokio::test]
    async fn a_text_ends_at_its_nul() {
        let grid = "<g:RectifiedGrid xmlns:g=\"g\"><g:origin><g:Point srsName=\"EPSG:32633\">\
                    <g:pos>5 5</g:pos></g:Point></g:origin><g:offsetVector>10 0</g:offsetVector>\
                    <g:offsetVector>0 -10</g:offsetVector></g:RectifiedGrid>\0\u{1}rest";
        let inner = [boxed(b"lbl ", b"gml.root-instance\0\0"), boxed(b"xml ", grid.as_bytes())];
        let asoc = boxed(b"asoc", &inner.concat());
        let found = walked(file(&[asoc, boxed(b"jp2c", b"code")])).await.0.unwrap();
        assert_eq!(found.geo.unwrap().tiepoints, [0.0, 0.0, 0.0, 0.0, 10.0, 0.0]);
    }
}
