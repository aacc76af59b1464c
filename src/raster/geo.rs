//! Where an image lies on the earth, as the tags of a GeoTIFF say it.

/// The georeference of an image in GeoTIFF's terms (OGC 19-008r4): what a GeoTIFF
/// or a GeoJP2 box has is carried over word for word.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GeoTags {
    /// ModelPixelScaleTag (33550): x, y, z.
    pub pixel_scale: Vec<f64>,
    /// ModelTiepointTag (33922): i, j, k, x, y, z, for each point.
    pub tiepoints: Vec<f64>,
    /// ModelTransformationTag (34264): a 4x4 matrix, row by row.
    pub transformation: Vec<f64>,
    /// GeoKeyDirectoryTag (34735).
    pub key_directory: Vec<u16>,
    /// GeoDoubleParamsTag (34736).
    pub double_params: Vec<f64>,
    /// GeoAsciiParamsTag (34737), without the closing NUL.
    pub ascii_params: String,
}
