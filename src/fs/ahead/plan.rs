//! What is fetched ahead: files, listings, headers of images.

use super::super::sequence::Order;
use super::Ahead;
use super::item::{Held, Item, Task};
use super::way::Way;
use crate::catalog::{DirEntry, Node};
use crate::names::{Contents, Numbers, Of, ending_of};
use crate::view::ViewKind;

/// The most files, listings and headers ahead of one program. They leave GETs and LISTs to others.
const FILES: usize = 64;
const LISTINGS: usize = 24;
const HEADERS: usize = 24;
/// The most bytes of one file, and ahead of one program.
const FILE_BYTES: u64 = 8 << 20;
const BYTES: u64 = 32 << 20;

impl Ahead {
    /// Fetches the next files, as far as they are read; `false` at the end of the directory.
    pub(super) fn fetch_files(
        &self,
        way: &mut Way,
        contents: Contents<'_>,
        order: Order,
        numbers: Option<&Numbers>,
    ) -> bool {
        let upcoming = upcoming(way, contents, (Of::Files, order), numbers, FILES);
        let last = way.steps.last();
        if way.listing_again.as_ref().is_none_or(Task::is_done) && contents.is_outdated_soon(last) {
            let (names, folder) = (self.names.clone(), contents.folder().clone());
            let last = last.to_owned();
            let listing = self.objects.runtime().spawn(async move {
                names.contents(&folder).list_again(&last).await;
            });
            way.listing_again = Some(Task::new(Some(listing)));
        }
        let extent = way.extent().min(FILE_BYTES);
        let most = BYTES.min(self.objects.cache().unopened_bytes());
        let mut held: u64 = way.ahead.iter().map(|item| item.stake).sum();
        for entry in &upcoming {
            let Node::Object(object) = &entry.node else { continue };
            let bytes = object.version.size.min(extent);
            if way.ahead.iter().any(|item| item.name == entry.name) || bytes == 0 {
                continue;
            }
            if way.ahead.len() >= FILES || held + bytes > most {
                break;
            }
            let reader = self.objects.open(&object.version);
            let stake = if reader.is_here(0..bytes) { 0 } else { bytes };
            if !self.credits.files.stake(stake) {
                break;
            }
            reader.fetch_ahead(0..bytes);
            held += stake;
            let (name, held) = (entry.name.clone(), Held::Reader { _open: reader });
            way.ahead.push_back(Item { name, stake, held });
        }
        !upcoming.is_empty()
    }

    /// Lists the next folders, `room` at most; `false` at the end of the directory.
    pub(super) fn list_folders(
        &self,
        way: &mut Way,
        contents: Contents<'_>,
        order: Order,
        numbers: Option<&Numbers>,
        room: usize,
    ) -> bool {
        let upcoming = upcoming(way, contents, (Of::Folders, order), numbers, LISTINGS);
        for entry in &upcoming {
            if way.ahead.iter().any(|item| item.name == entry.name) {
                continue;
            }
            if way.ahead.len() >= LISTINGS.min(room) {
                break;
            }
            let stake = u64::from(!contents.is_listed(entry));
            if !self.credits.folders.stake(stake) {
                break;
            }
            let (names, folder, listed) =
                (self.names.clone(), contents.folder().clone(), entry.clone());
            let held = self.spawn(stake, async move {
                names.contents(&folder).list_ahead(&listed).await;
            });
            way.ahead.push_back(Item { name: entry.name.clone(), stake, held });
        }
        !upcoming.is_empty()
    }

    /// Looks at the headers of the next images; `false` at the end of the directory.
    pub(super) fn look_at_images(
        &self,
        way: &mut Way,
        contents: Contents<'_>,
        order: Order,
        numbers: Option<&Numbers>,
    ) -> bool {
        let upcoming = upcoming(way, contents, (Of::Images, order), numbers, HEADERS);
        for entry in &upcoming {
            let Some(original) = contents.original_of(entry) else { continue };
            if way.ahead.iter().any(|item| item.name == entry.name) {
                continue;
            }
            if way.ahead.len() >= HEADERS {
                break;
            }
            let is_known = self.views.size_known(&original, ViewKind::Json).is_some();
            let stake = u64::from(!is_known);
            if !self.credits.images.stake(stake) {
                break;
            }
            let views = self.views.clone();
            let held = self.spawn(stake, async move {
                // What is wrong with an image is told to whoever asks for a sibling of it.
                let _ = views.size(&original, ViewKind::Json).await;
            });
            way.ahead.push_back(Item { name: entry.name.clone(), stake, held });
        }
        !upcoming.is_empty()
    }

    fn spawn(&self, stake: u64, work: impl Future<Output = ()> + Send + 'static) -> Held {
        Held::Task(Task::new((stake > 0).then(|| self.objects.runtime().spawn(work))))
    }
}

/// Up to `most` of what comes next on a way.
fn upcoming(
    way: &mut Way,
    contents: Contents<'_>,
    (of, order): (Of, Order),
    numbers: Option<&Numbers>,
    most: usize,
) -> Vec<DirEntry> {
    let last = way.steps.last();
    let upcoming: Vec<DirEntry> = match order {
        Order::Listed => contents.following(of, Some(last), None, most),
        Order::Ending => contents.following(of, Some(last), Some(ending_of(last)), most),
        Order::Numbered => {
            let Some(numbers) = numbers else { return Vec::new() };
            let number = contents.known(of, last).map(|entry| contents.number(&entry));
            let names = number.into_iter().flat_map(|number| numbers.behind(Some(number), most));
            names.filter_map(|name| contents.known(of, name)).collect()
        }
    };
    way.let_go(|name| upcoming.iter().any(|entry| entry.name == name));
    upcoming
}
