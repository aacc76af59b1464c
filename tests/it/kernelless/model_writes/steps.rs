//! What is done: steps of random operations.

use proptest::prelude::*;
use proptest::sample::Index;
use s3mem::fs::RenameHow;

use crate::harness::plain_tree::{At, at};

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Makes a file; keeps it open or not.
    Create(At, u16, bool),
    Mkdir(At, u16),
    Symlink(At, String),
    Fifo(At),
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
    Read {
        file: Index,
        offset: u64,
        length: usize,
    },
    Close(Index),
    /// Through the name.
    Resize(At, u64),
    /// Through an open file.
    ResizeOpen(Index, u64),
    Chmod(At, u16),
    ChmodOpen(Index, u16),
    StatOpen(Index),
    Unlink(At),
    Rmdir(At),
    /// Deletes all of a directory, and it.
    RemoveAll(At),
    Rename(At, At, RenameHow),
    Link(At, At),
    ReadLink(At),
    LookUp(At),
    /// Lists a directory from its start to its end.
    List {
        dir: Index,
        at_once: usize,
        plus: bool,
    },
    /// Begins to list a directory.
    OpenDir(Index),
    /// Goes on listing.
    ListOn {
        open: Index,
        at_once: usize,
        plus: bool,
    },
    /// The kernel forgets what nobody has open.
    ForgetAll,
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]", 2 => "[ab][-.0]", 1 => "[ab]%%object", 1 => Just("n".to_owned()),
    ]
}

fn mode() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0o644), Just(0o755), Just(0o2750), Just(0o400)]
}

fn how() -> impl Strategy<Value = RenameHow> {
    prop_oneof![
        4 => Just(RenameHow::Replace), 1 => Just(RenameHow::Keep), 1 => Just(RenameHow::Exchange),
    ]
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0u64..12, 1 => 0u64..7000, 1 => 0u64..200_000]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1usize..10, 1 => 1usize..9000]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let open = any::<Index>;
    let (old, new) = (|| at((6, 1), name()), || at((1, 4), name()));
    let mixed = || at((2, 3), name());
    prop_oneof![
        3 => (new(), mode(), any::<bool>()).prop_map(|(at, mode, is_kept)| Step::Create(at, mode, is_kept)),
        2 => (new(), mode()).prop_map(|(at, mode)| Step::Mkdir(at, mode)),
        1 => (new(), "[a-z/]{1,9}").prop_map(|(at, target)| Step::Symlink(at, target)),
        1 => new().prop_map(Step::Fifo),
        5 => (old(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(at, writes, truncates)| Step::Open { at, writes, truncates }),
        5 => (open(), offset(), length())
            .prop_map(|(file, offset, length)| Step::Write { file, offset, length }),
        5 => (open(), offset(), length())
            .prop_map(|(file, offset, length)| Step::Read { file, offset, length }),
        2 => open().prop_map(Step::Close),
        1 => (old(), offset()).prop_map(|(at, size)| Step::Resize(at, size)),
        1 => (open(), offset()).prop_map(|(file, size)| Step::ResizeOpen(file, size)),
        1 => (old(), mode()).prop_map(|(at, mode)| Step::Chmod(at, mode)),
        1 => (open(), mode()).prop_map(|(file, mode)| Step::ChmodOpen(file, mode)),
        2 => open().prop_map(Step::StatOpen),
        4 => old().prop_map(Step::Unlink),
        2 => old().prop_map(Step::Rmdir),
        1 => old().prop_map(Step::RemoveAll),
        6 => (old(), mixed(), how()).prop_map(|(from, to, how)| Step::Rename(from, to, how)),
        2 => (old(), new()).prop_map(|(from, to)| Step::Link(from, to)),
        1 => old().prop_map(Step::ReadLink),
        2 => mixed().prop_map(Step::LookUp),
        2 => (open(), 1usize..6, any::<bool>())
            .prop_map(|(dir, at_once, plus)| Step::List { dir, at_once, plus }),
        2 => open().prop_map(Step::OpenDir),
        6 => (open(), 1usize..4, any::<bool>())
            .prop_map(|(open, at_once, plus)| Step::ListOn { open, at_once, plus }),
        1 => Just(Step::ForgetAll),
    ]
}
