//! Waiting for room: for memory, or for an open file, that others are about to give back.
//!
//! Whoever found none looks for some that nobody needs, has sent what the bucket lacks, and
//! waits for what is on its way. It may try again as soon as anything was given back, whoever
//! had that, so files that are written side by side leave each other their turn. There is no
//! room once nothing that is on its way could make any: files that are not written in order,
//! or not closed, or whose requests fail.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Publisher;
use crate::drafts::{Draft, Progress};
use crate::mem::is_out_of_files;
use crate::names::Thing;

/// How long somebody waits for what is about to be given back without a request. What a
/// program has just closed counts as open until the kernel says otherwise.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it looks for that.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long somebody waits in all: others may always be quicker to take what was given back.
const LONGEST: Duration = Duration::from_secs(600);
/// How often in a row everything is sent that can be without any of it being of use. One that
/// was begun while another one was under way finds what that one was too early for.
const MOST_IN_VAIN: u32 = 2;

/// What there is no room for.
#[derive(Debug, Clone)]
enum Lack {
    /// More bytes in memory, to write to this file if it has a name yet.
    Bytes(Option<Arc<Draft>>),
    /// One more file in memory.
    File,
}

/// Somebody's search for room.
#[derive(Debug)]
pub struct RoomSearch {
    publisher: Arc<Publisher>,
    lack: Lack,
    given_back: watch::Receiver<()>,
    /// Sends to make room, to the end whoever gives up waiting for it: parts of an upload that
    /// was begun and dropped would stay on the server.
    sending: Option<JoinHandle<bool>>,
    until: Instant,
}

impl Publisher {
    /// A search for memory, to write to this file if it has a name yet.
    pub fn search_room(self: &Arc<Self>, writing: Option<Arc<Draft>>) -> RoomSearch {
        let given_back = self.drafts.arena().watch_given_back();
        RoomSearch::new(self, Lack::Bytes(writing), given_back)
    }

    /// Makes a file. Where as many are open as may be, those that wait are sent, and one is let
    /// go; what a program has just closed, or is on its way, is waited for.
    ///
    /// # Errors
    /// Too many open files still; what else it failed with.
    pub async fn with_room_for_file<T>(
        self: &Arc<Self>,
        make: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut search = RoomSearch::new(self, Lack::File, self.drafts.arena().watch_closed());
        loop {
            match make() {
                Err(error) if is_out_of_files(&error) && search.more().await => {}
                outcome => return outcome,
            }
        }
    }

    /// Has memory or files given back, and sends first what that takes; whether it was of use.
    async fn give_some_back(&self, lack: &Lack) -> bool {
        let Lack::Bytes(writing) = lack else { return self.let_waiting_go().await };
        // A file gives its own before others that are being written.
        if let Some(draft) = writing
            && self.sender.send_away(draft).await > 0
        {
            return true;
        }
        let dirty = self.waiting.dirty();
        let others = join_all(dirty.iter().map(|draft| self.sender.send_away(draft)));
        let (waiting, others) = tokio::join!(self.let_waiting_go(), others);
        waiting || others.iter().any(|bytes| *bytes > 0)
    }

    async fn let_waiting_go(&self) -> bool {
        self.send_some_waiting().await && self.let_one_go()
    }

    /// Whether room may soon be given back without a request: by a file whose turn to be sent
    /// it is or will be, or by one that the bucket has and whose last handle is about to be
    /// released.
    fn gets_room(&self, lack: &Lack) -> bool {
        let is_sent = |ino: u64| {
            let Ok(Thing::Draft(draft)) = self.names.inodes().thing(ino) else { return false };
            draft.progress().is_some_and(|progress| progress.settled().is_some())
        };
        let others = |ino: &u64| match lack {
            Lack::Bytes(Some(draft)) => draft.ino() != *ino,
            Lack::Bytes(None) | Lack::File => true,
        };
        !self.turns.is_idle()
            || self.drafts.opened().inodes().into_iter().filter(others).any(is_sent)
    }

    /// Whether anything of a file is on its way now.
    fn is_sending(&self) -> bool {
        let is_sent = |progress: &Progress| progress.try_still().is_none();
        self.waiting.dirty().iter().any(|draft| draft.progress().is_some_and(is_sent))
    }
}

impl RoomSearch {
    fn new(publisher: &Arc<Publisher>, lack: Lack, given_back: watch::Receiver<()>) -> Self {
        let (publisher, until) = (publisher.clone(), Instant::now() + LONGEST);
        RoomSearch { publisher, lack, given_back, sending: None, until }
    }

    /// Waits until there may be room; `false` if nothing can make any.
    pub async fn more(&mut self) -> bool {
        let (mut patience, mut in_vain) = (Instant::now() + PATIENCE, 0);
        loop {
            if self.publisher.let_one_go() {
                return true;
            }
            let begun = Instant::now();
            let (publisher, lack) = (&self.publisher, &self.lack);
            let sending = self.sending.get_or_insert_with(|| {
                let (publisher, lack) = (publisher.clone(), lack.clone());
                let runtime = publisher.runtime.clone();
                runtime.spawn(async move { publisher.give_some_back(&lack).await })
            });
            let is_of_use = tokio::select! {
                biased;
                _ = self.given_back.changed() => return Instant::now() < self.until,
                // It can only fail to be joined by a panic, which is logged.
                sent = sending => sent.unwrap_or(false),
            };
            self.sending = None;
            if is_of_use {
                return true;
            }
            in_vain += 1;
            // However long something was sent: it may be had in a moment.
            patience += begun.elapsed();
            let is_near = Instant::now() <= patience && self.publisher.gets_room(&self.lack);
            let is_under_way = in_vain < MOST_IN_VAIN && self.publisher.is_sending();
            if !(is_near || is_under_way) || Instant::now() >= self.until {
                // It may have come since.
                return self.publisher.let_one_go()
                    || self.given_back.has_changed().unwrap_or(false);
            }
            // A wait that ends early finds room.
            let _ = tokio::time::timeout(LOOK_EVERY, self.given_back.changed()).await;
        }
    }
}
