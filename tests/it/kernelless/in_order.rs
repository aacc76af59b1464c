//! What is fetched ahead of a program that goes through a directory in order, and what is not.

use std::sync::Arc;
use std::time::Duration;

use s3mem::fs::{FsError, OpenHow};

use crate::harness::dice::Dice;
use crate::harness::kernelless::{Tree, TreeConfig};
use crate::support::memory_store::{MemoryStore, Tally};

const KIB: u64 = 1 << 10;
const SIZE: u64 = 16 * KIB;

/// A listed directory `d` of `count` objects of `size` bytes, called by `name`.
async fn directory(count: u64, size: u64, name: impl Fn(u64) -> String) -> Tree {
    let store = Arc::new(MemoryStore::new());
    for n in 0..count {
        store.put_pattern(&format!("d/{}", name(n)), size, n);
    }
    let tree = Tree::over(store, TreeConfig::default()).await;
    tree.list_by("d", 1000, false).await;
    settle().await;
    tree.store.reset();
    tree
}

fn numbered(n: u64) -> String {
    format!("{n:04}")
}

/// Lets everything run that was begun.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Opens a file, reads its first bytes, closes it.
async fn read_first(tree: &Tree, path: &str, length: usize) -> Result<Vec<u8>, FsError> {
    let handle = tree.open(path).await?;
    let bytes = tree.pread(handle, 0, length).await;
    tree.fs.release_file(handle);
    settle().await;
    bytes
}

async fn read_all(tree: &Tree, names: impl IntoIterator<Item = String>) {
    for name in names {
        read_first(tree, &format!("d/{name}"), 128 << 10).await.unwrap();
    }
}

fn gets(count: u64, bytes: u64) -> Tally {
    Tally {
        get: count,
        asked_bytes: bytes,
        body_bytes: bytes,
        max_open_bodies: 0,
        ..Tally::default()
    }
}

fn of_gets(tally: Tally) -> Tally {
    Tally { max_open_bodies: 0, ..tally }
}

#[tokio::test]
async fn of_files_read_in_order_one_in_ten_is_fetched_ahead_and_each_once() {
    let tree = directory(200, SIZE, numbered).await;
    read_all(&tree, (0..9).map(numbered)).await;
    assert_eq!(of_gets(tree.store.tally()), gets(9, 9 * SIZE), "a tenth of nine is nothing");
    read_all(&tree, (9..100).map(numbered)).await;
    assert_eq!(of_gets(tree.store.tally()), gets(110, 110 * SIZE));
    read_all(&tree, (100..200).map(numbered)).await;
    assert_eq!(of_gets(tree.store.tally()), gets(200, 200 * SIZE), "each byte once");
}

#[tokio::test]
async fn the_number_ahead_has_an_end() {
    let tree = directory(900, SIZE, numbered).await;
    read_all(&tree, (0..800).map(numbered)).await;
    assert_eq!(of_gets(tree.store.tally()), gets(864, 864 * SIZE));
}

#[tokio::test]
async fn the_bytes_ahead_are_a_sixteenth_of_the_memory() {
    let store = Arc::new(MemoryStore::new());
    for n in 0..100 {
        store.put_pattern(&format!("d/{n:04}"), 256 * KIB, n);
    }
    let config = TreeConfig { memory_bytes: 16 << 20, ..TreeConfig::default() };
    let tree = Tree::over(store, config).await;
    tree.list_by("d", 1000, false).await;
    tree.store.reset();
    for n in 0..80 {
        assert_eq!(tree.read(&format!("d/{n:04}")).await.unwrap().len() as u64, 256 * KIB);
        settle().await;
    }
    assert_eq!(of_gets(tree.store.tally()), gets(84, 84 * 256 * KIB));
}

#[tokio::test]
async fn files_opened_at_random_are_fetched_alone() {
    let tree = directory(400, SIZE, numbered).await;
    let mut dice = Dice(0x5eed_0e01);
    let mut names: Vec<u64> = (0..400).collect();
    for at in (1..names.len()).rev() {
        names.swap(at, dice.below(at as u64 + 1) as usize);
    }
    read_all(&tree, names[..200].iter().map(|n| numbered(*n))).await;
    assert_eq!(of_gets(tree.store.tally()), gets(200, 200 * SIZE));
}

#[tokio::test]
async fn backward_every_file_is_fetched_alone() {
    let tree = directory(100, SIZE, numbered).await;
    read_all(&tree, (10..100).rev().map(numbered)).await;
    assert_eq!(of_gets(tree.store.tally()), gets(90, 90 * SIZE));
}

#[tokio::test]
async fn who_reads_the_first_bytes_of_files_has_no_more_of_them_fetched_ahead() {
    let tree = directory(100, 1 << 20, numbered).await;
    for n in 0..40 {
        read_first(&tree, &format!("d/{n:04}"), 16 << 10).await.unwrap();
    }
    let tally = tree.store.tally();
    // Whoever asks for less than 32 KiB gets the 64 KiB around it, ahead of him 16 KiB alone.
    assert_eq!(tally.get, 44, "{tally:?}");
    assert_eq!(tally.asked_bytes, 10 * 64 * KIB + 34 * 16 * KIB, "{tally:?}");
}

#[tokio::test]
async fn the_first_miss_ends_it_and_three_more_in_order_begin_it_again() {
    let tree = directory(300, SIZE, numbered).await;
    read_all(&tree, (0..100).map(numbered)).await;
    assert_eq!(tree.store.reset().get, 110);
    read_all(&tree, [200, 250, 251].map(numbered)).await;
    assert_eq!(of_gets(tree.store.tally()), gets(3, 3 * SIZE));
    // What was in vain stays counted: of 129 files that were read in
    // order, 12 may be, and 10 are.
    read_all(&tree, (252..279).map(numbered)).await;
    assert_eq!(of_gets(tree.store.reset()), gets(30 + 2, 32 * SIZE));
    // What was fetched is there.
    read_all(&tree, [109, 101, 105].map(numbered)).await;
    assert_eq!(tree.store.tally().get, 0);
}

#[tokio::test]
async fn files_with_one_ending_are_followed_among_others() {
    let name = |n: u64| format!("{:04}.{}", n / 2, ["jpg", "xml"][n as usize % 2]);
    let tree = directory(200, SIZE, name).await;
    read_all(&tree, (0..50).map(|n| format!("{n:04}.jpg"))).await;
    assert_eq!(of_gets(tree.store.tally()), gets(55, 55 * SIZE));
    read_all(&tree, (50..55).map(|n| format!("{n:04}.jpg"))).await;
    assert_eq!(tree.store.tally().get, 60, "none of the others");
}

#[tokio::test]
async fn files_read_by_inode_number_are_followed_too() {
    let tree = directory(100, SIZE, numbered).await;
    let mut listed = tree.list_by("d", 1000, false).await;
    listed.sort_by_key(|entry| entry.ino);
    read_all(&tree, listed[..50].iter().map(|entry| entry.name.clone())).await;
    assert_eq!(of_gets(tree.store.tally()), gets(55, 55 * SIZE));
    read_all(&tree, listed[50..].iter().map(|entry| entry.name.clone())).await;
    assert_eq!(of_gets(tree.store.tally()), gets(100, 100 * SIZE));
}

#[tokio::test]
async fn a_large_directory_is_listed_again_before_its_names_are_asked_for_one_by_one() {
    let store = Arc::new(MemoryStore::new());
    (0..1500).for_each(|n| drop(store.put_pattern(&format!("d/{n:04}"), SIZE, n)));
    let ttl = Duration::from_secs(4);
    let tree = Tree::over(store, TreeConfig { ttl, ..TreeConfig::default() }).await;
    let folder = tree.find("d").await.unwrap().ino;
    tree.list_by("d", 2000, false).await;
    tree.store.reset();
    let read = async |names: std::ops::Range<u64>| {
        for n in names {
            let ino = tree.lookup(folder, &numbered(n)).await.unwrap().unwrap().ino;
            let handle = tree.open_ino(ino, OpenHow::default()).await.unwrap();
            assert_eq!(tree.pread(handle, 0, 128 << 10).await.unwrap().len() as u64, SIZE);
            tree.fs.release_file(handle);
            settle().await;
        }
    };
    read(0..20).await;
    assert_eq!(tree.store.reset().list, 0);
    tokio::time::sleep(ttl / 4 * 3).await;
    read(20..25).await;
    assert_eq!(tree.store.reset().list, 1, "the first page");
    tokio::time::sleep(ttl / 2).await;
    read(25..60).await;
    assert_eq!(tree.store.reset().list, 0, "what was listed first is too old by now");
}

#[tokio::test]
async fn empty_files_are_left_out_since_nobody_reads_them() {
    let store = Arc::new(MemoryStore::new());
    for n in 0..100 {
        let size = if n % 3 == 1 { 0 } else { SIZE };
        store.put_pattern(&format!("d/{n:04}"), size, n);
    }
    let tree = Tree::over(store, TreeConfig::default()).await;
    tree.list_by("d", 1000, false).await;
    tree.store.reset();
    read_all(&tree, (0..60).map(numbered)).await;
    assert_eq!(of_gets(tree.store.tally()), gets(44, 44 * SIZE));
}

#[tokio::test]
async fn the_first_files_of_the_next_directory_go_on_where_the_last_one_ended() {
    let store = Arc::new(MemoryStore::new());
    for n in 0..60 {
        store.put_pattern(&format!("d/{n:04}"), SIZE, n);
        store.put_pattern(&format!("e/{n:04}"), SIZE, n);
    }
    let tree = Tree::over(store, TreeConfig::default()).await;
    tree.list_by("d", 1000, false).await;
    tree.list_by("e", 1000, false).await;
    tree.store.reset();
    read_all(&tree, (0..60).map(numbered)).await;
    assert_eq!(of_gets(tree.store.reset()), gets(60, 60 * SIZE));
    read_first(&tree, "e/0000", 128 << 10).await.unwrap();
    assert_eq!(of_gets(tree.store.tally()), gets(7, 7 * SIZE));
}

#[tokio::test]
async fn a_file_that_was_overwritten_meanwhile_is_refused_as_ever_and_then_new() {
    let tree = directory(100, SIZE, numbered).await;
    read_all(&tree, (0..49).map(numbered)).await;
    // It is ahead of the fiftieth file, and not fetched yet.
    tree.store.put("d/0054", vec![9; SIZE as usize]);
    read_all(&tree, (49..54).map(numbered)).await;
    let old = read_first(&tree, "d/0054", 128 << 10).await;
    assert!(old.is_err_and(|error| error.errno() == libc::ESTALE));
    let new = read_first(&tree, "d/0054", 128 << 10).await.unwrap();
    assert_eq!(new, vec![9; SIZE as usize]);
}

/// A root of `count` directories of three objects each.
async fn directories(count: u64, config: TreeConfig) -> Tree {
    let store = Arc::new(MemoryStore::new());
    for n in 0..count {
        (0..3).for_each(|file| drop(store.put(&format!("{n:04}/{file}"), "x")));
    }
    let tree = Tree::over(store, config).await;
    tree.list_by("", 2000, false).await;
    tree.store.reset();
    tree
}

async fn list_all(tree: &Tree, names: impl IntoIterator<Item = String>) {
    for name in names {
        assert_eq!(tree.list_by(&name, 1000, false).await.len(), 3);
        settle().await;
    }
}

#[tokio::test]
async fn a_walk_lists_each_directory_once_and_some_ahead() {
    let tree = directories(100, TreeConfig::default()).await;
    list_all(&tree, (0..2).map(numbered)).await;
    assert_eq!(tree.store.tally().list, 2);
    list_all(&tree, (2..20).map(numbered)).await;
    assert_eq!(tree.store.tally().list, 20 + 9);
    list_all(&tree, (20..60).map(numbered)).await;
    assert_eq!(tree.store.tally().list, 60 + 24, "there is an end");
    list_all(&tree, (60..100).map(numbered)).await;
    assert_eq!(tree.store.tally(), Tally { list: 100, ..Tally::default() });
}

#[tokio::test]
async fn directories_listed_at_random_are_listed_alone() {
    let tree = directories(200, TreeConfig::default()).await;
    let mut dice = Dice(0x5eed_0e02);
    let mut names: Vec<u64> = (0..200).collect();
    for at in (1..names.len()).rev() {
        names.swap(at, dice.below(at as u64 + 1) as usize);
    }
    list_all(&tree, names[..100].iter().map(|n| numbered(*n))).await;
    assert_eq!(tree.store.tally(), Tally { list: 100, ..Tally::default() });
}

#[tokio::test]
async fn a_walk_that_turns_away_has_no_more_listed() {
    let tree = directories(100, TreeConfig::default()).await;
    list_all(&tree, (0..20).map(numbered)).await;
    assert_eq!(tree.store.reset().list, 29);
    list_all(&tree, [50, 70, 71].map(numbered)).await;
    assert_eq!(tree.store.tally().list, 3);
}

#[tokio::test]
async fn listings_that_nobody_believes_are_not_made_ahead() {
    let config = TreeConfig { ttl: Duration::ZERO, ..TreeConfig::default() };
    let tree = directories(50, config).await;
    for n in 0..50 {
        let ino = tree.find(&numbered(n)).await.unwrap().ino;
        tree.store.reset();
        let handle = tree.fs.open_dir(ino, 1).unwrap();
        let mut sink = crate::harness::kernelless::Sink { room: 100, ..Default::default() };
        tree.list_on(handle, false, &mut sink).await;
        settle().await;
        assert_eq!(tree.store.tally(), Tally { list: 1, ..Tally::default() });
    }
}

#[tokio::test]
async fn of_the_next_images_the_headers_are_there_when_siblings_are_looked_up_in_order() {
    let image = include_bytes!("../../support/images/ascii.pgm");
    let store = Arc::new(MemoryStore::new());
    (0..60).for_each(|n| drop(store.put(&format!("d/{n:04}.pgm"), image.to_vec())));
    let tree = Tree::over(store, TreeConfig::default()).await;
    let folder = tree.find("d").await.unwrap().ino;
    tree.list_by("d", 1000, false).await;
    tree.store.reset();
    for n in 0..40 {
        let found = tree.lookup(folder, &format!("{n:04}.pgm.json")).await.unwrap();
        assert!(found.is_some_and(|attr| attr.size > 0));
        settle().await;
    }
    assert_eq!(tree.store.reset().get, 43);
    for n in [40, 41, 42] {
        tree.lookup(folder, &format!("{n:04}.pgm.json")).await.unwrap();
        assert!(tree.lookup(folder, &format!("{n:04}.pgm.npy")).await.unwrap().is_some());
        settle().await;
    }
    assert_eq!(tree.store.reset().get, 4, "that many go on ahead of them");
    for n in [59, 3, 50] {
        tree.lookup(folder, &format!("{n:04}.pgm.json")).await.unwrap();
        settle().await;
    }
    assert_eq!(tree.store.reset().get, 2);
}
