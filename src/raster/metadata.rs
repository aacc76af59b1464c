//! What a file says of how its picture is to be shown: which way is up, and what its colors are.
//!
//! Both are for people. The pixels that are given out stay as they lie in the file; a preview
//! follows what is said here, and a PNG carries the profile along. What is wrong in it is left
//! out: a picture is not refused for it.

use std::io::{BufRead, Read, Seek, SeekFrom};

use super::{Codec, Color, Header, Limits, Picture, SampleType, jxl};
use image::codecs::{png, webp};
use image::{ImageDecoder, ImageResult, Limits as ImageLimits};

/// The largest color profile that is used, in bytes; those of printers are larger.
const MAX_PROFILE_BYTES: usize = 1 << 20;
/// What of an EXIF segment is read: the directory with the orientation comes first.
const EXIF_BYTES: usize = 4 << 10;
/// What a parser may allocate.
const HEADER_BYTES: u64 = 32 << 20;
/// Segments of a JPEG in front of its frame.
const MOST_SEGMENTS: usize = 1000;

impl Picture {
    /// Without what can't be of a picture with this header.
    pub fn believable(self, header: &Header) -> Self {
        self.of_colors(header.color, header.sample)
    }

    /// Without what can't be of a picture in these colors.
    pub(super) fn of_colors(mut self, color: Color, sample: SampleType) -> Self {
        if !(1..=8).contains(&self.orientation) {
            self.orientation = 1;
        }
        if !is_profile_of(&self.profile, color, sample) {
            self.profile = Vec::new();
        }
        self
    }
}

/// What a file says beside its header. What is not there is not looked for elsewhere.
pub(super) fn of<R: BufRead + Seek>(
    codec: Codec,
    file: &mut R,
    header: &Header,
    limits: &Limits,
) -> Picture {
    if header.unsupported.is_some() || file.rewind().is_err() {
        return Picture::default();
    }
    let (exif, profile) = match codec {
        Codec::Jpeg => of_jpeg(file),
        Codec::Jxl => (None, jxl::profile(file, limits)),
        Codec::Png => {
            let mut allowed = ImageLimits::no_limits();
            allowed.max_alloc = Some(HEADER_BYTES);
            of_decoder(png::PngDecoder::with_limits(file, allowed))
        }
        Codec::Webp => of_decoder(webp::WebPDecoder::new(file)),
        Codec::Bmp
        | Codec::Exr
        | Codec::Gif
        | Codec::Hdr
        | Codec::Pnm
        | Codec::Qoi
        | Codec::Tga => return Picture::default(),
    };
    let orientation = exif.and_then(|exif| orientation_of(&exif)).unwrap_or(1);
    Picture { orientation, profile: profile.unwrap_or_default() }.believable(header)
}

/// The EXIF block and the profile, as far as there are any.
type Found = (Option<Vec<u8>>, Option<Vec<u8>>);

fn of_decoder(decoder: ImageResult<impl ImageDecoder>) -> Found {
    let Ok(mut decoder) = decoder else { return (None, None) };
    let profile = decoder.icc_profile().ok().flatten();
    (decoder.exif_metadata().ok().flatten(), profile)
}

/// Those of the segments in front of a JPEG's frame.
fn of_jpeg<R: Read + Seek>(file: &mut R) -> Found {
    let (mut exif, mut parts) = (None, Vec::new());
    // What ends early has no more of them.
    let _ = look_at_segments(file, &mut exif, &mut parts);
    (exif, joined(parts))
}

/// A part of a profile: its number, how many there are, and its bytes.
type ProfilePart = (u8, u8, Vec<u8>);

fn look_at_segments<R: Read + Seek>(
    file: &mut R,
    exif: &mut Option<Vec<u8>>,
    parts: &mut Vec<ProfilePart>,
) -> std::io::Result<()> {
    const EXIF: &[u8] = b"Exif\0\0";
    const PROFILE: &[u8] = b"ICC_PROFILE\0";
    file.seek(SeekFrom::Start(2))?;
    for _ in 0..MOST_SEGMENTS {
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        if byte[0] != 0xff {
            return Ok(());
        }
        while byte[0] == 0xff {
            file.read_exact(&mut byte)?;
        }
        let marker = byte[0];
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        let is_frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if is_frame || matches!(marker, 0xd9 | 0xda) {
            return Ok(());
        }
        let mut length = [0; 2];
        file.read_exact(&mut length)?;
        let Some(length) = usize::from(u16::from_be_bytes(length)).checked_sub(2) else {
            return Ok(());
        };
        let start = file.stream_position()?;
        let wanted = match marker {
            0xe1 if exif.is_none() => length.min(EXIF_BYTES),
            0xe2 => length,
            _ => 0,
        };
        // What other segments hold is long, and need not be fetched.
        let mut bytes = vec![0; wanted.min(16)];
        file.read_exact(&mut bytes)?;
        let is_one = bytes.starts_with(EXIF) || bytes.starts_with(PROFILE);
        if is_one && wanted > bytes.len() {
            let begun = bytes.len();
            bytes.resize(wanted, 0);
            file.read_exact(&mut bytes[begun..])?;
        }
        match (marker, &bytes[..]) {
            (0xe1, bytes) if bytes.starts_with(EXIF) => *exif = Some(bytes[EXIF.len()..].to_vec()),
            (0xe2, bytes) if bytes.starts_with(PROFILE) => {
                if let [number, count, part @ ..] = &bytes[PROFILE.len()..] {
                    parts.push((*number, *count, part.to_vec()));
                }
            }
            _ => {}
        }
        file.seek(SeekFrom::Start(start + length as u64))?;
    }
    Ok(())
}

/// The profile whose parts these are, if all are there.
fn joined(mut parts: Vec<ProfilePart>) -> Option<Vec<u8>> {
    parts.sort_by_key(|(number, ..)| *number);
    let count = parts.first()?.1;
    let is_complete = parts.len() == usize::from(count)
        && parts
            .iter()
            .zip(1..)
            .all(|((number, of, _), wanted)| (u16::from(*number), *of) == (wanted, count));
    is_complete.then(|| parts.into_iter().flat_map(|(_, _, bytes)| bytes).collect())
}

/// The orientation that an EXIF block says, from 1 to 8: a TIFF directory (EXIF 2.3, 4.5.2).
fn orientation_of(exif: &[u8]) -> Option<u8> {
    let is_little = match exif.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes: [u8; 2] = exif.get(at..at + 2)?.try_into().ok()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| {
        let bytes: [u8; 4] = exif.get(at..at + 4)?.try_into().ok()?;
        Some(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = usize::try_from(long(4)?).ok()?;
    let count = usize::from(short(directory)?);
    (0..count).find_map(|entry| {
        let at = directory + 2 + entry * 12;
        let is_orientation = short(at)? == 0x0112 && short(at + 2)? == 3;
        let value = is_orientation.then(|| short(at + 8)).flatten()?;
        (1..=8).contains(&value).then_some(value as u8)
    })
}

/// Whether it is an ICC profile (ICC.1, 7.2) of such colors.
fn is_profile_of(profile: &[u8], color: Color, sample: SampleType) -> bool {
    let space: &[u8] = match color {
        Color::Gray | Color::GrayAlpha => b"GRAY",
        Color::Rgb | Color::Rgba => b"RGB ",
        Color::Bands | Color::RgbBands | Color::Cmyk | Color::Palette | Color::Lab => return false,
    };
    let length = profile.first_chunk().map(|length| u32::from_be_bytes(*length) as usize);
    matches!(sample, SampleType::U8 | SampleType::U16)
        && (128..=MAX_PROFILE_BYTES).contains(&profile.len())
        && length.is_some_and(|length| length <= profile.len())
        && profile.get(16..20) == Some(space)
        && profile.get(36..40) == Some(b"acsp")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// As [`of`], of a file that is here whole.
    fn of_whole(codec: Codec, file: &[u8], header: &Header) -> Picture {
        of(codec, &mut Cursor::new(file), header, &Limits::default())
    }

    fn header(color: Color) -> Header {
        Header {
            width: 4,
            height: 2,
            bands: if color == Color::Gray { 1 } else { 3 },
            sample: SampleType::U8,
            bit_depth: 8,
            color,
            nodata: None,
            geo: None,
            frame: 1,
            scratch_bytes: 0,
            unsupported: None,
            warnings: Vec::new(),
        }
    }

    fn exif(little: bool, orientation: u16) -> Vec<u8> {
        let short = |n: u16| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let long = |n: u32| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let mut block = if little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        block.extend(long(8));
        block.extend(short(2));
        for (tag, value) in [(0x010f, 9), (0x0112, orientation)] {
            block.extend([short(tag), short(3)].concat());
            block.extend(long(1));
            block.extend([short(value), short(0)].concat());
        }
        block
    }

    fn segment(marker: u8, parts: &[&[u8]]) -> Vec<u8> {
        let bytes = parts.concat();
        let length = (bytes.len() as u16 + 2).to_be_bytes();
        [&[0xff, marker][..], &length, &bytes].concat()
    }

    /// No more of a profile than says what it is.
    fn profile(space: &[u8; 4], length: usize) -> Vec<u8> {
        let mut profile = vec![7; length];
        profile[..4].copy_from_slice(&(length as u32).to_be_bytes());
        profile[16..20].copy_from_slice(space);
        profile[36..40].copy_from_slice(b"acsp");
        profile
    }

    fn jpeg(segments: &[Vec<u8>]) -> Vec<u8> {
        let frame = segment(0xc0, &[&[8, 0, 2, 0, 4, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]]);
        [&[0xff, 0xd8][..], &segments.concat(), &frame].concat()
    }

    #[test]
    fn the_orientation_is_read_in_either_byte_order_and_nonsense_is_none() {
        for little in [true, false] {
            for orientation in 1..=8 {
                let block = exif(little, orientation);
                assert_eq!(orientation_of(&block), Some(orientation as u8));
                for cut in 0..block.len() - 2 {
                    assert_eq!(orientation_of(&block[..cut]), None);
                }
            }
            assert_eq!(orientation_of(&exif(little, 0)), None);
            assert_eq!(orientation_of(&exif(little, 9)), None);
        }
    }

    #[test]
    fn a_jpeg_has_the_profile_whose_parts_are_all_there() {
        let whole = profile(b"RGB ", 300);
        let part = |number: u8, count: u8, bytes: &[u8]| {
            segment(0xe2, &[b"ICC_PROFILE\0", &[number, count], bytes])
        };
        let turned = segment(0xe1, &[b"Exif\0\0", &exif(true, 6)]);
        let of =
            |segments: &[Vec<u8>], color| of_whole(Codec::Jpeg, &jpeg(segments), &header(color));
        let both = [turned, part(2, 2, &whole[200..]), part(1, 2, &whole[..200])];
        let picture = of(&both, Color::Rgb);
        assert_eq!((picture.orientation, &picture.profile), (6, &whole));
        assert!(picture.is_turned());
        assert_eq!(of(&both, Color::Gray).profile, [0; 0], "it is of other colors");
        assert_eq!(of(&both[..2], Color::Rgb).profile, [0; 0], "one is missing");
        assert_eq!(of(&[], Color::Rgb), Picture::default());
        assert_eq!(of_whole(Codec::Jpeg, b"\xff\xd8\xff", &header(Color::Rgb)), Picture::default());
    }

    #[test]
    fn what_a_worker_says_is_checked() {
        let said = |orientation, profile| Picture { orientation, profile };
        let gray = header(Color::Gray);
        assert_eq!(said(9, vec![1, 2]).believable(&gray), Picture::default());
        let right = said(8, profile(b"GRAY", 200));
        assert_eq!(right.clone().believable(&gray), right);
        let long = said(1, profile(b"GRAY", MAX_PROFILE_BYTES + 1));
        assert_eq!(long.believable(&gray).profile, [0; 0]);
    }
}
