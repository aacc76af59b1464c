//! Which directories of a file are its image, which are overviews and masks of it, and which
//! are other pages.

use std::sync::Arc;

use super::chain::{Chain, Role, readable, role};
use super::directory::{Directory, Format};
use super::image::TiffImage;
use super::level::{Home, Level};
use super::tag;
use crate::raster::file::File;
use crate::raster::{Beside, RasterError};

/// What is fetched to look for more directories, once the image itself is known: in bytes,
/// and in requests, each of which waits for the one before it.
const MOST_FETCHED: u64 = 4 << 20;
const MOST_REQUESTS: u32 = 8;

/// What a file has, with those beside it.
#[derive(Debug)]
pub(super) struct Found {
    /// The directory of the image.
    pub(super) main: Directory,
    /// The image, and its overviews from the largest to the smallest.
    pub(super) levels: Vec<Level>,
    /// Which pixels are valid, of the image and of its overviews, in any order.
    pub(super) masks: Vec<Level>,
    /// The files beside it that something of this is from.
    pub(super) beside: Vec<Beside>,
    /// What was left out, and why.
    pub(super) warnings: Vec<String>,
}

/// Reads the directories of a file, as far as that costs no more than a header may.
///
/// # Errors
/// That of the first one: those behind it are left out where they are damaged.
pub(super) async fn find(
    home: &Arc<Home>,
    format: Format,
    first: u64,
) -> Result<(Found, Chain), RasterError> {
    let mut found = page(home, format, first).await?;
    let mut chain = Chain::new(first, &found.main);
    for at in found.main.numbers(&home.file, tag::SUB_IFDS).await? {
        chain.meets(at);
    }
    while let Some((directory, role)) = step(&mut chain, &home.file).await? {
        found.consider(home, &directory, role).await?;
    }
    found.sort();
    Ok((found, chain))
}

/// The next directory of a chain, unless looking for it costs more than a header may.
///
/// # Errors
/// That of the source.
pub(super) async fn step(
    chain: &mut Chain,
    file: &File,
) -> Result<Option<(Directory, Role)>, RasterError> {
    match file.fetched() <= MOST_FETCHED && file.requests() < MOST_REQUESTS {
        true => chain.step(file).await,
        false => Ok(None),
    }
}

/// Reads the directory of one page, and those that it says are its own (tag 330).
///
/// # Errors
/// That of the page itself.
pub(super) async fn page(home: &Arc<Home>, format: Format, at: u64) -> Result<Found, RasterError> {
    let file = &home.file;
    let main = Directory::read(file, format, at).await?;
    let image = TiffImage::of(file, &main).await?;
    let mut found = Found {
        main,
        levels: vec![Level::new(image, home)],
        masks: Vec::new(),
        beside: Vec::new(),
        warnings: Vec::new(),
    };
    let mut seen = vec![at];
    for at in found.main.numbers(file, tag::SUB_IFDS).await?.into_iter().take(MOST_OWN) {
        if file.fetched() <= MOST_FETCHED
            && !seen.contains(&at)
            && let Some(directory) = readable(Directory::read(file, format, at).await)?
        {
            seen.push(at);
            let role = role(file, &directory).await?;
            found.consider(home, &directory, role).await?;
        }
    }
    found.sort();
    Ok(found)
}

/// Directories that a page has of its own, at most: each overview is half of another one.
const MOST_OWN: usize = 64;

impl Found {
    /// From the largest to the smallest.
    pub(super) fn sort(&mut self) {
        self.levels[1..].sort_by_key(|level| std::cmp::Reverse(level.size().0));
    }

    /// Takes what a directory has, if it is an overview or a mask of the image; whether it is.
    ///
    /// # Errors
    /// That of the source.
    pub(super) async fn consider(
        &mut self,
        home: &Arc<Home>,
        directory: &Directory,
        role: Role,
    ) -> Result<bool, RasterError> {
        if role == Role::Page {
            return Ok(false);
        }
        let Some(image) = readable(TiffImage::of(&home.file, directory).await)? else {
            return Ok(false);
        };
        let full = self.levels[0].size();
        let size = (image.geometry.width, image.geometry.height);
        let (place, level) = match role {
            Role::Overview if self.is_overview(&image) => {
                (&mut self.levels, Some(Level::new(image, home)))
            }
            // Who has another size than the image is a mask of something else.
            Role::Mask if size != full => (&mut self.masks, None),
            Role::Mask | Role::OverviewMask => {
                let mask = Level::mask(image, &self.levels[0].image, home);
                (&mut self.masks, mask)
            }
            Role::Overview | Role::Page => return Ok(false),
        };
        if level.is_none() && role == Role::Mask {
            self.warnings.push("its mask is of another size or kind, and left out".to_owned());
        }
        let is_taken = level.is_some();
        place.extend(level);
        Ok(is_taken)
    }

    /// The mask of each level, as far as it has one; nothing where the image itself has none.
    pub(super) fn masks_of_levels(&self) -> Vec<Option<Level>> {
        let of = |size| self.masks.iter().filter(move |mask| mask.size() == size);
        let Some(first) = of(self.levels[0].size()).next() else { return Vec::new() };
        // One of the bands together says nothing of each, and the other way round.
        let is_alike = |mask: &&Level| mask.image.samples == first.image.samples;
        self.levels.iter().map(|level| of(level.size()).find(is_alike).cloned()).collect()
    }

    /// Whether it has the same pixels, only fewer: all that is said of the image holds of it.
    fn is_overview(&self, image: &TiffImage) -> bool {
        let (full, size) = (&self.levels[0].image, &image.geometry);
        let alike = (full.sample, full.samples, full.color, full.stored.is_complex)
            == (image.sample, image.samples, image.color, image.stored.is_complex)
            && full.decoding.is_inverted == image.decoding.is_inverted
            && full.palette == image.palette;
        let is_smaller = size.width < full.geometry.width || size.height < full.geometry.height;
        let fits = size.width <= full.geometry.width && size.height <= full.geometry.height;
        let is_new = self.levels.iter().all(|level| level.size().0 != size.width);
        // A ratio of its own would be another image, and a thumbnail is none of the levels.
        let across = f64::from(full.geometry.width) / f64::from(size.width);
        let down = f64::from(full.geometry.height) / f64::from(size.height);
        let slack = across.max(down) / f64::from(size.width.min(size.height)) + 0.01;
        let is_alike = (across / down - 1.0).abs() <= slack;
        alike && is_smaller && fits && is_new && is_alike && image.unsupported.is_none()
    }
}
