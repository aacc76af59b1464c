//! FITS and DICOM, of whose files only what is needed is read.

use super::*;
use crate::raster::Count;

/// A FITS file of whole numbers of 16 bits, 0, 1, 2 and so on, in so many columns, rows and
/// planes.
fn fits(columns: usize, rows: usize, planes: usize) -> Vec<u8> {
    let card = |keyword: &str, value: &str| format!("{keyword:<8}= {value:>20}{:50}", "");
    let mut file = card("SIMPLE", "T") + &card("BITPIX", "16") + &card("NAXIS", "3");
    for (axis, length) in [columns, rows, planes].iter().enumerate() {
        file += &card(&format!("NAXIS{}", axis + 1), &length.to_string());
    }
    file += &format!("{:80}", "END");
    let mut file = format!("{file:2880}").into_bytes();
    file.extend((0..columns * rows * planes).flat_map(|n| (n as i16).to_be_bytes()));
    file.resize(file.len().next_multiple_of(2880), 0);
    file
}

#[test]
fn a_fits_is_read_in_rows_and_its_planes_at_once() {
    let source = memory(fits(1000, 2000, 1));
    let raster = run(open(source.clone(), &Limits::default())).unwrap();
    let rows = raster.info().grid.tile_size.1;
    assert_eq!(rows, 524, "about a MiB");
    let tile = run(raster.decode_tile(0, 0, 2)).unwrap();
    let first = (2 * rows as usize * 1000) as i16;
    assert_eq!(tile.samples[..4], [first.to_ne_bytes(), (first + 1).to_ne_bytes()].concat());
    let start = 2880 + u64::from(2 * rows) * 2000;
    let reads = source.reads.lock().unwrap().clone();
    assert_eq!(reads, [0..16 << 10, start..start + u64::from(rows) * 2000]);

    let source = memory(fits(100, 80, 7));
    let (info, pixels) = run(async {
        let raster = open(source.clone(), &Limits::default()).await.unwrap();
        (raster.info().clone(), level(&*raster, 0).await.unwrap())
    });
    assert_eq!((info.bands, info.extras.is_bottom_up), (7, true));
    assert_eq!(source.reads.lock().unwrap().len(), 2, "planes lie behind each other");
    let (x, y, plane) = (17, 33, 5);
    let at = ((y * 100 + x) * 7 + plane) * 2;
    let expected = (plane * 8000 + y * 100 + x) as i16;
    assert_eq!(pixels.samples[at..at + 2], expected.to_ne_bytes());
}

#[test]
fn what_a_fits_header_promises_is_checked() {
    let reason = |file: Vec<u8>| match run(open(memory(file), &Limits::default())) {
        Ok(raster) => raster.info().unsupported.clone(),
        Err(error) => Some(error.to_string()),
    };
    assert_eq!(reason(fits(3, 2, 255)), None);
    assert_eq!(reason(fits(3, 2, 256)).unwrap(), "FITS of 256 planes is not converted");
    assert!(reason(fits(3, 2, 0)).unwrap().contains("without an image"));
    let with = |from: &str, to: &str| {
        let file = String::from_utf8(fits(3, 2, 1)[..2880].to_vec()).unwrap();
        assert!(file.contains(from));
        [file.replacen(from, to, 1).into_bytes(), vec![0; 2880]].concat()
    };
    let wide = with("NAXIS1  =                    3", "NAXIS1  =  3000000000000000000");
    assert!(reason(wide).unwrap().contains("no pixels, or too many"));
    let long = with("NAXIS2  =                    2", "NAXIS2  =           2000000000");
    assert!(reason(long).unwrap().contains("ends early"));
    assert!(
        reason(with("BITPIX  =                   16", "BITPIX  =                   24"))
            .unwrap()
            .contains("BITPIX is 24")
    );
    assert!(reason(with("END", "END OF")).unwrap().contains("ends early"));
}

#[test]
fn what_follows_the_first_image_of_a_fits_is_not_looked_at() {
    let both = [fits(30, 20, 1), fits(3, 2, 1)].concat();
    let info = run(open(memory(both), &Limits::default())).unwrap().info().clone();
    assert_eq!((info.width, info.warnings.len()), (30, 1));
    assert!(info.warnings[0].contains("behind its first image"));
}

/// An element of a DICOM.
fn element(tag: (u16, u16), kind: &str, value: &[u8]) -> Vec<u8> {
    let mut element = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    element.extend(kind.as_bytes());
    let value = [value, &b" "[..value.len() % 2]].concat();
    match kind {
        "OW" | "OB" => {
            element.extend([0; 2]);
            element.extend((value.len() as u32).to_le_bytes());
        }
        _ => element.extend((value.len() as u16).to_le_bytes()),
    }
    element.extend(value);
    element
}

/// A DICOM of whole numbers of 16 bits, with further elements in front of its pixels.
fn dicom(columns: u16, rows: u16, more: &[Vec<u8>], pixels: &[u16]) -> Vec<u8> {
    let short = |tag, value: u16| element(tag, "US", &value.to_le_bytes());
    let mut elements = vec![
        element((0x0002, 0x0010), "UI", b"1.2.840.10008.1.2.1\0"),
        // What is stepped over: as long as a page of text.
        element((0x0009, 0x1001), "OB", &[7; 40_000]),
        short((0x0028, 0x0002), 1),
    ];
    elements.extend_from_slice(more);
    elements.extend([
        short((0x0028, 0x0010), rows),
        short((0x0028, 0x0011), columns),
        short((0x0028, 0x0100), 16),
        short((0x0028, 0x0101), 16),
        short((0x0028, 0x0102), 15),
        short((0x0028, 0x0103), 0),
    ]);
    let bytes: Vec<u8> = pixels.iter().flat_map(|value| value.to_le_bytes()).collect();
    elements.push(element((0x7fe0, 0x0010), "OW", &bytes));
    [vec![0; 128], b"DICM".to_vec(), elements.concat()].concat()
}

const MONOCHROME: (u16, u16) = (0x0028, 0x0004);

#[test]
fn a_dicom_is_read_by_rows_or_by_its_first_frame() {
    let pixels: Vec<u16> = (0..1000 * 1200).map(|n| (n % 65_521) as u16).collect();
    let bytes = dicom(1000, 1200, &[element(MONOCHROME, "CS", b"MONOCHROME2")], &pixels);
    let start = bytes.len() as u64 - 2 * pixels.len() as u64;
    let source = memory(bytes);
    let raster = run(open(source.clone(), &Limits::default())).unwrap();
    assert_eq!(raster.info().grid.tile_size, (1000, 524), "about a MiB");
    // The head, and the elements behind what is stepped over.
    let bytes: u64 = source.reads.lock().unwrap().iter().map(|read| read.end - read.start).sum();
    assert!(bytes <= 32 << 10, "{bytes}");
    let tile = run(raster.decode_tile(0, 0, 1)).unwrap();
    let first = pixels[524 * 1000].to_ne_bytes();
    assert_eq!(tile.samples[..2], first);
    let last = source.reads.lock().unwrap().last().unwrap().clone();
    assert_eq!(last, start + 524 * 2000..start + 1048 * 2000);

    // Frames behind the first one may be missing.
    let whole = file("jpeg.dcm");
    let second = whole.windows(3).rposition(|bytes| bytes == [0xff, 0xd8, 0xff]).unwrap();
    let (info, pixels) = read(whole[..second + 20].to_vec(), &Limits::default()).unwrap();
    assert_eq!(info.extras.page.map(|page| page.of), Some(Count::Exactly(2)));
    assert_eq!(pixels.samples[..], file("jpeg.dcm.raw")[..]);
}

#[test]
fn each_frame_of_a_dicom_is_a_page_wherever_it_is_found() {
    for name in ["words", "planes", "bits", "odd", "table", "fragments", "of_fragments", "extended"]
    {
        let name = format!("frames_{name}.dcm");
        assert_eq!(header(&name).extras.page, Some(Page::first(Count::Exactly(3))), "{name}");
        for number in [3, 2] {
            let (info, pixels) = page(&name, number, 0).unwrap();
            assert_eq!(info.extras.page.map(|page| page.number), Some(number), "{name}");
            assert!(pixels == file(&format!("{name}.page-{number}.raw")), "{name} {number}");
        }
        assert!(page(&name, 4, 0).is_none(), "{name}");
    }
    // Runs, each frame in one fragment: both frames are the same.
    assert_eq!(page("rle.dcm", 2, 0).unwrap().1, file("rle.dcm.raw"));
    assert!(page("uint16.dcm", 2, 0).is_none());
}

#[test]
fn of_a_dicom_with_many_frames_nothing_is_read_but_the_frame_and_where_frames_begin() {
    const FRAME: u64 = 100_000;
    let frames = element((0x0028, 0x0008), "IS", b"8 ");
    let gray = element(MONOCHROME, "CS", b"MONOCHROME2");
    let plain = dicom(500, 100, &[gray.clone(), frames.clone()], &vec![7; 8 * 500 * 100]);
    let start = plain.len() as u64 - 8 * FRAME;
    let source = memory(plain.clone());
    let first = run(open(source.clone(), &Limits::default())).unwrap();
    source.reads.lock().unwrap().clear();
    let sixth = run(first.page(6)).unwrap().unwrap();
    run(sixth.decode_tile(0, 0, 0)).unwrap();
    let frame = start + 5 * FRAME..start + 6 * FRAME;
    assert_eq!(*source.reads.lock().unwrap(), std::slice::from_ref(&frame));
    // What ends in the sixth frame has five.
    let cut = memory(plain[..(start + 5 * FRAME) as usize + 10].to_vec());
    assert!(run(open(cut, &Limits::default())).is_ok());

    // JPEGs, as far as their first bytes go, without a table.
    let mut coded = plain[..start as usize - 12].to_vec();
    let syntax = b"1.2.840.10008.1.2.1\0";
    let at = coded.windows(syntax.len()).position(|bytes| bytes == syntax).unwrap();
    coded.splice(at..at + syntax.len(), *b"1.2.840.10008.1.2.4.50");
    coded[at - 2] += 2;
    coded.extend([0xe0, 0x7f, 0x10, 0, b'O', b'B', 0, 0, 0xff, 0xff, 0xff, 0xff]);
    coded.extend([0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0]);
    let start = coded.len() as u64;
    for _ in 0..8 {
        coded.extend([0xfe, 0xff, 0, 0xe0]);
        coded.extend((FRAME as u32).to_le_bytes());
        coded.extend([0xff, 0xd8, 0xff]);
        coded.resize(coded.len() + FRAME as usize - 3, 0);
    }
    coded.extend([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
    let source = memory(coded);
    let first = run(open(source.clone(), &Limits::default())).unwrap();
    source.reads.lock().unwrap().clear();
    let frame = |number: u64| {
        let at = start + (number - 1) * (FRAME + 8) + 8;
        at..at + FRAME
    };
    for number in [5, 4] {
        source.reads.lock().unwrap().clear();
        let page = run(first.page(number)).unwrap().unwrap();
        // It is no JPEG at all.
        assert!(run(page.decode_tile(0, 0, 0)).is_err());
        let reads = source.reads.lock().unwrap().clone();
        let whole = reads.iter().filter(|read| read.end - read.start >= FRAME).collect::<Vec<_>>();
        assert_eq!(whole, [&frame(number.into())], "{reads:?}");
        let beside: u64 = reads.iter().map(|read| read.end - read.start).sum();
        assert!(beside - FRAME <= 7 * (16 << 10), "{reads:?}");
    }
}

#[test]
fn what_a_dicom_says_of_its_picture_is_for_the_preview_alone() {
    let of = |more: &[(u16, &str)], photometric: &[u8]| {
        let more: Vec<Vec<u8>> = more
            .iter()
            .map(|(number, text)| element((0x0028, *number), "DS", text.as_bytes()))
            .chain([element(MONOCHROME, "CS", photometric)])
            .collect();
        let (info, pixels) = read(dicom(2, 1, &more, &[7, 1000]), &Limits::default()).unwrap();
        assert_eq!(pixels.samples[..], [7u16.to_ne_bytes(), 1000u16.to_ne_bytes()].concat());
        info.extras.window.unwrap()
    };
    let plain = of(&[], b"MONOCHROME2");
    assert_eq!((plain.range, plain.is_inverted), (None, false));
    assert!(of(&[], b"MONOCHROME1").is_inverted);
    // Hounsfield units: 40 in the middle, 400 wide; the first of two windows.
    let window = [(0x1050, "40\\300"), (0x1051, "400\\2000"), (0x1052, "-1024"), (0x1053, "2")];
    let said = of(&window, b"MONOCHROME2");
    let stored = |value: f64| (value + 1024.0) / 2.0;
    assert_eq!(said.range, Some((stored(39.5 - 199.5), stored(39.5 + 199.5))));
    let falling = of(&[(0x1050, "0"), (0x1051, "11"), (0x1053, "-1")], b"MONOCHROME2");
    assert_eq!((falling.range, falling.is_inverted), (Some((-4.5, 5.5)), true));
}

#[test]
fn a_dicom_whose_elements_are_spelled_otherwise_than_it_says_is_read_with_a_warning() {
    // The group in front is spelled with types in any case.
    let said = file("implicit.dcm");
    let implicit = b"1.2.840.10008.1.2\0";
    let at = said.windows(implicit.len()).position(|bytes| bytes == implicit).unwrap();
    let mut other = said.clone();
    other.splice(at..at + implicit.len(), *b"1.2.840.10008.1.2.1\0");
    other[at - 2] += 2;
    let (info, pixels) = read(other, &Limits::default()).unwrap();
    assert_eq!(pixels.samples[..], file("implicit.dcm.raw")[..]);
    assert!(info.warnings[0].contains("no types"), "{:?}", info.warnings);
}

#[test]
fn elements_without_end_and_fragments_without_pixels_are_errors() {
    let limits = Limits::default();
    let gray = [element(MONOCHROME, "CS", b"MONOCHROME2")];
    let whole = dicom(3, 2, &gray, &[1, 2, 3, 4, 5, 6]);
    assert!(read(whole.clone(), &limits).is_ok());
    let promise = dicom(300, 200, &gray, &[1, 2]);
    assert!(matches!(read(promise, &limits), Err(RasterError::Corrupt(_))));
    // Sequences within sequences, none of which ends.
    let mut nested = whole[..132 + 28].to_vec();
    nested.extend([0x08, 0, 0x12, 0x21, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff].repeat(100));
    let error = read(nested, &limits).unwrap_err().to_string();
    assert!(error.contains("nested too deep"), "{error}");
    // More pixels than a decoder may hold.
    let small = Limits { decode_bytes: 1000, ..limits };
    let refused = read(file("jpeg2000.dcm"), &small).unwrap_err();
    assert!(matches!(refused, RasterError::Limit { option: "--max-decode-memory", .. }));
}
