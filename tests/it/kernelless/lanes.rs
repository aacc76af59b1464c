//! Large directories, several parts of which are listed at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use s3mem::store::StoreErrorKind;

use crate::harness::dice::Dice;
use crate::harness::kernelless::{Sink, Tree, TreeConfig};
use crate::support::memory_store::{MemoryStore, Order, StartAfter, StoreStyle};

/// Names on a page, so that a thousand pages are not too many names.
const PAGE: usize = 100;
/// What may be listed beside the pages that there are: where lanes meet, and behind the end.
const FEW: u64 = 32;

fn style() -> StoreStyle {
    StoreStyle { page_entries: PAGE, ..StoreStyle::default() }
}

/// A tree over a directory `d` of these names.
async fn tree(names: &BTreeSet<String>, style: StoreStyle, config: TreeConfig) -> Tree {
    let store = Arc::new(MemoryStore::with_style(style));
    for name in names {
        store.put(&format!("d/{name}"), "");
    }
    let tree = Tree::over(store, config).await;
    tree.find("d").await.unwrap();
    tree.store.reset();
    tree
}

fn numbers(count: usize) -> BTreeSet<String> {
    (0..count).map(|number| format!("tile-{number:06}.tif")).collect()
}

/// The names in a directory as they come.
async fn listed(tree: &Tree) -> Vec<String> {
    tree.list_by("d", 1000, false).await.into_iter().map(|entry| entry.name).collect()
}

#[tokio::test]
async fn a_thousand_pages_are_listed_eight_at_once_and_hardly_any_twice() {
    let names = numbers(1000 * PAGE);
    let tree = tree(&names, style(), TreeConfig::default()).await;
    tree.store.set_delay(Duration::from_millis(2));
    assert!(listed(&tree).await.iter().eq(&names));
    let (list, at_once) = (tree.store.reset().list, tree.store.most_lists());
    println!("a thousand pages: {list} LISTs, {at_once} at once");
    assert!((1000..=1000 + FEW).contains(&list), "{list}");
    assert!((7..=8).contains(&at_once), "{at_once}");
    // They are known as if they had been listed one after the other.
    assert!(listed(&tree).await.iter().eq(&names));
    for name in ["tile-000000.tif", "tile-050000.tif", "tile-099999.tif"] {
        assert!(tree.find(&format!("d/{name}")).await.is_ok());
    }
    assert!(tree.find("d/tile-050000.tif.ovr").await.is_err());
    assert_eq!(tree.store.reset().list, 0);
}

#[tokio::test]
async fn all_names_are_listed_in_order_whatever_they_look_like() {
    let mut dice = Dice(0x1a9e5);
    let mut hash = |digits: usize| -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[dice.below(16) as usize])).collect()
    };
    let count = 300 * PAGE;
    let hashes: BTreeSet<String> = (0..count).map(|_| format!("{}.jpg", hash(12))).collect();
    let folders = (0..count).map(|_| format!("{}-{}/leaf", hash(8), hash(4))).collect();
    let plain = (0..count).map(|number| format!("{number}")).collect();
    let groups = "abcdefghij"
        .chars()
        .flat_map(|group| (0..count / 10).map(move |number| format!("{group}{number:04}")));
    let days = (0..count).map(|n| {
        let (day, second) = (n / 100, n % 100 * 800);
        let day = format!("{}-{:02}-{:02}", 2000 + day / 360, day / 30 % 12 + 1, day % 30 + 1);
        format!("S2A_{day}T{second:05}_x/image.jp2")
    });
    let dense_and_sparse =
        (0..count).map(|n| format!("{:09}", if n < count / 2 { n } else { n * 5000 }));
    // Each name is an object, and an object behind it stands between it and its directory.
    let shadowed = (0..count / 3)
        .flat_map(|n| [format!("{n:05}"), format!("{n:05}-1"), format!("{n:05}/below")]);
    let words = (0..count).map(|n| format!("{}ä{}", ["ab", "äö", "zz"][n % 3], n * 7919));
    for (what, names) in [
        ("hashes", hashes),
        ("folders", folders),
        ("plain numbers", plain),
        ("groups", groups.collect()),
        ("days", days.collect()),
        ("dense and sparse", dense_and_sparse.collect()),
        ("shadowed", shadowed.collect()),
        ("words", words.collect()),
    ] {
        for order in [Order::OfBytes, Order::OfBytesUnsaid] {
            let style = StoreStyle { order, ..style() };
            let wide = tree(&names, style, TreeConfig::default()).await;
            let narrow = TreeConfig { memory_bytes: 2 << 20, ..TreeConfig::default() };
            let narrow = tree(&names, style, narrow).await;
            let (all, one_by_one) = (listed(&wide).await, listed(&narrow).await);
            assert!(all == one_by_one, "{what}: {} names of {}", all.len(), one_by_one.len());
            let (list, plain) = (wide.store.reset().list, narrow.store.reset().list);
            println!(
                "{what}: {list} LISTs, {} at once; {plain} one by one",
                wide.store.most_lists()
            );
            assert!(narrow.store.most_lists() == 1 && all.len() >= count / 3, "{what}");
            assert!(list <= plain + FEW, "{what}: {list} for {plain}");
        }
    }
}

#[tokio::test]
async fn a_server_that_begins_elsewhere_loses_no_name_and_is_not_asked_again() {
    let names = numbers(300 * PAGE);
    for start_after in [StartAfter::Ignored, StartAfter::TooFar] {
        for order in [Order::OfBytes, Order::OfBytesUnsaid] {
            let style = StoreStyle { start_after, order, ..style() };
            let config = TreeConfig { ttl: Duration::from_millis(1), ..TreeConfig::default() };
            let tree = tree(&names, style, config.clone()).await;
            assert!(listed(&tree).await.iter().eq(&names), "{start_after:?}");
            let list = tree.store.reset().list;
            // The seam that does not fit drops the other lanes, of some twenty pages each.
            let most = if start_after == StartAfter::Ignored { 302 } else { 300 + 8 * 20 };
            assert!((300..=most).contains(&list), "{start_after:?}: {list}");
            // The next walk knows, and lists all of it again.
            tokio::time::sleep(config.ttl).await;
            assert_eq!(listed(&tree).await.len(), names.len());
            assert_eq!(tree.store.reset().list, 301, "the root too; {start_after:?}");
        }
    }
}

#[tokio::test]
async fn where_memory_is_short_pages_come_one_after_the_other() {
    let names = numbers(300 * PAGE);
    let config = TreeConfig { memory_bytes: 2 << 20, ..TreeConfig::default() };
    let tree = tree(&names, style(), config).await;
    assert!(listed(&tree).await.iter().eq(&names));
    assert_eq!((tree.store.reset().list, tree.store.most_lists()), (300, 1));
}

#[tokio::test]
async fn a_reader_who_goes_ends_what_was_listed_ahead() {
    let tree = tree(&numbers(1000 * PAGE), style(), TreeConfig::default()).await;
    tree.store.set_delay(Duration::from_millis(1));
    let handle = tree.fs.open_dir(tree.find("d").await.unwrap().ino, 1).unwrap();
    let mut sink = Sink::default();
    while sink.entries.len() < 200 * PAGE {
        sink.room = 1000;
        assert!(tree.list_on(handle, false, &mut sink).await);
    }
    let list = tree.store.tally().list;
    assert!(tree.store.most_lists() > 1 && list < 2 * 200 + 400, "{list}");
    tree.fs.release_dir(handle);
    tokio::task::yield_now().await;
    while tree.store.lists_under_way() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let list = tree.store.tally().list;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(tree.store.tally().list, list);
}

#[tokio::test]
async fn a_list_that_fails_is_tried_again_and_no_name_is_lost() {
    let names = numbers(300 * PAGE);
    for skips in [0, 80, 100, 150, 250] {
        let store = Arc::new(MemoryStore::with_style(style()));
        names.iter().for_each(|name| drop(store.put(&format!("d/{name}"), "")));
        let tree = Tree::over(store, TreeConfig::default()).await;
        tree.find("d").await.unwrap();
        tree.store.fail_reads(StoreErrorKind::AccessDenied, skips, 1);
        let handle = tree.fs.open_dir(tree.find("d").await.unwrap().ino, 1).unwrap();
        let mut sink = Sink::default();
        let mut failures = 0;
        loop {
            sink.room = 1000;
            let (before, cookie) = (sink.entries.len(), sink.cookie);
            match tree.fs.read_dir(handle, cookie, false, &mut sink).await {
                Ok(()) if sink.entries.len() == before => break,
                Ok(()) => {}
                Err(_) => failures += 1,
            }
        }
        assert!(failures <= 1 && tree.store.heal());
        let found: Vec<&str> = sink.entries.iter().skip(2).map(|one| one.name.as_str()).collect();
        assert!(found.iter().eq(&names), "{} names", found.len());
        tree.fs.release_dir(handle);
    }
}
