//! Animated GIF: each frame is cut out into a file of its own, and put over those before it as
//! browsers do (GIF89a, 23: what becomes of a frame before the next one).

/// The longest start of a file, with its colors.
pub(super) const HEAD_BYTES: usize = 13 + 3 * 256;

/// A frame, as it lies in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Its graphic control, if it has one: an extension.
    control: &'a [u8],
    /// Its descriptor, colors and pixels.
    image: &'a [u8],
    /// How many bytes lead to the next one.
    pub(super) consumed: usize,
}

/// What some bytes of a file, from the end of a frame on, have.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    Frame(Frame<'a>),
    /// A frame may begin here, and goes on behind these bytes.
    Cut,
    /// There is none.
    End,
}

/// The bytes of a file in front of its first frame, if all of them are here.
pub(super) fn head(file: &[u8]) -> Option<&[u8]> {
    let flags = *file.get(10)?;
    file.get(..13 + colors_bytes(flags))
}

fn colors_bytes(flags: u8) -> usize {
    if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 }
}

/// The next frame.
pub(super) fn next(bytes: &[u8]) -> Next<'_> {
    parse(bytes).unwrap_or(Next::Cut)
}

/// `None` where the bytes end too early.
fn parse(bytes: &[u8]) -> Option<Next<'_>> {
    let (mut at, mut control) = (0, &bytes[..0]);
    loop {
        let start = at;
        match bytes.get(at)? {
            0x21 => {
                let label = *bytes.get(at + 1)?;
                at = behind_blocks(bytes, at + 2)?;
                if label == 0xf9 {
                    control = bytes.get(start..at)?;
                }
            }
            0x2c => {
                let flags = *bytes.get(at + 9)?;
                // The descriptor, its colors, and the size of the first codes.
                at = behind_blocks(bytes, at + 10 + colors_bytes(flags) + 1)?;
                let image = bytes.get(start..at)?;
                return Some(Next::Frame(Frame { control, image, consumed: at }));
            }
            _ => return Some(Next::End),
        }
    }
}

fn behind_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

impl Frame<'_> {
    /// A file of this frame alone.
    pub(super) fn alone(&self, head: &[u8]) -> Vec<u8> {
        [head, self.control, self.image, b"\x3b"].concat()
    }

    /// What becomes of it before the next one: 2 is cleared, 3 is taken back.
    fn disposal(&self) -> u8 {
        self.control.get(3).map_or(0, |flags| flags >> 2 & 7)
    }

    /// Columns and rows from its first to behind its last one.
    fn area(&self) -> ((usize, usize), (usize, usize)) {
        let number = |at: usize| {
            let bytes = self.image.get(at..).and_then(|bytes| bytes.first_chunk());
            usize::from(u16::from_le_bytes(bytes.copied().unwrap_or_default()))
        };
        let ((x, y), (width, height)) = ((number(1), number(3)), (number(5), number(7)));
        ((x, x + width), (y, y + height))
    }

    /// What is done with the canvas once it was put there.
    pub(super) fn leaves(&self) -> Leaves {
        Leaves { disposal: self.disposal(), area: self.area() }
    }
}

/// What a frame leaves of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaves {
    disposal: u8,
    area: ((usize, usize), (usize, usize)),
}

/// What is seen between two frames: RGBA.
#[derive(Debug)]
pub(super) struct Player {
    width: usize,
    canvas: Vec<u8>,
}

impl Player {
    pub(super) fn new((width, height): (usize, usize)) -> Self {
        Player { width, canvas: vec![0; width * height * 4] }
    }

    /// Bytes of the canvas.
    pub(super) fn bytes(&self) -> usize {
        self.canvas.len()
    }

    /// Puts a frame over what there is: RGBA, as large as the canvas and transparent around the
    /// frame. It becomes what is shown.
    pub(super) fn put(&mut self, frame: &mut [u8], leaves: Leaves) {
        let pixels = frame.as_chunks_mut::<4>().0.iter_mut();
        for (over, under) in pixels.zip(self.canvas.as_chunks::<4>().0) {
            if over[3] == 0 {
                *over = *under;
            }
        }
        if leaves.disposal == 3 {
            return;
        }
        self.canvas.copy_from_slice(frame);
        if leaves.disposal == 2 {
            let ((left, right), (top, bottom)) = leaves.area;
            let rows = self.canvas.chunks_exact_mut((self.width * 4).max(1));
            for row in rows.take(bottom).skip(top) {
                let (start, end) = (left.min(self.width), right.min(self.width));
                row[start * 4..end * 4].fill(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_in_pieces_of_any_length() {
        let head_bytes = b"GIF89a\x02\0\x01\0\x80\0\0\0\0\0\xff\xff\xff";
        let mut file = head_bytes.to_vec();
        let control = b"\x21\xf9\x04\x0d\x0a\0\0\0";
        file.extend(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0");
        file.extend(control);
        let image = b"\x2c\x01\0\0\0\x02\0\x01\0\x80\x01\x01\x01\x02\x02\x02\x02\x02\x44\x0a\0";
        file.extend(image);
        file.push(0x3b);
        assert_eq!(head(&file), Some(&head_bytes[..]));
        let rest = &file[head_bytes.len()..];
        let whole = rest.len() - 1;
        for cut in 0..whole {
            assert_eq!(next(&rest[..cut]), Next::Cut, "{cut}");
        }
        let Next::Frame(frame) = next(rest) else { panic!("no frame") };
        assert_eq!((frame.control, frame.image, frame.consumed), (&control[..], &image[..], whole));
        assert_eq!((frame.disposal(), frame.area()), (3, ((1, 3), (0, 1))));
        assert_eq!(next(&rest[whole..]), Next::End);
    }
}
