//! How many frames an animation has: GIF and WebP, whose blocks and chunks say how long they
//! are. Nothing is decoded.

use super::Codec;
use super::pages::Count;
use super::webp_frames::{HEAD_BYTES, is_animated};

/// What of a file is here.
struct Here<'a> {
    bytes: &'a [u8],
    /// Of the whole file.
    size: u64,
}

impl Here<'_> {
    /// Some bytes, if they are here.
    fn get<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let at = usize::try_from(at).ok()?;
        self.bytes.get(at..)?.first_chunk().copied()
    }

    /// Whether a byte is behind the end of the file, and not only of what is here.
    fn is_behind(&self, at: u64) -> bool {
        at >= self.size
    }
}

/// The frames of a file of `size` bytes that begins with these; `None` if its format has no
/// frames. Where a file ends early or has what is no block, it has no more of them.
pub(super) fn count(codec: Codec, bytes: &[u8], size: u64) -> Option<Count> {
    let here = Here { bytes, size };
    let (frames, is_all) = match codec {
        Codec::Gif => of_gif(&here),
        Codec::Webp => of_webp(&here),
        _ => return None,
    };
    let frames = frames.max(1);
    Some(if is_all { Count::Exactly(frames) } else { Count::AtLeast(frames) })
}

/// How many there are, and whether those are all (GIF89a, 17 to 27).
fn of_gif(file: &Here<'_>) -> (u32, bool) {
    let mut frames = 0u32;
    let mut at = 13;
    let Some([flags]) = file.get(10) else { return (0, file.is_behind(10)) };
    at += colors_bytes(flags);
    loop {
        let Some([kind]) = file.get(at) else { return (frames, file.is_behind(at)) };
        at += match kind {
            // An extension: its label, then blocks.
            0x21 => 2,
            0x2c => {
                frames = frames.saturating_add(1);
                let last = at + 9;
                let Some([flags]) = file.get(last) else { return (frames, file.is_behind(last)) };
                // The descriptor, its colors, and the size of the first codes.
                10 + colors_bytes(flags) + 1
            }
            _ => return (frames, true),
        };
        loop {
            let Some([length]) = file.get(at) else { return (frames, file.is_behind(at)) };
            at += 1 + u64::from(length);
            if length == 0 {
                break;
            }
        }
    }
}

fn colors_bytes(flags: u8) -> u64 {
    if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 }
}

/// As [`of_gif`], of a RIFF file with a chunk for each frame (RFC 9649, 2.7).
fn of_webp(file: &Here<'_>) -> (u32, bool) {
    let Some(head) = file.get(0) else { return (0, file.is_behind(HEAD_BYTES as u64 - 1)) };
    if !is_animated(&head) {
        return (1, true);
    }
    let (mut frames, mut at) = (0u32, 12);
    loop {
        let Some([k0, k1, k2, k3, length @ ..]) = file.get::<8>(at) else {
            return (frames, file.is_behind(at + 7));
        };
        frames = frames.saturating_add(u32::from([k0, k1, k2, k3] == *b"ANMF"));
        let length = u64::from(u32::from_le_bytes(length));
        at += 8 + length + length % 2;
        // Only the file can tell that nothing follows, not what is here of it.
        if file.is_behind(at) {
            return (frames, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gif(frames: usize) -> Vec<u8> {
        let mut file = b"GIF89a\x02\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff".to_vec();
        file.extend(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00");
        for _ in 0..frames {
            file.extend(b"\x21\xf9\x04\x00\x0a\x00\x00\x00");
            file.extend(b"\x2c\x00\x00\x00\x00\x02\x00\x01\x00\x80\x01\x01\x01\x02\x02\x02");
            file.extend(b"\x02\x02\x44\x0a\x00");
        }
        file.push(0x3b);
        file
    }

    fn webp(frames: usize) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\0\0\0\0\0\0".to_vec();
        for n in 0..frames {
            file.extend(b"ANMF");
            file.extend((n as u32 + 3).to_le_bytes());
            file.resize(file.len() + (n + 3).next_multiple_of(2), 9);
        }
        file
    }

    #[test]
    fn all_frames_of_a_whole_file_are_counted_and_of_its_start_no_more_than_are_there() {
        for (codec, file) in [(Codec::Gif, gif(5)), (Codec::Webp, webp(5))] {
            let size = file.len() as u64;
            assert_eq!(count(codec, &file, size), Some(Count::Exactly(5)));
            // What ends in the last frame may be all of them.
            for cut in 0..file.len() - 12 {
                let Some(Count::AtLeast(found)) = count(codec, &file[..cut], size) else {
                    panic!("{codec:?} cut at {cut}");
                };
                assert!((1..=5).contains(&found));
                // And a file that ends there has those alone.
                let alone = count(codec, &file[..cut], cut as u64);
                assert_eq!(alone, Some(Count::Exactly(found)), "{codec:?} cut at {cut}");
            }
        }
        assert_eq!(count(Codec::Png, &gif(5), 1000), None);
        let still = b"RIFF\0\0\0\0WEBPVP8L\x0a\0\0\0\x02\0\0\0";
        assert_eq!(count(Codec::Webp, still, 1000), Some(Count::Exactly(1)));
    }

    proptest! {
        #[test]
        fn any_bytes_have_some_number_of_frames(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for (codec, start) in [(Codec::Gif, &gif(2)[..40]), (Codec::Webp, &webp(2)[..30])] {
                let file = [start, &bytes].concat();
                prop_assert!(count(codec, &file, file.len() as u64).is_some());
            }
        }
    }
}
