//! The directories of a file, one pointing to the next: which of them are pages, overviews and
//! masks.
//!
//! Contract: each directory is read once; a chain that leads back to itself ends there, and so
//! does one that is damaged. What is remembered of a directory is where it is.

use std::collections::HashSet;

use super::directory::{Directory, Format};
use super::tag;
use crate::raster::RasterError;
use crate::raster::file::File;
use crate::raster::pages::Count;

/// Directories that are looked at, at most.
const MOST_DIRECTORIES: usize = 65_535;
/// What they may have together: directories may lie upon each other.
const MOST_ENTRIES: usize = 4 << 20;

/// NewSubfileType (254): a smaller version of another image.
const REDUCED: u64 = 1;
/// NewSubfileType: which pixels of another image are valid.
const MASK: u64 = 4;

/// What a directory's image is to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// An image of its own.
    Page,
    /// A smaller version of another one.
    Overview,
    /// Which pixels of another image are valid.
    Mask,
    /// Which pixels of a smaller version are valid.
    OverviewMask,
}

/// How far a chain was followed.
#[derive(Debug)]
pub(super) struct Chain {
    format: Format,
    /// Where the directories of the pages are.
    pages: Vec<u64>,
    /// The next one; 0 at the end.
    next: u64,
    seen: HashSet<u64>,
    entries: usize,
    /// Whether there may be more of them than are looked at.
    is_cut: bool,
}

impl Chain {
    /// The chain that begins with a directory, which is the first page.
    pub(super) fn new(first: u64, main: &Directory) -> Self {
        let (pages, seen) = (vec![first], HashSet::from([first]));
        let (format, next) = (main.format(), main.next);
        Chain { format, pages, next, seen, entries: main.entry_count(), is_cut: false }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Whether there is another directory to be read.
    pub(super) fn goes_on(&self) -> bool {
        self.next != 0
    }

    /// Notes a directory that is reached on another way; whether it is new.
    pub(super) fn meets(&mut self, at: u64) -> bool {
        self.seen.insert(at)
    }

    /// How many pages there are.
    pub(super) fn count(&self) -> Count {
        let count = u32::try_from(self.pages.len()).unwrap_or(u32::MAX);
        match self.goes_on() || self.is_cut {
            true => Count::AtLeast(count),
            false => Count::Exactly(count),
        }
    }

    /// Where the directory of a page is, from 1 on, if it was found.
    pub(super) fn page(&self, number: u32) -> Option<u64> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.pages.get(index).copied()
    }

    /// Reads the next directory; `None` at the end.
    ///
    /// # Errors
    /// That of the source.
    pub(super) async fn step(
        &mut self,
        file: &File,
    ) -> Result<Option<(Directory, Role)>, RasterError> {
        let at = self.next;
        if at == 0 || self.seen.contains(&at) {
            self.next = 0;
            return Ok(None);
        }
        if self.seen.len() >= MOST_DIRECTORIES || self.entries >= MOST_ENTRIES {
            (self.next, self.is_cut) = (0, true);
            return Ok(None);
        }
        let Some(directory) = readable(Directory::read(file, self.format, at).await)? else {
            self.next = 0;
            return Ok(None);
        };
        let role = role(file, &directory).await?;
        // From here on nothing fails: who gives up waiting before comes here again.
        self.seen.insert(at);
        self.entries += directory.entry_count();
        self.next = directory.next;
        if role == Role::Page {
            self.pages.push(at);
        }
        Ok(Some((directory, role)))
    }
}

/// What a directory says that its image is.
pub(super) async fn role(file: &File, directory: &Directory) -> Result<Role, RasterError> {
    let kind = match directory.number(file, tag::NEW_SUBFILE_TYPE).await? {
        Some(kind) => kind,
        // The old tag: 2 is a smaller version, 3 a page.
        None => u64::from(directory.number(file, tag::SUBFILE_TYPE).await? == Some(2)),
    };
    Ok(match (kind & MASK != 0, kind & REDUCED != 0) {
        (false, false) => Role::Page,
        (false, true) => Role::Overview,
        (true, false) => Role::Mask,
        (true, true) => Role::OverviewMask,
    })
}

/// What was read; nothing if it is damaged.
pub(super) fn readable<T>(read: Result<T, RasterError>) -> Result<Option<T>, RasterError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error @ (RasterError::Source(_) | RasterError::NoDecoder(_))) => Err(error),
        Err(_) => Ok(None),
    }
}
