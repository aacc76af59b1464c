//! What lies beside a TIFF: its overviews in `X.tif.ovr`, its mask in `X.tif.msk`, and overviews of
//! that in `X.tif.msk.ovr`, as GDAL writes them.
//!
//! Contract: as GDAL, which looks there only for what the file itself does not have. What does
//! not belong to the image is left out, with a warning, and the image is read all the same.

use std::sync::Arc;

use super::chain::{Chain, Role, readable, role};
use super::directory::{Directory, Format};
use super::level::Home;
use super::levels::{Found, step};
use super::tag;
use crate::raster::file::{File, head_bytes};
use crate::raster::{Beside, RasterError, Source};

/// In GDAL's metadata, with the number of a band behind it: whom a mask in a file of its own is for.
const FLAGS: &str = "INTERNAL_MASK_FLAGS_";
/// One mask for all bands.
const PER_DATASET: u32 = 2;

/// Adds what the files beside an image have.
///
/// # Errors
/// That of the source.
pub(super) async fn add(source: &dyn Source, found: &mut Found) -> Result<(), RasterError> {
    for which in Beside::ALL {
        let is_wanted = match which {
            Beside::Overviews => found.levels.len() == 1,
            Beside::Mask => found.masks_of_levels().is_empty(),
            Beside::MaskOverviews => {
                found.beside.contains(&Beside::Mask)
                    && found.levels.len() > 1
                    && found.masks.len() == 1
            }
        };
        let Some(source) = source.beside(which).filter(|_| is_wanted) else { continue };
        match add_one(source, which, found).await {
            Ok(()) => found.beside.push(which),
            Err(error @ (RasterError::Source(_) | RasterError::NoDecoder(_))) => return Err(error),
            Err(error) => found.warnings.push(left_out(which, &error.to_string())),
        }
    }
    found.sort();
    Ok(())
}

fn left_out(which: Beside, reason: &str) -> String {
    format!("the {} beside it is left out: {reason}", which.suffix())
}

async fn add_one(
    source: Arc<dyn Source>,
    which: Beside,
    found: &mut Found,
) -> Result<(), RasterError> {
    let why_not = |reason: &str| RasterError::Unsupported(reason.to_owned());
    let head = source.read_kept(0..head_bytes(source.size())).await;
    let head = head.map_err(RasterError::Source)?;
    let (format, first) = Format::of(&head).ok_or_else(|| why_not("it is no TIFF"))?;
    let home = Home::new(File::new(source, head));
    let main = Directory::read(&home.file, format, first).await?;
    let mut chain = Chain::new(first, &main);
    if which == Beside::Mask {
        let bands = found.levels[0].image.samples;
        let samples = main.number(&home.file, tag::SAMPLES_PER_PIXEL).await?.unwrap_or(1);
        if masks(&home.file, &main, bands).await? != Some(samples) {
            return Err(why_not("it is no mask of all bands, nor one for each"));
        }
        if !found.consider(&home, &main, Role::Mask).await? {
            found.warnings.pop();
            return Err(why_not("it is of another size, or no mask of 1 or 8 bits"));
        }
        while let Some((directory, _)) = step(&mut chain, &home.file).await? {
            found.consider(&home, &directory, Role::OverviewMask).await?;
        }
        return Ok(());
    }
    if which == Beside::MaskOverviews {
        let mut next = Some(main);
        while let Some(directory) = next {
            found.consider(&home, &directory, Role::OverviewMask).await?;
            next = step(&mut chain, &home.file).await?.map(|(directory, _)| directory);
        }
        let is_used = found.masks_of_levels().iter().skip(1).any(Option::is_some);
        return if is_used {
            Ok(())
        } else {
            Err(why_not("its masks are of other bands or sizes"))
        };
    }
    let (mut taken, mut left) = (0, 0);
    let mut next = Some((role(&home.file, &main).await?, main));
    while let Some((role, directory)) = next {
        let role = match role {
            Role::Page | Role::Overview => Role::Overview,
            Role::Mask | Role::OverviewMask => Role::OverviewMask,
        };
        let is_taken = found.consider(&home, &directory, role).await?;
        taken += u32::from(is_taken && role == Role::Overview);
        left += u32::from(!is_taken && role == Role::Overview);
        next = step(&mut chain, &home.file).await?.map(|(directory, role)| (role, directory));
    }
    match (taken, left) {
        (0, _) => Err(why_not("its images are of other bands, types or sizes")),
        (_, 0) => Ok(()),
        (_, left) => {
            let reason = format!("{left} of its images are of other bands, types or sizes");
            found.warnings.push(left_out(which, &reason));
            Ok(())
        }
    }
}

/// How many masks an image of so many bands has in a file, as GDAL's metadata say: one, or one for
/// each band.
async fn masks(file: &File, main: &Directory, bands: u16) -> Result<Option<u64>, RasterError> {
    let text = readable(main.text(file, tag::GDAL_METADATA).await)?.flatten().unwrap_or_default();
    let is_for_all = |band| Some(flags(&text, band)? & PER_DATASET != 0);
    // The first band says it for all of them.
    if is_for_all(1) == Some(true) {
        return Ok(Some(1));
    }
    let are_apart = (1..=bands).all(|band| is_for_all(band) == Some(false));
    Ok(are_apart.then_some(bands.into()))
}

/// What GDAL's metadata say of the mask of a band, counted from 1.
fn flags(metadata: &str, band: u16) -> Option<u32> {
    let name = format!("{FLAGS}{band}\"");
    let (_, behind) = metadata.split_once(&name)?.1.split_once('>')?;
    behind.split_once('<')?.0.trim().parse().ok()
}
