//! Which directories of a file are its image, which are overviews of it, and which are
//! other pages.

use super::chain::{Chain, Role, readable, role};
use super::directory::{Directory, Format};
use super::image::TiffImage;
use super::tag;
use crate::raster::RasterError;
use crate::raster::file::File;

/// What is fetched to look for more directories, once the image itself is known: in bytes,
/// and in requests, each of which waits for the one before it.
const MOST_FETCHED: u64 = 4 << 20;
const MOST_REQUESTS: u32 = 8;

/// What a file has.
#[derive(Debug)]
pub(super) struct Found {
    /// The directory of the image.
    pub(super) main: Directory,
    /// The image, and its overviews from the largest to the smallest.
    pub(super) levels: Vec<TiffImage>,
    /// Whether a mask says which pixels of the image are valid.
    pub(super) has_mask: bool,
}

/// Reads the directories of a file, as far as that costs no more than a header may.
///
/// # Errors
/// That of the first one: those behind it are left out where they are damaged.
pub(super) async fn find(
    file: &File,
    format: Format,
    first: u64,
) -> Result<(Found, Chain), RasterError> {
    let mut found = page(file, format, first).await?;
    let mut chain = Chain::new(first, &found.main);
    for at in found.main.numbers(file, tag::SUB_IFDS).await? {
        chain.meets(at);
    }
    while file.fetched() <= MOST_FETCHED
        && file.requests() < MOST_REQUESTS
        && let Some((directory, role)) = chain.step(file).await?
    {
        found.consider(file, &directory, role).await?;
    }
    found.sort();
    Ok((found, chain))
}

/// Reads the directory of one page, and those that it says are its own (tag 330).
///
/// # Errors
/// That of the page itself.
pub(super) async fn page(file: &File, format: Format, at: u64) -> Result<Found, RasterError> {
    let main = Directory::read(file, format, at).await?;
    let image = TiffImage::of(file, &main).await?;
    let mut found = Found { main, levels: vec![image], has_mask: false };
    let mut seen = vec![at];
    for at in found.main.numbers(file, tag::SUB_IFDS).await?.into_iter().take(MOST_OWN) {
        if file.fetched() <= MOST_FETCHED
            && !seen.contains(&at)
            && let Some(directory) = readable(Directory::read(file, format, at).await)?
        {
            seen.push(at);
            let role = role(file, &directory).await?;
            found.consider(file, &directory, role).await?;
        }
    }
    found.sort();
    Ok(found)
}

/// Directories that a page has of its own, at most: each overview is half of another one.
const MOST_OWN: usize = 64;

impl Found {
    fn sort(&mut self) {
        self.levels[1..].sort_by_key(|level| std::cmp::Reverse(level.geometry.width));
    }

    async fn consider(
        &mut self,
        file: &File,
        directory: &Directory,
        role: Role,
    ) -> Result<(), RasterError> {
        match role {
            Role::Page | Role::OverviewMask => {}
            Role::Mask => self.has_mask = true,
            Role::Overview => {
                if let Some(image) = readable(TiffImage::of(file, directory).await)?
                    && self.is_overview(&image)
                {
                    self.levels.push(image);
                }
            }
        }
        Ok(())
    }

    /// Whether it has the same pixels, only fewer: all that is said of the image holds of it.
    fn is_overview(&self, image: &TiffImage) -> bool {
        let (full, size) = (&self.levels[0], &image.geometry);
        let alike = (full.sample, full.samples, full.color, full.stored.is_complex)
            == (image.sample, image.samples, image.color, image.stored.is_complex)
            && full.decoding.is_inverted == image.decoding.is_inverted
            && full.palette == image.palette;
        let is_smaller = size.width < full.geometry.width || size.height < full.geometry.height;
        let fits = size.width <= full.geometry.width && size.height <= full.geometry.height;
        let is_new = self.levels.iter().all(|level| level.geometry.width != size.width);
        // A ratio of its own would be another image, and a thumbnail is none of the levels.
        let across = f64::from(full.geometry.width) / f64::from(size.width);
        let down = f64::from(full.geometry.height) / f64::from(size.height);
        let slack = across.max(down) / f64::from(size.width.min(size.height)) + 0.01;
        let is_alike = (across / down - 1.0).abs() <= slack;
        alike && is_smaller && fits && is_new && is_alike && image.unsupported.is_none()
    }
}
