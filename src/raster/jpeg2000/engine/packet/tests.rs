//! Packet headers by hand.

use super::*;
use crate::raster::jpeg2000::engine::Error;
use crate::raster::jpeg2000::engine::tests::packets::{BitWriter, write_passes};

#[test]
fn numbers_of_passes_are_table_b_4() {
    for passes in 1..=164 {
        let mut bits = BitWriter::default();
        write_passes(&mut bits, passes);
        let bytes = bits.finish();
        assert_eq!(read_passes(&mut BitReader::new(&bytes)), Ok(passes as u16));
    }
    assert!(matches!(read_passes(&mut BitReader::new(&[])), Err(Error::Incomplete { .. })));
}

#[test]
fn segments_end_where_the_encoder_ends_them() {
    use crate::raster::jpeg2000::engine::code_block::testing::ends_segment;
    for bypass in [false, true] {
        for terminate_all in [false, true] {
            let style = Style { bypass, terminate_all, ..Style::default() };
            for pass in 0..100u16 {
                assert_eq!(
                    segment_room(style, pass) == 1,
                    ends_segment(style, pass.into()),
                    "{style:?} {pass}"
                );
            }
        }
    }
    let ht = Style { ht: true, ..Style::default() };
    assert_eq!([0, 1, 2, 3, 4].map(|pass| segment_room(ht, pass)), [1, 2, 1, 1, 2]);
}
