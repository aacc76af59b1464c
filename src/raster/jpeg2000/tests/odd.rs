//! Files that are not quite right beside their pixels. What each should decode to is what
//! the file decodes to that it was made of, of which OpenJPEG's pixels are known; OpenJPEG
//! gives the same for the odd one.

use super::*;
use crate::raster::jpeg2000::engine::code_block::testing::Random;
use crate::raster::jpeg2000::engine::geometry::Rect as Area;
use crate::raster::jpeg2000::engine::tests::encoder::Spec;
use crate::raster::jpeg2000::window::u32_at;

/// The only place of these bytes, or the last.
fn last_place(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).rposition(|window| window == wanted).unwrap()
}

/// Pixels at each level, and warnings.
async fn read(bytes: Vec<u8>, how: How) -> Result<(Vec<Vec<u8>>, Vec<String>), RasterError> {
    let raster = opened(bytes, how).await.1?;
    let mut levels = Vec::new();
    for k in 0..raster.info().levels {
        levels.push(level(&*raster, k).await?);
    }
    Ok((levels, raster.info().warnings.clone()))
}

/// The file with its last tile-part longer by these bytes.
fn with_bytes_behind(mut bytes: Vec<u8>, more: &[u8]) -> Vec<u8> {
    let sot = last_place(&bytes, &[0xff, 0x90, 0, 10]);
    let eoc = last_place(&bytes, &[0xff, 0xd9]);
    let length = u32_at(&bytes, sot + 6).unwrap() + more.len() as u32;
    bytes[sot + 6..sot + 10].copy_from_slice(&length.to_be_bytes());
    bytes.splice(eoc..eoc, more.iter().copied());
    bytes
}

/// A tile has at most 255 tile-parts; of more, opj_compress writes the lowest eight bits of their
/// numbers, and of how many there are.
#[tokio::test]
async fn more_tile_parts_than_can_be_numbered_are_taken_as_they_stand() {
    let image = |parts: usize| {
        let mut spec = Spec::new(Area::new(0, 0, 160, 120), 1, 2);
        spec.parts = parts;
        spec.components[0].style.precincts = vec![(3, 3); 3];
        spec.encode(&spec.picture(&mut Random(3)), &mut Random(4))
    };
    let (usual, odd) = (image(1), image(300));
    let parts = odd.windows(4).filter(|four| *four == [0xff, 0x90, 0, 10]).count();
    let last = last_place(&odd, &[0xff, 0x90, 0, 10]);
    assert_eq!((parts, &odd[last + 10..last + 12]), (300, &[43, 44][..]));
    let middle = odd.windows(12).filter(|sot| sot[..4] == [0xff, 0x90, 0, 10] && sot[10] > 44);
    assert_eq!(middle.count(), 211);
    let pixels = async |bytes: &[u8]| {
        let source = Memory::new(bytes.to_vec());
        let raster = open(source.clone(), source.head(), &Limits::default()).await.unwrap();
        raster.decode_tile(0, 0, 0).await.unwrap()
    };
    let expected = pixels(&usual).await;
    assert!(expected.samples.iter().any(|sample| *sample != expected.samples[0]));
    assert_eq!(pixels(&odd).await, expected);
}

#[tokio::test]
async fn what_is_damaged_beside_the_pixels_is_read_as_openjpeg_reads_it() {
    let gray = fixture("gray8.j2k");
    let mut odd = Vec::new();

    let mut transformed = gray.clone();
    let cod = transformed.windows(2).position(|two| two == [0xff, 0x52]).unwrap();
    assert_eq!(transformed[cod + 8], 0);
    transformed[cod + 8] = 1;
    odd.push(("gray8.j2k", transformed, "transforms three"));

    for padding in 0..3 {
        let mut open = gray.clone();
        let sot = last_place(&open, &[0xff, 0x90, 0, 10]);
        open[sot + 6..sot + 10].fill(0);
        open.extend(vec![0; padding]);
        odd.push(("gray8.j2k", open, ""));
    }

    for name in ["gray8.j2k", "modes.j2k", "rgb12_offsets.j2k"] {
        for zeros in [1, 2, 40, 1000] {
            odd.push((name, with_bytes_behind(fixture(name), &vec![0; zeros]), ""));
        }
    }

    let mut long = fixture("gray16_tiles_plt_tlm.jp2");
    let jp2c = last_place(&long, b"jp2c") - 4;
    let length = u32_at(&long, jp2c).unwrap() + 103;
    long[jp2c..jp2c + 4].copy_from_slice(&length.to_be_bytes());
    odd.push(("gray16_tiles_plt_tlm.jp2", long, "103 bytes behind the file"));

    for (name, bytes, warning) in odd {
        for how in [USUAL, PIECEMEAL] {
            let (right, none) = read(fixture(name), how).await.unwrap();
            assert!(none.is_empty());
            let (pixels, warnings) = read(bytes.clone(), how).await.unwrap();
            assert!(pixels == right, "{name} {how:?}");
            assert_eq!(warnings.is_empty(), warning.is_empty(), "{warnings:?}");
            assert!(warnings.iter().all(|said| said.contains(warning)), "{warnings:?}");
        }
    }
}

#[tokio::test]
async fn bytes_behind_the_last_packet_are_no_pixels_unless_they_are_zeros_and_the_file_is_whole() {
    let name = "gray8.j2k";
    assert!(read(with_bytes_behind(fixture(name), &[1, 2, 3]), USUAL).await.is_err());
    let mut cut = with_bytes_behind(fixture(name), &[0; 40]);
    cut.truncate(last_place(&cut, &[0xff, 0xd9]));
    assert!(read(cut, USUAL).await.is_err());
}

#[tokio::test]
async fn a_number_that_is_rounded_behind_the_palette_is_its_last_color() {
    let (pixels, _) = read(fixture("palette97.jp2"), USUAL).await.unwrap();
    // Its colors are a scale of grays; the wavelet is rounded, so neighbours may be meant.
    let openjpeg = fixture("palette97.jp2.0.raw");
    assert!(most_apart(&pixels[0], &openjpeg, crate::raster::SampleType::U8) <= 1);
}

/// A JPX file of these codestreams, each with its colour space as enumerated.
fn jpx(codestreams: &[(Vec<u8>, u8)]) -> Vec<u8> {
    let boxed = |kind: &[u8; 4], contents: &[u8]| {
        let length = (contents.len() as u32 + 8).to_be_bytes();
        [&length[..], kind, contents].concat()
    };
    let mut file = b"\0\0\0\x0CjP  \r\n\x87\n".to_vec();
    file.extend(boxed(b"ftyp", b"jpx \0\0\0\0jpx jp2 "));
    file.extend(boxed(b"jp2h", &[]));
    for (_, space) in codestreams {
        file.extend(boxed(b"jpch", &[]));
        let colr = boxed(b"colr", &[1, 0, 0, 0, 0, 0, *space]);
        file.extend(boxed(b"jplh", &boxed(b"cgrp", &colr)));
    }
    for (codestream, _) in codestreams {
        file.extend(boxed(b"jp2c", codestream));
        file.extend(boxed(b"free", &vec![0; 40_000]));
    }
    file
}

#[tokio::test]
async fn each_codestream_of_a_jpx_is_a_page_with_its_own_size_and_colours() {
    let names = ["gray16_signed_rpcl.j2k", "ht_rgb8.j2k"];
    let plain = names.map(fixture);
    let file = jpx(&[(plain[0].clone(), 17), (plain[1].clone(), 16), (plain[0].clone(), 17)]);
    for how in [USUAL, PIECEMEAL] {
        let (source, raster) = opened(file.clone(), how).await;
        let raster = raster.unwrap();
        let page = raster.info().extras.page.unwrap();
        assert_eq!((page.number, page.of), (1, crate::raster::Count::AtLeast(3)));
        for (number, bytes) in [(1, &plain[0]), (2, &plain[1]), (3, &plain[0])] {
            let (_, alone) = opened(bytes.clone(), how).await;
            let alone = alone.unwrap();
            let page = raster.page(number).await.unwrap().unwrap();
            assert_eq!(page.info().extras.page.unwrap().number, number);
            assert_eq!(page.info().bands, alone.info().bands);
            assert_eq!(
                page.info().color,
                [Color::Gray, Color::Rgb, Color::Gray][number as usize - 1]
            );
            for reduction in 0..alone.info().levels {
                let (ours, theirs) =
                    (level(&*page, reduction).await, level(&*alone, reduction).await);
                assert!(ours.unwrap() == theirs.unwrap(), "page {number}, level {reduction}");
            }
            assert_eq!(page.parts().is_some(), number == 1);
        }
        let reads = source.reads();
        assert!(raster.page(4).await.unwrap().is_none());
        assert!(raster.page(u32::MAX).await.unwrap().is_none());
        assert!(source.reads() <= reads + 1, "the end is found once");
    }
}

#[tokio::test]
async fn a_jpx_of_one_codestream_and_a_jp2_of_several_are_one_image() {
    let codestream = fixture("ht_rgb8.j2k");
    let mut one = jpx(&[(codestream.clone(), 16)]);
    one.truncate(one.len() - 40_008);
    let mut jp2 = jpx(&[(codestream.clone(), 16), (codestream, 16)]);
    jp2[20..24].copy_from_slice(b"jp2 ");
    for file in [one, jp2] {
        let raster = opened(file, USUAL).await.1.unwrap();
        assert_eq!(raster.info().extras.page, None);
        assert!(raster.page(2).await.unwrap().is_none());
    }
}
