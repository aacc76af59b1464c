//! What lies beside a TIFF: its overviews in `X.tif.ovr`, and its mask in `X.tif.msk`, as GDAL
//! writes them.
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

/// In GDAL's metadata: whom a mask in a file of its own is for.
const FLAGS: &str = "INTERNAL_MASK_FLAGS_1";
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
        let flags = mask_flags(&home.file, &main).await?;
        let is_of_all = flags.is_some_and(|flags| flags & PER_DATASET != 0 || bands == 1);
        if !is_of_all {
            return Err(why_not("it is no mask of all bands"));
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

/// What GDAL's metadata say of a mask.
async fn mask_flags(file: &File, main: &Directory) -> Result<Option<u32>, RasterError> {
    let text = readable(main.text(file, tag::GDAL_METADATA).await)?.flatten().unwrap_or_default();
    let behind = text.split_once(FLAGS).and_then(|(_, rest)| rest.split_once('>'));
    let number = behind.and_then(|(_, rest)| rest.split_once('<'));
    Ok(number.and_then(|(number, _)| number.trim().parse().ok()))
}
