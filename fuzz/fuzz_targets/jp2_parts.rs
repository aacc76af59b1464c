//! Finding tile-parts in any bytes: many chains find what one walk finds, and an index that
//! was kept is one of this file or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::memory::{run, source};
use s3mem_fuzz::raster::jpeg2000::fuzzed::{an_index_that_was_kept_fits, chains_are_a_walk};

/// Enough for 16 chains.
const TILES: u32 = 121;

fuzz_target!(|data: &[u8]| {
    // The input says where headers are: each byte is data, or the header of a part of so many
    // times 16 bytes. As they are, two bytes are rarely the length of anything.
    let mut codestream = Vec::new();
    for (number, byte) in data.iter().enumerate() {
        match byte {
            0..=127 => {
                let length = 16 * (u32::from(*byte) + 1);
                codestream.extend([0xFF, 0x90, 0, 10, 0, number as u8 % 128]);
                codestream.extend(length.to_be_bytes());
                codestream.extend([0, 1, 0xFF, 0x93, 0, 0]);
            }
            128..=250 => codestream.extend([*byte; 16].repeat(usize::from(*byte) % 16)),
            251 => codestream.extend([0xFF, 0xD9]),
            252 => codestream.extend([0xFF, 0x90, 0, 10]),
            _ => codestream.push(*byte),
        }
    }
    let (bytes, head) = source(&codestream);
    run(chains_are_a_walk(bytes, head, TILES));
    let (bytes, head) = source(data);
    run(chains_are_a_walk(bytes.clone(), head, TILES));
    an_index_that_was_kept_fits(bytes, TILES, data);
});
