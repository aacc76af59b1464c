//! Image file directories: tags and values in the order and at the offsets that
//! TIFF 6.0 and BigTIFF want, little endian.
//!
//! Values that need no more room than an entry has are in the entry; others are in
//! front of the directory that uses them first, and a value that several
//! directories share is written once.

/// Classic TIFF, or BigTIFF for files of 4 GiB and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavor {
    Classic,
    Big,
}

impl Flavor {
    pub(super) fn header_bytes(self) -> u64 {
        match self {
            Flavor::Classic => 8,
            Flavor::Big => 16,
        }
    }

    /// Of an offset, or of what an entry holds itself.
    pub(super) fn offset_bytes(self) -> u64 {
        match self {
            Flavor::Classic => 4,
            Flavor::Big => 8,
        }
    }

    /// Of a directory with its number of entries and the offset of the next.
    fn directory_bytes(self, entries: usize) -> u64 {
        match self {
            Flavor::Classic => 2 + 12 * entries as u64 + 4,
            Flavor::Big => 8 + 20 * entries as u64 + 8,
        }
    }

    fn offset_type(self) -> u16 {
        match self {
            Flavor::Classic => LONG,
            Flavor::Big => LONG8,
        }
    }

    /// An offset or count in as many bytes as the flavor has for it.
    pub(super) fn push(self, bytes: &mut Vec<u8>, value: u64) {
        match self {
            Flavor::Classic => bytes.extend((value as u32).to_le_bytes()),
            Flavor::Big => bytes.extend(value.to_le_bytes()),
        }
    }
}

const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const DOUBLE: u16 = 12;
const LONG8: u16 = 16;

/// The value of a tag.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Shorts(Vec<u16>),
    Longs(Vec<u32>),
    Doubles(Vec<f64>),
    /// With its closing NUL.
    Ascii(Vec<u8>),
    /// Numbers that lie elsewhere: how many, and where the first is.
    OffsetsAt(u64, u64),
    /// The same, of numbers of four bytes.
    LongsAt(u64, u64),
    /// One offset.
    Offset(u64),
}

impl Value {
    fn kind(&self, flavor: Flavor) -> u16 {
        match self {
            Value::Shorts(_) => SHORT,
            Value::Longs(_) | Value::LongsAt(..) => LONG,
            Value::Doubles(_) => DOUBLE,
            Value::Ascii(_) => ASCII,
            Value::OffsetsAt(..) | Value::Offset(_) => flavor.offset_type(),
        }
    }

    fn count(&self) -> u64 {
        match self {
            Value::Shorts(values) => values.len() as u64,
            Value::Longs(values) => values.len() as u64,
            Value::Doubles(values) => values.len() as u64,
            Value::Ascii(bytes) => bytes.len() as u64,
            Value::OffsetsAt(count, _) | Value::LongsAt(count, _) => *count,
            Value::Offset(_) => 1,
        }
    }

    /// The bytes, unless they lie elsewhere.
    fn bytes(&self, flavor: Flavor) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Value::Shorts(values) => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Value::Longs(values) => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Value::Doubles(values) => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Value::Ascii(text) => bytes.extend(text),
            Value::Offset(offset) => flavor.push(&mut bytes, *offset),
            Value::OffsetsAt(..) | Value::LongsAt(..) => return None,
        }
        Some(bytes)
    }
}

/// The tags of one directory, in rising order.
pub(super) type Tags = Vec<(u16, Value)>;

/// The header and all directories; the first directory is the first image's.
pub(super) fn encode(flavor: Flavor, directories: &[Tags]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut shared: Vec<(&Value, u64)> = Vec::new();
    match flavor {
        Flavor::Classic => file.extend(b"II\x2a\0"),
        Flavor::Big => file.extend(b"II\x2b\0\x08\0\0\0"),
    }
    let mut link = file.len();
    file.resize(flavor.header_bytes() as usize, 0);
    for tags in directories {
        let mut entries = Vec::new();
        for (tag, value) in tags {
            entries.extend(tag.to_le_bytes());
            entries.extend(value.kind(flavor).to_le_bytes());
            flavor.push(&mut entries, value.count());
            entries.extend(place(flavor, value, &mut file, &mut shared));
        }
        patch(&mut file, flavor, link);
        match flavor {
            Flavor::Classic => file.extend((tags.len() as u16).to_le_bytes()),
            Flavor::Big => file.extend((tags.len() as u64).to_le_bytes()),
        }
        file.extend(entries);
        link = file.len();
        flavor.push(&mut file, 0);
        pad(&mut file);
    }
    file
}

/// How many bytes [`encode`] makes; an upper bound, cheap and without offsets.
pub(super) fn bytes_at_most(flavor: Flavor, directories: &[Tags]) -> u64 {
    let of = |tags: &Tags| {
        let values = tags.iter().map(|(_, value)| match value {
            Value::OffsetsAt(..) | Value::LongsAt(..) => 0,
            _ => value.count() * 8 + 8,
        });
        flavor.directory_bytes(tags.len()) + 8 + values.sum::<u64>()
    };
    flavor.header_bytes() + directories.iter().map(of).sum::<u64>()
}

/// What an entry has in its last field: the value, or where it is.
fn place<'a>(
    flavor: Flavor,
    value: &'a Value,
    file: &mut Vec<u8>,
    shared: &mut Vec<(&'a Value, u64)>,
) -> Vec<u8> {
    let mut field = Vec::new();
    match (value, value.bytes(flavor)) {
        (Value::OffsetsAt(_, at) | Value::LongsAt(_, at), _) => flavor.push(&mut field, *at),
        (_, Some(bytes)) if bytes.len() as u64 <= flavor.offset_bytes() => {
            field = bytes;
            field.resize(flavor.offset_bytes() as usize, 0);
        }
        (_, bytes) => {
            let known = shared.iter().find(|(other, _)| *other == value).map(|(_, at)| *at);
            let at = known.unwrap_or_else(|| {
                pad(file);
                let at = file.len() as u64;
                file.extend(bytes.unwrap_or_default());
                pad(file);
                shared.push((value, at));
                at
            });
            flavor.push(&mut field, at);
        }
    }
    field
}

/// Offsets are multiples of 8: more than the 2 that TIFF asks for.
fn pad(file: &mut Vec<u8>) {
    file.resize(file.len().next_multiple_of(8), 0);
}

/// Lets the link at an offset lead to the end of the file so far.
fn patch(file: &mut [u8], flavor: Flavor, link: usize) {
    let mut to = Vec::new();
    flavor.push(&mut to, file.len() as u64);
    file[link..link + to.len()].copy_from_slice(&to);
}
