//! What a header means: bands, types, colours, levels; and what is refused.
//!
//! Contract: [`describe`] never decodes and never fails on an image that is merely
//! not convertible: that is told in [`RasterInfo::unsupported`]. [`check`] holds the
//! header against every limit, in time and memory that do not grow with the image:
//! pixels, tiles, samples of a tile, code-blocks and precincts, the memory of one
//! decode (planes, coefficients, records of code-blocks and layers), and samples for
//! each compressed byte.

use super::boxes::{Channel, Container, Space};
use super::decode::Output;
use super::geometry::{Blocks, blocks, tile_spans};
use super::giant;
use super::header::{Coding, Component, MainHeader};
use super::index::Lazy;
use super::rewrap::{Parsed, cut_refusal, part_header};
use crate::raster::error::corrupt;
use crate::raster::{Color, Extras, Limits, Ranges, RasterError, RasterInfo, SampleType, TileGrid};

/// Components with a coding of their own are counted one by one, up to so many.
const MAX_OWN_CODINGS: usize = 16;
/// Deeper samples have more bit-planes than a coefficient has bits.
const MAX_DEPTH: u8 = 24;

/// What is given out, and how.
pub(super) fn describe(
    container: &Container,
    header: &MainHeader,
    limits: &Limits,
) -> (RasterInfo, Output) {
    let components = header.components.len();
    let (depth, signed) = depth(header);
    let palette = container.palette.clone();
    let (bands, bit_depth) =
        palette.as_ref().map_or((components, depth), |palette| (palette.channels, palette.depth));
    let signed = signed && palette.is_none();
    let (color, order) = color(container, bands);
    let sample = match (bit_depth, signed) {
        (..=8, false) => SampleType::U8,
        (..=8, true) => SampleType::I8,
        (9..=16, false) => SampleType::U16,
        (9..=16, true) => SampleType::I16,
        (_, false) => SampleType::U32,
        (_, true) => SampleType::I32,
    };
    let levels = if palette.is_some() { 1 } else { levels(header, &header.grid) };
    let pixel_bytes = (bands * sample.bytes()) as u64;
    let grids = match giant::has_large_tiles(header) {
        true => giant::grids(&header.grid, levels, pixel_bytes),
        false => Vec::new(),
    };
    let info = RasterInfo {
        codec: "jpeg2000",
        width: header.grid.image(0).width,
        height: header.grid.image(0).height,
        bands: bands as u16,
        sample,
        bit_depth,
        color,
        grid: grids.first().copied().unwrap_or(header.grid),
        levels: if grids.is_empty() { levels } else { grids.len() as u8 },
        nodata: None,
        geo: container.geo.clone(),
        unsupported: unsupported(container, header, depth),
        warnings: warnings(container, header),
        ranges: None,
        extras: Extras { overviews: grids.into_iter().skip(1).collect(), ..Extras::default() },
    };
    let exact = header.coding_of(0).reversible;
    let sycc_depth = is_sycc(container).then_some(depth);
    (info, Output { order, sample, palette, sycc_depth, exact, memory: limits.decode_bytes })
}

/// Bits that hold the samples of all components, and whether they have a sign.
fn depth(header: &MainHeader) -> (u8, bool) {
    let signed = header.components.iter().any(|component| component.signed);
    let bits = |component: &Component| component.depth + u8::from(signed && !component.signed);
    (header.components.iter().map(bits).max().unwrap_or(8), signed)
}

/// What is wrong with the file, but not with its pixels.
fn warnings(container: &Container, header: &MainHeader) -> Vec<String> {
    let mut warnings = Vec::new();
    if container.missing > 0 {
        let missing = container.missing;
        warnings.push(format!("the box of the codestream ends {missing} bytes behind the file"));
    }
    if header.transforms_too_few() {
        warnings.push("it transforms three components together and has fewer".to_owned());
    }
    warnings
}

/// How pieces of the image are found, as far as the first bytes of the file tell.
pub(super) fn ranges(header: &MainHeader, index: &Lazy) -> Ranges {
    let tiles = match (index.is_listed(), header.has_list) {
        (true, _) => "listed in the file (TLM)",
        (false, true) => "found by their headers, since the list in the file (TLM) is wrong",
        (false, false) => "found by their headers",
    };
    if giant::has_large_tiles(header) {
        let reduced = "from the packets of each window, which are listed in the tile (PLT), or found \
                       by reading it from its start";
        return Ranges { tiles, reduced: reduced.to_owned() };
    }
    let whole = |reason: &str| format!("from whole tiles: {reason}");
    let reduced = match (cut_refusal(header), lists_packets(index)) {
        (Some(reason), _) => whole(&reason),
        (None, Some(false)) => whole("they do not say how long their packets are (PLT)"),
        (None, Some(true)) => "from the first packets of each tile".to_owned(),
        (None, None) => {
            "from the first packets of each tile, if it says how long they are (PLT)".to_owned()
        }
    };
    Ranges { tiles, reduced }
}

/// Whether the first tile says how long its packets are, if its header was read.
fn lists_packets(index: &Lazy) -> Option<bool> {
    let origin = index.origin();
    let first = origin.head.get(usize::try_from(origin.first()).ok()?..)?;
    match part_header(first).ok()? {
        Parsed::Done(first) => Some(first.packets.is_some()),
        Parsed::More(_) => None,
    }
}

/// Whether what was coded is sYCC, and not the numbers of a palette.
fn is_sycc(container: &Container) -> bool {
    container.space == Some(Space::Sycc) && container.palette.is_none()
}

/// Levels that every component has, at which no tile is empty.
fn levels(header: &MainHeader, grid: &TileGrid) -> u8 {
    let image = grid.image(0);
    let fits = |level: &u8| {
        image.width >> level > 0
            && image.height >> level > 0
            && (0..grid.columns())
                .all(|column| tile_spans(grid, column, 0).0.reduced(*level).length() > 0)
            && (0..grid.rows()).all(|row| tile_spans(grid, 0, row).1.reduced(*level).length() > 0)
    };
    (0..=header.common_levels().min(16)).take_while(fits).count().max(1) as u8
}

/// What the bands mean, and which channel each of them is.
fn color(container: &Container, bands: usize) -> (Color, Vec<usize>) {
    let natural: Vec<usize> = (0..bands).collect();
    let colors = match container.space {
        Some(Space::Gray) => 1,
        Some(Space::Rgb | Space::Sycc) => 3,
        _ if bands < 3 => 1,
        _ => 3,
    };
    let alpha = |channel: &&Channel| channel.kind == 1 && channel.of == 0;
    let opacity = container.channels.iter().find(alpha);
    let named = match (colors, bands, opacity.is_some()) {
        (1, 1, _) => Color::Gray,
        (1, 2, true) => Color::GrayAlpha,
        (3, 3, false) => Color::Rgb,
        (3, 4, true) => Color::Rgba,
        _ => return (Color::Bands, natural),
    };
    if container.channels.is_empty() {
        return (named, natural);
    }
    // The channel of each colour, then the opacity.
    let of = |color: usize| {
        let is = |channel: &&Channel| channel.kind == 0 && usize::from(channel.of) == color;
        container.channels.iter().find(is).map(|channel| usize::from(channel.index))
    };
    let mut order: Vec<Option<usize>> = (1..=colors).map(of).collect();
    order.extend(opacity.map(|channel| Some(usize::from(channel.index))));
    let order: Option<Vec<usize>> = order.into_iter().collect();
    match order {
        Some(order) if order.len() == bands => {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if sorted == natural { (named, order) } else { (Color::Bands, natural) }
        }
        _ => (Color::Bands, natural),
    }
}

/// Why the pixels cannot be given out exactly.
fn unsupported(container: &Container, header: &MainHeader, depth: u8) -> Option<String> {
    let components = &header.components;
    let why = |text: String| Some(format!("the JPEG 2000 image: {text}"));
    if let Some(reason) = &header.unsupported {
        return Some(reason.clone());
    }
    if depth > MAX_DEPTH {
        return why(format!("its samples have {depth} bits, more than {MAX_DEPTH}"));
    }
    if container.space == Some(Space::Sycc) && container.palette.is_some() {
        return why("its palette is in sYCC".into());
    }
    if let Some(reason) = container.palette_error {
        return why(reason.into());
    }
    let indexed = container.palette.is_some();
    if indexed && (components.len() != 1 || components.iter().any(|index| index.signed)) {
        return why("its palette is not for one component without sign".into());
    }
    if let Some(Space::Other(name)) = container.space {
        return why(format!("its colour space is {name}"));
    }
    if is_sycc(container) {
        let is_plain =
            |component: &Component| component.depth == depth && !component.signed && depth <= 16;
        if !components.iter().all(is_plain) {
            return why("its colour space is sYCC, and its components are not alike".into());
        }
        if !matches!(color(container, components.len()).0, Color::Rgb | Color::Rgba) {
            return why(format!("its colour space is sYCC, and it has {} bands", components.len()));
        }
    }
    None
}

/// Holds what the size alone says against the limits: the tiles can be walked after.
pub(super) fn check_size(header: &MainHeader, limits: &Limits) -> Result<(), RasterError> {
    let pixels = header.grid.image(0).pixels();
    // Of those in large tiles nobody needs all at a time, and the tiles are few.
    if !giant::has_large_tiles(header) {
        let what = format!("it has {pixels} pixels");
        limit(what, pixels, "--max-image-pixels", limits.image_pixels)?;
    }
    let tiles = tiles(&header.grid);
    limit(format!("it has {tiles} tiles"), tiles, "--max-tiles", limits.tiles)?;
    if tiles > 65_535 {
        return Err(corrupt(format!("it has {tiles} tiles, more than a codestream can have")));
    }
    Ok(())
}

/// Holds all else against them; `compressed` bytes are in the codestream. Returns what
/// the pixels of a tile take, in bytes.
pub(super) fn check(
    header: &MainHeader,
    info: &RasterInfo,
    compressed: u64,
    limits: &Limits,
) -> Result<u64, RasterError> {
    let components = header.components.len() as u64;
    let pixels = u64::from(info.width) * u64::from(info.height);
    let tiles = tiles(&header.grid);
    let along = |size: u32, image: u32| u64::from(size.min(image));
    let tile = along(info.grid.tile_size.0, info.width) * along(info.grid.tile_size.1, info.height);
    let samples = tile.saturating_mul(components);
    let is_giant = giant::has_large_tiles(header);
    if !is_giant {
        let what = format!("a tile has {samples} samples");
        limit(what, samples, "--max-tile-samples", limits.tile_samples)?;
    }
    let ratio = pixels.saturating_mul(components) / compressed.max(1);
    let what = format!("it declares {ratio} samples for each compressed byte");
    limit(what, ratio, "--max-expansion", limits.expansion)?;

    // Every component of every tile has a code-block.
    let least = tiles.saturating_mul(components);
    let what = format!("it has at least {least} code-blocks");
    limit(what, least, "--max-code-blocks", limits.code_blocks)?;
    let mut all = all_blocks(header)?;
    let layers = u64::from(header.defaults.layers);
    if is_giant {
        // Whoever looks for a window goes past all of them.
        let packets = all.packets.saturating_mul(layers);
        let what = format!("a tile has {packets} packets");
        limit(what, packets, "--max-code-blocks", limits.code_blocks)?;
        all.tile = 0;
    } else {
        let what = format!("it has {} code-blocks and precincts", all.image);
        limit(what, all.image, "--max-code-blocks", limits.code_blocks)?;
    }
    // The decoder's planes, coefficients and transform in 32 bits, our samples, and
    // about 256 bytes for each code-block and 32 for each of its layers.
    let each = 4 * components + 12 + components * info.sample.bytes() as u64;
    let records = all.tile.saturating_mul(256 + 32 * layers);
    let memory = tile.saturating_mul(each).saturating_add(records);
    let what = format!("decoding a tile takes about {memory} bytes");
    limit(what, memory, "--max-decode-memory", limits.decode_bytes)?;
    Ok(samples.saturating_mul(info.sample.bytes() as u64))
}

/// What all components have together.
fn all_blocks(header: &MainHeader) -> Result<Blocks, RasterError> {
    let mut own: Vec<(&Coding, u64)> = Vec::new();
    let mut plain = header.components.len() as u64;
    for component in 0..header.components.len() {
        if !header.own_coding.iter().any(|(index, _)| usize::from(*index) == component) {
            continue;
        }
        plain -= 1;
        let coding = header.coding_of(component);
        match own.iter_mut().find(|(known, _)| *known == coding) {
            Some((_, count)) => *count += 1,
            None => own.push((coding, 1)),
        }
        if own.len() > MAX_OWN_CODINGS {
            return Err(RasterError::Unsupported(format!(
                "more than {MAX_OWN_CODINGS} components are each coded in their own way"
            )));
        }
    }
    own.push((&header.coding, plain));
    let mut all = Blocks::default();
    for (coding, count) in own {
        let blocks = blocks(&header.grid, coding);
        let add = |sum: u64, of: u64| sum.saturating_add(of.saturating_mul(count));
        all.image = add(all.image, blocks.image);
        all.tile = add(all.tile, blocks.tile);
        all.packets = add(all.packets, blocks.packets);
    }
    Ok(all)
}

/// How many packets a tile has at most, by the main header.
pub(super) fn packets_of_a_tile(header: &MainHeader) -> u64 {
    let all = all_blocks(header).unwrap_or_default();
    all.packets.saturating_mul(header.defaults.layers.into())
}

fn tiles(grid: &TileGrid) -> u64 {
    u64::from(grid.columns()) * u64::from(grid.rows())
}

fn limit(what: String, value: u64, option: &'static str, allowed: u64) -> Result<(), RasterError> {
    if value > allowed {
        return Err(RasterError::Limit { what, option, allowed });
    }
    Ok(())
}
