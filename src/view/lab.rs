//! CIE L*a*b* as red, green and blue of a screen, to the bit as libtiff shows it
//! (`TIFFCIELabToXYZ` and `TIFFXYZToRGB`): under the light D50, by a table of 1500 steps, without
//! a color profile.

/// Pixels of three samples of 8 bits or 16, of which the second and the third have a sign.
pub(super) fn rgb(samples: &[u8], sample_bytes: usize) -> Vec<u8> {
    let table = table();
    let pixel = |[l, a, b]: [i32; 3]| to_rgb(&table, l, a, b);
    if sample_bytes == 1 {
        let pixels = samples.as_chunks::<3>().0.iter();
        let scaled = |&[l, a, b]: &[u8; 3]| {
            [i32::from(l) * 257, i32::from(a as i8) * 256, i32::from(b as i8) * 256]
        };
        return pixels.map(scaled).flat_map(pixel).collect();
    }
    let pixels = samples.as_chunks::<6>().0.iter();
    let wide = |&[l0, l1, a0, a1, b0, b1]: &[u8; 6]| {
        let (l, a) = (u16::from_ne_bytes([l0, l1]), i16::from_ne_bytes([a0, a1]));
        [i32::from(l), i32::from(a), i32::from(i16::from_ne_bytes([b0, b1]))]
    };
    pixels.map(wide).flat_map(pixel).collect()
}

/// How many steps the table has.
const STEPS: usize = 1500;
/// D50, as libtiff has it.
const WHITE: [f32; 3] = [96.4250, 100.0, 82.4680];
/// From XYZ to the light of red, green and blue on a screen of sRGB.
const TO_SCREEN: [[f32; 3]; 3] =
    [[3.2410, -1.5374, -0.4986], [-0.9692, 1.8760, 0.0416], [0.0556, -0.2040, 1.0570]];
/// The light of black and of white on the screen.
const BLACK: f32 = 1.0;
const FULL: f32 = 100.0;

/// The value of each step of light: a gamma of 2.4.
fn table() -> Vec<u8> {
    let value = |step: usize| {
        let light = step as f64 / STEPS as f64;
        (255.0 * light.powf(1.0 / f64::from(2.4f32)) as f32 + 0.5) as u8
    };
    (0..=STEPS).map(value).collect()
}

/// `l` is 65535 for white, and 256 of `a` and `b` are one.
fn to_rgb(table: &[u8], l: i32, a: i32, b: i32) -> [u8; 3] {
    let [x0, y0, z0] = white();
    let l = l as f32 * 100.0 / 65_535.0;
    let (y, cube) = match l < 8.856 {
        true => {
            let y = l * y0 / 903.292;
            (y, 7.787 * (y / y0) + 16.0 / 116.0)
        }
        false => {
            let root = (l + 16.0) / 116.0;
            (y0 * root * root * root, root)
        }
    };
    let part = |root: f32, white: f32| match root < 0.2069 {
        true => white * (root - 0.13793) / 7.787,
        false => white * root * root * root,
    };
    let x = part(a as f32 / 256.0 / 500.0 + cube, x0);
    let z = part(cube - b as f32 / 256.0 / 200.0, z0);
    let step = (FULL - BLACK) / STEPS as f32;
    TO_SCREEN.map(|[of_x, of_y, of_z]| {
        let light = (of_x * x + of_y * y + of_z * z).clamp(BLACK, FULL);
        let at = ((light - BLACK) / step) as usize;
        table[at.min(STEPS)]
    })
}

/// The light of white, from its place among all colors, as TIFF says it.
fn white() -> [f32; 3] {
    let all: f32 = WHITE.iter().sum();
    let (x, y) = (WHITE[0] / all, WHITE[1] / all);
    [x / y * 100.0, 100.0, (1.0 - x - y) / y * 100.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_those_that_libtiff_shows() {
        // What TIFFReadRGBAImage gives; see tests/support/masks/make.py.
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/masks/");
        for (name, sample_bytes) in [("lab8", 1), ("lab16", 2)] {
            let file = |ending: &str| std::fs::read(format!("{folder}{name}.{ending}")).unwrap();
            let shown = rgb(&file("tif.0.raw"), sample_bytes);
            let expected = file("rgb.raw");
            assert_eq!(shown.len(), expected.len());
            let off = shown.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off <= Some(1), "{name}: {off:?}");
        }
    }
}
