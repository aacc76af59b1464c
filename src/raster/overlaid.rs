//! A file with a few of its bytes replaced, for decoders that do not mend what is wrong
//! with it.

use std::io::{BufReader, Read, Result as IoResult, Seek, SeekFrom};

/// Replaces bytes of `file`, each piece from its offset on.
pub(super) fn overlaid<R: Read + Seek>(
    file: R,
    pieces: Vec<(u64, Vec<u8>)>,
) -> BufReader<Overlaid<R>> {
    BufReader::new(Overlaid { file, position: 0, pieces })
}

/// The file, from its start on.
#[derive(Debug)]
pub(super) struct Overlaid<R> {
    file: R,
    position: u64,
    pieces: Vec<(u64, Vec<u8>)>,
}

impl<R: Read + Seek> Read for Overlaid<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let length = self.file.read(buffer)?;
        for (start, piece) in &self.pieces {
            for (at, byte) in (*start..).zip(piece) {
                let place = at.checked_sub(self.position).and_then(|at| usize::try_from(at).ok());
                if let Some(place) = place.and_then(|at| buffer[..length].get_mut(at)) {
                    *place = *byte;
                }
            }
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl<R: Read + Seek> Seek for Overlaid<R> {
    fn seek(&mut self, to: SeekFrom) -> IoResult<u64> {
        self.position = self.file.seek(to)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn bytes_are_replaced_wherever_reading_begins() {
        let whole: Vec<u8> = (0..200).collect();
        let mut expected = whole.clone();
        expected[5..8].copy_from_slice(b"abc");
        expected[199] = b'z';
        for start in [0, 5, 6, 7, 8, 198, 199, 200] {
            let pieces = vec![(5, b"abc".to_vec()), (199, b"z?".to_vec())];
            let mut file = overlaid(Cursor::new(&whole), pieces);
            file.seek(SeekFrom::Start(start)).unwrap();
            let mut read = Vec::new();
            file.read_to_end(&mut read).unwrap();
            assert_eq!(read, expected[start as usize..]);
        }
    }
}
