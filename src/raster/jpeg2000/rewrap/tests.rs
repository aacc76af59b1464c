use super::*;
use crate::raster::TileGrid;
use crate::raster::jpeg2000::header;
use crate::raster::jpeg2000::index::sot;

fn main_header() -> MainHeader {
    let mut bytes = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
    for number in [100u32, 80, 5, 3, 64, 64, 0, 0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend([0, 1, 14, 1, 1]);
    bytes.extend([0xFF, 0x52, 0, 15, 1, 2, 0, 1, 0, 2, 4, 4, 0, 1, 0x77, 0x88, 0x99]);
    bytes.extend([0xFF, 0x5C, 0, 10, 0x40, 8, 16, 24, 32, 40, 48, 56, 0xFF, 0x90]);
    match header::parse(&bytes.into()).unwrap() {
        header::Parsed::Done(header) => *header,
        other => panic!("{other:?}"),
    }
}

/// A tile-part, and its header.
fn part() -> (Vec<u8>, PartHeader) {
    let mut bytes = vec![0xFF, 0x90, 0, 10, 0, 1, 0, 0, 0, 0, 0, 1];
    // PLT: packets of 3 and of 130 bytes.
    bytes.extend([0xFF, 0x58, 0, 6, 0, 3, 0x81, 2, 0xFF, 0x93]);
    bytes.extend([7; 133]);
    let Parsed::Done(header) = part_header(&bytes).unwrap() else { panic!() };
    (bytes, header)
}

#[test]
fn plt_says_how_long_packets_are() {
    let (bytes, header) = part();
    assert_eq!(header.packets, Some(vec![3, 130]));
    assert_eq!(header.data, 22);
    for cut in 0..22 {
        assert!(matches!(part_header(&bytes[..cut]), Ok(Parsed::More(more)) if more > cut));
    }
}

#[test]
fn a_cut_image_has_divided_coordinates_and_shorter_lists() {
    let header = main_header();
    let mut bytes = Frame::whole(&header, 1).main_header(&header);
    let end = bytes.len();
    let (part, part_header) = part();
    let written = write_tile_part(1, (0, 1), &part, &part_header, 3).unwrap();
    bytes.extend(&written);
    let Ok(header::Parsed::Done(cut)) = header::parse(&bytes.clone().into()) else { panic!() };
    let grid = TileGrid {
        image_start: (3, 2),
        image_end: (50, 40),
        tile_start: (0, 0),
        tile_size: (32, 32),
    };
    assert_eq!((cut.grid, cut.length), (grid, end));
    assert_eq!(cut.coding.levels, 1);
    assert_eq!(cut.coding.precincts, [(7, 7), (8, 8)]);
    assert_eq!(cut.segments[1].1[..], [0x40, 8, 16, 24, 32]);
    assert_eq!(sot(&written).unwrap(), Sot { tile: 1, length: 17, parts: 1 });
    assert_eq!(written.len(), 14);
}
