//! The data elements of a DICOM file (PS3.5, 7), one behind the other: those of an image are
//! noted, all others are stepped over without being read, up to the pixels.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use crate::raster::RasterError;
use crate::raster::error::corrupt;
use crate::raster::file::File;

/// What comes before the first element: 128 bytes of anything, and a word.
const PREAMBLE_BYTES: u64 = 132;
/// A value that is longer is none that is needed here: the largest is a palette.
const VALUE_BYTES: u64 = 256 << 10;
/// More elements than any file has.
const MOST_ELEMENTS: usize = 200_000;
/// Sequences within sequences.
const MOST_LEVELS: usize = 64;
const UNDEFINED: u32 = u32::MAX;

/// A tag: group and element.
pub(super) type Tag = (u16, u16);

const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);
const ITEM: Tag = (0xfffe, 0xe000);
const ITEM_END: Tag = (0xfffe, 0xe00d);
const SEQUENCE_END: Tag = (0xfffe, 0xe0dd);
/// Floats of 32 bits, of 64 bits, and whole numbers.
pub(super) const FLOATS: Tag = (0x7fe0, 0x0008);
pub(super) const DOUBLES: Tag = (0x7fe0, 0x0009);
pub(super) const PIXELS: Tag = (0x7fe0, 0x0010);
/// Where each frame is (PS3.3, C.7.6.3.1.8).
const EXTENDED_TABLE: Tag = (0x7fe0, 0x0001);

/// How elements are spelled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spelling {
    pub(super) is_big_endian: bool,
    /// Whether the type of a value is left out.
    is_implicit: bool,
}

impl Spelling {
    fn short(self, bytes: &[u8]) -> u16 {
        let bytes = bytes.first_chunk().copied().unwrap_or_default();
        if self.is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn long(self, bytes: &[u8]) -> u32 {
        let bytes = bytes.first_chunk().copied().unwrap_or_default();
        if self.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

/// Where the pixels are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PixelData {
    pub(super) tag: Tag,
    pub(super) start: u64,
    /// `None` if they lie in fragments.
    pub(super) bytes: Option<u64>,
    /// Whether they are words of 16 bits (OW), even where samples have 8.
    pub(super) is_words: bool,
}

/// What the elements of a file say.
#[derive(Debug)]
pub(super) struct Elements {
    /// The transfer syntax: a number with dots.
    pub(super) syntax: String,
    pub(super) spelling: Spelling,
    values: BTreeMap<Tag, Bytes>,
    pub(super) pixels: Option<PixelData>,
    /// Where the extended table of frames is.
    pub(super) extended_table: Option<Range<u64>>,
    /// What is wrong beside the pixels.
    pub(super) warnings: Vec<String>,
}

/// Tag, type, length and where the value starts.
struct Front {
    tag: Tag,
    kind: [u8; 2],
    length: u32,
    value: u64,
}

impl Elements {
    /// Walks through a file that is known to be one.
    ///
    /// # Errors
    /// [`RasterError::Unsupported`] if all of it is compressed; it ends in an element; that of
    /// the source.
    pub(super) async fn read(file: &File) -> Result<Elements, RasterError> {
        let little = Spelling { is_big_endian: false, is_implicit: false };
        let mut found = Elements {
            syntax: String::new(),
            spelling: little,
            values: BTreeMap::new(),
            pixels: None,
            extended_table: None,
            warnings: Vec::new(),
        };
        let mut at = PREAMBLE_BYTES;
        // The group in front says how the rest is spelled.
        while at < file.size() {
            let group = file.read(at..at.saturating_add(2)).await?;
            if little.short(&group) != TRANSFER_SYNTAX.0 {
                break;
            }
            let front = front(file, at, little).await?;
            let end = front.value.saturating_add(front.length.into());
            if front.tag == TRANSFER_SYNTAX && front.length <= 64 {
                let text = file.read(front.value..end).await?;
                found.syntax = text_of(&text);
            }
            at = end;
        }
        match &found.syntax[..] {
            "" => return Err(corrupt("it does not say its transfer syntax")),
            "1.2.840.10008.1.2" => found.spelling.is_implicit = true,
            "1.2.840.10008.1.2.2" => found.spelling.is_big_endian = true,
            "1.2.840.10008.1.2.1.99" => {
                let reason = "deflated DICOM is not converted".to_owned();
                return Err(RasterError::Unsupported(reason));
            }
            _ => {}
        }
        // Some writers leave the types out and say that they are there.
        if !found.spelling.is_implicit && at < file.size() {
            let kind = file.read(at + 4..at.saturating_add(6)).await?;
            if !kind.iter().all(u8::is_ascii_uppercase) && !found.spelling.is_big_endian {
                found.spelling.is_implicit = true;
                let syntax = &found.syntax;
                let warning = format!("its elements have no types, as {syntax} says they had");
                found.warnings.push(warning);
            }
        }
        found.walk(file, at).await?;
        Ok(found)
    }

    async fn walk(&mut self, file: &File, mut at: u64) -> Result<(), RasterError> {
        // How the sequences are spelled that the walk is in.
        let mut levels: Vec<Spelling> = Vec::new();
        for _ in 0..MOST_ELEMENTS {
            if at >= file.size() {
                return Ok(());
            }
            let spelling = levels.last().copied().unwrap_or(self.spelling);
            let Front { tag, kind, length, value } = front(file, at, spelling).await?;
            at = value;
            if tag == ITEM_END || tag == SEQUENCE_END {
                levels.pop().ok_or_else(|| corrupt("a sequence of it ends twice"))?;
                continue;
            }
            let is_outer = levels.is_empty();
            if is_outer && [FLOATS, DOUBLES, PIXELS].contains(&tag) {
                let bytes = (length != UNDEFINED).then_some(u64::from(length));
                let is_words = kind == *b"OW";
                self.pixels = Some(PixelData { tag, start: value, bytes, is_words });
                return Ok(());
            }
            if length == UNDEFINED {
                if levels.len() >= MOST_LEVELS {
                    return Err(corrupt("its sequences are nested too deep"));
                }
                // What has an unknown type is spelled without types (PS3.5, 6.2.2).
                let is_implicit = spelling.is_implicit || (tag != ITEM && kind == *b"UN");
                let inner = Spelling { is_implicit, ..spelling };
                levels.push(if kind == *b"UN" {
                    Spelling { is_big_endian: false, ..inner }
                } else {
                    inner
                });
                continue;
            }
            let end = value.saturating_add(length.into());
            if is_outer && tag == EXTENDED_TABLE && end <= file.size() {
                self.extended_table = Some(value..end);
            }
            if is_outer && tag.0 == 0x0028 && u64::from(length) <= VALUE_BYTES {
                self.values.insert(tag, file.read(value..end).await?);
            }
            at = end;
        }
        Err(corrupt("it has too many elements"))
    }

    /// The whole numbers of 16 bits of an element, if there is one.
    pub(super) fn shorts(&self, tag: Tag) -> Option<Vec<u16>> {
        let value = self.values.get(&tag)?;
        let shorts = value.chunks_exact(2).map(|bytes| self.spelling.short(bytes));
        Some(shorts.collect()).filter(|shorts: &Vec<u16>| !shorts.is_empty())
    }

    /// The first of them.
    pub(super) fn short(&self, tag: Tag) -> Option<u16> {
        self.shorts(tag)?.first().copied()
    }

    /// The text of an element; of several the first one.
    pub(super) fn text(&self, tag: Tag) -> Option<String> {
        let text = text_of(self.values.get(&tag)?);
        let first = text.split('\\').next().unwrap_or_default().trim().to_owned();
        Some(first).filter(|text| !text.is_empty())
    }

    /// The number of an element that is spelled as text.
    pub(super) fn number(&self, tag: Tag) -> Option<f64> {
        self.text(tag)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Whether there is such an element, with a value.
    pub(super) fn has(&self, tag: Tag) -> bool {
        self.values.get(&tag).is_some_and(|value| !value.is_empty())
    }
}

/// The start of an element.
async fn front(file: &File, at: u64, spelling: Spelling) -> Result<Front, RasterError> {
    let bytes = file.read(at..at.saturating_add(8)).await?;
    let tag = (spelling.short(&bytes), spelling.short(&bytes[2..]));
    let kind = [bytes[4], bytes[5]];
    // Items have no type.
    if spelling.is_implicit || tag.0 == ITEM.0 {
        return Ok(Front { tag, kind: *b"  ", length: spelling.long(&bytes[4..]), value: at + 8 });
    }
    if !kind.iter().all(u8::is_ascii_uppercase) {
        return Err(corrupt("an element of it has no type"));
    }
    const LONG: [&[u8; 2]; 13] =
        [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"];
    if LONG.contains(&&kind) {
        let length = file.read(at + 8..at.saturating_add(12)).await?;
        return Ok(Front { tag, kind, length: spelling.long(&length), value: at + 12 });
    }
    Ok(Front { tag, kind, length: spelling.short(&bytes[6..]).into(), value: at + 8 })
}

fn text_of(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_matches(|letter: char| letter == '\0' || letter == ' ').to_owned()
}
