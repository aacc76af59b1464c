//! What is done: steps of random operations, by programs and by somebody else, and
//! what fails meanwhile.

use proptest::prelude::*;
use proptest::sample::Index;
use s3mem::fs::RenameHow;
use s3mem::store::StoreErrorKind;

use crate::harness::plain_tree::{At, at};
use crate::support::memory_store::MemoryStore;

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Makes a file and keeps it open.
    Create(At),
    /// As mknod(2): makes a file that nobody opens.
    MakeNode(At),
    Mkdir(At),
    Open {
        at: At,
        writes: bool,
        truncates: bool,
    },
    Write {
        file: Index,
        offset: u64,
        length: usize,
    },
    /// Writes behind the end.
    Append {
        file: Index,
        length: usize,
    },
    Read {
        file: Index,
        offset: u64,
        length: usize,
    },
    Fsync(Index),
    /// Closes one of several descriptors.
    Flush(Index),
    Close(Index),
    Resize(At, u64),
    ResizeOpen(Index, u64),
    Unlink(At),
    Rmdir(At),
    Rename(At, At, RenameHow),
    LookUp(At),
    List {
        dir: Index,
        at_once: usize,
        plus: bool,
    },
    /// What could not be sent is tried again.
    SendPending,
    ForgetAll,
    /// Somebody else writes an object.
    OthersPut(Index, String),
    /// Somebody else deletes one of the objects.
    OthersDelete(Index),
    /// The server throws unfinished uploads away.
    OthersAbort,
}

/// What fails while a step is done.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) error: StoreErrorKind,
    pub(super) way: Way,
    /// So many requests go well before.
    pub(super) skips: u64,
    pub(super) times: u64,
}

impl Fault {
    pub(super) fn arm(&self, store: &MemoryStore) {
        let Fault { error, way, skips, times } = self.clone();
        match way {
            Way::Writes => store.fail_writes(error, false, skips, times),
            Way::Answers => store.fail_writes(error, true, skips, times),
            Way::Reads => store.fail_reads(error, skips, times),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// Requests that write are refused.
    Writes,
    /// Requests that write are done, and their answers are lost.
    Answers,
    /// Requests that read are refused.
    Reads,
}

pub(super) fn fault() -> impl Strategy<Value = Option<Fault>> {
    let error = prop_oneof![
        Just(StoreErrorKind::AccessDenied),
        Just(StoreErrorKind::Transient),
        Just(StoreErrorKind::Timeout),
    ];
    let way = prop_oneof![2 => Just(Way::Writes), 2 => Just(Way::Answers), 1 => Just(Way::Reads)];
    let fault = (error, way, prop_oneof![3 => Just(0u64), 2 => 1u64..5], 1u64..4)
        .prop_map(|(error, way, skips, times)| Fault { error, way, skips, times });
    prop::option::weighted(0.15, fault)
}

fn file_name() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[abc]", 1 => Just("m".to_owned())]
}

fn dir_name() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[de]", 1 => Just("n".to_owned())]
}

fn how() -> impl Strategy<Value = RenameHow> {
    prop_oneof![
        12 => Just(RenameHow::Replace), 1 => Just(RenameHow::Keep), 1 => Just(RenameHow::Exchange),
    ]
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0u64..12, 1 => 0u64..7000]
}

/// Sizes of which a few are sent in parts.
fn size() -> impl Strategy<Value = u64> {
    prop_oneof![40 => offset(), 1 => (16u64 << 20) + 1..(18 << 20)]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1usize..10, 1 => 1usize..9000]
}

pub(super) fn step() -> impl Strategy<Value = (Step, Option<Fault>)> {
    let open = any::<Index>;
    let (old, file) = (|| at((8, 1), file_name()), || at((1, 5), file_name()));
    let dir = || at((1, 5), dir_name());
    let either = || prop_oneof![4 => at((1, 4), file_name()), 3 => at((1, 4), dir_name())];
    let step = prop_oneof![
        6 => file().prop_map(Step::Create),
        1 => file().prop_map(Step::MakeNode),
        3 => dir().prop_map(Step::Mkdir),
        7 => (old(), prop::bool::weighted(0.6), prop::bool::weighted(0.3))
            .prop_map(|(at, writes, truncates)| Step::Open { at, writes, truncates }),
        6 => (open(), offset(), length())
            .prop_map(|(file, offset, length)| Step::Write { file, offset, length }),
        2 => (open(), prop_oneof![30 => 1usize..10, 1 => Just(9usize << 20)])
            .prop_map(|(file, length)| Step::Append { file, length }),
        3 => (open(), offset(), length())
            .prop_map(|(file, offset, length)| Step::Read { file, offset, length }),
        2 => open().prop_map(Step::Fsync),
        1 => open().prop_map(Step::Flush),
        7 => open().prop_map(Step::Close),
        2 => (old(), size()).prop_map(|(at, size)| Step::Resize(at, size)),
        1 => (open(), size()).prop_map(|(file, size)| Step::ResizeOpen(file, size)),
        5 => old().prop_map(Step::Unlink),
        2 => old().prop_map(Step::Rmdir),
        10 => (old(), either(), how()).prop_map(|(from, to, how)| Step::Rename(from, to, how)),
        2 => either().prop_map(Step::LookUp),
        3 => (open(), 1usize..6, any::<bool>())
            .prop_map(|(dir, at_once, plus)| Step::List { dir, at_once, plus }),
        1 => Just(Step::SendPending),
        1 => Just(Step::ForgetAll),
        2 => (open(), "[abc]").prop_map(|(dir, name)| Step::OthersPut(dir, name)),
        1 => open().prop_map(Step::OthersDelete),
        1 => Just(Step::OthersAbort),
    ];
    (step, fault())
}
