//! The formats that decoders from elsewhere read.

use serde::{Deserialize, Serialize};

/// A format that is decoded in one piece, by a decoder that is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// Windows bitmap.
    Bmp,
    /// OpenEXR.
    Exr,
    /// GIF, its first frame.
    Gif,
    /// Radiance HDR.
    Hdr,
    /// JPEG, baseline and progressive.
    Jpeg,
    /// JPEG XL, its first frame.
    Jxl,
    /// PNG.
    Png,
    /// PBM, PGM, PPM and PAM.
    Pnm,
    /// QOI.
    Qoi,
    /// Targa.
    Tga,
    /// WebP.
    Webp,
}

impl Codec {
    /// Its name in messages and in the JSON of an image.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Bmp => "bmp",
            Codec::Exr => "exr",
            Codec::Gif => "gif",
            Codec::Hdr => "hdr",
            Codec::Jpeg => "jpeg",
            Codec::Jxl => "jxl",
            Codec::Png => "png",
            Codec::Pnm => "pnm",
            Codec::Qoi => "qoi",
            Codec::Tga => "tga",
            Codec::Webp => "webp",
        }
    }
}
