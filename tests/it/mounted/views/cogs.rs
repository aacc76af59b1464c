//! Cloud-optimised GeoTIFFs as sources: only what is asked for is fetched, in few requests.

use super::*;

const TILE: u32 = 512;
pub(super) const TILE_BYTES: u64 = TILE as u64 * TILE as u64 * 2;

/// A band of 16 bits in tiles, with an overview for each halving down to one tile, in the
/// order of a COG: directories, tables, then the smallest overview first.
pub(super) fn cog(width: u32, height: u32) -> Vec<u8> {
    let mut levels = vec![(width, height)];
    while let Some(&(width, height)) = levels.last()
        && (width > TILE || height > TILE)
    {
        levels.push((width.div_ceil(2), height.div_ceil(2)));
    }
    let tiles = |(width, height): (u32, u32)| width.div_ceil(TILE) * height.div_ceil(TILE);
    let entries = 10u32;
    let directory_bytes = 2 + entries * 12 + 4;
    let tables = 8 + directory_bytes * levels.len() as u32;
    let table_bytes: u32 = levels.iter().map(|&level| tiles(level) * 8).sum();
    // Where the tiles of each level start: the last one first.
    let mut starts = vec![0; levels.len()];
    let mut at = (tables + table_bytes).next_multiple_of(16);
    for (start, &level) in starts.iter_mut().zip(&levels).rev() {
        *start = at;
        at += tiles(level) * TILE_BYTES as u32;
    }
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    let mut table = tables;
    for (number, &(width, height)) in levels.iter().enumerate() {
        let count = tiles((width, height));
        file.extend((entries as u16).to_le_bytes());
        let place = |at: u32, value: u32| if count == 1 { value } else { at };
        for (tag, kind, count, value) in [
            (254u16, 4u16, 1, u32::from(number > 0)),
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 1, 16),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (322, 4, 1, TILE),
            (323, 4, 1, TILE),
            (324, 4, count, place(table, starts[number])),
            (325, 4, count, place(table + count * 4, TILE_BYTES as u32)),
        ] {
            file.extend(tag.to_le_bytes());
            file.extend(kind.to_le_bytes());
            file.extend(count.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        table += count * 8;
        let next = if number + 1 < levels.len() { file.len() as u32 + 4 } else { 0 };
        file.extend(next.to_le_bytes());
    }
    for (&start, &level) in starts.iter().zip(&levels) {
        file.extend((0..tiles(level)).flat_map(|n| (start + n * TILE_BYTES as u32).to_le_bytes()));
        file.extend((0..tiles(level)).flat_map(|_| (TILE_BYTES as u32).to_le_bytes()));
    }
    file.resize(file.len().next_multiple_of(16), 0);
    for (number, &(width, height)) in levels.iter().enumerate().rev() {
        for row in 0..height.div_ceil(TILE) {
            for column in 0..width.div_ceil(TILE) {
                for y in row * TILE..(row + 1) * TILE {
                    let x = column * TILE..(column + 1) * TILE;
                    file.extend(x.flat_map(|x| value(number as u32, x, y).to_le_bytes()));
                }
            }
        }
    }
    file
}

fn value(level: u32, x: u32, y: u32) -> u16 {
    (x * 7 + y * 131 + level * 9001) as u16
}

pub(super) fn values(level: u32, x: std::ops::Range<u32>, y: std::ops::Range<u32>) -> Vec<u8> {
    let row = |y| x.clone().flat_map(move |x| value(level, x, y).to_ne_bytes());
    y.flat_map(row).collect()
}

#[test]
fn the_preview_of_a_cog_is_made_from_its_overview() {
    let Some(server) = server() else { return };
    let file = cog(4096, 4096);
    let size = file.len() as u64;
    server.put(BUCKET, "scene.tif", file);
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.tif", ".preview.png");
    let (_, cost) = cost_of(&server, || fs::metadata(&path).unwrap());
    assert_eq!(cost, Cost { get: 1, bytes: HEAD_BYTES, ..NOTHING });
    let (preview, cost) = cost_of(&server, || fs::read(&path).unwrap());
    let (width, height, _) = png(&preview);
    assert_eq!((width, height), (1024, 1024));
    // On a busy machine the kernel may ask for the lower half while the upper one is being
    // fetched; then that half is a GET of its own.
    assert!((1..=2).contains(&cost.get) && cost.list == 0, "{cost:?} of {size}");
    assert!((4..=6).any(|tiles| cost.bytes == tiles * TILE_BYTES), "{cost:?} of {size}");
    mount.end();
}

#[test]
fn the_tif_of_a_cog_has_its_tiles_and_its_own_overviews_and_a_tile_costs_itself() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "scene.tif", cog(2100, 1500));
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.tif", ".tif");
    fs::metadata(&path).unwrap();
    let mut decoder = Decoder::new(open_random(&path)).unwrap();
    assert_eq!(decoder.chunk_dimensions(), (TILE, TILE));
    let (mut tile, cost) = cost_of(&server, || decoder.read_chunk(6).unwrap());
    // The second tile of the second row, of five.
    assert_eq!(tile.as_buffer(0).as_bytes(), values(0, 512..1024, 512..1024));
    assert_eq!(cost, Cost { get: 1, bytes: TILE_BYTES, ..NOTHING });
    drop(decoder);
    let pictures = tif(&fs::read(&path).unwrap());
    let sizes: Vec<_> = pictures.iter().map(|(width, height, _)| (*width, *height)).collect();
    assert_eq!(sizes, [(2100, 1500), (1050, 750), (525, 375), (263, 188)]);
    for (level, (width, height, samples)) in pictures.into_iter().enumerate() {
        assert!(samples == values(level as u32, 0..width, 0..height), "level {level}");
    }
    mount.end();
}

#[test]
fn rows_of_the_npy_of_a_cog_come_in_one_get_and_a_few_columns_cost_only_their_tiles() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "wide.tif", cog(16_384, 1024));
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "wide.tif", ".npy");
    let file = open_random(&path);
    let row = 16_384 * 2;
    // 512 columns of 100 rows. The kernel reads pages: 2048 columns, from 64 before these on.
    let read = || {
        let line = |y: u64| {
            let start = 128 + y * row + 4096 * 2;
            part(&file, start..start + 1024).unwrap()
        };
        (0..100).flat_map(line).collect::<Vec<u8>>()
    };
    let (window, cost) = cost_of(&server, read);
    assert!(window == values(0, 4096..4608, 0..100));
    assert_eq!(cost, Cost { get: 1, bytes: 5 * TILE_BYTES, ..NOTHING });
    // Two whole rows of the lower tiles: 16 MiB of tiles in ranges of 4 MiB at most.
    let (rows, cost) = cost_of(&server, || part(&file, 128 + 600 * row..128 + 602 * row).unwrap());
    assert!(rows == values(0, 0..16_384, 600..602));
    assert_eq!(cost.bytes, 32 * TILE_BYTES);
    assert!(cost.get <= 6, "{cost:?}");
    drop(file);
    mount.end();
}

#[test]
fn a_cog_reads_back_whole_through_each_sibling() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "scene.tif", cog(1300, 900));
    let mount = mount(&server, &[]);
    let expected = values(0, 0..1300, 0..900);
    let file = npy(&fs::read(sibling(&mount, "scene.tif", ".npy")).unwrap());
    assert_eq!((&file.dtype[..], &file.shape[..]), ("<u2", &[900, 1300][..]));
    assert!(file.samples == expected);
    let (_, _, samples) = png(&fs::read(sibling(&mount, "scene.tif", ".png")).unwrap());
    assert!(samples == expected);
    let json = fs::read_to_string(sibling(&mount, "scene.tif", ".json")).unwrap();
    assert!(json.contains("\"compression\": \"none\""), "{json}");
    assert!(json.contains("\"levels\": [[1300, 900], [650, 450], [325, 225]]"), "{json}");
    mount.end();
}

#[test]
fn a_reader_in_order_of_the_tif_of_a_cog_gets_neighbours_in_joined_requests() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "scene.tif", cog(4096, 4096));
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.tif", ".tif");
    fs::metadata(&path).unwrap();
    let (file, cost) = cost_of(&server, || fs::read(&path).unwrap());
    // 1, 4, 16 and 64 tiles, one by one that would be 85 requests; some may be on their way
    // when their neighbours are asked for, more of them on a busy machine.
    assert!(cost.bytes <= (85 + 25) * TILE_BYTES, "{cost:?}");
    assert!(cost.get <= 40, "{cost:?}");
    assert!(tif(&file)[0].2 == values(0, 0..4096, 0..4096));
    mount.end();
}
