//! Headers by hand.

use super::*;
use crate::raster::jpeg2000::engine::code_block::testing::Random;
use crate::raster::jpeg2000::engine::geometry::Rect;
use crate::raster::jpeg2000::engine::tests::encoder::Spec;
use crate::raster::jpeg2000::engine::wavelet::Kernel;
use crate::raster::jpeg2000::engine::{Error, Tile};

fn segment(marker: u16, content: &[u8]) -> Vec<u8> {
    [&marker.to_be_bytes()[..], &(content.len() as u16 + 2).to_be_bytes(), content].concat()
}

/// A main header with more marker segments at its end, then SOT.
fn header(spec: &Spec, more: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = spec.main_header();
    more.iter().for_each(|segment| bytes.extend(segment));
    bytes.extend(segment(0xff90, &[0, 0, 0, 0, 0, 0, 0, 1]));
    bytes
}

fn part(more: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = segment(0xff90, &[0, 0, 0, 0, 0, 0, 0, 1]);
    more.iter().for_each(|segment| bytes.extend(segment));
    bytes.extend([0xff, 0x93]);
    bytes
}

#[test]
fn what_is_nearest_holds() {
    // Levels tell the styles apart; exponents of LL the quantisations.
    let cod = |levels: u8| segment(0xff52, &[0, 0, 0, 1, 0, levels, 2, 2, 0, 1]);
    let coc = |levels: u8| segment(0xff53, &[1, 0, levels, 2, 2, 0, 1]);
    let qcd = |exponent: u8| segment(0xff5c, &[0x40, exponent << 3]);
    let qcc = |exponent: u8| segment(0xff5d, &[1, 0x40, exponent << 3]);
    let spec = Spec::new(Rect::new(0, 0, 9, 9), 2, 1);
    let bare: Vec<u8> = spec.main_header();
    let siz_end = 2 + 4 + 36 + 3 * 2;
    let mut main = bare[..siz_end].to_vec();
    for more in
        [cod(1), coc(2), qcd(1), qcc(2), segment(0xff5e, &[0, 0, 7]), segment(0xff90, &[0; 8])]
    {
        main.extend(more);
    }
    let codestream = Codestream::parse(&main).unwrap();
    let resolve = |more: &[Vec<u8>]| {
        let part = TilePart::parse(&codestream, &part(more), None).unwrap();
        let tile = Tile::new(&codestream, &[part]).unwrap();
        let of = |c: &ComponentCoding| (c.style.levels, c.quantisation.steps[0].0, c.roi_shift);
        [of(&tile.coding().components[0]), of(&tile.coding().components[1])]
    };
    assert_eq!(resolve(&[]), [(1, 1, 7), (2, 2, 0)]);
    assert_eq!(resolve(&[cod(3), qcd(3)]), [(3, 3, 7), (3, 3, 0)]);
    assert_eq!(resolve(&[coc(4), qcc(4)]), [(1, 1, 7), (4, 4, 0)]);
    assert_eq!(resolve(&[cod(3), coc(4), qcc(4), qcd(3)]), [(3, 3, 7), (4, 4, 0)]);
    assert_eq!(
        resolve(&[segment(0xff5e, &[0, 0, 3]), segment(0xff5e, &[1, 0, 9])]),
        [(1, 1, 3), (2, 2, 9)]
    );
}

#[test]
fn bad_segments_are_refused() {
    let spec = Spec::new(Rect::new(0, 0, 9, 9), 2, 1);
    let parse = |more: &[Vec<u8>]| Codestream::parse(&header(&spec, more)).map(|_| ());
    assert_eq!(parse(&[]), Ok(()));
    assert_eq!(
        parse(&[
            segment(0xff55, &[1, 2, 3]),
            segment(0xff57, &[]),
            segment(0xff63, &[0; 8]),
            segment(0xff59, &[1])
        ]),
        Ok(())
    );
    let corrupt: &[&[Vec<u8>]] = &[
        &[segment(0xff52, &[0, 0, 0, 1, 0, 1, 2, 2, 0, 1])],
        &[segment(0xff53, &[2, 0, 1, 2, 2, 0, 1])],
        &[segment(0xff53, &[1, 0, 1, 2, 2, 0])],
        &[segment(0xff5f, &[1, 0, 0, 1, 1, 2, 0])],
        &[segment(0xff5f, &[0, 0, 0, 1, 1, 2, 5])],
        &[segment(0xff60, &[1, 0, 0, 0, 0])],
        &[segment(0xff60, &[0, 0, 0, 0, 9])],
        &[segment(0xff51, &[0; 40])],
        &[segment(0xff58, &[0, 1])],
        &[vec![0x12, 0x34, 0, 2]],
    ];
    for more in corrupt {
        assert!(matches!(parse(more), Err(Error::Corrupt(_))), "{more:?}");
    }
    let unsupported: &[&[Vec<u8>]] = &[
        &[segment(0xff74, &[0; 4])],
        &[segment(0xff50, &[0x80, 0, 0, 0, 0, 0])],
        &[segment(0xff5e, &[0, 1, 2])],
    ];
    for more in unsupported {
        assert!(matches!(parse(more), Err(Error::Unsupported(_))), "{more:?}");
    }
}

#[test]
fn lengths_of_packets_are_read() {
    let spec = Spec::new(Rect::new(0, 0, 9, 9), 1, 1);
    let codestream = Codestream::parse(&header(&spec, &[])).unwrap();
    let lengths = |more: &[Vec<u8>]| {
        let part = TilePart::parse(&codestream, &part(more), None).unwrap();
        (part.lengths.map_or(vec![], |lengths| lengths.to_vec()), part.lists_all)
    };
    // A number may go on in the next segment; segments may stand in any order.
    let one = segment(0xff58, &[0, 5, 0x81, 0x00, 0x8f]);
    let two = segment(0xff58, &[1, 0x7f, 0]);
    let all = vec![5, 128, (15 << 7) + 127, 0];
    assert_eq!(lengths(&[one.clone(), two.clone()]), (all.clone(), true));
    assert_eq!(lengths(&[two.clone(), one.clone()]), (all, true));
    // What can't be read ends the list.
    assert_eq!(lengths(std::slice::from_ref(&one)), (vec![5, 128], false));
    assert_eq!(lengths(&[two]), (vec![], false));
    assert_eq!(lengths(&[one, segment(0xff58, &[])]), (vec![5, 128], false));
    let large = segment(0xff58, &[0, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(lengths(&[large]), (vec![], false));
    let largest = segment(0xff58, &[0, 0x8f, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(lengths(&[largest]), (vec![u32::MAX], true));
}

#[test]
fn whole_codestreams_divide_into_tile_parts() {
    let mut random = Random(40);
    let mut spec = Spec::new(Rect::new(0, 0, 50, 30), 1, 1);
    spec.tile = (20, 20);
    spec.parts = 2;
    for open_end in [false, true] {
        spec.open_end = open_end;
        let bytes = spec.encode(&spec.picture(&mut random), &mut random);
        let codestream = Codestream::parse(&bytes).unwrap();
        let parts = tile_parts(&codestream, &bytes).unwrap();
        assert_eq!(parts.len(), 12);
        assert_eq!(parts.last().unwrap().body.end, bytes.len() - 2);
        assert_eq!(parts.iter().map(|p| (p.header.tile, p.header.index)).nth(5), Some((2, 1)));
        // Without EOC, and with zeros behind it.
        let last = |bytes: &[u8]| {
            tile_parts(&codestream, bytes).map(|parts| parts.last().unwrap().body.end)
        };
        assert_eq!(last(&bytes[..bytes.len() - 2]), Ok(bytes.len() - 2));
        assert_eq!(last(&[&bytes[..], &[0, 0]].concat()), Ok(bytes.len() - 2));
        let cut = last(&bytes[..bytes.len() - 3]);
        assert!(if open_end { cut.is_ok() } else { matches!(cut, Err(Error::Corrupt(_))) });
    }
}

#[test]
fn a_transform_of_too_few_components_is_none() {
    let mut spec = Spec::new(Rect::new(0, 0, 9, 9), 2, 1);
    spec.transform = true;
    let codestream = Codestream::parse(&header(&spec, &[])).unwrap();
    let tile =
        Tile::new(&codestream, &[TilePart::parse(&codestream, &part(&[]), None).unwrap()]).unwrap();
    assert!(!tile.coding().style.component_transform);
    // Of components that differ it is an error.
    for n in 0..2 {
        let mut spec = Spec::new(Rect::new(0, 0, 9, 9), 3, 1);
        spec.transform = true;
        match n {
            0 => spec.components[1].dx = 2,
            _ => spec.components[2].style.kernel = Kernel::Irreversible97,
        }
        let codestream = Codestream::parse(&header(&spec, &[])).unwrap();
        let part = TilePart::parse(&codestream, &part(&[]), None).unwrap();
        assert!(matches!(Tile::new(&codestream, &[part]), Err(Error::Corrupt(_))));
    }
}
