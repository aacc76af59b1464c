//! FITS as sources: rows are read where they lie, and pictures are upright.

use super::*;

const COLUMNS: usize = 1024;
const ROWS: usize = 3000;

/// Unsigned numbers of 16 bits, as BZERO makes them; the first row is the lowest.
fn file() -> Vec<u8> {
    let card = |keyword: &str, value: &str| format!("{keyword:<8}= {value:>20}{:50}", "");
    let cards = [
        ("SIMPLE", "T"),
        ("BITPIX", "16"),
        ("NAXIS", "2"),
        ("NAXIS1", "1024"),
        ("NAXIS2", "3000"),
        ("BZERO", "32768"),
    ];
    let cards: String = cards.iter().map(|(keyword, value)| card(keyword, value)).collect();
    let mut file = format!("{:2880}", cards + "END").into_bytes();
    let stored = samples().into_iter().flat_map(|value| (value ^ 0x8000).to_be_bytes());
    file.extend(stored);
    file.resize(file.len().next_multiple_of(2880), 0);
    file
}

fn samples() -> Vec<u16> {
    (0..COLUMNS * ROWS).map(|n| (n / COLUMNS * 20 + n % COLUMNS / 4) as u16).collect()
}

#[test]
fn a_fits_is_fetched_by_the_rows_that_are_read() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "m31.fits", file());
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "m31.fits", ".npy");
    let (_, cost) = cost_of(&server, || fs::metadata(&path).unwrap());
    assert_eq!(cost, Cost { get: 1, bytes: HEAD_BYTES, ..NOTHING });
    let file = open_random(&path);
    let row = COLUMNS as u64 * 2;
    // Rows 1100 to 1102 are in the third stretch of 512 rows.
    let (rows, cost) =
        cost_of(&server, || part(&file, 128 + 1100 * row..128 + 1102 * row).unwrap());
    let expected = samples()[1100 * COLUMNS..1102 * COLUMNS].to_vec();
    assert!(rows == expected.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
    assert_eq!(cost, Cost { get: 1, bytes: 512 * row, ..NOTHING });
    drop(file);
    mount.end();
}

#[test]
fn the_arrays_of_a_fits_are_in_its_order_and_its_pictures_upright() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "m31.fits", file());
    let mount = mount(&server, &[]);
    let bytes =
        |values: Vec<u16>| values.into_iter().flat_map(u16::to_ne_bytes).collect::<Vec<_>>();
    let array = npy(&fs::read(sibling(&mount, "m31.fits", ".npy")).unwrap());
    assert_eq!((&array.dtype[..], &array.shape[..]), ("<u2", &[ROWS as u64, COLUMNS as u64][..]));
    assert!(array.samples == bytes(samples()));
    let (_, _, raster) =
        tif(&fs::read(sibling(&mount, "m31.fits", ".tif")).unwrap()).swap_remove(0);
    assert!(raster == bytes(samples()));
    let turned: Vec<u16> = samples().chunks(COLUMNS).rev().flatten().copied().collect();
    let (_, _, picture) = png(&fs::read(sibling(&mount, "m31.fits", ".png")).unwrap());
    assert!(picture == bytes(turned));
    let (width, height, preview) =
        png(&fs::read(sibling(&mount, "m31.fits", ".preview.png")).unwrap());
    assert_eq!((width, height), (350, 1024));
    assert!(preview[0] > 250 && preview[350 * 1023] < 5, "the last row is above");
    let json = fs::read_to_string(sibling(&mount, "m31.fits", ".json")).unwrap();
    assert!(json.contains("\"rows\": \"bottom up\""), "{json}");
    mount.end();
}
