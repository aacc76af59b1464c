//! One way through a directory, and what was fetched ahead on it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::passed::Passed;
use super::super::sequence::{Order, Steps};
use super::item::{Item, Task};
use crate::names::Folder;

/// The files that say how far the next ones are read.
const PASSED: usize = 4;
/// So much of what somebody left out is kept: threads and programs overtake each other.
const OVERTAKEN: usize = 8;
/// Listings fetched ahead are used within this part of the time that they are believed.
const TIME_SHARE: u32 = 4;

/// One way through a directory.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) steps: Steps,
    /// What was fetched and nobody has come to yet, in order.
    pub(super) ahead: VecDeque<Item>,
    passed: VecDeque<Arc<Passed>>,
    /// Who lists the names behind this one again, before they are too old.
    pub(super) listing_again: Option<Task>,
    /// The directory that was listed last.
    listed: Option<Folder>,
    /// When the last step was made, and how long the slower one of the last two took.
    paced: (Instant, [Duration; 2]),
}

impl Way {
    pub(super) fn at(name: &str) -> Self {
        Way {
            steps: Steps::at(name),
            ahead: VecDeque::new(),
            passed: VecDeque::new(),
            listing_again: None,
            listed: None,
            paced: (Instant::now(), [Duration::ZERO; 2]),
        }
    }

    /// Whether it was foreseen that somebody comes to a name on it.
    pub(super) fn leads_to(&self, name: &str) -> bool {
        self.steps.leads_to(name) || self.ahead.iter().any(|item| item.name == name)
    }

    /// Somebody has come to a name that it leads to.
    pub(super) fn go(&mut self, name: &str) {
        let is_ahead = self.ahead.iter().any(|item| item.name == name);
        self.steps.go(name, is_ahead);
        let now = Instant::now();
        self.paced = (now, [self.paced.1[1], now - self.paced.0]);
    }

    /// Takes what was fetched for a name out of what is ahead.
    pub(super) fn take(&mut self, name: &str) -> Option<Item> {
        let at = self.ahead.iter().position(|item| item.name == name)?;
        self.ahead.remove(at)
    }

    /// Lets go of what was left out, but for the last of it.
    pub(super) fn let_go(&mut self, is_upcoming: impl Fn(&str) -> bool) {
        let left_out = self.ahead.iter().filter(|item| !is_upcoming(&item.name)).count();
        let mut surplus = left_out.saturating_sub(OVERTAKEN);
        self.ahead.retain(|item| {
            let goes = surplus > 0 && !is_upcoming(&item.name);
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// Whoever went here is elsewhere, most likely. What is on its way may come, for whoever
    /// was overtaken.
    pub(super) fn miss(&mut self) {
        self.steps.doubt();
    }

    /// The order that it goes on in, if there is evidence of one.
    pub(super) fn order(&self) -> Option<Order> {
        self.steps.order()
    }

    /// Whether the last step has kept to an order.
    pub(super) fn is_orderly(&self) -> bool {
        self.steps.is_orderly()
    }

    /// Goes on as a run did that has come to its end.
    pub(super) fn carry_on(&mut self, order: Order, passed: Vec<Arc<Passed>>) {
        self.carry_on_by(order, 2, passed);
    }

    /// Goes on as `steps` did that have kept to an order.
    pub(super) fn carry_on_by(&mut self, order: Order, steps: u32, passed: Vec<Arc<Passed>>) {
        self.steps.note_kept(order, steps);
        passed.into_iter().for_each(|passed| self.note_passed(passed));
    }

    /// Notes a file that is read.
    pub(super) fn note_passed(&mut self, passed: Arc<Passed>) {
        if self.passed.len() > PASSED {
            self.passed.pop_front();
        }
        self.passed.push_back(passed);
    }

    /// The last files.
    pub(super) fn passed(&self) -> impl DoubleEndedIterator<Item = &Arc<Passed>> {
        self.passed.iter()
    }

    /// The last files, which are another way's now.
    pub(super) fn give_passed(&mut self) -> Vec<Arc<Passed>> {
        self.passed.drain(..).collect()
    }

    /// How far files are read here, as those before the present one were: in bytes from the
    /// start, [`u64::MAX`] if whole; nothing is said before two were read.
    pub(super) fn extent(&self) -> u64 {
        let before = self.passed.iter().rev().skip(1).map(|passed| passed.extent());
        let (count, whole) = (before.clone().count(), before.clone().all(|end| end == u64::MAX));
        match (count, whole) {
            (0 | 1, _) => 0,
            (_, true) => u64::MAX,
            (_, false) => before.filter(|end| *end != u64::MAX).max().unwrap_or_default(),
        }
    }

    /// Notes the directory that is listed; returns the one before.
    pub(super) fn note_listed(&mut self, folder: Option<Folder>) -> Option<Folder> {
        std::mem::replace(&mut self.listed, folder)
    }

    /// How many steps are made within a part of `believed`, at the pace of the last ones.
    pub(super) fn within(&self, believed: Duration) -> usize {
        let slowest =
            self.paced.1.into_iter().max().unwrap_or_default().max(Duration::from_micros(1));
        let steps = (believed / TIME_SHARE).as_nanos() / slowest.as_nanos();
        usize::try_from(steps).unwrap_or(usize::MAX)
    }
}
