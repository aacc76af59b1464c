//! Tag trees against a small encoder of them.

use super::{TagTree, node_count};
use crate::raster::jpeg2000::engine::Error;
use crate::raster::jpeg2000::engine::code_block::testing::Random;
use crate::raster::jpeg2000::engine::packet::bits::BitReader;
use crate::raster::jpeg2000::engine::tests::packets::{BitWriter, TagWriter};

#[test]
fn leaves_come_back() {
    let mut random = Random(77);
    for _ in 0..300 {
        let (width, height) = (1 + random.below(17) as u32, 1 + random.below(17) as u32);
        let most = 1 + random.below(9);
        let leaves: Vec<u32> = (0..width * height).map(|_| random.below(most) as u32).collect();
        // Questions in the order of packets: leaf by leaf, with thresholds that rise.
        let rounds = most as u32 + 1;
        let mut writer = TagWriter::new(width, height, &leaves);
        let mut bits = BitWriter::default();
        for threshold in 1..=rounds {
            for n in 0..width * height {
                if (n + threshold) % 3 != 0 || threshold == rounds {
                    writer.write(&mut bits, n % width, n / width, threshold);
                }
            }
        }
        let bytes = bits.finish();
        let mut reader = BitReader::new(&bytes);
        let mut tree = TagTree::new(width, height);
        for threshold in 1..=rounds {
            for n in 0..width * height {
                if (n + threshold) % 3 != 0 || threshold == rounds {
                    let told = tree.read(&mut reader, n % width, n / width, threshold).unwrap();
                    let leaf = leaves[n as usize];
                    assert_eq!(told, (leaf < threshold).then_some(leaf));
                }
            }
        }
        assert_eq!(reader.finish().unwrap(), bytes.len());
    }
}

#[test]
fn a_tree_counts_its_nodes() {
    assert_eq!(node_count(0, 7), 0);
    assert_eq!(node_count(1, 1), 1);
    assert_eq!(node_count(6, 3), 18 + 6 + 2 + 1);
    assert_eq!(TagTree::new(6, 3).nodes.len(), 27);
    assert!(node_count(1 << 13, 1 << 13) > 1 << 26);
}

#[test]
fn bits_that_run_out_are_told() {
    let mut tree = TagTree::new(4, 4);
    assert!(matches!(
        tree.read(&mut BitReader::new(&[0, 0]), 3, 3, 100),
        Err(Error::Incomplete { .. })
    ));
}

#[test]
fn bits_are_unstuffed() {
    let mut bits = BitReader::new(&[0xff, 0x7f, 0x80]);
    assert_eq!(bits.bits(16).unwrap(), 0xffff);
    assert_eq!(bits.finish().unwrap(), 3);
    let bits = BitReader::new(&[]);
    assert_eq!(bits.finish().unwrap(), 0);
    // A header that ends in FF has a stuffed byte behind it.
    let mut bits = BitReader::new(&[0xff, 0x00, 0x12]);
    assert_eq!(bits.bits(8).unwrap(), 0xff);
    assert_eq!(bits.finish().unwrap(), 2);
    let mut bits = BitReader::new(&[0xff, 0x90]);
    assert!(matches!(bits.bits(9), Err(Error::Corrupt(_))));
}
