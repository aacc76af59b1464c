//! The tags that are read here (TIFF 6.0, and the registered ones after it).

pub(super) const NEW_SUBFILE_TYPE: u16 = 254;
pub(super) const SUBFILE_TYPE: u16 = 255;
pub(super) const IMAGE_WIDTH: u16 = 256;
pub(super) const IMAGE_LENGTH: u16 = 257;
pub(super) const BITS_PER_SAMPLE: u16 = 258;
pub(super) const COMPRESSION: u16 = 259;
pub(super) const PHOTOMETRIC: u16 = 262;
pub(super) const FILL_ORDER: u16 = 266;
pub(super) const ORIENTATION: u16 = 274;
pub(super) const STRIP_OFFSETS: u16 = 273;
pub(super) const SAMPLES_PER_PIXEL: u16 = 277;
pub(super) const ROWS_PER_STRIP: u16 = 278;
pub(super) const STRIP_BYTE_COUNTS: u16 = 279;
pub(super) const PLANAR_CONFIGURATION: u16 = 284;
pub(super) const T4_OPTIONS: u16 = 292;
pub(super) const PREDICTOR: u16 = 317;
pub(super) const WHITE_POINT: u16 = 318;
pub(super) const COLOR_MAP: u16 = 320;
pub(super) const TILE_WIDTH: u16 = 322;
pub(super) const TILE_LENGTH: u16 = 323;
pub(super) const TILE_OFFSETS: u16 = 324;
pub(super) const TILE_BYTE_COUNTS: u16 = 325;
pub(super) const SUB_IFDS: u16 = 330;
pub(super) const EXTRA_SAMPLES: u16 = 338;
pub(super) const SAMPLE_FORMAT: u16 = 339;
pub(super) const JPEG_TABLES: u16 = 347;
pub(super) const YCBCR_COEFFICIENTS: u16 = 529;
pub(super) const YCBCR_SUB_SAMPLING: u16 = 530;
pub(super) const REFERENCE_BLACK_WHITE: u16 = 532;
pub(super) const ICC_PROFILE: u16 = 34_675;
/// GeoTIFF (OGC 19-008r4), in the order of `GeoTags`.
pub(super) const MODEL_PIXEL_SCALE: u16 = 33_550;
pub(super) const MODEL_TIEPOINT: u16 = 33_922;
pub(super) const MODEL_TRANSFORMATION: u16 = 34_264;
pub(super) const GEO_KEY_DIRECTORY: u16 = 34_735;
pub(super) const GEO_DOUBLE_PARAMS: u16 = 34_736;
pub(super) const GEO_ASCII_PARAMS: u16 = 34_737;
/// GDAL: an XML text with scale, offset, units and names of bands.
pub(super) const GDAL_METADATA: u16 = 42_112;
/// GDAL: the value of pixels that hold no measurement, as text.
pub(super) const GDAL_NODATA: u16 = 42_113;
/// LERC: its version, and what its bytes are compressed with once more.
pub(super) const LERC_PARAMETERS: u16 = 50_674;
/// Rational polynomial coefficients: 92 doubles.
pub(super) const RPC_COEFFICIENTS: u16 = 50_844;
