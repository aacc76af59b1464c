//! A tiled TIFF with overviews whose every offset is known from the header.
//!
//! Contract: uncompressed, little endian, BigTIFF only where 4 GiB would be passed;
//! the values as they are, of any type and number of bands; the tiles of the source
//! where TIFF allows them; an overview for each resolution level; the georeference
//! word for word; no time. Tiles at the edge are filled up with nodata, or zeros.
//! Mechanism: all directories, then all tables, then the tiles of the smallest
//! overview and so on to the full resolution (the order of a cloud-optimised
//! GeoTIFF); a mask of valid pixels is behind the directory of its level, as GDAL has it. All tiles of a level are of one size, so the tables are arithmetic and
//! made piece by piece when they are read.
//!
//! For images over 1 MiB each level starts at a page and has 256 KiB of nothing
//! before it. The kernel reads whole pages, and up to 128 KiB more than it was asked
//! for; opening a file or reading one tile must not decode what lies beside it.

mod ifd;
mod plan;

use std::ops::Range;

use self::ifd::{Flavor, Tags, Value};
use self::plan::Level;
use super::{Layout, MAX_FILE_BYTES, NoView, UnitData, UnitIndex, UnitInput, push_little_endian};
use crate::raster::{Color, GeoTags, Pixels, RasterInfo, SampleType};

/// Classic TIFF up to this: its offsets have 32 bits, and some readers add to them.
const CLASSIC_BYTES: u64 = u32::MAX as u64 - (16 << 20);
/// What a unit of a table has.
const TABLE_BYTES: u64 = 64 << 10;
/// Of the length of a tile, in its table.
const COUNT_BYTES: u64 = 4;
/// What lies before the pixels of each level of a larger image: the kernel reads up
/// to 128 KiB further than it was asked to, and who reads the directories, or one
/// level, must not decode what follows.
const GAP_BYTES: u64 = 256 << 10;
const GAP_FROM_BYTES: u64 = 1 << 20;
/// Tiles start at multiples of this, so that samples of any type can be mapped.
const ALIGNMENT: u64 = 16;
/// Those of a larger image start where a page does: the kernel reads whole pages,
/// and who reads one tile must not have its neighbours decoded for their edges.
const PAGE_BYTES: u64 = 4096;

/// The layout of a TIFF.
#[derive(Debug, Clone)]
pub struct TiffLayout {
    flavor: Flavor,
    levels: Vec<Level>,
    segments: Vec<Segment>,
    /// The header and the directories.
    head: Vec<u8>,
    sample_bytes: usize,
    /// One sample, little endian, that fills tiles up.
    fill: Vec<u8>,
}

/// A stretch of the file in units of one size; the last may be shorter.
#[derive(Debug, Clone, Copy)]
struct Segment {
    start: u64,
    end: u64,
    unit_bytes: u64,
    first_unit: UnitIndex,
    kind: Kind,
}

/// What a segment has; the number is an index of the levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Head,
    Offsets(usize),
    Counts(usize),
    Padding,
    Tiles(usize),
}

impl TiffLayout {
    /// The TIFF that has an image's pixels.
    ///
    /// # Errors
    /// If the image has no pixels, or the file would be larger than a file can be.
    pub fn new(info: &RasterInfo) -> Result<Self, NoView> {
        let levels = plan::levels(info);
        if levels.is_empty() || info.bands == 0 {
            return Err(NoView::new("the image has no pixels"));
        }
        let too_large = || NoView::new("the file would be larger than files can be");
        let common = common_tags(info);
        let geo = carried_tags(info);
        let classic = Draft { levels: &levels, common: &common, geo: &geo };
        let at_most = classic.bytes_at_most().ok_or_else(too_large)?;
        if at_most > MAX_FILE_BYTES {
            return Err(too_large());
        }
        let flavor = if at_most > CLASSIC_BYTES { Flavor::Big } else { Flavor::Classic };
        let (head, segments) = classic.place(flavor);
        let sample_bytes = info.sample.bytes();
        Ok(TiffLayout {
            flavor,
            levels,
            segments,
            head,
            sample_bytes,
            fill: fill(info.sample, info.nodata),
        })
    }

    fn segment_of(&self, unit: UnitIndex) -> Segment {
        let behind = self.segments.partition_point(|segment| segment.first_unit <= unit);
        self.segments[behind - 1]
    }

    fn tile_bytes(&self, level: usize) -> u64 {
        tile_bytes(&self.levels[level])
    }

    fn tiles_start(&self, level: usize) -> u64 {
        let tiles = self.segments.iter().find(|segment| segment.kind == Kind::Tiles(level));
        tiles.map_or(0, |segment| segment.start)
    }

    /// A piece of the table of where tiles start.
    fn encode_offsets(&self, level: usize, bytes: Range<u64>) -> Vec<u8> {
        let width = self.flavor.offset_bytes();
        let (first, tile) = (self.tiles_start(level), self.tile_bytes(level));
        let mut table = Vec::with_capacity((bytes.end - bytes.start) as usize);
        for number in bytes.start / width..bytes.end / width {
            self.flavor.push(&mut table, first + number * tile);
        }
        table
    }

    fn encode_tile(&self, level: usize, pixels: &Pixels) -> Vec<u8> {
        let Level { tile: (columns, rows), pixel_bytes, is_mask, .. } = self.levels[level];
        let (sample_bytes, fill) = match is_mask {
            true => (1, &[0][..]),
            false => (self.sample_bytes, &self.fill[..]),
        };
        let bytes = self.tile_bytes(level) as usize;
        let row_bytes = columns as usize * pixel_bytes;
        let given = pixels.rect.width as usize * pixel_bytes;
        let mut tile = Vec::with_capacity(bytes);
        if given == row_bytes {
            push_little_endian(&mut tile, &pixels.samples, sample_bytes);
        } else {
            for row in pixels.samples.chunks_exact(given).take(rows as usize) {
                push_little_endian(&mut tile, row, sample_bytes);
                fill_up(&mut tile, row_bytes - given, fill);
            }
        }
        let missing = bytes - tile.len();
        fill_up(&mut tile, missing, fill);
        tile
    }
}

fn fill_up(tile: &mut Vec<u8>, bytes: usize, fill: &[u8]) {
    if fill.iter().all(|&byte| byte == 0) {
        tile.resize(tile.len() + bytes, 0);
    } else {
        tile.extend(fill.iter().cycle().take(bytes));
    }
}

impl Layout for TiffLayout {
    fn size(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.end)
    }

    fn units(&self) -> u64 {
        let last = self.segments.last();
        last.map_or(0, |segment| segment.first_unit + segment.units())
    }

    fn unit_at(&self, offset: u64) -> UnitIndex {
        let behind = self.segments.partition_point(|segment| segment.start <= offset);
        let segment = self.segments[behind - 1];
        segment.first_unit + (offset - segment.start) / segment.unit_bytes
    }

    fn unit_range(&self, unit: UnitIndex) -> Range<u64> {
        let segment = self.segment_of(unit);
        let start = segment.start + (unit - segment.first_unit) * segment.unit_bytes;
        start..(start + segment.unit_bytes).min(segment.end)
    }

    fn unit_input(&self, unit: UnitIndex) -> UnitInput {
        let segment = self.segment_of(unit);
        let Kind::Tiles(index) = segment.kind else { return UnitInput::Nothing };
        let level = &self.levels[index];
        let (level, rect, is_mask) =
            (level.level, level.rect(unit - segment.first_unit), level.is_mask);
        match is_mask {
            true => UnitInput::Mask { level, rect },
            false => UnitInput::Pixels { level, rect },
        }
    }

    fn encode(&self, unit: UnitIndex, data: UnitData<'_>) -> Vec<u8> {
        let segment = self.segment_of(unit);
        let range = self.unit_range(unit);
        let within = range.start - segment.start..range.end - segment.start;
        match (segment.kind, data) {
            (Kind::Tiles(level), UnitData::Pixels(pixels)) => self.encode_tile(level, pixels),
            (Kind::Offsets(level), _) => self.encode_offsets(level, within),
            (Kind::Counts(level), _) => {
                let bytes = self.tile_bytes(level) as u32;
                let count = (within.end - within.start) as usize / 4;
                bytes.to_le_bytes().repeat(count)
            }
            (Kind::Padding | Kind::Tiles(_), _) => vec![0; (range.end - range.start) as usize],
            (Kind::Head, _) => self.head.clone(),
        }
    }
}

impl Segment {
    fn units(&self) -> u64 {
        (self.end - self.start).div_ceil(self.unit_bytes)
    }
}

/// A file about to be laid out.
struct Draft<'a> {
    levels: &'a [Level],
    common: &'a Tags,
    geo: &'a Tags,
}

impl Draft<'_> {
    /// The directories, with tables and tiles at these places (of each level).
    fn directories(&self, flavor: Flavor, places: &[Places]) -> Vec<Tags> {
        let mut directories = Vec::new();
        for (level, places) in self.levels.iter().zip(places) {
            let tiles = level.tiles();
            let bytes = tile_bytes(level) as u32;
            let offsets = match tabled(tiles, flavor.offset_bytes(), flavor) {
                0 => Value::Offset(places.tiles),
                _ => Value::OffsetsAt(tiles, places.offsets),
            };
            let counts = match tabled(tiles, COUNT_BYTES, flavor) {
                0 => Value::Longs(vec![bytes; tiles as usize]),
                _ => Value::LongsAt(tiles, places.counts),
            };
            let kind = u32::from(level.level > 0) | if level.is_mask { 4 } else { 0 };
            let mut tags = vec![
                (254, Value::Longs(vec![kind])), // NewSubfileType: 1 reduced, 4 a mask
                (256, Value::Longs(vec![level.width])),
                (257, Value::Longs(vec![level.height])),
                (322, Value::Longs(vec![level.tile.0])),
                (323, Value::Longs(vec![level.tile.1])),
                (324, offsets),
                (325, counts),
            ];
            match level.is_mask {
                true => tags.extend(mask_tags(level.pixel_bytes)),
                false => tags.extend(self.common.iter().cloned()),
            }
            if level.level == 0 && !level.is_mask {
                tags.extend(self.geo.iter().cloned());
            }
            tags.sort_by_key(|(tag, _)| *tag);
            directories.push(tags);
        }
        directories
    }

    /// No less than the file has in either flavor; `None` if that is no number.
    fn bytes_at_most(&self) -> Option<u64> {
        let nowhere = vec![Places::default(); self.levels.len()];
        let mut bytes = ifd::bytes_at_most(Flavor::Big, &self.directories(Flavor::Big, &nowhere));
        for level in self.levels {
            let tile = tile_bytes(level);
            let tiles = level.tiles().checked_mul(tile.checked_add(12)?)?;
            bytes = bytes.checked_add(tiles)?.checked_add(PAGE_BYTES + GAP_BYTES)?;
        }
        Some(bytes)
    }

    fn place(&self, flavor: Flavor) -> (Vec<u8>, Vec<Segment>) {
        // The length of the directories does not depend on what they point to.
        let mut places = vec![Places::default(); self.levels.len()];
        let head_bytes = ifd::encode(flavor, &self.directories(flavor, &places)).len() as u64;
        let mut segments = Segments::default();
        segments.push(Kind::Head, head_bytes, head_bytes);
        for (index, level) in self.levels.iter().enumerate() {
            let bytes = tabled(level.tiles(), flavor.offset_bytes(), flavor);
            places[index].offsets = segments.push(Kind::Offsets(index), bytes, TABLE_BYTES);
        }
        for (index, level) in self.levels.iter().enumerate() {
            let bytes = tabled(level.tiles(), COUNT_BYTES, flavor);
            places[index].counts = segments.push(Kind::Counts(index), bytes, TABLE_BYTES);
        }
        let pixels = self.levels[0].tiles() * tile_bytes(&self.levels[0]);
        let gap = if pixels > GAP_FROM_BYTES { GAP_BYTES } else { 0 };
        for (index, level) in self.levels.iter().enumerate().rev() {
            segments.pad(gap);
            let bytes = tile_bytes(level);
            places[index].tiles = segments.push(Kind::Tiles(index), bytes * level.tiles(), bytes);
        }
        (ifd::encode(flavor, &self.directories(flavor, &places)), segments.list)
    }
}

/// Where a level's parts start.
#[derive(Debug, Clone, Copy, Default)]
struct Places {
    offsets: u64,
    counts: u64,
    tiles: u64,
}

#[derive(Debug, Default)]
struct Segments {
    list: Vec<Segment>,
}

impl Segments {
    /// Where the new segment starts.
    fn push(&mut self, kind: Kind, bytes: u64, unit_bytes: u64) -> u64 {
        let last = self.list.last();
        let start = last.map_or(0, |segment| segment.end);
        let first_unit = last.map_or(0, |segment| segment.first_unit + segment.units());
        if bytes > 0 {
            self.list.push(Segment { start, end: start + bytes, unit_bytes, first_unit, kind });
        }
        start
    }

    /// Leaves at least `gap` bytes free, so that tiles start where they may.
    fn pad(&mut self, gap: u64) {
        let end = self.list.last().map_or(0, |segment| segment.end);
        let alignment = if gap > 0 { PAGE_BYTES } else { ALIGNMENT };
        self.push(Kind::Padding, (end + gap).next_multiple_of(alignment) - end, TABLE_BYTES);
    }
}

/// What a table of so many numbers has; none if its entry in the directory holds it,
/// where readers then look: one offset, or in BigTIFF also two counts.
fn tabled(numbers: u64, number_bytes: u64, flavor: Flavor) -> u64 {
    let bytes = numbers * number_bytes;
    if bytes <= flavor.offset_bytes() { 0 } else { bytes }
}

/// A tile with what fills it up; the plan keeps it below some MiB.
fn tile_bytes(level: &Level) -> u64 {
    u64::from(level.tile.0) * u64::from(level.tile.1) * level.pixel_bytes as u64
}

/// What a mask of one band or several says of its pixels: 8 bits, of which 0 stands for "not valid".
fn mask_tags(bands: usize) -> Tags {
    let mut tags = vec![
        (258, Value::Shorts(vec![8; bands])),     // BitsPerSample
        (259, Value::Shorts(vec![1])),            // Compression: none
        (262, Value::Shorts(vec![4])),            // PhotometricInterpretation: a mask
        (277, Value::Shorts(vec![bands as u16])), // SamplesPerPixel
        (284, Value::Shorts(vec![1])),            // PlanarConfiguration: contiguous
        (339, Value::Shorts(vec![1; bands])),     // SampleFormat: unsigned
    ];
    if bands > 1 {
        tags.push((338, Value::Shorts(vec![0; bands - 1]))); // ExtraSamples: unspecified
    }
    tags
}

/// What all levels say of their pixels.
fn common_tags(info: &RasterInfo) -> Tags {
    let is_complex = info.extras.is_complex;
    let parts = if is_complex { 2 } else { 1 };
    let samples = info.bands / parts;
    let bands = usize::from(samples);
    let colors = palette(info);
    let (photometric, plain, opacity) = match info.color {
        Color::Rgb | Color::RgbBands => (2, 3, 0),
        Color::Rgba => (2, 3, 2), // unassociated alpha
        Color::GrayAlpha => (1, 1, 2),
        Color::Cmyk => (5, 4, 0),
        Color::Lab => (8, 3, 0),
        Color::Palette if !colors.is_empty() => (3, 1, 0),
        Color::Gray | Color::Bands | Color::Palette => (1, 1, 0),
    };
    let format = match (info.sample, is_complex) {
        (SampleType::F32 | SampleType::F64, false) => 3,
        (SampleType::F32 | SampleType::F64, true) => 6,
        (_, true) => 5,
        (SampleType::U8 | SampleType::U16 | SampleType::U32 | SampleType::U64, _) => 1,
        (SampleType::I8 | SampleType::I16 | SampleType::I32 | SampleType::I64, _) => 2,
    };
    let bits = info.sample.bytes() as u16 * 8 * parts;
    let mut tags = vec![
        (258, Value::Shorts(vec![bits; bands])), // BitsPerSample
        (259, Value::Shorts(vec![1])),           // Compression: none
        (262, Value::Shorts(vec![photometric])),
        (277, Value::Shorts(vec![samples])), // SamplesPerPixel
        (284, Value::Shorts(vec![1])),       // PlanarConfiguration: contiguous
        (320, Value::Shorts(colors)),        // ColorMap
        (339, Value::Shorts(vec![format; bands])), // SampleFormat
    ];
    if bands > plain {
        let said = &info.extras.carried.extra_samples;
        let meanings = match said.len() == bands - plain {
            true => said.clone(),
            false => vec![opacity; bands - plain],
        };
        tags.push((338, Value::Shorts(meanings))); // ExtraSamples
    }
    let spelled = &info.extras.carried.nodata;
    match info.nodata {
        _ if !spelled.is_empty() => tags.push((42_113, ascii(spelled))),
        Some(nodata) => tags.push((42_113, ascii(&number(nodata)))),
        None => {}
    }
    tags.retain(has_any);
    tags
}

/// All reds, greens and blues, for each value that a sample can have; nothing where the
/// image has no palette.
fn palette(info: &RasterInfo) -> Vec<u16> {
    let Some(colors) = &info.extras.palette else { return Vec::new() };
    let values = if info.sample == SampleType::U8 { 1 << 8 } else { 1 << 16 };
    let carried = &info.extras.carried.color_map;
    let part = |of: usize| {
        let known: Vec<u16> = match carried.len() == 3 * colors.len() {
            true => carried[of * colors.len()..][..colors.len()].to_vec(),
            false => colors.iter().map(|color| u16::from(color[of]) * 257).collect(),
        };
        known.into_iter().chain(std::iter::repeat(0)).take(values)
    };
    (0..3).flat_map(part).collect()
}

/// A text with the NUL that ends it.
fn ascii(text: &str) -> Value {
    Value::Ascii([text.as_bytes(), &[0]].concat())
}

/// What the image itself is followed by: what lies beside its pixels.
fn carried_tags(info: &RasterInfo) -> Tags {
    let mut tags = info.geo.as_ref().map(geo_tags).unwrap_or_default();
    let carried = &info.extras.carried;
    if !carried.gdal_metadata.is_empty() {
        tags.push((42_112, ascii(&carried.gdal_metadata)));
    }
    tags.push((50_844, Value::Doubles(carried.rpc.clone())));
    tags.retain(has_any);
    tags
}

fn geo_tags(geo: &GeoTags) -> Tags {
    let mut ascii = geo.ascii_params.clone().into_bytes();
    if !ascii.is_empty() {
        ascii.push(0);
    }
    let all = [
        (33_550, Value::Doubles(geo.pixel_scale.clone())),
        (33_922, Value::Doubles(geo.tiepoints.clone())),
        (34_264, Value::Doubles(geo.transformation.clone())),
        (34_735, Value::Shorts(geo.key_directory.clone())),
        (34_736, Value::Doubles(geo.double_params.clone())),
        (34_737, Value::Ascii(ascii)),
    ];
    all.into_iter().filter(has_any).collect()
}

fn has_any((_, value): &(u16, Value)) -> bool {
    match value {
        Value::Doubles(values) => !values.is_empty(),
        Value::Shorts(values) => !values.is_empty(),
        Value::Ascii(bytes) => !bytes.is_empty(),
        _ => true,
    }
}

/// As GDAL writes nodata: `0`, `-9999`, `nan`, `1.5`.
fn number(value: f64) -> String {
    if value.is_nan() {
        "nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "inf" } else { "-inf" }.to_owned()
    } else if value == value.trunc() && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        format!("{value:?}")
    }
}

/// Nodata as a little-endian sample if it is a value of the type, or else zero.
fn fill(sample: SampleType, nodata: Option<f64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_little_endian(&mut bytes, &sample.value(nodata.unwrap_or(0.0)), sample.bytes());
    bytes
}

#[cfg(test)]
mod tests;
