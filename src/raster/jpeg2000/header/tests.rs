use super::*;

/// SOC, SIZ (100x80, tiles of 64), COD, QCD, SOT.
fn header() -> Vec<u8> {
    let mut bytes = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
    for number in [100u32, 80, 0, 0, 64, 64, 0, 0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend([0, 1, 14, 1, 1]);
    bytes.extend([0xFF, 0x52, 0, 12, 0, 2, 0, 3, 0, 2, 4, 4, 0, 1]);
    bytes.extend([0xFF, 0x5C, 0, 10, 0x40, 8, 8, 8, 8, 8, 8, 8]);
    bytes.extend([0xFF, 0x55, 0, 8, 0, 0x10, 1, 0, 50, 0xFF, 0x90]);
    bytes
}

fn done(bytes: Vec<u8>) -> MainHeader {
    match parse(&bytes.into()).unwrap() {
        Parsed::Done(header) => *header,
        Parsed::More(more) => panic!("{more} bytes more"),
    }
}

#[test]
fn a_header_is_read_field_by_field() {
    let mut bytes = header();
    // One entry of TLM has a tile of one byte and a length of two.
    let tlm = bytes.len() - 11 + 2;
    bytes[tlm + 1] = 7;
    let header = done(bytes);
    assert_eq!(header.grid.image_end, (100, 80));
    assert_eq!(header.components, [Component { depth: 15, signed: false, step: (1, 1) }]);
    assert_eq!((header.defaults.order, header.defaults.layers), (Order::Rpcl, 3));
    assert_eq!(header.coding.precincts, [(15, 15); 3]);
    assert_eq!(header.listed, [Listed { tile: Some(1), length: 50 }]);
    assert_eq!(header.segments.iter().map(|s| s.0).collect::<Vec<_>>(), [0xFF52, 0xFF5C]);
    assert!(header.unsupported.is_none());
}

#[test]
fn a_cut_header_says_how_much_more_it_needs() {
    let bytes = done_bytes();
    for cut in 2..bytes.len() - 1 {
        match parse(&Bytes::copy_from_slice(&bytes[..cut])) {
            Ok(Parsed::More(more)) => assert!(more > cut),
            other => panic!("{cut}: {other:?}"),
        }
    }
}

fn done_bytes() -> Vec<u8> {
    let mut bytes = header();
    let tlm = bytes.len() - 11 + 2;
    bytes[tlm + 1] = 7;
    bytes
}

#[test]
fn sizes_that_contradict_each_other_are_an_error() {
    let mut bytes = done_bytes();
    bytes[24..28].fill(0);
    assert!(matches!(parse(&bytes.into()), Err(RasterError::Corrupt(_))));
}
