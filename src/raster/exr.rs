//! OpenEXR: all channels of one part, in its data window, as the floats or integers that they
//! are (half floats become 32 bits).
//!
//! Contract: R, G and B come first, then A, then the others by name; Y alone is gray. It is
//! the first part with R, G and B, or else the first. Deep and sub-sampled channels, and
//! integers beside floats, have a reason.

use std::io::{BufRead, Cursor, Seek};

use exr::image::FlatSamples;
use exr::meta::MetaData;
use exr::meta::attribute::SampleType as Stored;
use exr::meta::header::Header as Part;
use exr::prelude::{ReadChannels, ReadLayers, read};

use super::error::corrupt;
use super::header::Header;
use super::{Color, RasterError, SampleType};

/// What the header says.
///
/// # Errors
/// [`RasterError::Corrupt`] if there is none.
pub(super) fn header<R: BufRead + Seek>(file: &mut R) -> Result<Header, RasterError> {
    let meta = MetaData::read_from_buffered(&mut *file, false);
    let meta = meta.map_err(|error| corrupt(error.to_string()))?;
    let (number, part) = chosen(&meta).ok_or_else(|| corrupt("it has no part"))?;
    let channels = &part.channels.list;
    let names: Vec<String> = ordered(part).into_iter().map(|(_, name)| name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let color = match names[..] {
        ["Y"] => Color::Gray,
        ["Y", "A"] => Color::GrayAlpha,
        ["R", "G", "B"] => Color::Rgb,
        ["R", "G", "B", "A"] => Color::Rgba,
        [_] => Color::Gray,
        _ => Color::Bands,
    };
    let integers = channels.iter().filter(|channel| channel.sample_type == Stored::U32).count();
    let unsupported = if part.deep {
        Some("deep OpenEXR is not converted")
    } else if channels.iter().any(|channel| channel.sampling.0 != 1 || channel.sampling.1 != 1) {
        Some("OpenEXR with sub-sampled channels is not converted")
    } else if integers > 0 && integers < channels.len() {
        Some("OpenEXR with integers beside floats is not converted")
    } else {
        None
    };
    let mut warnings = Vec::new();
    if meta.headers.len() > 1 {
        let parts = meta.headers.len();
        warnings.push(format!("it has {parts} parts, of which this is number {}", number + 1));
    }
    let (shown, stored) = (part.shared_attributes.display_window, part.layer_size);
    let offset = part.own_attributes.layer_position - shown.position;
    if (offset.0, offset.1, stored) != (0, 0, shown.size) {
        let (width, height, x, y) = (shown.size.0, shown.size.1, offset.0, offset.1);
        warnings.push(format!(
            "its display window has {width} x {height} pixels, in which these begin at ({x}, {y})"
        ));
    }
    // All parts are held twice while they are put together.
    let pixels = |size: exr::math::Vec2<usize>| (size.0 as u64).saturating_mul(size.1 as u64);
    let bytes_of = |part: &Part| {
        (part.channels.bytes_per_pixel as u64).saturating_mul(pixels(part.layer_size))
    };
    let all = meta.headers.iter().map(bytes_of).fold(0, u64::saturating_add);
    Ok(Header {
        width: stored.0 as u32,
        height: stored.1 as u32,
        bands: channels.len() as u16,
        sample: if integers > 0 { SampleType::U32 } else { SampleType::F32 },
        bit_depth: 32,
        color,
        nodata: None,
        geo: None,
        frame: 1,
        scratch_bytes: all.saturating_mul(2),
        unsupported: unsupported.map(str::to_owned),
        warnings,
    })
}

/// The part that is shown, and its number.
fn chosen(meta: &MetaData) -> Option<(usize, &Part)> {
    let parts = || meta.headers.iter().enumerate();
    let has_color = |part: &Part| {
        ["R", "G", "B"]
            .iter()
            .all(|name| part.channels.list.iter().any(|channel| channel.name.to_string() == *name))
    };
    let colored = parts().find(|(_, part)| !part.deep && has_color(part));
    colored.or_else(|| parts().find(|(_, part)| !part.deep)).or_else(|| parts().next())
}

/// The channels in the order of bands: where each is stored, and its name.
fn ordered(part: &Part) -> Vec<(usize, String)> {
    let names = part.channels.list.iter().map(|channel| channel.name.to_string());
    let mut channels: Vec<(usize, String)> = names.enumerate().collect();
    channels.sort_by_key(|(stored, name)| {
        let first = ["R", "G", "B", "Y", "A"].iter().position(|known| name == known);
        (first.unwrap_or(usize::MAX), *stored)
    });
    channels
}

/// All pixels of the data window, into `pixels`.
pub(super) fn decode(file: &[u8], header: &Header, pixels: &mut [u8]) -> Result<(), RasterError> {
    let damaged = |error: exr::error::Error| corrupt(error.to_string());
    let meta = MetaData::read_from_buffered(Cursor::new(file), false).map_err(damaged)?;
    let (number, part) = chosen(&meta).ok_or_else(|| corrupt("it has no part"))?;
    let order = ordered(part);
    let channels = if meta.headers.iter().position(|part| !part.deep) == Some(number) {
        let image = read().no_deep_data().largest_resolution_level().all_channels();
        let image = image.first_valid_layer().all_attributes().non_parallel();
        image.from_buffered(Cursor::new(file)).map_err(damaged)?.layer_data.channel_data.list
    } else {
        let image = read().no_deep_data().largest_resolution_level().all_channels();
        let image = image.all_layers().all_attributes().non_parallel();
        let image = image.from_buffered(Cursor::new(file)).map_err(damaged)?;
        let before = meta.headers[..number].iter().filter(|part| !part.deep).count();
        let layer = image.layer_data.into_iter().nth(before);
        layer.ok_or_else(|| corrupt("it has no such part"))?.channel_data.list
    };
    let bands = usize::from(header.bands);
    if channels.len() != bands || order.len() != bands {
        return Err(corrupt("its channels changed"));
    }
    for (band, (stored, _)) in order.iter().enumerate() {
        let samples = &channels[*stored].sample_data;
        for (at, pixel) in pixels.chunks_exact_mut(bands * 4).enumerate() {
            let bytes = match samples {
                FlatSamples::F16(samples) => samples.get(at).map(|s| s.to_f32().to_ne_bytes()),
                FlatSamples::F32(samples) => samples.get(at).map(|s| s.to_ne_bytes()),
                FlatSamples::U32(samples) => samples.get(at).map(|s| s.to_ne_bytes()),
            };
            let bytes = bytes.ok_or_else(|| corrupt("a channel is too short"))?;
            pixel[band * 4..band * 4 + 4].copy_from_slice(&bytes);
        }
    }
    Ok(())
}
