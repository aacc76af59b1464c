//! What a daemon and its workers tell each other.

use serde::{Deserialize, Serialize};

use super::Confinement;
use crate::raster::{Codec, Color, Header, Limits, Picture, RasterError};

/// What a worker is asked to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Say what a header says. The bytes of the pieces come behind the request, one
    /// piece after the other.
    Header {
        codec: Codec,
        limits: Limits,
        /// Of the whole file, in bytes.
        size: u64,
        /// Where each piece begins, and how long it is.
        pieces: Vec<(u64, u64)>,
    },
    /// Decode the file that comes as the first descriptor into the second.
    Pixels { codec: Codec, limits: Limits, header: Box<Header> },
    /// Convert the samples that come as the first descriptor from the colors of this profile
    /// to sRGB.
    ToSrgb { profile: Vec<u8>, bands: u8, limits: Limits },
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// It has begun, and what it tried of what it must not be able to do.
    Ready(Confinement),
    Header(Box<Header>, Picture),
    /// The parser needs the bytes from here on.
    Missing(u64),
    /// The pixels are where they belong.
    Done,
    Unsupported(String),
    Corrupt(String),
}

/// The longest text that is taken from a worker.
const TEXT_CHARS: usize = 300;

impl Reply {
    /// What a parser or a decoder failed with.
    pub(super) fn failure(error: RasterError) -> Self {
        match error {
            RasterError::Unsupported(why) => Reply::Unsupported(why),
            RasterError::Corrupt(why) => Reply::Corrupt(why),
            error => Reply::Corrupt(error.to_string()),
        }
    }
}

/// A text for people: on one line, and short.
pub(super) fn printable(text: &str) -> String {
    text.chars().take(TEXT_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The header, if one can be like that.
pub(super) fn believable(mut header: Header) -> Option<Header> {
    let bands = match header.color {
        Color::Gray => header.bands == 1,
        Color::GrayAlpha => header.bands == 2,
        Color::Rgb | Color::Lab => header.bands == 3,
        Color::Rgba => header.bands == 4,
        Color::Bands => header.bands > 0,
        Color::RgbBands => header.bands > 3,
        Color::Cmyk => header.bands == 4,
        Color::Palette => header.bands == 1,
    };
    let bits = 8 * header.sample.bytes();
    let depth = (1..=bits).contains(&usize::from(header.bit_depth)) || header.unsupported.is_some();
    header.unsupported = header.unsupported.as_deref().map(printable);
    (bands && depth).then_some(header)
}
