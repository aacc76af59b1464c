//! Images in one tile of many gigabytes, made as they are read: what their windows and overviews
//! cost, and what they look like where that is known.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::giants::whole;
use super::*;
use crate::raster::SourceError;
use crate::raster::jpeg2000::engine::TilePart;
use crate::raster::jpeg2000::engine::code_block::testing::Random;
use crate::raster::jpeg2000::engine::geometry::Rect as Area;
use crate::raster::jpeg2000::engine::markers::Order;
use crate::raster::jpeg2000::engine::tests::encoder::Spec;
use crate::raster::jpeg2000::engine::wavelet::Plane;

const MIB: u64 = 1 << 20;
/// A packet without anything.
const EMPTY: &[u8] = &[0];

/// A codestream of one tile, whose packets are empty or all the same.
#[derive(Debug)]
struct Vast {
    front: Vec<u8>,
    full: Vec<u8>,
    /// Where each packet ends, counted from the first one.
    ends: Vec<u64>,
    reads: AtomicUsize,
    read: AtomicU64,
    /// How many reads are under way, and how many were at most.
    now: AtomicUsize,
    most: AtomicUsize,
}

/// How a file is made.
struct Make<'a> {
    /// In front of the codestream, which has so many bytes.
    boxes: &'a dyn Fn(u64) -> Vec<u8>,
    /// Bytes in each PLT; `None`: without.
    plt_bytes: Option<usize>,
    /// Whether Psot is 0.
    is_open: bool,
    /// Where there is a full packet, by resolution and column and row of precincts. Those that
    /// are cut by the image's edge are empty, and those of the lowest resolution.
    is_full: &'a dyn Fn(u8, u32, u32) -> bool,
}

/// An image of one component in one tile, in the order of resolutions.
fn spec(width: u32, height: u32, levels: u8, precinct: u8) -> Spec {
    let mut spec = Spec::new(Area::new(0, 0, width, height), 1, levels);
    spec.order = Order::Rpcl;
    let style = &mut spec.components[0].style;
    style.precincts = vec![(precinct, precinct); usize::from(levels) + 1];
    (style.block_width_exponent, style.block_height_exponent) = (6, 6);
    spec
}

/// A packet of a precinct that is all in the image, of any resolution but the lowest: there is
/// noise in the first `noisy` columns and rows. And the pixels that it gives alone.
fn packet(precinct: u8, noisy: u32) -> (Vec<u8>, Vec<u8>) {
    let side = 2 << precinct;
    let mut small = spec(side, side, 1, precinct);
    small.plt = true;
    let mut random = Random(12);
    let rect = small.image;
    let place = |n: usize| (n as u32 % side, n as u32 / side);
    let samples = (0..(side * side) as usize)
        .map(place)
        .map(|(x, y)| if x < noisy && y < noisy { random.below(256) as i32 } else { 128 });
    let plane = Plane { rect, samples: samples.collect() };
    let bytes = small.encode(&[plane], &mut random);
    let codestream = Codestream::parse(&bytes).unwrap();
    let start = codestream.header_length;
    let header = TilePart::parse(&codestream, &bytes[start..], None).unwrap();
    let lengths = header.lengths.unwrap();
    assert_eq!(lengths.len(), 5);
    let from = start + header.header_length + lengths[0] as usize;
    let packet = bytes[from..from + lengths[1] as usize].to_vec();
    small.plt = false;
    let mut alone = small.main_header();
    let body = [EMPTY, &packet, EMPTY, EMPTY, EMPTY].concat();
    alone.extend([0xff, 0x90, 0, 10, 0, 0]);
    alone.extend((14 + body.len() as u32).to_be_bytes());
    alone.extend([0, 1, 0xff, 0x93]);
    alone.extend(body);
    alone.extend([0xff, 0xd9]);
    (packet, whole(&alone, 0))
}

fn vast(spec: &Spec, full: Vec<u8>, make: &Make<'_>) -> Arc<Vast> {
    let mut main = spec.main_header();
    let codestream = [&main[..], &[0xff, 0x90, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x93]].concat();
    let parsed = Codestream::parse(&codestream).unwrap();
    let part = TilePart::parse(&parsed, &codestream[parsed.header_length..], None).unwrap();
    let tile = Tile::new(&parsed, &[part]).unwrap();
    let (mut at, mut ends, mut list) = (0, Vec::new(), Vec::new());
    for packet in tile.packets() {
        let resolution = &tile.components()[0].resolutions[usize::from(packet.resolution)];
        let wide = resolution.precincts_wide;
        let (x, y) = (packet.precinct % wide, packet.precinct / wide);
        let within = |n: u32, exponent: u8, size: u32| (n + 1) << exponent <= size;
        let is_whole = within(x, resolution.precinct_width_exponent, resolution.rect.x1)
            && within(y, resolution.precinct_height_exponent, resolution.rect.y1);
        let is_full = packet.resolution > 0 && is_whole && (make.is_full)(packet.resolution, x, y);
        let length = if is_full { full.len() } else { EMPTY.len() };
        for shift in [21, 14, 7] {
            if length >> shift > 0 {
                list.push((length >> shift & 0x7f) as u8 | 0x80);
            }
        }
        list.push((length & 0x7f) as u8);
        at += length as u64;
        ends.push(at);
    }
    let mut header = Vec::new();
    for (number, piece) in list.chunks(make.plt_bytes.unwrap_or(1)).enumerate() {
        if make.plt_bytes.is_some() {
            header.extend([0xff, 0x58]);
            header.extend((piece.len() as u16 + 3).to_be_bytes());
            header.push(number as u8);
            header.extend(piece);
        }
    }
    let length = 14 + header.len() as u64 + at;
    main.extend([0xff, 0x90, 0, 10, 0, 0]);
    main.extend(if make.is_open { 0 } else { u32::try_from(length).unwrap() }.to_be_bytes());
    main.extend([0, 1]);
    main.extend(header);
    main.extend([0xff, 0x93]);
    let mut front = (make.boxes)(main.len() as u64 + at + 2);
    front.extend(main);
    let (reads, read, now, most) = (0.into(), 0.into(), 0.into(), 0.into());
    Arc::new(Vast { front, full, ends, reads, read, now, most })
}

impl Vast {
    /// Requests and bytes since the last time.
    fn cost(&self) -> (usize, u64) {
        (self.reads.swap(0, Ordering::Relaxed), self.read.swap(0, Ordering::Relaxed))
    }

    async fn open(self: &Arc<Self>, limits: &Limits) -> Result<Arc<dyn Raster>, RasterError> {
        let head = self.read(0..16 << 10).await.unwrap();
        open(self.clone(), head, limits).await
    }
}

#[async_trait]
impl Source for Vast {
    fn size(&self) -> u64 {
        self.front.len() as u64 + self.ends.last().unwrap() + 2
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        assert!(range.end - range.start < 64 * MIB, "{range:?}");
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.read.fetch_add(range.end - range.start, Ordering::Relaxed);
        let now = 1 + self.now.fetch_add(1, Ordering::Relaxed);
        self.most.fetch_max(now, Ordering::Relaxed);
        // Whoever is to read at the same time comes meanwhile.
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.now.fetch_sub(1, Ordering::Relaxed);
        let front = self.front.len() as u64;
        let mut bytes = Vec::new();
        let mut take = |start: u64, piece: &[u8]| {
            let from = range.start.max(start);
            let to = range.end.min(start + piece.len() as u64);
            if from < to {
                bytes.extend_from_slice(&piece[(from - start) as usize..(to - start) as usize]);
            }
        };
        take(0, &self.front);
        let first = self.ends.partition_point(|end| front + end <= range.start);
        let mut at = if first == 0 { 0 } else { self.ends[first - 1] };
        for end in &self.ends[first..] {
            if front + at >= range.end {
                break;
            }
            let is_full = (end - at) as usize == self.full.len();
            take(front + at, if is_full { &self.full } else { EMPTY });
            at = *end;
        }
        take(self.size() - 2, &[0xff, 0xd9]);
        assert_eq!(bytes.len() as u64, range.end - range.start);
        Ok(bytes.into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_of_a_dense_tile_of_30000_by_70000_is_few_requests() {
    let (full, _) = packet(8, 512);
    assert!(full.len() > 40_000, "{}", full.len());
    let make = Make {
        boxes: &|_| Vec::new(),
        plt_bytes: Some(60_000),
        is_open: false,
        is_full: &|_, _, _| true,
    };
    let file = vast(&spec(30_000, 70_000, 6, 8), full, &make);
    assert!(file.size() > 1 << 30);
    let raster = file.open(&Limits::default()).await.unwrap();
    assert_eq!(file.cost().0, 1);
    // The list of packets comes in one request, once.
    let near = |x, y, side| Rect { x, y, width: side, height: side };
    let first = raster.decode_window(0, near(11 * 1024 + 256, 30 * 1024 + 256, 512)).await;
    let (first, cost) = (first.unwrap(), file.cost());
    println!("of {}: the first {cost:?}", file.size());
    assert!(cost.0 <= 13 && cost.1 <= 2 * MIB, "{cost:?}");
    for (x, y) in [(300, 100), (11_400, 31_000), (20_000, 69_000)] {
        let tile = (x / 1024, y / 1024);
        let window = near(x, y, 512).intersection(&raster.info().tile(0, tile.0, tile.1));
        raster.decode_window(0, window).await.unwrap();
        let cost = file.cost();
        println!("{window:?}: {cost:?}");
        assert!(cost.0 <= 10 && cost.1 <= 3 * MIB / 2, "{cost:?}");
    }
    let tile = raster.decode_tile(0, 11, 30).await.unwrap();
    let cost = file.cost();
    println!("a tile: {cost:?}");
    assert!(cost.0 <= 18 && cost.1 <= 4 * MIB, "{cost:?}");
    assert_eq!(tile.part(first.rect, 1), first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_that_reads_on_has_several_requests_under_way_and_fetches_no_more_than_it_may() {
    let (full, _) = packet(8, 512);
    let spec = spec(4000, 12_000, 3, 8);
    let make = |plt_bytes| {
        let make =
            Make { boxes: &|_| Vec::new(), plt_bytes, is_open: false, is_full: &|_, _, _| true };
        vast(&spec, full.clone(), &make)
    };
    let (listed, walked) = (make(Some(60_000)), make(None));
    let size = walked.size();
    assert!((40 * MIB..64 * MIB).contains(&size), "{size}");
    let right = listed.open(&Limits::default()).await.unwrap().decode_tile(0, 3, 11).await.unwrap();
    assert!(right.samples.iter().any(|sample| *sample != right.samples[0]));
    let raster = walked.open(&Limits::default()).await.unwrap();
    walked.cost();
    assert_eq!(raster.decode_tile(0, 3, 11).await.unwrap(), right);
    let (reads, read) = walked.cost();
    println!("of {size}: {reads} reads of {read}");
    // Doubled from 64 KiB to 4 MiB, then so much each; and the window's own packets.
    let own = 24;
    assert!((size / (4 * MIB)) as usize + 7 + own >= reads, "{reads}");
    assert!(read <= size + 2 * MIB, "{read}");
    // What it found holds for the next one.
    raster.decode_tile(0, 0, 11).await.unwrap();
    let (reads, read) = walked.cost();
    assert!(reads <= own && read <= 2 * MIB, "{reads}, {read}");
    // Not a byte more than may be, whatever comes ahead.
    for limit in [9 * MIB, 20 * MIB + 12_345, 33 * MIB] {
        let limits = Limits { walk_bytes: limit, ..Limits::default() };
        let raster = walked.open(&limits).await.unwrap();
        walked.cost();
        walked.most.store(0, Ordering::Relaxed);
        let refused = raster.decode_tile(0, 3, 11).await.unwrap_err();
        // Nothing but the walk reads.
        let most = walked.most.load(Ordering::Relaxed);
        assert!(most <= 3 && (most > 1 || limit < 20 * MIB), "{most}");
        let RasterError::Limit { what, option: "--max-walk", allowed } = refused else {
            panic!("{refused:?}")
        };
        assert!(allowed == limit && what.contains(&format!("first {limit} bytes")), "{what}");
        // With the header of the tile-part.
        let read = walked.cost().1;
        assert!((limit..limit + (64 << 10)).contains(&read), "{read} of {limit}");
        assert!(raster.decode_tile(0, 3, 11).await.is_err());
        assert_eq!(walked.cost(), (0, 0));
    }
}

/// The shape of Luxembourg's orthophoto: one tile that reaches to the end of the codestream (Psot
/// is 0), in a box of more than 4 GiB.
const LUXEMBOURG: (u32, u32) = (580_000, 825_000);

fn boxed(length: u64) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 ".to_vec();
    bytes.extend(b"\0\0\0\x2djp2h\0\0\0\x16ihdr");
    bytes.extend(LUXEMBOURG.1.to_be_bytes());
    bytes.extend(LUXEMBOURG.0.to_be_bytes());
    bytes.extend([0, 1, 7, 7, 0, 0]);
    bytes.extend(b"\0\0\0\x0fcolr\x01\0\0\0\0\0\x11");
    bytes.extend(b"\0\0\0\x01jp2c");
    bytes.extend((length + 16).to_be_bytes());
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_country_in_one_tile_opens() {
    const PRECINCT: u32 = 1024;
    let (full, pixels) = packet(10, 256);
    let (width, height) = LUXEMBOURG;
    let spec = spec(width, height, 10, 10);
    // One in three of the finest, none under them, and one for an overview.
    let overview = (4, 3, 5);
    let is_full =
        |r: u8, x: u32, y: u32| (r == 10 && (x + y).is_multiple_of(3)) || (r, x, y) == overview;
    let make = |plt_bytes| {
        let make = Make { boxes: &boxed, plt_bytes, is_open: true, is_full: &is_full };
        vast(&spec, full.clone(), &make)
    };
    // Pixels inside a full precinct at a column and row, seen from its tile.
    let check = |tile: &Pixels| {
        let is_known = |n: u32| (8..PRECINCT - 8).contains(&n);
        let mut seen = 0;
        for (n, sample) in tile.samples.iter().enumerate() {
            let (x, y) = (n as u32 % tile.rect.width, n as u32 / tile.rect.width);
            if is_known(x) && is_known(y) {
                assert_eq!(*sample, pixels[(y * 2 * PRECINCT + x) as usize], "{x}, {y}");
                seen += usize::from(*sample != 128);
            }
        }
        assert!(seen > 50_000, "{seen}");
    };
    // 365 segments of PLT, which begin again at 0.
    let listed = make(Some(4000));
    println!("{} bytes, {} packets", listed.size(), listed.ends.len());
    assert!(listed.size() > 1 << 32);
    let raster = listed.open(&Limits::default()).await.unwrap();
    assert_eq!(
        (raster.info().width, raster.info().height, raster.info().levels),
        (width, height, 11)
    );
    let smallest = raster.decode_tile(10, 0, 0).await.unwrap();
    assert_eq!((smallest.rect.width, smallest.rect.height), (567, 806));
    assert!(smallest.samples.iter().all(|sample| *sample == 128));
    let cost = listed.cost();
    println!("opened, and the smallest overview: {cost:?}");
    assert!(cost.0 <= 5 && cost.1 <= 2 * MIB, "{cost:?}");
    check(&raster.decode_tile(0, 500, 721).await.unwrap());
    let cost = listed.cost();
    println!("a tile in the far corner: {cost:?}");
    assert!(cost.0 <= 5 && cost.1 <= MIB, "{cost:?}");
    check(&raster.decode_tile(6, overview.1, overview.2).await.unwrap());
    let cost = listed.cost();
    println!("a tile of an overview: {cost:?}");
    assert!(cost.0 <= 24 && cost.1 <= 4 * MIB, "{cost:?}");
    drop(raster);

    // Without a list what is in front is found, and what is far behind is refused.
    let walked = make(None);
    let raster = walked.open(&Limits::default()).await.unwrap();
    assert_eq!(raster.decode_tile(10, 0, 0).await.unwrap(), smallest);
    let cost = walked.cost();
    println!("the smallest overview without a list: {cost:?}");
    assert!(cost.0 <= 5 && cost.1 <= 128 << 10, "{cost:?}");
    check(&raster.decode_tile(6, overview.1, overview.2).await.unwrap());
    let cost = walked.cost();
    assert!(cost.0 <= 24 && cost.1 <= 4 * MIB, "{cost:?}");
    let limits = Limits { walk_bytes: 16 * MIB, ..Limits::default() };
    let raster = walked.open(&limits).await.unwrap();
    let refused = raster.decode_tile(0, 500, 721).await.unwrap_err();
    let RasterError::Limit { what, option: "--max-walk", .. } = refused else {
        panic!("{refused:?}")
    };
    assert!(what.contains(&format!("{} bytes once", walked.ends.last().unwrap())), "{what}");
    assert!(walked.cost().1 <= 17 * MIB);

    // With precincts of 256 and three bands it has more packets than an image may have.
    let mut many = self::spec(width, height, 10, 8);
    many.components = vec![many.components[0].clone(); 3];
    let bytes = [&many.main_header()[..], &[0xff, 0x90, 0, 10, 0, 0], &[0; 64]].concat();
    let cut = Memory::new(bytes);
    let limits = Limits { expansion: u64::MAX, ..Limits::default() };
    match open(cut.clone(), cut.head(), &limits).await {
        Err(RasterError::Limit { what, option: "--max-code-blocks", .. }) => {
            assert_eq!(what, "a tile has 29218473 packets");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(cut.reads(), 0);
}
