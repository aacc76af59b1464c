//! Files that are cut from others decode to the same pixels.

use super::*;
use crate::raster::Piece;
use crate::raster::jpeg2000::window::u16_at;

/// All bytes of a file of pieces.
fn put_together(file: &Spliced, original: &[u8]) -> Vec<u8> {
    let piece = |piece| match piece {
        Piece::Made(bytes) => bytes.to_vec(),
        Piece::Original(range) => original[range.start as usize..range.end as usize].to_vec(),
    };
    let bytes: Vec<u8> = file.range(0..u64::MAX).flat_map(piece).collect();
    assert_eq!(bytes.len() as u64, file.size());
    bytes
}

fn names() -> Vec<String> {
    let expected = std::fs::read_to_string(folder().join("expected.txt")).unwrap();
    let mut names: Vec<_> =
        expected.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    names.dedup();
    names
}

fn indexed(name: &str) -> Form {
    if name.ends_with(".j2k") { Form::IndexedJ2k } else { Form::IndexedJp2 }
}

/// A file with the index that it has taken out, as older ones are.
fn without_index(name: &str) -> Vec<u8> {
    let mut bytes = fixture(name);
    while let Some(at) = bytes.windows(3).position(|three| three == [0xFF, 0x55, 0]) {
        let end = at + 2 + usize::from(u16_at(&bytes, at + 2).unwrap());
        let removed = (end - at) as u32;
        bytes.drain(at..end);
        if let Some(jp2c) = bytes.windows(4).position(|four| four == b"jp2c") {
            let length = bytes[jp2c - 4..jp2c].try_into().map(u32::from_be_bytes).unwrap();
            bytes[jp2c - 4..jp2c].copy_from_slice(&(length - removed).to_be_bytes());
        }
    }
    bytes
}

#[tokio::test]
async fn an_indexed_file_lists_its_tile_parts_and_has_the_same_pixels() {
    let mut checked = 0;
    for name in names() {
        for how in [USUAL, PIECEMEAL] {
            let original = without_index(&name);
            let (_, raster) = opened(original.clone(), how).await;
            let raster = raster.unwrap();
            let known = raster.form_size(indexed(&name));
            let file = raster.form(indexed(&name)).await.unwrap();
            assert!(known.is_none_or(|known| known == file.size()), "{name}");
            let bytes = put_together(&file, &original);
            assert!(bytes.len() > original.len());
            let (source, again) = opened(bytes.clone(), PIECEMEAL).await;
            let again = again.unwrap();
            let before = source.reads();
            assert!(again.parts().unwrap().are_known(), "{name}: it has an index");
            again.parts().unwrap().find().await.unwrap();
            assert_eq!(source.reads(), before, "{name}: which costs no read");
            // With its own index it is what it is.
            let same = again.form(indexed(&name)).await.unwrap();
            assert!(put_together(&same, &bytes) == bytes);
            if raster.info().unsupported.is_none() {
                assert!(level(&*raster, 0).await.unwrap() == level(&*again, 0).await.unwrap());
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "{checked}");
}

#[tokio::test]
async fn a_reduced_file_has_the_pixels_of_the_level_and_its_own_index() {
    let mut checked = 0;
    for name in names() {
        for how in [USUAL, PIECEMEAL] {
            let original = fixture(&name);
            let (_, raster) = opened(original.clone(), how).await;
            let raster = raster.unwrap();
            for reduce in 1..=4u8 {
                let file = match raster.form(Form::ReducedJ2k(reduce)).await {
                    Ok(file) => file,
                    Err(RasterError::Unsupported(_)) => continue,
                    Err(error) => panic!("{name}: {error}"),
                };
                let bytes = put_together(&file, &original);
                assert!(bytes.len() < original.len(), "{name}");
                let (_, small) = opened(bytes, PIECEMEAL).await;
                let small = small.unwrap();
                assert!(small.parts().unwrap().are_known(), "{name}: it has an index");
                let (info, whole) = (small.info(), raster.info().grid.image(reduce));
                assert_eq!((info.width, info.height), (whole.width, whole.height), "{name}");
                let (ours, theirs) = (level(&*small, 0).await, level(&*raster, reduce).await);
                assert!(ours.unwrap() == theirs.unwrap(), "{name} at 1/{}", 1 << reduce);
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "{checked}");
}

#[tokio::test]
async fn a_form_that_does_not_exist_says_why() {
    for (name, form, why) in [
        ("gray8.j2k", Form::IndexedJp2, "ask for .indexed.j2k"),
        ("lossy53.jp2", Form::IndexedJ2k, "ask for .indexed.jp2"),
        ("gray8.j2k", Form::ReducedJ2k(1), "(PLT)"),
        ("bands5_pcrl.j2k", Form::ReducedJ2k(1), "order of positions or components"),
        ("layers_sop_eph.jp2", Form::ReducedJ2k(1), "3 quality layers (LRCP)"),
        ("one_resolution.j2k", Form::ReducedJ2k(1), "no resolution"),
        ("gray16_tiles_plt_tlm.jp2", Form::ReducedJ2k(4), "no resolution that is reduced by 16"),
    ] {
        let (_, raster) = opened(fixture(name), USUAL).await;
        match raster.unwrap().form(form).await {
            Err(RasterError::Unsupported(reason)) => {
                assert!(reason.contains(why), "{name}: {reason}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// A JP2 file with the codestream's box as `length` says, and something behind it.
fn boxed(codestream: &[u8], length: Length, behind: &[u8]) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x0CjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 ".to_vec();
    let size = codestream.len();
    match length {
        Length::Short | Length::Raw => bytes.extend((size as u32 + 8).to_be_bytes()),
        Length::Long => bytes.extend(1u32.to_be_bytes()),
        Length::ToEnd => bytes.extend(0u32.to_be_bytes()),
    }
    bytes.extend(b"jp2c");
    if length == Length::Long {
        bytes.extend((size as u64 + 16).to_be_bytes());
    }
    bytes.extend(codestream);
    bytes.extend(behind);
    bytes
}

#[tokio::test]
async fn the_box_around_the_codestream_is_made_longer_however_it_says_its_length() {
    let codestream = fixture("gray8.j2k");
    let comment = b"\0\0\0\x0Cxml <a/>";
    for (length, behind) in [
        (Length::Short, &b""[..]),
        (Length::Short, &comment[..]),
        (Length::Long, &b""[..]),
        (Length::Long, &comment[..]),
        (Length::ToEnd, &b""[..]),
    ] {
        let original = boxed(&codestream, length, behind);
        let (_, raster) = opened(original.clone(), USUAL).await;
        let raster = raster.unwrap();
        let file = raster.form(Form::IndexedJp2).await.unwrap();
        let known = raster.form_size(Form::IndexedJp2);
        assert_eq!(known, behind.is_empty().then_some(file.size()), "{length:?}");
        let bytes = put_together(&file, &original);
        assert_eq!(bytes.len(), original.len() + 6 + 5, "{length:?}");
        assert!(bytes.ends_with(behind));
        let (_, again) = opened(bytes, USUAL).await;
        let again = again.unwrap();
        assert!(again.parts().unwrap().are_known(), "{length:?}");
        assert!(level(&*raster, 0).await.unwrap() == level(&*again, 0).await.unwrap());
    }
}

#[tokio::test]
async fn a_file_with_offsets_in_it_is_not_moved() {
    let codestream = fixture("gray8.j2k");
    let behind = boxed(&codestream, Length::Short, b"\0\0\0\x0Cfidx\0\0\0\0");
    let mut front = boxed(&codestream, Length::Short, b"");
    front.splice(32..32, b"\0\0\0\x0Cftbl\0\0\0\0".iter().copied());
    for bytes in [behind, front] {
        let (_, raster) = opened(bytes, USUAL).await;
        let raster = raster.unwrap();
        assert_eq!(raster.form_size(Form::IndexedJp2), None);
        let refused = raster.form(Form::IndexedJp2).await.unwrap_err();
        assert!(refused.to_string().contains("where in the file"), "{refused}");
    }
}

#[tokio::test]
async fn a_promised_size_is_kept_if_there_are_not_as_many_tile_parts_as_tiles() {
    // The first tile says that it has one tile-part, and so do all others, but the second one
    // comes in two.
    let mut bytes = without_index("gray16_tiles_plt_tlm.jp2");
    let is_sot = |window: &[u8]| window == [0xFF, 0x90, 0, 10];
    let second = 1 + bytes.windows(4).position(is_sot).unwrap();
    let second = second + bytes[second..].windows(4).position(is_sot).unwrap();
    let extra = [0xFF, 0x90, 0, 10, 0, 1, 0, 0, 0, 14, 1, 1, 0xFF, 0x93];
    let length = u32::from_be_bytes(bytes[second + 6..second + 10].try_into().unwrap()) as usize;
    bytes.splice(second + length..second + length, extra);
    let jp2c = bytes.windows(4).position(|four| four == b"jp2c").unwrap();
    let old = u32::from_be_bytes(bytes[jp2c - 4..jp2c].try_into().unwrap());
    bytes[jp2c - 4..jp2c].copy_from_slice(&(old + 14).to_be_bytes());
    let (_, raster) = opened(bytes.clone(), USUAL).await;
    let raster = raster.unwrap();
    let promised = raster.form_size(Form::IndexedJp2).unwrap();
    let file = raster.form(Form::IndexedJp2).await.unwrap();
    assert_eq!(file.size(), promised);
    let (_, again) = opened(put_together(&file, &bytes), USUAL).await;
    let again = again.unwrap();
    assert!(!again.parts().unwrap().are_known() && again.info().width == raster.info().width);
}
