//! The pages of TIFFs and the frames of animations, each with siblings of its own.

use std::ops::Range;

use super::*;

/// A page of these stacks, in bytes.
const PAGE: (u32, u32) = (512, 256);
const PAGE_BYTES: u64 = 512 * 256;

/// Where the directories of a stack are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directories {
    /// All in front.
    InFront,
    /// Each behind its page.
    Behind,
    /// All in front, and the last one leads back to the first.
    Round,
}

/// A gray TIFF of so many pages, each in one strip.
pub(in crate::mounted) fn stack(pages: u32, (width, height): (u32, u32), first: u8) -> Vec<u8> {
    stacked(pages, (width, height), first, Directories::InFront)
}

fn stacked(pages: u32, size: (u32, u32), first: u8, directories: Directories) -> Vec<u8> {
    const DIRECTORY_BYTES: u32 = 2 + 8 * 12 + 4;
    let page_bytes = size.0 * size.1;
    let place = |page: u32| match directories {
        Directories::Behind => {
            let start = 8 + page * (page_bytes + DIRECTORY_BYTES);
            (start + page_bytes, start)
        }
        _ => (8 + page * DIRECTORY_BYTES, 8 + pages * DIRECTORY_BYTES + page * page_bytes),
    };
    let mut file = b"II*\0".to_vec();
    file.extend(place(0).0.to_le_bytes());
    file.resize(8 + (pages * (page_bytes + DIRECTORY_BYTES)) as usize, 0);
    for page in 0..pages {
        let (directory, pixels) = place(page);
        let next = match directories {
            _ if page + 1 < pages => place(page + 1).0,
            Directories::Round => place(0).0,
            _ => 0,
        };
        let mut bytes = 8u16.to_le_bytes().to_vec();
        for (tag, value) in [
            (254u16, 2),
            (256, size.0),
            (257, size.1),
            (258, 8),
            (262, 1),
            (273, pixels),
            (278, size.1),
            (279, page_bytes),
        ] {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(4u16.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(next.to_le_bytes());
        let at = directory as usize;
        file[at..at + bytes.len()].copy_from_slice(&bytes);
        let at = pixels as usize;
        file[at..at + page_bytes as usize].copy_from_slice(&page_values(page, size, first));
    }
    file
}

pub(in crate::mounted) fn page_values(
    page: u32,
    (width, height): (u32, u32),
    first: u8,
) -> Vec<u8> {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| x * 3 + y * 7 + page * 31));
    pixels.map(|value| (value as u8).wrapping_add(first)).collect()
}

fn pages(mount: &Mount, name: &str, range: Range<u32>) -> Vec<Vec<u8>> {
    let ending = |page| format!(".page-{page}.npy");
    range.map(|page| npy(&fs::read(sibling(mount, name, &ending(page))).unwrap()).samples).collect()
}

fn is_missing(path: &Path) -> bool {
    fs::metadata(path).is_err_and(|error| error.raw_os_error() == Some(libc::ENOENT))
}

#[test]
fn each_page_of_a_tiff_has_its_siblings_and_costs_its_own_bytes() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "scan.tif", stack(3, PAGE, 0));
    let mount = mount(&server, &["--list-views"]);
    let path = sibling(&mount, "scan.tif", ".page-3.npy");
    let (size, cost) = cost_of(&server, || fs::metadata(&path).unwrap().len());
    assert_eq!((size, cost), (128 + PAGE_BYTES, Cost { get: 1, bytes: HEAD_BYTES, ..NOTHING }));
    let (third, cost) = cost_of(&server, || npy(&fs::read(&path).unwrap()));
    assert_eq!(cost, Cost { get: 1, bytes: PAGE_BYTES, ..NOTHING });
    assert_eq!(third.shape, [256, 512]);
    assert!(third.samples == page_values(2, PAGE, 0));
    for ending in ENDINGS {
        let first = fs::read(sibling(&mount, "scan.tif", ending)).unwrap();
        let named = fs::read(sibling(&mount, "scan.tif", &format!(".page-1{ending}"))).unwrap();
        assert!(first == named, "{ending}");
        assert!(is_missing(&sibling(&mount, "scan.tif", &format!(".page-4{ending}"))), "{ending}");
    }
    let (_, _, samples) = png(&fs::read(sibling(&mount, "scan.tif", ".page-2.png")).unwrap());
    assert!(samples == page_values(1, PAGE, 0));
    let pictures = tif(&fs::read(sibling(&mount, "scan.tif", ".page-2.tif")).unwrap());
    assert!(pictures[0].2 == page_values(1, PAGE, 0));
    let preview = fs::read(sibling(&mount, "scan.tif", ".page-2.preview.png")).unwrap();
    assert_eq!((png(&preview).0, png(&preview).1), PAGE);
    for page in 1..=3 {
        let ending = format!(".page-{page}.json");
        let json = fs::read_to_string(sibling(&mount, "scan.tif", &ending)).unwrap();
        assert!(json.contains(&format!("\"page\": {page},\n  \"pages\": 3,")), "{json}");
    }
    for ending in [".page-0.png", ".page-02.png", ".page-2.r2.j2k", ".page-2.page-2.png"] {
        assert!(is_missing(&sibling(&mount, "scan.tif", ending)), "{ending}");
    }
    // They are not listed.
    assert_eq!(names(mount.path()).len(), 1 + ENDINGS.len());
    mount.end();
}

#[test]
fn a_page_whose_directory_is_far_away_costs_a_small_get_for_each_on_the_way() {
    const STEP: u64 = 16 << 10;
    let Some(server) = server() else { return };
    server.put(BUCKET, "stack.tif", stacked(20, PAGE, 0, Directories::Behind));
    let mount = mount(&server, &[]);
    let path = |page: u32, ending: &str| mount.join(format!("stack.tif.page-{page}{ending}"));
    let (json, cost) = cost_of(&server, || fs::read_to_string(path(1, ".json")).unwrap());
    assert!(json.contains("\"pages\": \"8 or more\""), "{json}");
    assert_eq!(cost, Cost { get: 9, bytes: 9 * STEP, ..NOTHING });
    let (array, cost) = cost_of(&server, || npy(&fs::read(path(12, ".npy")).unwrap()).samples);
    assert!(array == page_values(11, PAGE, 0));
    // What came with its directory are pixels of the next page.
    assert_eq!(cost, Cost { get: 5, bytes: 4 * STEP + PAGE_BYTES, ..NOTHING });
    // Those before it are known by now, but for what their directories say.
    let (array, cost) = cost_of(&server, || npy(&fs::read(path(10, ".npy")).unwrap()).samples);
    assert!(array == page_values(9, PAGE, 0));
    assert_eq!(cost, Cost { get: 2, bytes: STEP + PAGE_BYTES, ..NOTHING });
    let (is_gone, cost) = cost_of(&server, || is_missing(&path(21, ".npy")));
    assert_eq!((is_gone, cost), (true, Cost { get: 8, bytes: 8 * STEP, ..NOTHING }));
    let (is_gone, cost) = cost_of(&server, || is_missing(&path(22, ".npy")));
    assert_eq!((is_gone, cost), (true, NOTHING));
    mount.end();
}

#[test]
fn thousands_of_pages_are_counted_with_a_few_requests_and_a_chain_may_end_in_itself() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "many.tif", stack(3000, (4, 4), 0));
    server.put(BUCKET, "round.tif", stacked(3, (40, 30), 5, Directories::Round));
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "many.tif", ".json");
    let (json, cost) = cost_of(&server, || fs::read_to_string(&path).unwrap());
    assert!(json.contains("\"pages\": 3000,"), "{json}");
    assert_eq!((cost.list, cost.get), (0, 4), "{cost:?}");
    let last = pages(&mount, "many.tif", 3000..3001);
    assert_eq!(last, [page_values(2999, (4, 4), 0)]);
    assert!(is_missing(&sibling(&mount, "many.tif", ".page-3001.npy")));
    let all = pages(&mount, "round.tif", 1..4);
    assert_eq!(all, [0, 1, 2].map(|page| page_values(page, (40, 30), 5)));
    assert!(is_missing(&sibling(&mount, "round.tif", ".page-4.npy")));
    mount.end();
}

#[test]
fn an_object_that_is_called_like_a_page_is_itself_and_a_copy_of_one_has_no_siblings() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "a.tif", stack(3, (40, 30), 0));
    server.put(BUCKET, "a.tif.page-2.npy", "a real object");
    server.put(BUCKET, "b.page-2.tif", stack(2, (40, 30), 9));
    let mounting = mount(&server, &[]);
    assert_eq!(fs::read(sibling(&mounting, "a.tif", ".page-2.npy")).unwrap(), b"a real object");
    // The name of an image may end like a page's.
    assert_eq!(pages(&mounting, "b.page-2.tif", 2..3), [page_values(1, (40, 30), 9)]);
    let copy = fs::read(sibling(&mounting, "a.tif", ".page-3.png")).unwrap();
    mounting.end();
    server.put(BUCKET, "a.tif.page-3.png", copy);
    let mount = mount(&server, &[]);
    assert!(is_missing(&mount.join("a.tif.page-3.png.npy")));
    assert!(fs::metadata(mount.join("a.tif.page-3.json")).is_ok());
    mount.end();
}

#[test]
fn the_frames_of_a_dicom_are_its_pages() {
    let Some(server) = server() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/images");
    let names = ["frames_words.dcm", "frames_extended.dcm", "frames_fragments.dcm"];
    for name in names {
        server.put(BUCKET, name, fs::read(folder.join(name)).unwrap());
    }
    let mount = mount(&server, &[]);
    for name in names {
        let expected = |page| fs::read(folder.join(format!("{name}.page-{page}.raw"))).unwrap();
        assert_eq!(pages(&mount, name, 2..4), [expected(2), expected(3)], "{name}");
        let picture = png(&fs::read(sibling(&mount, name, ".page-3.png")).unwrap());
        assert_eq!(picture, (19, 13, expected(3)), "{name}");
        assert!(fs::metadata(sibling(&mount, name, ".page-2.preview.png")).is_ok());
        assert!(is_missing(&sibling(&mount, name, ".page-4.npy")));
        let json = fs::read_to_string(sibling(&mount, name, ".page-2.json")).unwrap();
        assert!(json.contains("\"page\": 2,\n  \"pages\": 3,"), "{json}");
    }
    mount.end();
}

/// Where a frame of [`gif`] is, its indexes, and what becomes of it before the next one
/// (1 stays, 2 is cleared, 3 is taken back).
type Frame<'a> = ((u16, u16), (u16, u16), &'a [u8], u8);

/// Four colors; the fourth is transparent.
const COLORS: [[u8; 4]; 4] = [[250, 0, 0, 255], [0, 251, 0, 255], [0, 0, 252, 255], [0; 4]];

fn gif(size: (u16, u16), frames: &[Frame<'_>], padding: usize) -> Vec<u8> {
    let mut file = b"GIF89a".to_vec();
    file.extend([size.0.to_le_bytes(), size.1.to_le_bytes()].concat());
    file.extend([0x81, 0, 0]);
    file.extend(COLORS.iter().flat_map(|color| &color[..3]));
    for (at, size, indexes, disposal) in frames {
        // A comment makes it as long as one wants.
        file.extend(b"\x21\xfe");
        file.extend([&[200][..], &[b' '; 200]].concat().repeat(padding));
        file.push(0);
        file.extend([0x21, 0xf9, 4, disposal << 2 | 1, 10, 0, 3, 0, 0x2c]);
        file.extend([at.0, at.1, size.0, size.1].iter().flat_map(|n| n.to_le_bytes()));
        file.extend([0, 2]);
        let packed = weezl::encode::Encoder::new(weezl::BitOrder::Lsb, 2).encode(indexes).unwrap();
        file.push(packed.len() as u8);
        file.extend(packed);
        file.push(0);
    }
    file.push(0x3b);
    file
}

#[test]
fn the_frames_of_a_gif_are_composed_as_they_are_shown() {
    let Some(server) = server() else { return };
    let frames: [Frame<'_>; 5] = [
        ((0, 0), (3, 2), &[0, 0, 0, 0, 0, 0], 1),
        ((1, 0), (2, 2), &[1, 3, 1, 1], 2),
        ((0, 0), (1, 1), &[2], 3),
        ((2, 1), (1, 1), &[1], 1),
        ((0, 0), (3, 2), &[3, 3, 2, 3, 3, 3], 1),
    ];
    let expected: [[u8; 6]; 5] = [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 1, 1],
        // What the second one was in is cleared.
        [2, 3, 3, 0, 3, 3],
        // The third one is gone.
        [0, 3, 3, 0, 3, 1],
        [0, 3, 2, 0, 3, 1],
    ];
    // Small enough to be read whole at once, and not.
    let small = gif((3, 2), &frames, 1);
    let large = gif((3, 2), &frames, 400);
    let size = large.len() as u64;
    server.put(BUCKET, "small.gif", small);
    server.put(BUCKET, "large.gif", large);
    let mount = mount(&server, &[]);
    let json = |name, ending| fs::read_to_string(sibling(&mount, name, ending)).unwrap();
    assert!(json("small.gif", ".json").contains("\"page\": 1,\n  \"pages\": 5,"));
    assert!(json("large.gif", ".json").contains("\"page\": 1,\n  \"pages\": \"1 or more\","));
    for name in ["small.gif", "large.gif"] {
        let shown = expected.map(|frame| frame.map(|index| COLORS[usize::from(index)]).concat());
        assert_eq!(pages(&mount, name, 1..6), shown, "{name}");
        assert!(is_missing(&sibling(&mount, name, ".page-6.png")), "{name}");
        assert!(json(name, ".page-3.json").contains("\"page\": 3,"));
    }
    let (_, cost) =
        cost_of(&server, || fs::read(sibling(&mount, "large.gif", ".page-2.png")).unwrap());
    assert_eq!(cost, NOTHING, "it is here by now");
    mount.end();
    let mount = crate::harness::mounting::mount(&server, &[]);
    let path = sibling(&mount, "large.gif", ".page-4.png");
    let (_, cost) = cost_of(&server, || fs::read(&path).unwrap());
    assert_eq!((cost.list, cost.bytes), (0, size), "each byte once: {cost:?}");
    mount.end();
}

#[test]
fn a_page_of_an_image_of_one_page_does_not_exist_and_costs_no_more_than_its_header() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "B01.jp2", B01_JP2);
    server.put(BUCKET, "one.tif", stack(1, PAGE, 0));
    let mount = mount(&server, &[]);
    let (_, cost) = cost_of(&server, || {
        assert!(is_missing(&sibling(&mount, "B01.jp2", ".page-2.png")));
        assert!(is_missing(&sibling(&mount, "one.tif", ".page-2.png")));
        assert!(is_missing(&sibling(&mount, "no.tif", ".page-2.png")));
    });
    assert_eq!(cost, Cost { get: 2, bytes: 2 * HEAD_BYTES, ..NOTHING });
    let read = |ending| fs::read(sibling(&mount, "B01.jp2", ending)).unwrap();
    assert!(read(".page-1.npy") == read(".npy"));
    mount.end();
}
