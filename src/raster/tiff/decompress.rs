//! From the bytes of a strip or tile to its samples as they are stored.
//!
//! Contract: at most as many bytes come out as were asked for, whatever goes in, so what is
//! allocated follows from the header; fewer come out only if the input ends early or is
//! damaged, and whoever asked decides whether that hurts. What follows behind the last byte
//! that is needed is never looked at, as by libtiff.

use std::borrow::Cow;
use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};

use super::compression::Compression;
use super::fax;
use super::image::Decoding;
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// The size of what is decompressed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Bytes, at most.
    pub(super) bytes: usize,
    /// Pixels of a row, for fax.
    pub(super) columns: u32,
    /// Rows, for fax.
    pub(super) rows: u32,
}

/// Decompresses what is no image of its own.
///
/// # Errors
/// The bytes are none of this compression.
pub(super) fn decompress(
    compression: Compression,
    decoding: &Decoding,
    bytes: &[u8],
    size: Size,
) -> Result<Vec<u8>, RasterError> {
    let bytes = match decoding.is_reversed {
        true => Cow::Owned(bytes.iter().map(|byte| byte.reverse_bits()).collect()),
        false => Cow::Borrowed(bytes),
    };
    match compression {
        Compression::None => Ok(bytes[..size.bytes.min(bytes.len())].to_vec()),
        Compression::PackBits => Ok(packbits(&bytes, size.bytes)),
        Compression::Deflate => deflate(&bytes, size.bytes),
        Compression::Lzw => lzw(&bytes, size.bytes),
        Compression::Zstd => zstd(&bytes, size.bytes),
        Compression::Lzma => lzma(&bytes, size.bytes),
        Compression::FaxRle | Compression::FaxGroup3 | Compression::FaxGroup4 => {
            fax::decode(compression, decoding, &bytes, size.columns, size.rows)
        }
        Compression::Lerc
        | Compression::Jpeg
        | Compression::Webp
        | Compression::Jpeg2000
        | Compression::Jxl => Err(corrupt("its compression is that of an image")),
    }
}

/// TIFF 6.0, section 9.
fn packbits(mut bytes: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size);
    while let [head, rest @ ..] = bytes
        && out.len() < size
    {
        let head = *head as i8;
        let room = size - out.len();
        match head {
            0.. => {
                let length = (head as usize + 1).min(rest.len());
                out.extend_from_slice(&rest[..length.min(room)]);
                bytes = &rest[length..];
            }
            -128 => bytes = rest,
            _ => {
                let [byte, rest @ ..] = rest else { break };
                let length = usize::from(head.unsigned_abs()) + 1;
                out.resize(out.len() + length.min(room), *byte);
                bytes = rest;
            }
        }
    }
    out
}

/// A zlib stream (RFC 1950). Its checksum is not reached where padding follows the pixels.
pub(super) fn deflate(bytes: &[u8], size: usize) -> Result<Vec<u8>, RasterError> {
    let mut stream = Decompress::new(true);
    let mut out = Vec::with_capacity(size);
    while out.len() < size {
        let (at, before) = (stream.total_in() as usize, out.len());
        let input = bytes.get(at..).unwrap_or_default();
        let status = stream.decompress_vec(input, &mut out, FlushDecompress::None);
        match status.map_err(|error| corrupt(format!("its zlib stream: {error}")))? {
            Status::StreamEnd => break,
            _ if out.len() == before && stream.total_in() as usize == at => break,
            _ => {}
        }
    }
    out.truncate(size);
    Ok(out)
}

/// TIFF 6.0, section 13, and the order of bits of before: such a stream begins with the
/// code 256 from the lowest bit on.
fn lzw(bytes: &[u8], size: usize) -> Result<Vec<u8>, RasterError> {
    let is_old = matches!(bytes, [0, second, ..] if second & 1 == 1);
    let mut decoder = match is_old {
        true => weezl::decode::Decoder::new(weezl::BitOrder::Lsb, 8),
        false => weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8),
    };
    let mut out = vec![0; size];
    let (mut read, mut written) = (0, 0);
    while written < size {
        let result = decoder.decode_bytes(&bytes[read..], &mut out[written..]);
        read += result.consumed_in;
        written += result.consumed_out;
        match result.status {
            Ok(weezl::LzwStatus::Ok) if result.consumed_in + result.consumed_out > 0 => {}
            Ok(_) => break,
            Err(error) => return Err(corrupt(format!("its LZW stream: {error}"))),
        }
    }
    out.truncate(written);
    Ok(out)
}

/// Zstandard frames (RFC 8878).
pub(super) fn zstd(bytes: &[u8], size: usize) -> Result<Vec<u8>, RasterError> {
    let broken = |error: &dyn std::fmt::Display| corrupt(format!("its Zstandard stream: {error}"));
    let mut input = bytes;
    let decoder = ruzstd::decoding::StreamingDecoder::new(&mut input);
    let mut decoder = decoder.map_err(|error| broken(&error))?;
    let mut out = Vec::with_capacity(size);
    let read = decoder.by_ref().take(size as u64).read_to_end(&mut out);
    read.map_err(|error| broken(&error))?;
    Ok(out)
}

/// What a dictionary of LZMA may take: that of its highest preset, in KiB.
const LZMA_KIB: u32 = 80 << 10;

/// An xz stream, with the filters that libtiff writes.
fn lzma(bytes: &[u8], size: usize) -> Result<Vec<u8>, RasterError> {
    let mut out = Vec::with_capacity(size);
    let reader = lzma_rust2::XzReader::new_mem_limit(bytes, false, LZMA_KIB);
    let read = reader.take(size as u64).read_to_end(&mut out);
    read.map_err(|error| corrupt(format!("its xz stream: {error}")))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn plain() -> Decoding {
        Decoding {
            predictor: 1,
            is_reversed: false,
            is_inverted: false,
            is_mask: false,
            photometric: 1,
            fax_options: 0,
            jpeg_tables: bytes::Bytes::new(),
            lerc_parameters: Vec::new(),
            ycbcr: None,
        }
    }

    fn expanded(compression: Compression, bytes: &[u8], size: usize) -> Option<Vec<u8>> {
        let size = Size { bytes: size, columns: size as u32 * 8, rows: 1 };
        decompress(compression, &plain(), bytes, size).ok()
    }

    #[test]
    fn runs_of_bytes_are_those_of_the_standard() {
        // The example of TIFF 6.0, section 9.
        let packed = b"\xfe\xaa\x02\x80\x00\x2a\xfd\xaa\x03\x80\x00\x2a\x22\xf7\xaa";
        let bytes = b"\xaa\xaa\xaa\x80\x00\x2a\xaa\xaa\xaa\xaa\x80\x00\x2a\x22\
                      \xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa";
        assert_eq!(packbits(packed, 24), bytes);
        assert_eq!(packbits(packed, 5), bytes[..5]);
        assert_eq!(packbits(&packed[..4], 24), bytes[..4]);
        assert_eq!(packbits(b"\x80\x00\x07", 24), [7]);
    }

    #[test]
    fn a_stream_in_the_old_order_of_bits_is_recognised() {
        let bytes: Vec<u8> = (0..4000u32).map(|n| (n * n / 7) as u8).collect();
        let old = weezl::encode::Encoder::new(weezl::BitOrder::Lsb, 8).encode(&bytes).unwrap();
        assert_eq!(expanded(Compression::Lzw, &old, bytes.len()).unwrap(), bytes);
        let new = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8);
        let new = { new }.encode(&bytes).unwrap();
        assert_eq!(expanded(Compression::Lzw, &new, bytes.len()).unwrap(), bytes);
        // What follows the pixels does not matter, nor does a missing end.
        assert_eq!(expanded(Compression::Lzw, &new, 1000).unwrap(), bytes[..1000]);
        assert_eq!(expanded(Compression::Lzw, &new[..new.len() - 2], 3900).unwrap(), bytes[..3900]);
    }

    proptest! {
        #[test]
        fn what_was_deflated_comes_back_up_to_any_byte(
            bytes in prop::collection::vec(0u8..9, 1..3000),
            part in any::<prop::sample::Index>(),
        ) {
            let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
            packed.write_all(&bytes).unwrap();
            let packed = packed.finish().unwrap();
            let size = part.index(bytes.len()) + 1;
            prop_assert_eq!(&deflate(&packed, size).unwrap()[..], &bytes[..size]);
            prop_assert!(deflate(&packed[..packed.len() / 2], size).map_or(true, |b| b.len() <= size));
        }

        #[test]
        fn any_bytes_give_at_most_what_was_asked_for(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            size in 1usize..600,
        ) {
            for compression in [
                Compression::None, Compression::PackBits, Compression::Deflate, Compression::Lzw,
                Compression::Zstd, Compression::Lzma, Compression::FaxRle,
                Compression::FaxGroup3, Compression::FaxGroup4,
            ] {
                let out = expanded(compression, &bytes, size).unwrap_or_default();
                prop_assert!(out.len() <= size, "{:?}", compression);
            }
        }
    }
}
