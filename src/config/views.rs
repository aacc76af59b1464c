//! The settings of virtual siblings, from their flags.

use std::path::Path;
use std::time::Duration;

use super::absolute::absolute;
use super::{ConfigError, size};
use crate::cli::ViewArgs;
use crate::decoders::Place;
use crate::raster::Limits;
use crate::view::{IndexFolder, PngCompression, ShownBands, ViewConfig, ViewKind, ViewSet};

/// In pixels. Smaller previews show nothing, and larger ones are not previews any more.
const PREVIEW_SIZES: std::ops::RangeInclusive<u32> = 16..=16_384;

/// The settings of siblings; fails with the first flag that is wrong.
///
/// `bucket` names the server and the bucket.
pub(super) fn view_config(
    args: &ViewArgs,
    bucket: &str,
    mount_point: &Path,
) -> Result<ViewConfig, ConfigError> {
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
    let preview_bands = match args.preview_bands.as_deref() {
        None => default.preview_bands,
        Some(text) => {
            Some(shown_bands(text).ok_or_else(|| ConfigError::PreviewBands(text.into()))?)
        }
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
        walk_bytes: of("--max-walk", &args.max_walk, limits.walk_bytes)?,
        decode_time: Duration::from_secs(of(
            "--decode-timeout",
            &args.decode_timeout,
            limits.decode_time.as_secs(),
        )?),
    };
    let index_cache = match &args.index_cache {
        None => None,
        Some(folder) => Some(index_folder(folder, bucket, mount_point)?),
    };
    let listed = match args.list_views.as_deref() {
        None | Some("none") => ViewSet::NONE,
        Some("all") => ViewSet::LISTED.both(kinds),
        Some(text) => listed_kinds(text, kinds)?,
    };
    Ok(ViewConfig {
        kinds,
        listed,
        preview_size,
        preview_bands,
        png_compression,
        limits,
        index_cache,
    })
}

/// One band or three, which people count from 1.
fn shown_bands(text: &str) -> Option<ShownBands> {
    let band = |word: &str| word.trim().parse::<u16>().ok()?.checked_sub(1);
    let bands: Vec<u16> = text.split(',').map(band).collect::<Option<_>>()?;
    match bands[..] {
        [gray] => Some(ShownBands::Gray(gray)),
        [red, green, blue] => Some(ShownBands::Rgb([red, green, blue])),
        _ => None,
    }
}

/// Refuses to list, where programs may write, what they can't look at without decoding it.
pub(super) fn check_listed(views: &ViewConfig, writes: bool) -> Result<(), ConfigError> {
    let packed = ViewSet::of(&[ViewKind::Png, ViewKind::Preview]).both(views.listed);
    match writes && views.png_compression == PngCompression::Fast && !packed.is_empty() {
        true => Err(ConfigError::ListedPacked { listed: packed.to_string() }),
        false => Ok(()),
    }
}

/// The kinds that `--list-views` names, all of which there have to be.
fn listed_kinds(text: &str, kinds: ViewSet) -> Result<ViewSet, ConfigError> {
    let unlisted = || ConfigError::ListViews(text.into());
    let named: ViewSet = text.parse().map_err(|_| unlisted())?;
    if named != named.both(ViewSet::LISTED) {
        return Err(unlisted());
    }
    if named != named.both(kinds) {
        return Err(ConfigError::ListedWithoutView {
            listed: text.into(),
            views: kinds.to_string(),
        });
    }
    Ok(named)
}

/// The folder of `--index-cache`, which can't be in what is mounted.
fn index_folder(
    folder: &Path,
    bucket: &str,
    mount_point: &Path,
) -> Result<IndexFolder, ConfigError> {
    let folder = absolute(folder)?;
    if folder.starts_with(mount_point) {
        return Err(ConfigError::IndexesInsideMount { folder: folder.display().to_string() });
    }
    Ok(IndexFolder { folder, bucket: bucket.to_owned() })
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

    fn config(args: &ViewArgs) -> Result<ViewConfig, ConfigError> {
        view_config(args, "aws/b", Path::new("/mnt/b"))
    }

    #[test]
    fn without_flags_all_siblings_exist_and_none_is_listed() {
        assert_eq!(config(&ViewArgs::default()), Ok(ViewConfig::default()));
    }

    #[test]
    fn a_limit_takes_a_unit_and_refuses_what_is_none() {
        let with = |text: &str| {
            let args = ViewArgs { max_image_pixels: Some(text.into()), ..ViewArgs::default() };
            config(&args).map(|config| config.limits.image_pixels)
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
            config(&args).map(|config| config.png_compression)
        };
        assert_eq!(with("none"), Ok(PngCompression::Stored));
        assert_eq!(with("fast"), Ok(PngCompression::Fast));
        assert_eq!(with("best"), Err(ConfigError::PngCompression("best".into())));
    }

    #[test]
    fn kinds_are_listed_that_are_named_and_exist() {
        let with = |list: &str, views: Option<&str>| {
            let args = ViewArgs {
                list_views: Some(list.into()),
                views: views.map(str::to_owned),
                ..ViewArgs::default()
            };
            config(&args).map(|config| config.listed.to_string())
        };
        assert_eq!(with("all", None).unwrap(), "png,preview,npy,tif,json");
        assert_eq!(with("tif,preview", None).unwrap(), "preview,tif");
        assert_eq!(with("none", None).unwrap(), "none");
        assert_eq!(with("all", Some("png,indexed")).unwrap(), "png");
        for text in ["indexed", "tif,gif", "", "tif,reduced"] {
            assert_eq!(with(text, None), Err(ConfigError::ListViews(text.into())));
        }
        let missing = with("tif,npy", Some("tif,json")).unwrap_err().to_string();
        assert!(missing.contains("tif,npy") && missing.contains("--views tif,json"), "{missing}");
    }

    #[test]
    fn a_preview_shows_one_band_or_three() {
        let with = |text: &str| {
            let args = ViewArgs { preview_bands: Some(text.into()), ..ViewArgs::default() };
            config(&args).map(|config| config.preview_bands)
        };
        assert_eq!(with("4,3,2"), Ok(Some(ShownBands::Rgb([3, 2, 1]))));
        assert_eq!(with("8"), Ok(Some(ShownBands::Gray(7))));
        for text in ["", "0", "1,2", "1,2,3,4", "red", "1,2,0", "-1"] {
            assert_eq!(with(text), Err(ConfigError::PreviewBands(text.into())), "{text}");
        }
    }

    #[test]
    fn what_would_be_decoded_to_be_deleted_is_not_listed_where_programs_write() {
        let with = |list: &str, writes| {
            let args = ViewArgs {
                list_views: Some(list.into()),
                png_compression: Some("fast".into()),
                ..ViewArgs::default()
            };
            check_listed(&config(&args).unwrap(), writes)
        };
        assert_eq!(with("npy,tif,json", true), Ok(()));
        assert_eq!(with("all", false), Ok(()));
        let refused = with("all", true).unwrap_err().to_string();
        assert!(refused.contains("png,preview") && refused.contains("--list-views=npy,tif,json"));
        assert_eq!(
            with("tif,preview", true),
            Err(ConfigError::ListedPacked { listed: "preview".into() })
        );
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
            config(&ViewArgs { preview_size: Some(text.into()), ..ViewArgs::default() })
        };
        assert_eq!(with("512").unwrap().preview_size, 512);
        for text in ["0", "15", "100000", "big"] {
            assert_eq!(with(text), Err(ConfigError::PreviewSize(text.into())));
        }
    }

    #[test]
    fn indexes_are_not_kept_in_what_is_mounted() {
        let with = |text: &str| {
            let args = ViewArgs { index_cache: Some(text.into()), ..ViewArgs::default() };
            config(&args).map(|config| config.index_cache)
        };
        let place = IndexFolder { folder: "/var/cache/i".into(), bucket: "aws/b".into() };
        assert_eq!(with("/var/cache/i"), Ok(Some(place)));
        let folder = "/mnt/b/i".to_owned();
        assert_eq!(with(&folder), Err(ConfigError::IndexesInsideMount { folder }));
    }
}
