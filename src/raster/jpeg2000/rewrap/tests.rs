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

fn part() -> PartData {
    let mut bytes = vec![0xFF, 0x90, 0, 10, 0, 1, 0, 0, 0, 0, 0, 1];
    // PLT: packets of 3 and of 130 bytes.
    bytes.extend([0xFF, 0x58, 0, 6, 0, 3, 0x81, 2, 0xFF, 0x93]);
    let data = bytes.len()..bytes.len() + 3;
    bytes.extend([7; 133]);
    let Parsed::Done(header) = part_header(&bytes).unwrap() else { panic!() };
    PartData { bytes: bytes.into(), header, data }
}

#[test]
fn plt_says_how_long_packets_are() {
    let part = part();
    assert_eq!(part.header.packets, Some(vec![3, 130]));
    assert_eq!(part.header.data, 22);
    for cut in 0..22 {
        assert!(matches!(part_header(&part.bytes[..cut]), Ok(Parsed::More(more)) if more > cut));
    }
}

#[test]
fn a_cut_tile_has_divided_coordinates_and_shorter_lists() {
    let header = main_header();
    let wrapped = Frame::tile(&header, 1, 0, 1).wrap(&header, &[part()]);
    let Ok(header::Parsed::Done(cut)) = header::parse(&wrapped.bytes.clone().into()) else {
        panic!()
    };
    let (start, end) = ((32, 2), (50, 32));
    let grid = TileGrid {
        image_start: start,
        image_end: end,
        tile_start: start,
        tile_size: (end.0 - start.0, end.1 - start.1),
    };
    assert_eq!(cut.grid, grid);
    assert_eq!(cut.coding.levels, 1);
    assert_eq!(cut.coding.precincts, [(7, 7), (8, 8)]);
    assert_eq!(cut.segments[1].1[..], [0x40, 8, 16, 24, 32]);
    let rest = &wrapped.bytes[cut.length..];
    assert_eq!(sot(rest).unwrap(), Sot { tile: 0, length: 17, parts: 0 });
    assert_eq!(rest[14..], [7, 7, 7, 0xFF, 0xD9]);
    let more = wrapped.with_one_packet_more().unwrap();
    assert_eq!(more[cut.length..][14..], [7, 7, 7, 0, 0xFF, 0xD9]);
    assert_eq!(sot(&more[cut.length..]).unwrap().length, 18);
}

#[test]
fn a_narrow_tile_gets_neighbours_and_its_number_among_them() {
    let header = main_header();
    let frame = Frame::with_neighbours(&header, 1, 1, 64);
    assert_eq!(frame.image, (Span { start: 5, end: 100 }, Span { start: 3, end: 80 }));
    assert_eq!((frame.tile, frame.tile_start, frame.tile_size), (3, (0, 0), (64, 64)));
    assert_eq!(Frame::with_neighbours(&header, 1, 1, 16).tile, 0);
}
