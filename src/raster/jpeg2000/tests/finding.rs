//! Finding tile-parts: whichever way, the same ones; and what each way costs.

use super::*;
use crate::raster::About;
use crate::raster::jpeg2000::index::Part;

/// A codestream of tiles of 64 x 64 that hold no image, only bytes as packets may.
struct Made {
    bytes: Vec<u8>,
    parts: Vec<Part>,
}

/// So many tiles side by side, each with one tile-part of a length that `length` gives.
fn made(tiles: u32, front: &[u8], length: impl Fn(u32) -> u32, comment: &[u8]) -> Made {
    let mut random = fastrand::Rng::with_seed(u64::from(tiles));
    let mut bytes = front.to_vec();
    bytes.extend([0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0]);
    for number in [64 * tiles, 64, 0, 0, 64, 64, 0, 0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend([0, 1, 7, 1, 1]);
    bytes.extend([0xFF, 0x52, 0, 12, 0, 0, 0, 1, 0, 1, 4, 4, 0, 1]);
    bytes.extend([0xFF, 0x5C, 0, 7, 0x40, 8, 16, 16, 16]);
    let mut parts = Vec::new();
    for tile in 0..tiles {
        let (offset, length) = (bytes.len() as u64, length(tile));
        bytes.extend([0xFF, 0x90, 0, 10]);
        bytes.extend((tile as u16).to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 1]);
        if !comment.is_empty() {
            bytes.extend([0xFF, 0x64]);
            bytes.extend((comment.len() as u16 + 4).to_be_bytes());
            bytes.extend([0, 0]);
            bytes.extend(comment);
        }
        bytes.extend([0xFF, 0x93]);
        while (bytes.len() as u64) < offset + u64::from(length) {
            let after_ff = bytes.last() == Some(&0xFF);
            bytes.push(if after_ff { random.u8(..0x90) } else { random.u8(..) });
        }
        parts.push(Part { tile, offset, length: u64::from(length) });
    }
    bytes.extend([0xFF, 0xD9]);
    Made { bytes, parts }
}

/// Long enough for 16 chains: tile-parts of 60 to 140 KB, none like another.
fn uneven(tile: u32) -> u32 {
    60_000 + (tile * 7919) % 80_000
}

async fn image(bytes: &[u8], source: &Arc<Memory>) -> Result<Jpeg2000, RasterError> {
    let limits = Limits { expansion: u64::MAX, ..Limits::default() };
    assert_eq!(bytes.len() as u64, source.size());
    opened_as(source.clone(), source.head(), &limits, 0).await
}

async fn found(bytes: &[u8], source: &Arc<Memory>) -> Result<Vec<Part>, RasterError> {
    let image = image(bytes, source).await?;
    Ok(image.index.get().await?.parts().iter().collect())
}

#[tokio::test]
async fn many_chains_find_what_one_walk_finds_in_a_few_rounds_and_a_tenth_of_the_bytes() {
    let made = made(121, &[], |tile| 500_000 + (tile * 99_991) % 400_000, &[]);
    let source = Memory::new(made.bytes.clone());
    assert_eq!(found(&made.bytes, &source).await.unwrap(), made.parts);
    let share = source.bytes_read() as f64 / source.size() as f64;
    assert!(share < 0.12, "{share}");
    assert!(source.reads() < 121 + 50, "{}", source.reads());
    // One behind the other there are no more than a sixteenth of them, and the scans.
    assert!(source.rounds() < 20, "{}", source.rounds());
}

#[tokio::test]
async fn tile_parts_of_one_length_are_found_where_they_are_expected() {
    let made = made(160, &[], |_| 400_000, &[]);
    let source = Memory::new(made.bytes.clone());
    assert_eq!(found(&made.bytes, &source).await.unwrap(), made.parts);
    // 8 KiB for each, and a guess for each chain.
    let share = source.bytes_read() as f64 / source.size() as f64;
    assert!(share < 0.045, "{share}");
    assert!(source.rounds() < 14, "{}", source.rounds());
}

#[tokio::test]
async fn patterns_that_look_like_tile_parts_fool_nobody() {
    // One that ends where there is nothing; one that is a whole false codestream.
    let alone = [0xFF, 0x90, 0, 10, 0, 3, 0, 0, 0, 100, 0, 1];
    let mut chain = Vec::new();
    for tile in 0..40u8 {
        chain.extend([0xFF, 0x90, 0, 10, 0, tile, 0, 0, 0, 14, 0, 1, 0xFF, 0x93]);
    }
    for comment in [&alone[..], &chain, &[alone.to_vec(), chain.clone()].concat()] {
        let made = made(121, &[], uneven, comment);
        let source = Memory::new(made.bytes.clone());
        assert_eq!(found(&made.bytes, &source).await.unwrap(), made.parts);
    }
}

#[tokio::test]
async fn random_bytes_that_are_no_packets_change_nothing() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut made = made(60, &[], uneven, &[]);
    for _ in 0..500 {
        let part = made.parts[random.usize(..made.parts.len())];
        let at = (part.offset + 14 + random.u64(..part.length - 30)) as usize;
        let tile = random.u8(..70);
        let length = random.u32(..200_000).to_be_bytes();
        made.bytes[at..at + 6].copy_from_slice(&[0xFF, 0x90, 0, 10, 0, tile]);
        made.bytes[at + 6..at + 10].copy_from_slice(&length);
    }
    let source = Memory::new(made.bytes.clone());
    assert_eq!(found(&made.bytes, &source).await.unwrap(), made.parts);
}

#[tokio::test]
async fn a_file_that_is_cut_or_broken_is_damaged_whichever_chain_comes_upon_it() {
    let made = made(121, &[], uneven, &[]);
    for part in made.parts.iter().step_by(10).skip(1) {
        // Its length is wrong.
        let mut bytes = made.bytes.clone();
        bytes[part.offset as usize + 8] ^= 1;
        let source = Memory::new(bytes.clone());
        let error = found(&bytes, &source).await.unwrap_err();
        assert!(matches!(error, RasterError::Corrupt(_)), "{error}");
        // The file ends in it.
        let bytes = made.bytes[..part.offset as usize + 100].to_vec();
        let source = Memory::new(bytes.clone());
        let error = found(&bytes, &source).await.unwrap_err();
        assert!(matches!(error, RasterError::Corrupt(_)), "{error}");
    }
}

#[tokio::test]
async fn the_last_tile_part_may_reach_to_the_end_without_saying_so() {
    let mut made = made(121, &[], uneven, &[]);
    let last = made.parts.last().unwrap().offset as usize;
    made.bytes[last + 6..last + 10].fill(0);
    let source = Memory::new(made.bytes.clone());
    assert_eq!(found(&made.bytes, &source).await.unwrap(), made.parts);
}

#[tokio::test]
async fn an_index_that_is_remembered_costs_nothing_and_a_wrong_one_changes_nothing() {
    let made = made(121, &[], uneven, &[]);
    let source = Memory::new(made.bytes.clone());
    found(&made.bytes, &source).await.unwrap();
    let kept = source.recall(About::TileParts).await.unwrap();
    assert!(kept.len() < 1000, "{}", kept.len());
    let again = Memory::new(made.bytes.clone());
    again.remember(About::TileParts, kept.clone());
    assert_eq!(found(&made.bytes, &again).await.unwrap(), made.parts);
    assert_eq!(again.reads(), 0);
    // Cut, longer, or with another number: nobody's, or found out.
    let mut wrong = vec![kept.slice(..kept.len() - 1), [&kept[..], &[0]].concat().into()];
    for at in 0..kept.len() {
        let mut bytes = kept.to_vec();
        bytes[at] ^= 1;
        wrong.push(bytes.into());
    }
    for kept in wrong {
        let again = Memory::new(made.bytes.clone());
        again.remember(About::TileParts, kept);
        let image = image(&made.bytes, &again).await.unwrap();
        for tile in [0, 60, 120] {
            let index = image.index.get().await.unwrap();
            let bytes = match fetch::whole(&index, tile, u64::MAX, false).await {
                Ok(parts) => parts,
                // It was of this file by its own word, and is not.
                Err(RasterError::Corrupt(_)) => {
                    image.index.distrust();
                    let index = image.index.get().await.unwrap();
                    fetch::whole(&index, tile, u64::MAX, false).await.unwrap()
                }
                Err(error) => panic!("{error}"),
            };
            let part = made.parts[tile as usize];
            assert_eq!(bytes.len(), 1);
            let there = part.offset as usize..(part.offset + part.length) as usize;
            assert_eq!(bytes[0].bytes, made.bytes[there]);
        }
    }
}
