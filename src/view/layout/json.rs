//! What an image's header says, as a small JSON text.
//!
//! Contract: always there for an image, also where other views are not, and then it
//! says why; the same bytes for the same header and version; keys in a fixed order.

use std::fmt::Write;
use std::ops::Range;

use super::{Layout, UnitData, UnitIndex, UnitInput};
use crate::raster::{Color, Count, GeoTags, Page, RasterInfo};

/// What the original itself says.
#[derive(Debug, Clone, Copy)]
pub struct ObjectFacts<'a> {
    /// The version, as S3 gives it, and empty where it gives none; `None`, which is
    /// `null` in the text, for a file that is not in S3.
    pub etag: Option<&'a str>,
    /// The size of the object or file.
    pub bytes: u64,
}

/// Whether a view exists.
#[derive(Debug, Clone)]
pub struct ViewFact {
    /// What is behind the object's name: `png`, `preview.png`, ...
    pub name: &'static str,
    /// Why it does not exist.
    pub missing: Option<String>,
}

/// The layout of the JSON text.
#[derive(Debug, Clone)]
pub struct JsonLayout {
    text: Vec<u8>,
}

impl JsonLayout {
    /// The text about an image.
    pub fn new(info: &RasterInfo, object: ObjectFacts<'_>, views: &[ViewFact]) -> Self {
        let mut text = Object::new(0);
        text.field("width", info.width.to_string());
        text.field("height", info.height.to_string());
        let values = if info.extras.is_complex { info.bands / 2 } else { info.bands };
        text.field("bands", values.to_string());
        text.field("dtype", string(info.sample.name()));
        text.field("bit_depth", info.bit_depth.to_string());
        text.field("color", string(color(info.color)));
        text.field("nodata", info.nodata.map_or("null".to_owned(), number));
        text.field("codec", string(info.codec));
        text.field("tile", pair(info.grid.tile_size));
        let level = |k| (info.image(k).width, info.image(k).height);
        text.field("levels", list((0..info.levels.max(1)).map(|k| pair(level(k)))));
        text.field("georeference", georeference(info));
        text.field("unsupported", info.unsupported.as_deref().map_or("null".to_owned(), string));
        text.field("warnings", list(info.warnings.iter().map(|warning| string(warning))));
        text.field("ranges", ranges(info));
        if let Some(compression) = info.extras.compression {
            text.field("compression", string(compression));
        }
        if let Some(Page { number, of }) = info.extras.page {
            text.field("page", number.to_string());
            let pages = match of {
                Count::Exactly(count) => count.to_string(),
                Count::AtLeast(count) => string(&format!("{count} or more")),
            };
            text.field("pages", pages);
        }
        if info.codec == "tiff" {
            text.field("mask", (!info.extras.masked.is_empty()).to_string());
            if info.extras.has_mask_of_each_band {
                text.field("mask_of_each_band", "true".to_owned());
            }
            if !info.extras.beside.is_empty() {
                let endings = info.extras.beside.iter().map(|file| string(file.suffix()));
                text.field("beside", list(endings));
            }
            text.field("complex", info.extras.is_complex.to_string());
        }
        if info.extras.is_bottom_up {
            text.field("rows", string("bottom up"));
        }
        if let Some(palette) = &info.extras.palette {
            let color = |[r, g, b]: &[u8; 3]| format!("[{r}, {g}, {b}]");
            text.field("palette", list(palette.iter().map(color)));
        }
        let mut listed = Object::new(1);
        for view in views {
            listed.field(view.name, view.missing.as_deref().map_or("true".to_owned(), string));
        }
        text.field("views", listed.close());
        text.field("etag", object.etag.map_or("null".to_owned(), string));
        text.field("bytes", object.bytes.to_string());
        JsonLayout { text: (text.close() + "\n").into_bytes() }
    }
}

impl Layout for JsonLayout {
    fn size(&self) -> u64 {
        self.text.len() as u64
    }

    fn units(&self) -> u64 {
        1
    }

    fn unit_at(&self, _offset: u64) -> UnitIndex {
        0
    }

    fn unit_range(&self, _unit: UnitIndex) -> Range<u64> {
        0..self.size()
    }

    fn unit_input(&self, _unit: UnitIndex) -> UnitInput {
        UnitInput::Nothing
    }

    fn encode(&self, _unit: UnitIndex, _data: UnitData<'_>) -> Vec<u8> {
        self.text.clone()
    }
}

fn color(color: Color) -> &'static str {
    match color {
        Color::Gray => "gray",
        Color::GrayAlpha => "gray+alpha",
        Color::Rgb => "rgb",
        Color::Rgba => "rgba",
        Color::Bands => "bands",
        Color::RgbBands => "rgb+bands",
        Color::Cmyk => "cmyk",
        Color::Lab => "lab",
        Color::Palette => "palette",
    }
}

/// How pieces of the image are found in its file.
fn ranges(info: &RasterInfo) -> String {
    let Some(ranges) = &info.ranges else { return "null".to_owned() };
    let mut text = Object::new(1);
    text.field("tiles", string(ranges.tiles));
    text.field("reduced", string(&ranges.reduced));
    text.close()
}

/// EPSG code, GDAL's transform `[c, a, b, f, d, e]` and bounds
/// `[west, south, east, north]`, each where the tags say it.
fn georeference(info: &RasterInfo) -> String {
    let Some(geo) = &info.geo else { return "null".to_owned() };
    let mut text = Object::new(1);
    text.field("epsg", epsg(geo).map_or("null".to_owned(), |code| code.to_string()));
    let transform = transform(geo);
    text.field("transform", transform.map_or("null".to_owned(), |t| list(t.map(number))));
    let bounds = transform.map(|t| bounds(t, info.width.into(), info.height.into()));
    text.field("bounds", bounds.map_or("null".to_owned(), |b| list(b.map(number))));
    text.close()
}

/// The value of a GeoKey that is a SHORT in the directory itself.
fn geo_key(geo: &GeoTags, key: u16) -> Option<u16> {
    let entries = geo.key_directory.get(4..)?.chunks_exact(4);
    entries.into_iter().find(|entry| entry[0] == key && entry[1] == 0).map(|entry| entry[3])
}

/// ProjectedCRSGeoKey, or else GeodeticCRSGeoKey; 32767 is "user-defined".
fn epsg(geo: &GeoTags) -> Option<u16> {
    let known = |code: &u16| (1024..32_767).contains(code);
    match geo_key(geo, 3072) {
        Some(code) => Some(code).filter(known),
        None => geo_key(geo, 2048).filter(known),
    }
}

/// From the matrix, or from the first tie point and the scale. Where a pixel is a
/// point (GTRasterTypeGeoKey 2), the corner lies half a pixel before it.
fn transform(geo: &GeoTags) -> Option<[f64; 6]> {
    let [c, a, b, f, d, e] = match (&geo.transformation[..], &geo.tiepoints[..]) {
        ([a, b, _, c, d, e, _, f, ..], _) if geo.transformation.len() == 16 => {
            [*c, *a, *b, *f, *d, *e]
        }
        (_, [i, j, _, x, y, _, ..]) => {
            let (sx, sy) = (*geo.pixel_scale.first()?, *geo.pixel_scale.get(1)?);
            [x - i * sx, sx, 0.0, y + j * sy, 0.0, -sy]
        }
        _ => return None,
    };
    let half = if geo_key(geo, 1025) == Some(2) { 0.5 } else { 0.0 };
    Some([c - half * (a + b), a, b, f - half * (d + e), d, e])
}

fn bounds([c, a, b, f, d, e]: [f64; 6], width: f64, height: f64) -> [f64; 4] {
    let corners = [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)];
    let x = corners.map(|(column, row)| c + a * column + b * row);
    let y = corners.map(|(column, row)| f + d * column + e * row);
    let low = |values: [f64; 4]| values.into_iter().fold(f64::INFINITY, f64::min);
    let high = |values: [f64; 4]| values.into_iter().fold(f64::NEG_INFINITY, f64::max);
    [low(x), low(y), high(x), high(y)]
}

/// An object, a key a line, indented by its depth.
struct Object {
    text: String,
    depth: usize,
}

impl Object {
    fn new(depth: usize) -> Self {
        Object { text: "{".to_owned(), depth }
    }

    fn field(&mut self, key: &str, value: String) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.line(self.depth + 1);
        self.text += &string(key);
        self.text += ": ";
        self.text += &value;
    }

    fn close(mut self) -> String {
        if self.text.len() > 1 {
            self.line(self.depth);
        }
        self.text + "}"
    }

    fn line(&mut self, depth: usize) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n("  ", depth));
    }
}

fn list(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(", "))
}

fn pair((a, b): (u32, u32)) -> String {
    format!("[{a}, {b}]")
}

/// JSON has no infinity and no NaN: these are strings.
fn number(value: f64) -> String {
    if !value.is_finite() {
        string(&value.to_string())
    } else if value == value.trunc() && value.abs() < 1e15 {
        format!("{}", value as i64)
    } else {
        format!("{value:?}")
    }
}

fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                // Control characters lie below U+00A0, so one unit is enough.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;
    use crate::raster::{Ranges, SampleType, TileGrid};

    fn utm() -> GeoTags {
        GeoTags {
            pixel_scale: vec![10.0, 10.0, 0.0],
            tiepoints: vec![0.0, 0.0, 0.0, 600_000.0, 5_300_040.0, 0.0],
            key_directory: vec![1, 1, 0, 2, 1025, 0, 1, 1, 3072, 0, 1, 32632],
            ..GeoTags::default()
        }
    }

    #[test]
    fn the_text_has_all_that_is_known_in_a_fixed_order() {
        let info = RasterInfo {
            grid: TileGrid { tile_size: (2, 2), ..TileGrid::whole(5, 3) },
            levels: 2,
            nodata: Some(0.0),
            geo: Some(utm()),
            warnings: vec!["a \"bit\" is odd".to_owned()],
            ranges: Some(Ranges {
                tiles: "listed in the file (TLM)",
                reduced: "from the first packets of each tile".to_owned(),
            }),
            ..check::info(5, 3, 2, SampleType::F32)
        };
        let views = [
            ViewFact { name: "png", missing: Some("PNG has no \"float32\"".to_owned()) },
            ViewFact { name: "npy", missing: None },
        ];
        let object = ObjectFacts { etag: Some("\"abc\""), bytes: 77 };
        let layout = JsonLayout::new(&info, object, &views);
        let text = check::whole(&layout, &info);
        let expected = r#"{
  "width": 5,
  "height": 3,
  "bands": 2,
  "dtype": "float32",
  "bit_depth": 32,
  "color": "bands",
  "nodata": 0,
  "codec": "test",
  "tile": [2, 2],
  "levels": [[5, 3], [3, 2]],
  "georeference": {
    "epsg": 32632,
    "transform": [600000, 10, 0, 5300040, 0, -10],
    "bounds": [600000, 5300010, 600050, 5300040]
  },
  "unsupported": null,
  "warnings": ["a \"bit\" is odd"],
  "ranges": {
    "tiles": "listed in the file (TLM)",
    "reduced": "from the first packets of each tile"
  },
  "views": {
    "png": "PNG has no \"float32\"",
    "npy": true
  },
  "etag": "\"abc\"",
  "bytes": 77
}
"#;
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn a_file_that_is_not_in_s3_has_no_etag() {
        let info = check::info(1, 1, 1, SampleType::U8);
        let layout = JsonLayout::new(&info, ObjectFacts { etag: None, bytes: 7 }, &[]);
        let text = String::from_utf8(check::whole(&layout, &info)).unwrap();
        assert!(text.ends_with("  \"etag\": null,\n  \"bytes\": 7\n}\n"), "{text}");
    }

    #[test]
    fn a_matrix_wins_over_tie_points_and_a_point_is_the_middle_of_its_pixel() {
        let mut geo = utm();
        geo.transformation = vec![1., 2., 0., 3., 4., 5., 0., 6., 0., 0., 0., 0., 0., 0., 0., 1.];
        assert_eq!(transform(&geo), Some([3., 1., 2., 6., 4., 5.]));
        let mut geo = utm();
        geo.key_directory = vec![1, 1, 0, 1, 1025, 0, 1, 2];
        assert_eq!(transform(&geo), Some([599_995., 10., 0., 5_300_045., 0., -10.]));
        assert_eq!(epsg(&geo), None);
    }

    #[test]
    fn broken_tags_give_no_georeference_and_no_panic() {
        let geo = GeoTags { key_directory: vec![1, 1], tiepoints: vec![1.0], ..utm() };
        assert_eq!((transform(&geo), epsg(&geo)), (None, None));
        let geo = GeoTags { pixel_scale: vec![], ..utm() };
        assert_eq!(transform(&geo), None);
    }

    #[test]
    fn what_json_cannot_hold_is_escaped() {
        assert_eq!(string("a\"\\\n\u{1}ü"), "\"a\\\"\\\\\\u000a\\u0001ü\"");
        assert_eq!(number(f64::NAN), "\"NaN\"");
        assert_eq!(number(1e300), "1e300");
        assert_eq!(number(-0.5), "-0.5");
    }
}
