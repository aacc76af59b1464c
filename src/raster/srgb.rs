//! From the colors of a profile to those that screens are expected to show.

use moxcms::{ColorProfile, Layout, TransformOptions};

use super::RasterError;

/// Converts samples of 8 bits, gray or RGB, to sRGB in place.
///
/// # Errors
/// [`RasterError::Unsupported`] if the profile can't be used.
pub(super) fn convert(profile: &[u8], bands: usize, samples: &mut [u8]) -> Result<(), RasterError> {
    let unusable = |why: &dyn std::fmt::Display| {
        RasterError::Unsupported(format!("its color profile can't be used: {why}"))
    };
    let layout = match bands {
        1 => Layout::Gray,
        3 => Layout::Rgb,
        _ => return Err(unusable(&"it has other colors")),
    };
    let from = ColorProfile::new_from_slice(profile).map_err(|error| unusable(&error))?;
    let to = ColorProfile::new_srgb();
    let transform = from
        .create_transform_8bit(layout, &to, Layout::Rgb, TransformOptions::default())
        .map_err(|error| unusable(&error))?;
    // A few rows' worth at a time: what is gray comes out in three bands.
    let mut converted = vec![0; PIECE_PIXELS * 3];
    for piece in samples.chunks_mut(PIECE_PIXELS * bands) {
        let converted = &mut converted[..piece.len() / bands * 3];
        transform.transform(piece, converted).map_err(|error| unusable(&error))?;
        match bands {
            1 => piece.iter_mut().zip(converted.chunks_exact(3)).for_each(|(to, rgb)| *to = rgb[1]),
            _ => piece.copy_from_slice(converted),
        }
    }
    Ok(())
}

const PIECE_PIXELS: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srgb_stays_as_it_is_and_a_wider_space_gets_stronger() {
        let samples: Vec<u8> = (0..=255).flat_map(|n: u8| [n, 255 - n, n / 2]).collect();
        let mut same = samples.clone();
        convert(&ColorProfile::new_srgb().encode().unwrap(), 3, &mut same).unwrap();
        assert!(samples.iter().zip(&same).all(|(a, b)| a.abs_diff(*b) <= 1));
        let mut wide = vec![200, 50, 50];
        convert(&ColorProfile::new_display_p3().encode().unwrap(), 3, &mut wide).unwrap();
        assert!(wide[0] > 205 && wide[1] < 45, "{wide:?}");
    }

    #[test]
    fn gray_follows_its_gamma() {
        let profile = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let mut samples = vec![0, 55, 255];
        convert(&profile, 1, &mut samples).unwrap();
        // sRGB has 128 for a linear 0.216.
        assert_eq!((samples[0], samples[2]), (0, 255));
        assert!((126..=130).contains(&samples[1]), "{samples:?}");
    }

    #[test]
    fn nonsense_is_no_profile() {
        for profile in [&b""[..], &[0; 200], b"not a profile"] {
            let mut samples = vec![1, 2, 3];
            assert!(convert(profile, 3, &mut samples).is_err());
            assert_eq!(samples, [1, 2, 3]);
        }
    }
}
