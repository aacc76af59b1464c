//! JPEG XL (ISO/IEC 18181): codestreams and files in boxes.
//!
//! Contract: the first frame, upright as the codestream says (unlike EXIF, its orientation is
//! part of what every decoder gives). Whole numbers of up to 16 bits and floats of 32 are
//! exact where they were coded without loss; what was coded with loss is as exact as the
//! decoder. Colors stay in the space that the file names; what would have to be converted
//! from or to a profile, other floats, and channels beside colors and opacity have a reason.

use std::io::{BufRead, Cursor};

use jxl_oxide::color::{ColourEncoding, ColourSpace, Primaries, TransferFunction, WhitePoint};
use jxl_oxide::image::{BitDepth, ImageMetadata};
use jxl_oxide::{AllocTracker, InitializeResult, JxlImage, JxlThreadPool};

use super::error::corrupt;
use super::header::Header;
use super::{Color, Limits, RasterError, SampleType};

/// How much of a file is looked at in one go.
const STEP_BYTES: usize = 16 << 10;
/// What may come before the pixels: profiles, and boxes that are in front.
const HEADER_BYTES: usize = 32 << 20;
/// What the decoder holds for each sample while it decodes, in bytes: floats before and after
/// its filters (8.4 as measured with loss, 6 without loss and with 16 bits).
const SCRATCH_BYTES: u64 = 10;

/// What the header says.
///
/// # Errors
/// [`RasterError::Corrupt`] if there is none.
pub(super) fn header<R: BufRead>(file: &mut R, limits: &Limits) -> Result<Header, RasterError> {
    let image = begun(file, limits)?;
    let metadata = &image.image_header().metadata;
    let colors: u16 = if metadata.grayscale() { 1 } else { 3 };
    let bands = colors + u16::from(!metadata.ec_info.is_empty());
    let (sample, bit_depth) = match metadata.bit_depth {
        BitDepth::FloatSample { .. } => (SampleType::F32, 32),
        BitDepth::IntegerSample { bits_per_sample: bits @ 0..=8 } => (SampleType::U8, bits as u8),
        BitDepth::IntegerSample { bits_per_sample: bits } => (SampleType::U16, bits.min(16) as u8),
    };
    let mut header = Header {
        width: image.width(),
        height: image.height(),
        bands,
        sample,
        bit_depth,
        color: match bands {
            1 => Color::Gray,
            2 => Color::GrayAlpha,
            3 => Color::Rgb,
            _ => Color::Rgba,
        },
        nodata: None,
        geo: None,
        scratch_bytes: 0,
        frame: 1,
        unsupported: unsupported(metadata),
        warnings: Vec::new(),
    };
    let samples = header.pixel_bytes() / sample.bytes() as u64;
    header.scratch_bytes = samples.saturating_mul(SCRATCH_BYTES);
    Ok(header)
}

/// Why it is not decoded.
fn unsupported(metadata: &ImageMetadata) -> Option<String> {
    let has_profile = matches!(metadata.colour_encoding, ColourEncoding::IccProfile(_));
    let space = metadata.colour_encoding.colour_space();
    let what = match (metadata.bit_depth, &metadata.ec_info[..]) {
        (BitDepth::FloatSample { bits_per_sample: bits, .. }, _) if bits != 32 => {
            format!("with floats of {bits} bits")
        }
        (BitDepth::IntegerSample { bits_per_sample: bits @ 17.. }, _) => format!("of {bits} bits"),
        (_, [_, _, ..]) => "with channels beside colors and opacity".to_owned(),
        (_, [channel]) if !channel.is_alpha() => {
            "with a channel that is neither color nor opacity".to_owned()
        }
        (depth, [channel]) if channel.bit_depth != depth || channel.dim_shift != 0 => {
            "whose opacity is stored in another way than its colors".to_owned()
        }
        (_, [channel]) if channel.alpha_associated() == Some(true) => {
            "whose colors are multiplied with their opacity".to_owned()
        }
        _ if !matches!(space, ColourSpace::Rgb | ColourSpace::Grey) => {
            "in a color space of its own".to_owned()
        }
        _ if metadata.xyb_encoded && has_profile => {
            "coded with loss, with colors of an ICC profile,".to_owned()
        }
        _ => return None,
    };
    Some(format!("JPEG XL {what} is not converted"))
}

/// The ICC profile of the pixels, where they are not sRGB.
pub(super) fn profile<R: BufRead>(file: &mut R, limits: &Limits) -> Option<Vec<u8>> {
    let image = begun(file, limits).ok()?;
    let is_usual = match &image.image_header().metadata.colour_encoding {
        ColourEncoding::Enum(colors) => {
            colors.tf == TransferFunction::Srgb
                && colors.white_point == WhitePoint::D65
                && (colors.colour_space == ColourSpace::Grey || colors.primaries == Primaries::Srgb)
        }
        ColourEncoding::IccProfile(_) => false,
    };
    (!is_usual).then(|| image.original_icc().map_or_else(|| image.rendered_icc(), <[u8]>::to_vec))
}

/// A decoder that has read the header, and no further than a step behind it.
fn begun<R: BufRead>(file: &mut R, limits: &Limits) -> Result<JxlImage, RasterError> {
    let allowed = usize::try_from(limits.decode_bytes).unwrap_or(usize::MAX);
    let builder = JxlImage::builder().pool(JxlThreadPool::none());
    let mut begun = builder.alloc_tracker(AllocTracker::with_limit(allowed)).build_uninit();
    let (mut left, mut step, mut total) = (Vec::new(), vec![0; STEP_BYTES], 0);
    loop {
        let read = file.read(&mut step).map_err(|_| corrupt("its header ends early"))?;
        total += read;
        if read == 0 || total > HEADER_BYTES {
            return Err(corrupt("it has no header, or one that is too long"));
        }
        left.extend_from_slice(&step[..read]);
        let taken = begun.feed_bytes(&left).map_err(|error| broken(&*error, limits))?;
        left.drain(..taken);
        match begun.try_init().map_err(|error| broken(&*error, limits))? {
            InitializeResult::Initialized(mut image) => {
                // What the parser of boxes left for later.
                image.feed_bytes(&left).map_err(|error| broken(&*error, limits))?;
                return Ok(image);
            }
            InitializeResult::NeedMoreData(more) => begun = more,
        }
    }
}

/// All pixels of the first frame, into `pixels`.
pub(super) fn decode(
    file: &[u8],
    header: &Header,
    limits: &Limits,
    pixels: &mut [u8],
) -> Result<(), RasterError> {
    let mut file = Cursor::new(file);
    let mut image = begun(&mut file, limits)?;
    if let Some(reason) = unsupported(&image.image_header().metadata) {
        return Err(RasterError::Unsupported(reason));
    }
    let mut left = Vec::new();
    while !image.is_loading_done() {
        let mut step = [0; STEP_BYTES];
        let read = std::io::Read::read(&mut file, &mut step).unwrap_or(0);
        if read == 0 {
            break;
        }
        left.extend_from_slice(&step[..read]);
        let taken = image.feed_bytes(&left).map_err(|error| broken(&*error, limits))?;
        left.drain(..taken);
    }
    if image.num_loaded_keyframes() == 0 {
        return Err(corrupt("it ends early"));
    }
    let frame = image.render_frame(0).map_err(|error| broken(&*error, limits))?;
    let mut stream = frame.stream();
    let is_right = (stream.width(), stream.height()) == (header.width, header.height)
        && stream.channels() == u32::from(header.bands);
    if !is_right {
        return Err(corrupt("its frame is not what its header says"));
    }
    let largest = ((1u32 << header.bit_depth.min(16)) - 1) as f32;
    let mut row = vec![0f32; header.width as usize * usize::from(header.bands)];
    for line in pixels.chunks_exact_mut(row.len() * header.sample.bytes()) {
        if stream.write_to_buffer(&mut row) != row.len() {
            return Err(corrupt("it has fewer rows than its header says"));
        }
        let whole = |value: &f32| (value * largest + 0.5).clamp(0.0, largest) as u16;
        match header.sample {
            SampleType::U8 => {
                line.iter_mut().zip(&row).for_each(|(to, value)| *to = whole(value) as u8);
            }
            SampleType::U16 => {
                for (to, value) in line.as_chunks_mut().0.iter_mut().zip(&row) {
                    *to = whole(value).to_ne_bytes();
                }
            }
            _ => {
                for (to, value) in line.as_chunks_mut().0.iter_mut().zip(&row) {
                    *to = value.to_ne_bytes();
                }
            }
        }
    }
    Ok(())
}

/// What a decoder says that went too far, or met damage.
fn broken(error: &(dyn std::error::Error + Send + Sync), limits: &Limits) -> RasterError {
    let text = error.to_string();
    // The words of its tracker of allocations, somewhere within those of who asked for them.
    match text.contains("failed to allocate") {
        true => RasterError::Limit {
            what: "decoding the image takes more than its header lets expect".to_owned(),
            option: "--max-decode-memory",
            allowed: limits.decode_bytes,
        },
        false => corrupt(text),
    }
}
