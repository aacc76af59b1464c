//! The georeference of a GMLJP2 document.
//!
//! Contract: the first `RectifiedGrid` gives an affine transform and an EPSG code,
//! in the order of axes that GeoTIFF has (easting or longitude first). A CRS that
//! is named by URN or URL has the axes of its registry entry, unless `axisName`
//! elements say the opposite; `EPSG:n` has easting first. Anything else is `None`.

use roxmltree::{Document, Node};

use super::GeoTags;
use super::epsg::{self, Kind};

impl GeoTags {
    /// Reads the `RectifiedGrid` of a GMLJP2 document (OGC 05-047r3, 08-085r8), of
    /// which the pixels' centres are said. `None` without one in an EPSG CRS.
    pub fn from_gml(document: &str) -> Option<GeoTags> {
        parse(document)
    }
}

fn parse(text: &str) -> Option<GeoTags> {
    let document = Document::parse(text.trim_matches(['\0', '\u{feff}'])).ok()?;
    let grid = named(document.root(), "RectifiedGrid").next()?;
    let point = children(grid, "origin").flat_map(|origin| children(origin, "Point")).next()?;
    let origin = children(point, "pos").chain(children(point, "coordinates")).find_map(pair)?;
    let mut offsets = children(grid, "offsetVector").filter_map(pair);
    let (column, row) = (offsets.next()?, offsets.next()?);

    let envelope = || named(document.root(), "Envelope").find_map(|node| node.attribute("srsName"));
    let name =
        point.attribute("srsName").or_else(envelope).or_else(|| grid.attribute("srsName"))?;
    let (code, by_registry) = epsg_code(name.trim())?;
    let kind = epsg::kind(code)?;

    let mut affine = [
        origin.0 - 0.5 * column.0 - 0.5 * row.0,
        column.0,
        row.0,
        origin.1 - 0.5 * column.1 - 0.5 * row.1,
        column.1,
        row.1,
    ];
    let northing_first = matches!(kind, Kind::Geographic | Kind::NorthingEasting);
    if by_registry && northing_first && !easting_is_said_first(grid) {
        let [x, x_column, x_row, y, y_column, y_row] = affine;
        affine = [y, y_column, y_row, x, x_column, x_row];
        // Some writers swap the offsets' order too, and say so.
        if text.contains("GDAL_JP2K_ALT_OFFSETVECTOR_ORDER=TRUE") {
            affine = [y, y_row, y_column, x, x_row, x_column];
        }
    }
    if affine.iter().any(|number| !number.is_finite()) {
        return None;
    }
    Some(GeoTags::from_affine(affine, code, kind == Kind::Geographic))
}

/// Elements of this local name, whatever their namespace: versions differ in it.
fn named<'a>(node: Node<'a, 'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.descendants().filter(move |node| node.tag_name().name() == name)
}

fn children<'a>(node: Node<'a, 'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(move |node| node.tag_name().name() == name)
}

/// The first two numbers of an element's text.
fn pair(node: Node<'_, '_>) -> Option<(f64, f64)> {
    let mut numbers =
        node.text()?.split([' ', ',', '\t', '\r', '\n']).filter(|word| !word.is_empty());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The code of a CRS, and whether its axes are those of the registry.
fn epsg_code(name: &str) -> Option<(u16, bool)> {
    let lower = name.to_ascii_lowercase();
    if let Some(code) = lower.strip_prefix("epsg:") {
        return Some((code.parse().ok()?, false));
    }
    // urn:ogc:def:crs:EPSG::32610, urn:x-ogc:def:crs:EPSG:6.6:32610
    let urn = || lower.strip_prefix("urn:")?.split_once(":def:crs:epsg:").map(|(_, rest)| rest);
    // http://www.opengis.net/def/crs/EPSG/0/32610
    let url = || lower.strip_prefix("http://www.opengis.net/def/crs/epsg/");
    let code = match urn() {
        Some(rest) => rest.rsplit(':').next()?,
        None => url()?.rsplit('/').next()?,
    };
    Some((code.parse().ok()?, true))
}

/// Whether the grid's own `axisName` elements say easting, northing.
fn easting_is_said_first(grid: Node<'_, '_>) -> bool {
    let mut names = children(grid, "axisName").filter_map(|node| node.text());
    let mut next = |starts: [&str; 2]| {
        let name = names.next().unwrap_or_default().trim().to_ascii_lowercase();
        starts.iter().any(|start| name.starts_with(start))
    };
    next(["east", "long"]) && next(["north", "lat"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(srs: &str, origin: &str, offsets: [&str; 2], more: &str) -> String {
        format!(
            r#"<?xml version="1.0"?><gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml">
            <gml:RectifiedGrid dimension="2">{more}<gml:origin><gml:Point gml:id="P" srsName="{srs}">
            <gml:pos>{origin}</gml:pos></gml:Point></gml:origin>
            <gml:offsetVector srsName="{srs}">{}</gml:offsetVector>
            <gml:offsetVector srsName="{srs}">{}</gml:offsetVector>
            </gml:RectifiedGrid></gml:FeatureCollection>"#,
            offsets[0], offsets[1]
        )
    }

    #[test]
    fn the_origin_is_the_centre_of_the_first_pixel() {
        let text = document("urn:ogc:def:crs:EPSG::32610", "600005 4900015", ["10 0", "0 -10"], "");
        let tags = parse(&text).unwrap();
        assert_eq!(tags.tiepoints, [0.0, 0.0, 0.0, 600_000.0, 4_900_020.0, 0.0]);
        assert_eq!(tags.pixel_scale, [10.0, 10.0, 0.0]);
        assert_eq!(tags.key_directory[15], 32610);
    }

    #[test]
    fn latitude_comes_first_in_the_registry_but_not_in_geotiff() {
        let urn = "urn:ogc:def:crs:EPSG::4326";
        let text = document(urn, "44.5 10.5", ["0 1", "-1 0"], "");
        let tags = parse(&text).unwrap();
        assert_eq!(tags.tiepoints[3..5], [10.0, 45.0]);
        assert_eq!((tags.key_directory[7], tags.key_directory[12]), (2, 2048));
        let said = "<gml:axisName>Long</gml:axisName><gml:axisName>Lat</gml:axisName>";
        let text = document(urn, "10.5 44.5", ["1 0", "0 -1"], said);
        assert_eq!(parse(&text).unwrap().tiepoints[3..5], [10.0, 45.0]);
        let text = document("EPSG:4326", "10.5 44.5", ["1 0", "0 -1"], "");
        assert_eq!(parse(&text).unwrap().tiepoints[3..5], [10.0, 45.0]);
    }

    #[test]
    fn a_turned_grid_has_a_transformation() {
        let url = "http://www.opengis.net/def/crs/EPSG/0/32633";
        let tags = parse(&document(url, "0 0", ["3 4", "4 -3"], "")).unwrap();
        assert_eq!(tags.transformation[..4], [3.0, 4.0, 0.0, -3.5]);
        assert!(tags.pixel_scale.is_empty() && tags.tiepoints.is_empty());
    }

    #[test]
    fn without_a_known_crs_there_is_no_georeference() {
        assert!(
            parse(&document("urn:ogc:def:crs:OGC:1.3:CRS84", "0 0", ["1 0", "0 1"], "")).is_none()
        );
        assert!(parse("<a/>").is_none());
        assert!(parse("<a").is_none());
    }
}
