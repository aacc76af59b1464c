//! From a draft to an object, and out of memory again; and what else programs change in
//! the bucket: deletions, renames, markers of directories.
//!
//! Contract: a file is sent when it is closed (or right behind that) or synchronised, on the condition that the
//! object is still the version that was seen. What could not be sent stays in memory, and
//! is listed here until it is in the bucket or deleted. After that its memory is given
//! back when `--metadata-ttl` is over or memory is short, and its name and inode refer to
//! the object. Every change of the bucket ends in a verb of `names`, so that look-ups know
//! of it before any listing does.
//!
//! | file | question |
//! |---|---|
//! | `when` | when is something sent: close, fsync, the last release |
//! | `later` | what is sent after `close` has returned |
//! | `retry` | when is it tried again that failed |
//! | `send` | how: one request, or parts; on which condition |
//! | `ahead` | which parts go out while the file is still being written |
//! | `metadata` | what does an object say of itself |
//! | `keep` | whose memory may be given back |
//! | `room` | how long somebody waits for memory that others have |
//! | `made` | which objects may be taken away again without a flag: those of this mount |
//! | `object` | deleting, renaming and copying one object |
//! | `folder` | markers; renaming a directory |
//! | `pending` | what is not in the bucket yet, for `status` and the end of the mount |
//!
//! ## Locks
//!
//! A draft's `still` (nobody sends it) comes first, then the one of a part, both of tokio
//! and held across requests; renaming a directory takes many `still`s, by inode number.
//! Then those of [`crate::sync`], which nobody holds across an await.

mod ahead;
mod allowed;
mod config;
mod error;
mod folder;
mod keep;
mod last_close;
mod later;
mod made;
mod metadata;
mod object;
mod pending;
mod record;
mod retry;
mod room;
mod send;
mod sender;
mod turns;
mod when;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use allowed::Allowed;
pub use config::{OnClose, RecordPlace, UploadConfig};
pub use error::PublishError;
pub use last_close::process_of;
pub use pending::Pending;
pub use room::RoomSearch;

use sender::Sender;
use turns::Turns;

use crate::drafts::{Draft, Drafts, Progress};
use crate::key::{ObjectKey, ObjectVersion};
use crate::mem::Budget;
use crate::names::{Folder, Names, Thing};
use crate::reader::BlockCache;
use crate::store::ObjectStore;
use crate::sync::{Mutex, Rank};

/// What [`Publisher`] is built of.
#[derive(Debug)]
pub struct PublisherParts {
    /// What may be changed, and how.
    pub config: UploadConfig,
    /// Where objects are written.
    pub store: Arc<dyn ObjectStore>,
    /// Who has to know of every change.
    pub names: Arc<Names>,
    /// What programs wrote.
    pub drafts: Arc<Drafts>,
    /// The bytes of objects, which a copy shares with its source.
    pub cache: Arc<BlockCache>,
    /// Where bytes on their way are counted.
    pub budget: Arc<Budget>,
}

/// Puts drafts into the bucket.
#[derive(Debug)]
pub struct Publisher {
    config: Arc<UploadConfig>,
    names: Arc<Names>,
    drafts: Arc<Drafts>,
    cache: Arc<BlockCache>,
    sender: Arc<Sender>,
    waiting: Waiting,
    turns: Turns,
    runtime: tokio::runtime::Handle,
}

/// The drafts that something is still to be done with.
#[derive(Debug)]
struct Waiting {
    /// Files that the bucket lacks some of, by inode number.
    dirty: Mutex<HashMap<u64, Arc<Draft>>>,
    /// Files that the bucket has, and that stay in memory as long as nobody needs it.
    kept: Mutex<VecDeque<Arc<Draft>>>,
    /// Whether the mount is gone, so that nobody will write any more.
    has_ended: AtomicBool,
}

impl Publisher {
    /// A publisher whose requests run on the present runtime. Begins to look after files
    /// that wait, for as long as it lives.
    pub fn start(parts: PublisherParts) -> Arc<Self> {
        let PublisherParts { config, store, names, drafts, cache, budget } = parts;
        let config = Arc::new(config);
        let runtime = tokio::runtime::Handle::current();
        let turns = Turns::new(budget.limit_bytes());
        let publisher = Arc::new(Publisher {
            turns,
            sender: Arc::new(Sender::new(config.clone(), store, budget, runtime.clone())),
            config,
            names,
            drafts,
            cache,
            waiting: Waiting {
                dirty: Mutex::new(Rank::Waiting, HashMap::new()),
                kept: Mutex::new(Rank::Waiting, VecDeque::new()),
                has_ended: AtomicBool::new(false),
            },
            runtime,
        });
        publisher.tend();
        publisher
    }

    /// The settings.
    pub fn config(&self) -> &UploadConfig {
        &self.config
    }

    /// Which objects may be replaced and deleted.
    pub fn allowed(&self) -> &Allowed {
        &self.sender.allowed
    }

    /// Whether a change of this name is a change of the bucket.
    ///
    /// # Errors
    /// EPERM for a sibling, which goes with its image; as [`UploadConfig::key_for`].
    pub fn is_published(
        &self,
        folder: &Folder,
        name: &str,
        thing: &Thing,
    ) -> Result<bool, PublishError> {
        match thing {
            Thing::Draft(draft) => Ok(draft.progress().is_some()),
            Thing::Sibling(_) => Err(PublishError::NotPermitted),
            Thing::Dir(_) | Thing::Object(_) => Ok(self.config.key_for(folder, name)?.is_some()),
        }
    }

    /// The progress of a draft that becomes the object `key`, in place of `seen`. `is_copy`
    /// says that it has the bytes of that version; otherwise it is empty.
    pub fn progress(&self, key: ObjectKey, seen: Option<ObjectVersion>, is_copy: bool) -> Progress {
        Progress::new(self.sender.parts(), key, seen, is_copy)
    }

    /// Whether a draft that is opened to be written to may change: an object that the
    /// bucket has is one like any other, unless somebody is still writing it.
    pub fn may_change(&self, draft: &Draft) -> bool {
        let settled = draft.progress().and_then(|progress| progress.settled());
        settled.is_none_or(|(version, _)| {
            self.allowed().overwrites(&version) || self.drafts.opened().is_written(draft.ino())
        })
    }

    /// Lets go of a file whose name was taken by another one.
    fn drop_draft(&self, draft: &Arc<Draft>) {
        draft.remove_link();
        self.names.forget_draft(draft.ino());
        let (sender, dropped) = (self.sender.clone(), draft.clone());
        self.runtime.spawn(async move { sender.abandon_deleted(&dropped).await });
        self.waiting.note_clean(draft);
    }
}

impl Waiting {
    /// Notes that a file has to be sent, if it belongs into the bucket and is not there as
    /// it is: a write that was refused changed nothing.
    fn note_dirty(&self, draft: &Arc<Draft>) {
        if draft.is_dirty() && draft.links() > 0 {
            self.dirty.lock().entry(draft.ino()).or_insert_with(|| draft.clone());
        }
    }

    /// Notes that a file no longer has to be sent, if that is so.
    fn note_clean(&self, draft: &Draft) {
        // Under the lock: whoever writes meanwhile notes it after this.
        let mut dirty = self.dirty.lock();
        if !draft.is_dirty() || draft.links() == 0 {
            dirty.remove(&draft.ino());
        }
    }

    /// The files that are not in the bucket yet.
    fn dirty(&self) -> Vec<Arc<Draft>> {
        self.dirty.lock().values().cloned().collect()
    }

    /// Whether the mount is gone.
    fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }
}
