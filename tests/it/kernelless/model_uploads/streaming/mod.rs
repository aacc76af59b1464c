//! Files that are larger than the memory that they are written to: random writes, cuts
//! and closes where there is room for a few parts only, while requests fail or take
//! their time and somebody else is at the bucket.
//!
//! What was acknowledged is never lost. A write that was refused changed nothing, and
//! is refused only where nothing could be given back. A close that succeeds means that
//! the bucket has the file byte for byte; after one that fails the file is there still.
//! What can't be read is what only an upload has, and nothing else.

mod check;
mod driver;
mod files;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use s3mem::config::Writes;
use s3mem::publish::UploadConfig;

use self::driver::Driver;
use super::LONGEST;
use super::steps::{Fault, fault};
use crate::harness::kernelless::{Tree, TreeConfig};
use crate::harness::plain_tree::{cases, run_alone};
use crate::support::memory_store::{CallKind, MemoryStore, StoreStyle};

/// The parts are small, so that a case takes milliseconds.
const PART: u64 = 64 << 10;
/// Programs write in pieces of so many bytes at most.
const PIECE: usize = 40 << 10;

/// A place in a file.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// So many bytes before (if negative) or behind the beginning of a part.
    Part(u64, i64),
    /// The same of the end of the file.
    End(i64),
}

/// What is done to a file that is open.
#[derive(Debug, Clone)]
enum Change {
    Write(Place, usize),
    /// Writes behind the end, in pieces.
    Append(usize),
    Cut(Place),
    /// As fallocate(2): makes room, or a hole.
    Allocate {
        place: Place,
        length: u64,
        mode: u32,
    },
}

#[derive(Debug, Clone)]
enum Step {
    Create(Index),
    Open {
        file: Index,
        writes: bool,
        truncates: bool,
    },
    Change(Index, Change),
    Read(Index, Place, usize),
    /// Reads a file by its name, from its beginning to its end.
    ReadAll(Index),
    /// The change comes while it is being sent.
    Fsync(Index, Option<Change>),
    /// Closes one of several descriptors.
    Flush(Index, Option<Change>),
    Close(Index),
    /// Changes the size of a file by its name.
    CutByName(Index, Place),
    Unlink(Index),
    Rename(Index, Index),
    SendPending,
    /// The next requests of a kind stay without an answer until something waits for it.
    Hang(CallKind, u64),
    Release,
    OthersPut(Index),
    OthersAbort,
}

/// A step, what fails meanwhile, and how long the next one waits for what goes on by
/// itself.
type Timed = (Step, Option<Fault>, usize);

fn place() -> impl Strategy<Value = Place> {
    let near = || prop_oneof![Just(0i64), -3i64..4, -70_000i64..70_000];
    prop_oneof![
        3 => (0u64..7, near()).prop_map(|(part, off)| Place::Part(part, off)),
        1 => near().prop_map(Place::End),
    ]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![2 => 1usize..10, 3 => 1usize..3 * PIECE]
}

fn change() -> impl Strategy<Value = Change> {
    let appended = prop_oneof![
        1 => 1usize..100,
        4 => 1usize..5 * PART as usize,
        1 => (1usize..6).prop_map(|parts| parts * PART as usize),
    ];
    let allocated = (place(), 1..3 * PART, prop_oneof![Just(0u32), Just(1), Just(3)]);
    prop_oneof![
        8 => appended.prop_map(Change::Append),
        3 => (place(), length()).prop_map(|(place, length)| Change::Write(place, length)),
        2 => place().prop_map(Change::Cut),
        1 => allocated
            .prop_map(|(place, length, mode)| Change::Allocate { place, length, mode }),
    ]
}

fn step() -> impl Strategy<Value = Timed> {
    let index = any::<Index>;
    let meanwhile = || prop::option::weighted(0.4, change());
    let hung = prop_oneof![
        1 => Just(CallKind::BeginUpload),
        3 => Just(CallKind::PutPart),
        1 => Just(CallKind::CompleteUpload),
        1 => Just(CallKind::Put),
    ];
    let step = prop_oneof![
        6 => index().prop_map(Step::Create),
        4 => (index(), prop::bool::weighted(0.8), prop::bool::weighted(0.4)).prop_map(
            |(file, writes, truncates)| Step::Open { file, writes, truncates: writes && truncates }
        ),
        20 => (index(), change()).prop_map(|(file, change)| Step::Change(file, change)),
        2 => (index(), place(), length())
            .prop_map(|(file, place, length)| Step::Read(file, place, length)),
        1 => index().prop_map(Step::ReadAll),
        4 => (index(), meanwhile()).prop_map(|(file, change)| Step::Fsync(file, change)),
        2 => (index(), meanwhile()).prop_map(|(file, change)| Step::Flush(file, change)),
        6 => index().prop_map(Step::Close),
        1 => (index(), place()).prop_map(|(file, place)| Step::CutByName(file, place)),
        2 => index().prop_map(Step::Unlink),
        2 => (index(), index()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => Just(Step::SendPending),
        3 => (hung, 1u64..4).prop_map(|(kind, times)| Step::Hang(kind, times)),
        1 => Just(Step::Release),
        1 => index().prop_map(Step::OthersPut),
        1 => Just(Step::OthersAbort),
    ];
    (step, fault(), prop_oneof![Just(0usize), 1usize..20, Just(100)])
}

/// The room for files, in parts; 0 for as much as anybody wants.
fn room() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 3u64..6, 2 => 6u64..20, 1 => Just(0)]
}

async fn run(parts: u64, steps: Vec<Timed>) {
    let style = StoreStyle { min_part_bytes: PART, ..StoreStyle::default() };
    let store = Arc::new(MemoryStore::with_style(style));
    let uploads = UploadConfig {
        allow_overwrite: true,
        allow_delete: true,
        part_bytes: PART,
        ..UploadConfig::default()
    };
    let limit_bytes = if parts == 0 { 1 << 30 } else { parts * PART };
    let writes = Writes::Upload { limit_bytes, uploads };
    let ttl = Duration::from_secs(3600);
    let tree = Tree::over(store, TreeConfig { ttl, writes, ..TreeConfig::default() }).await;
    let mut driver = Driver::new(tree, limit_bytes);
    let begun = Instant::now();
    for (step, fault, pause) in steps {
        driver.step(step, fault, pause).await;
        if driver.is_torn {
            return;
        }
        if begun.elapsed() > LONGEST {
            break;
        }
    }
    driver.finish().await;
}

proptest! {
    #![proptest_config(cases(400))]
    #[test]
    fn a_file_larger_than_the_memory_is_in_the_bucket_as_it_was_written(
        room in room(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run_alone(run(room, steps));
    }
}
