//! Several parts of one large directory, listed at once.
//!
//! A listing is a chain: each page has the token of the next one. Where somebody walks
//! through many pages, other chains are begun further behind, at names that are guessed
//! from those on the last page ([`super::guess`]). Each is a lane. The walk goes through the
//! first one, and where that meets the next one, goes on there.
//!
//! What a guess costs: a LIST if nothing is behind it, and at most one where two lanes meet,
//! since a page ends where it likes. So a lane is as long as memory allows, and grows with
//! what was walked.
//!
//! No name is lost by a server that does not begin where it is told to: where two lanes meet,
//! the one has to show the same names as the other, or the other is not followed. Nothing runs
//! here by itself: LISTs are begun when the walk asks for a page, and end when the walk does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{FutureExt, select_all};

use super::held::Held;
use super::listing::{Listing, Listings};
use super::page::{Page, PageEntry, PageRequest};
use crate::store::KeyOrder;

/// The most lanes, the walk's own among them.
const LANES: u64 = 8;
/// Who has walked past so many names wants them all.
const EVIDENCE_NAMES: u64 = 8_000;
/// A lane is no shorter, so that where it ends costs little.
const SHORTEST_PAGES: u64 = 16;
/// A lane is as long as this part of what was walked.
const PART_OF_WALKED: u64 = 4;
/// After so many guesses that were wrong, no more are made; one more for each so many pages
/// that were walked.
const MOST_MISSES: u32 = 4;
const PAGES_PER_MISS: u64 = 64;
/// A lane that is shorter was not worth its guess.
const SHORT_PAGES: u64 = 8;

/// How far a walk has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walked {
    /// The pages that it went through.
    pub(super) pages: u64,
    /// The names on them.
    pub(super) names: u64,
    /// Pages that arrived earlier are not believed.
    pub(super) oldest: Instant,
}

/// What is listed ahead of one walk.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// In order; the walk is in the first one.
    lanes: VecDeque<Lane>,
    /// Behind this name is nothing.
    end: Option<String>,
    misses: u32,
    /// How many times further a guess has to aim than names tell, as those before have shown.
    stretch: Stretch,
}

/// A factor, 1 at first.
#[derive(Debug, Clone, Copy)]
struct Stretch(f64);

impl Default for Stretch {
    fn default() -> Self {
        Stretch(1.0)
    }
}

impl Stretch {
    const MOST: f64 = 64.0;
    const STEP: f64 = 4.0;

    /// So many pages that are wanted, as they have to be asked for.
    fn applied(self, pages: u64) -> u64 {
        (pages as f64 * self.0) as u64
    }

    /// Learns how long a lane has become that was to have `wanted` pages.
    fn learn(&mut self, wanted: u64, pages: u64) {
        let step = wanted as f64 / pages.max(1) as f64;
        self.0 =
            (self.0 * step.clamp(1.0 / Self::STEP, Self::STEP)).clamp(1.0 / Self::MOST, Self::MOST);
    }
}

#[derive(Debug)]
struct Lane {
    /// The name that it begins behind.
    from: String,
    /// Pages that the walk has not come to.
    came: VecDeque<Held>,
    /// The last page that has come.
    latest: Option<Arc<Page>>,
    /// What comes then.
    behind: Option<PageRequest>,
    under_way: Option<Listing>,
    /// How many pages have come, and how many were to come before the next lane begins.
    pages: u64,
    wanted: Option<u64>,
}

/// What became of a lane's LIST.
enum Came {
    /// Nothing has come, or the page that was expected.
    Well,
    /// There is nothing behind the name that was guessed.
    Nothing,
    /// Where it begins could not be listed.
    Failed,
    /// The server has not begun where it was told to.
    Elsewhere,
}

/// How a page lies to the second lane.
enum Seam {
    /// It ends before.
    Before,
    /// That lane has not shown where it begins.
    Unknown,
    /// It shows the same names.
    Fits,
    /// It shows other names.
    Differs,
}

impl Lanes {
    /// The page that a walk comes to next, if it was listed ahead or is now; `None` if the walk
    /// has to list it for itself.
    pub(super) async fn next(
        &mut self,
        listings: &Listings,
        request: &PageRequest,
        walked: Walked,
    ) -> Option<Arc<Page>> {
        if self.lanes.is_empty() {
            let is_worth_it = walked.names >= EVIDENCE_NAMES
                && !self.is_enough(walked)
                && listings.begins_as_told()
                && listings.cached(request, walked.oldest).is_none();
            if !is_worth_it {
                return None;
            }
            self.lanes.push_back(Lane::behind(request.clone()));
        }
        loop {
            if listings.order(&request.dir) == KeyOrder::Any {
                self.lanes.clear();
            }
            self.advance(listings, walked);
            let first = self.lanes.front()?;
            if let Some(held) = first.came.front() {
                let page = held.page().clone();
                if page.request() != request {
                    self.lanes.clear();
                    return None;
                }
                match self.seam(&page, listings) {
                    Seam::Unknown => {}
                    Seam::Before => return Some(self.take(page, listings)),
                    Seam::Fits => {
                        listings.note_start(true);
                        self.lanes.pop_front();
                        let end = self.lanes.front().map(|next| next.from.as_str());
                        let page = Arc::new(page.cut(end.unwrap_or_default()));
                        listings.keep(&page);
                        return Some(page);
                    }
                    Seam::Differs => {
                        listings.note_start(false);
                        self.lanes.truncate(1);
                        (self.end, self.misses) = (None, self.misses + MOST_MISSES / 2);
                        return Some(self.take(page, listings));
                    }
                }
            } else if first.under_way.is_none() {
                self.lanes.clear();
                return None;
            }
            let waits: Vec<Listing> =
                self.lanes.iter().filter_map(|lane| lane.under_way.clone()).collect();
            if waits.is_empty() {
                self.lanes.clear();
                return None;
            }
            drop(select_all(waits).await);
        }
    }

    /// The first page, which the walk has come to.
    fn take(&mut self, page: Arc<Page>, listings: &Listings) -> Arc<Page> {
        if let Some(first) = self.lanes.front_mut() {
            first.came.pop_front();
        }
        listings.keep(&page);
        page
    }

    /// Collects what has come, and lists on.
    fn advance(&mut self, listings: &Listings, walked: Walked) {
        let mut at = 0;
        while let Some(lane) = self.lanes.get_mut(at) {
            match lane.collect(listings) {
                Came::Well => at += 1,
                Came::Nothing => {
                    self.end = self.lanes.remove(at).map(|lane| lane.from);
                    self.misses += 1;
                }
                Came::Failed => {
                    self.lanes.truncate(at);
                    self.misses += 1;
                }
                Came::Elsewhere => {
                    listings.note_start(false);
                    self.lanes.truncate(at);
                }
            }
        }
        self.go_on(listings);
        self.begin_another(listings, walked);
    }

    /// Begins the LISTs that there is memory for, nearest first.
    fn go_on(&mut self, listings: &Listings) {
        let weight = |page: &Arc<Page>| page.weight_bytes();
        let latest = self.lanes.iter().filter_map(|lane| lane.latest.as_ref());
        let typical = latest.map(weight).max().unwrap_or_default();
        let under_way = self.lanes.iter().filter(|lane| lane.under_way.is_some()).count() as u64;
        let mut room = listings.room_ahead().saturating_sub(typical.saturating_mul(under_way));
        for at in 0..self.lanes.len() {
            let next = self.lanes.get(at + 1).filter(|next| next.latest.is_some());
            let is_through = next.is_some_and(|next| self.lanes[at].reaches(&next.from));
            let Some(lane) = self.lanes.get_mut(at) else { return };
            if is_through && let Some(wanted) = lane.wanted.take() {
                self.stretch.learn(wanted, lane.pages);
                self.misses += u32::from(lane.pages < SHORT_PAGES);
            }
            let is_needed = at == 0 && lane.came.is_empty();
            if lane.under_way.is_some() || is_through || (room < typical && !is_needed) {
                continue;
            }
            if let Some(request) = lane.behind.take() {
                room = room.saturating_sub(typical);
                lane.under_way = Some(listings.listing(request));
            }
        }
    }

    /// Begins another lane behind the last one, as soon as that has shown where it is.
    fn begin_another(&mut self, listings: &Listings, walked: Walked) {
        let Some(page) = self.lanes.back().and_then(|lane| lane.latest.clone()) else { return };
        let held: u64 = self.lanes.iter().flat_map(|lane| &lane.came).map(Held::bytes).sum();
        let room = (listings.room_ahead() + held) / page.weight_bytes().max(1);
        let lanes = (room / SHORTEST_PAGES).min(LANES);
        if !listings.begins_as_told()
            || self.is_enough(walked)
            || self.lanes.len() as u64 >= lanes
            || page.last().is_none()
        {
            return;
        }
        let longest = (room / lanes).max(SHORTEST_PAGES);
        let mut pages = (walked.pages / PART_OF_WALKED).clamp(SHORTEST_PAGES, longest);
        while pages >= SHORTEST_PAGES {
            let Some(from) = page.guess(self.stretch.applied(pages)) else { return };
            if self.end.as_ref().is_none_or(|end| from < *end) {
                if let Some(last) = self.lanes.back_mut() {
                    last.wanted = Some(last.pages + pages);
                }
                let request =
                    PageRequest { token: None, after: Some(from), ..page.request().clone() };
                let mut lane = Lane::behind(request);
                lane.under_way = lane.behind.take().map(|request| listings.listing(request));
                self.lanes.push_back(lane);
                return;
            }
            pages /= 2;
        }
    }

    /// Whether too many guesses were wrong to make another one.
    fn is_enough(&self, walked: Walked) -> bool {
        u64::from(self.misses) >= u64::from(MOST_MISSES) + walked.pages / PAGES_PER_MISS
    }

    /// How a page of the first lane lies to the second one.
    fn seam(&self, page: &Page, listings: &Listings) -> Seam {
        let Some(next) = self.lanes.get(1) else { return Seam::Before };
        if page.last().is_some_and(|last| last < next.from.as_str()) {
            return Seam::Before;
        }
        let Some(first) = next.came.front().map(Held::page) else { return Seam::Unknown };
        let base = page.request().dir.as_str().len();
        let name = |entry: &PageEntry| entry.rest(base).to_owned();
        let from = page.entries.partition_point(|entry| entry.rest(base) <= next.from.as_str());
        let (here, there) = (&page.entries[from..], &first.entries);
        let is_same = here.iter().zip(there).all(|(here, there)| name(here) == name(there));
        let is_all_there = here.len() <= there.len() || first.last().is_some();
        let is_all_here =
            page.last().is_some() || (here.len() >= there.len() && first.last().is_none());
        let is_shown = !here.is_empty() || listings.order(&page.request().dir) == KeyOrder::OfBytes;
        match is_same && is_all_there && is_all_here && is_shown {
            true => Seam::Fits,
            false => Seam::Differs,
        }
    }
}

impl Lane {
    /// A lane that begins with this page.
    fn behind(request: PageRequest) -> Self {
        Lane {
            from: request.after.clone().unwrap_or_default(),
            came: VecDeque::new(),
            latest: None,
            behind: Some(request),
            under_way: None,
            pages: 0,
            wanted: None,
        }
    }

    /// Takes a page that has come.
    fn collect(&mut self, listings: &Listings) -> Came {
        let Some(listed) = self.under_way.as_ref().and_then(|list| list.clone().now_or_never())
        else {
            return Came::Well;
        };
        self.under_way = None;
        let is_guess = |page: &Page| page.request().token.is_none();
        match listed {
            Ok(page) if is_guess(&page) && page.entries.is_empty() => Came::Nothing,
            Ok(page) if is_guess(&page) && !self.is_behind(&page) => Came::Elsewhere,
            Ok(page) => {
                self.behind = page.behind();
                self.latest = Some(page.clone());
                self.pages += 1;
                self.came.push_back(listings.hold(page));
                Came::Well
            }
            Err(_) if self.latest.is_none() => Came::Failed,
            // For the walk to hear, once it comes there.
            Err(_) => Came::Well,
        }
    }

    /// Whether a page begins behind the name that it was to begin behind.
    fn is_behind(&self, page: &Page) -> bool {
        let base = page.request().dir.as_str().len();
        page.entries.first().is_some_and(|entry| entry.rest(base) > self.from.as_str())
    }

    /// Whether it reaches the lane that begins behind `end`.
    fn reaches(&self, end: &str) -> bool {
        let latest = self.latest.as_ref();
        latest.is_some_and(|latest| latest.last().is_none_or(|last| last >= end))
    }
}
