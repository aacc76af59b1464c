//! The settings of virtual siblings, from their flags.

use std::time::Duration;

use super::{ConfigError, size};
use crate::cli::ViewArgs;
use crate::decoders::Place;
use crate::raster::Limits;
use crate::view::{PngCompression, ViewConfig, ViewSet};

/// In pixels. Smaller previews show nothing, and larger ones are not previews any more.
const PREVIEW_SIZES: std::ops::RangeInclusive<u32> = 16..=16_384;

/// The settings of siblings; fails with the first flag that is wrong.
pub(super) fn view_config(args: &ViewArgs) -> Result<ViewConfig, ConfigError> {
    let default = ViewConfig::default();
    let kinds = match args.views.as_deref() {
        None => ViewSet::ALL,
        Some(text) => text.parse()?,
    };
    let preview_size = match args.preview_size.as_deref() {
        None => default.preview_size,
        Some(text) => text
            .parse()
            .ok()
            .filter(|size| PREVIEW_SIZES.contains(size))
            .ok_or_else(|| ConfigError::PreviewSize(text.into()))?,
    };
    let png_compression = match args.png_compression.as_deref() {
        None | Some("none") => PngCompression::Stored,
        Some("fast") => PngCompression::Fast,
        Some(text) => return Err(ConfigError::PngCompression(text.into())),
    };
    let of = |flag, text: &Option<String>, default| number(flag, text.as_deref(), default);
    let limits = default.limits;
    let limits = Limits {
        image_pixels: of("--max-image-pixels", &args.max_image_pixels, limits.image_pixels)?,
        tile_samples: of("--max-tile-samples", &args.max_tile_samples, limits.tile_samples)?,
        decode_bytes: of("--max-decode-memory", &args.max_decode_memory, limits.decode_bytes)?,
        tiles: of("--max-tiles", &args.max_tiles, limits.tiles)?,
        code_blocks: of("--max-code-blocks", &args.max_code_blocks, limits.code_blocks)?,
        expansion: of("--max-expansion", &args.max_expansion, limits.expansion)?,
        decode_time: Duration::from_secs(of(
            "--decode-timeout",
            &args.decode_timeout,
            limits.decode_time.as_secs(),
        )?),
    };
    Ok(ViewConfig { kinds, are_listed: args.list_views, preview_size, png_compression, limits })
}

/// Where decoders run; fails if there is no such place.
pub(super) fn place_of_decoders(args: &ViewArgs) -> Result<Place, ConfigError> {
    match args.decoders.as_deref() {
        None | Some("workers") => Ok(Place::workers()),
        Some("in-process") => Ok(Place::InProcess),
        Some(text) => Err(ConfigError::Decoders(text.into())),
    }
}

fn number(flag: &'static str, text: Option<&str>, default: u64) -> Result<u64, ConfigError> {
    match text {
        None => Ok(default),
        Some(text) => size::parse(text)
            .filter(|&number| number > 0)
            .ok_or_else(|| ConfigError::Number { flag, text: text.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_flags_all_siblings_exist_and_none_is_listed() {
        assert_eq!(view_config(&ViewArgs::default()), Ok(ViewConfig::default()));
    }

    #[test]
    fn a_limit_takes_a_unit_and_refuses_what_is_none() {
        let with = |text: &str| {
            let args = ViewArgs { max_image_pixels: Some(text.into()), ..ViewArgs::default() };
            view_config(&args).map(|config| config.limits.image_pixels)
        };
        assert_eq!(with("2G"), Ok(2 << 30));
        for text in ["0", "-1", "many", ""] {
            assert!(matches!(with(text), Err(ConfigError::Number { .. })), "{text}");
        }
    }

    #[test]
    fn a_png_is_compressed_if_asked_for() {
        let with = |text: &str| {
            let args = ViewArgs { png_compression: Some(text.into()), ..ViewArgs::default() };
            view_config(&args).map(|config| config.png_compression)
        };
        assert_eq!(with("none"), Ok(PngCompression::Stored));
        assert_eq!(with("fast"), Ok(PngCompression::Fast));
        assert_eq!(with("best"), Err(ConfigError::PngCompression("best".into())));
    }

    #[test]
    fn decoders_have_two_places() {
        let with = |text: &str| {
            place_of_decoders(&ViewArgs { decoders: Some(text.into()), ..ViewArgs::default() })
        };
        assert_eq!(with("workers"), place_of_decoders(&ViewArgs::default()));
        assert_eq!(with("in-process"), Ok(Place::InProcess));
        assert_eq!(with("elsewhere"), Err(ConfigError::Decoders("elsewhere".into())));
    }

    #[test]
    fn a_preview_has_a_sensible_size() {
        let with = |text: &str| {
            view_config(&ViewArgs { preview_size: Some(text.into()), ..ViewArgs::default() })
        };
        assert_eq!(with("512").unwrap().preview_size, 512);
        for text in ["0", "15", "100000", "big"] {
            assert_eq!(with(text), Err(ConfigError::PreviewSize(text.into())));
        }
    }
}
