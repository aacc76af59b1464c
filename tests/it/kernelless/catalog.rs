//! What exists and under which name, and what it costs to know.

use std::sync::Arc;
use std::time::Duration;

use s3mem::fs::FsError;

use crate::harness::kernelless::{Sink, Tree, TreeConfig};
use crate::support::memory_store::{CallKind, MemoryStore, Order, StoreStyle};

use s3mem::store::StoreErrorKind;

#[tokio::test]
async fn a_file_three_directories_deep_costs_three_lists_and_one_get() {
    let tree = Tree::of([("a/b/c/file", "hello"), ("top", "x")]).await;
    assert_eq!(tree.read("a/b/c/file").await.unwrap(), b"hello");
    let cost = tree.store.reset();
    assert_eq!((cost.list, cost.head, cost.get), (3, 0, 1));
    assert_eq!(tree.read("a/b/c/file").await.unwrap(), b"hello");
    assert_eq!(tree.store.reset().list, 0);
}

#[tokio::test]
async fn missing_names_in_a_listed_directory_cost_nothing() {
    let tree = Tree::of([("d/B01.jp2", "image")]).await;
    tree.find("d/B01.jp2").await.unwrap();
    tree.store.reset();
    for end in ["aux.xml", "ovr", "msk", "tfw", "wld", "j2w", "jp2w", "xml", "imd", "rpb"] {
        let missing = tree.find(&format!("d/B01.jp2.{end}")).await;
        assert!(matches!(missing, Err(FsError::NotFound)));
    }
    assert_eq!(tree.store.reset().list, 0);
}

fn large_directory() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::with_style(StoreStyle {
        page_entries: 100,
        ..StoreStyle::default()
    }));
    for n in 0..2500 {
        store.put(&format!("d/tile{n:04}.jp2"), "x");
    }
    store
}

#[tokio::test]
async fn a_large_directory_is_listed_once_and_answers_all_its_names() {
    let tree = Tree::over(large_directory(), TreeConfig::default()).await;
    tree.find("d").await.unwrap();
    tree.store.reset();
    let listed = tree.list_by("d", 60, true).await;
    assert_eq!(listed.len(), 2500);
    assert_eq!(tree.store.reset().list, 25);
    for entry in &listed {
        assert_eq!(tree.find(&format!("d/{}", entry.name)).await.unwrap().ino, entry.ino);
    }
    assert_eq!(tree.store.reset().list, 0);
}

#[tokio::test]
async fn one_name_of_a_large_directory_costs_two_lists_and_the_next_ones_one() {
    let tree = Tree::over(large_directory(), TreeConfig::default()).await;
    tree.find("d").await.unwrap();
    tree.store.reset();
    assert_eq!(tree.find("d/tile2000.jp2").await.unwrap().size, 1);
    assert_eq!(tree.store.reset().list, 2, "the first page and the name's own");
    assert_eq!(tree.find("d/tile2001.jp2").await.unwrap().size, 1);
    assert_eq!(tree.store.reset().list, 1);
    assert!(tree.find("d/tile2001.jp2.aux.xml").await.is_err());
    assert_eq!(tree.store.reset().list, 0, "the sidecars were on the same page");
}

#[tokio::test]
async fn an_object_among_thousands_that_begin_like_it_is_found_in_little_memory() {
    let store = Arc::new(MemoryStore::new());
    store.put("d/a", "1");
    for n in 0..5000 {
        store.put(&format!("d/a-{n:04}"), "x");
    }
    let config = TreeConfig { memory_bytes: 1 << 20, ..TreeConfig::default() };
    let tree = Tree::over(store, config).await;
    tree.find("d").await.unwrap();
    tree.store.reset();
    assert_eq!(tree.find("d/a").await.unwrap().size, 1);
    let lists = tree.store.reset().list;
    assert_eq!(lists, 3, "the first page, the names that begin with `a`, and `a/`");
    assert!(tree.find("d/a-").await.is_err());
}

#[tokio::test]
async fn many_look_ups_at_once_share_one_list() {
    let tree = Tree::of([("d/a", "1"), ("d/b", "2")]).await;
    let dir = tree.find("d").await.unwrap().ino;
    tree.store.reset();
    let lookups = (0..20).map(|n| {
        let fs = tree.fs.clone();
        tokio::spawn(async move { fs.lookup(dir, format!("x{n}").as_ref()).await })
    });
    for lookup in lookups.collect::<Vec<_>>() {
        assert!(lookup.await.unwrap().unwrap().0.is_none());
    }
    assert_eq!(tree.store.reset().list, 1);
}

#[tokio::test]
async fn a_failed_list_fails_all_who_waited_and_is_tried_again_by_the_next() {
    let tree = Tree::of([("d/a", "1")]).await;
    tree.find("d").await.unwrap();
    tree.store.fail_next(CallKind::List, None, StoreErrorKind::AccessDenied, 1);
    let (one, other) = tokio::join!(tree.find("d/a"), tree.find("d/b"));
    assert_eq!(one.unwrap_err().errno(), libc::EACCES);
    assert_eq!(other.unwrap_err().errno(), libc::EACCES);
    assert!(tree.find("d/a").await.is_ok());
}

#[tokio::test]
async fn a_listing_is_believed_for_its_ttl() {
    let store = Arc::new(MemoryStore::new());
    store.put("d/a", "1");
    let ttl = Duration::from_secs(2);
    let tree = Tree::over(store, TreeConfig { ttl, ..TreeConfig::default() }).await;
    assert!(tree.find("d/new").await.is_err());
    tree.store.put("d/new", "2");
    assert!(tree.find("d/new").await.is_err(), "believed");
    tokio::time::sleep(ttl).await;
    assert!(tree.find("d/new").await.is_ok(), "asked again");
}

#[tokio::test]
async fn with_a_ttl_of_zero_every_look_up_asks() {
    let store = Arc::new(MemoryStore::new());
    store.put("a", "1");
    let tree = Tree::over(store, TreeConfig { ttl: Duration::ZERO, ..TreeConfig::default() }).await;
    assert!(tree.find("b").await.is_err());
    tree.store.put("b", "2");
    assert_eq!(tree.find("b").await.unwrap().size, 1);
    tree.store.delete("b");
    assert!(tree.find("b").await.is_err());
}

#[tokio::test]
async fn for_ever_never_asks_again() {
    let store = Arc::new(MemoryStore::new());
    store.put("a", "1");
    let tree = Tree::over(store, TreeConfig { ttl: Duration::MAX, ..TreeConfig::default() }).await;
    tree.store.put("b", "2");
    assert!(tree.find("a").await.is_ok());
    assert!(tree.find("b").await.is_err());
    assert_eq!(tree.store.tally().list, 1, "the mount's own");
}

#[tokio::test]
async fn an_object_beside_a_directory_of_its_name_has_a_suffix() {
    let tree = Tree::of([("a", "object"), ("a/b", "inside"), ("c", "alone")]).await;
    assert_eq!(tree.list("").await, ["a%%object", "a/", "c"]);
    assert_eq!(tree.read("a%%object").await.unwrap(), b"object");
    assert_eq!(tree.read("a/b").await.unwrap(), b"inside");
    assert!(tree.find("c%%object").await.is_err(), "only one name leads to a key");
}

#[tokio::test]
async fn an_object_is_shadowed_by_a_directory_on_a_later_page() {
    let style = StoreStyle { page_entries: 10, ..StoreStyle::default() };
    let store = Arc::new(MemoryStore::with_style(style));
    store.put("img", "object");
    for n in 0..45 {
        store.put(&format!("img-{n:02}"), "x");
    }
    store.put("img/inside", "y");
    store.put("zzz", "z");
    let tree = Tree::over(store, TreeConfig::default()).await;
    for at_once in [1, 3, 100] {
        let mut names: Vec<String> =
            tree.list_by("", at_once, false).await.into_iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), 48);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 48, "no name twice");
        assert!(names.contains(&"img%%object".to_owned()));
        assert!(names.contains(&"img".to_owned()));
    }
    assert_eq!(tree.read("img%%object").await.unwrap(), b"object");
    assert_eq!(tree.list("img").await, ["inside"]);
}

/// How many LISTs may follow the pages of a listing that begins again, until that is an
/// error: one where its token shows it, some where only the pages do.
const MORE: [(bool, u64); 2] = [(false, 1), (true, 9)];
/// How many empty pages with new tokens are followed.
const EMPTY: u64 = 1001;

#[tokio::test]
async fn a_listing_that_begins_again_is_an_error_after_its_pages() {
    for ((keys, pages), (fresh_tokens, more)) in
        [(3, 1), (250, 3)].into_iter().flat_map(|of| MORE.map(|more| (of, more)))
    {
        let style =
            StoreStyle { page_entries: 100, endless: true, fresh_tokens, ..StoreStyle::default() };
        let store = Arc::new(MemoryStore::with_style(style));
        for n in 0..keys {
            store.put(&format!("d/n{n:03}"), "x");
        }
        let tree = Tree::over(store, TreeConfig::default()).await;
        let handle = tree.fs.open_dir(tree.find("d").await.unwrap().ino, 0).unwrap();
        tree.store.reset();
        let mut sink = Sink { room: usize::MAX, ..Sink::default() };
        let outcome = loop {
            let before = sink.entries.len();
            let outcome = tree.fs.read_dir(handle, sink.cookie, false, &mut sink).await;
            if outcome.is_err() || sink.entries.len() == before {
                break outcome;
            }
        };
        assert_eq!(outcome.unwrap_err().errno(), libc::EIO);
        let lists = tree.store.reset().list;
        assert!(lists <= pages + more + 1, "{lists} LISTs for {pages} pages");
        if !fresh_tokens {
            // What a page says of a name is believed as ever.
            assert_eq!(tree.read("d/n000").await.unwrap(), b"x");
        }
        tree.store.reset();
        assert_eq!(tree.find("d/z").await.unwrap_err().errno(), libc::EIO);
        let empty = if fresh_tokens { EMPTY } else { 0 };
        assert!(tree.store.reset().list <= pages + more + 3 + empty);
    }
}

#[tokio::test]
async fn a_look_up_in_a_listing_that_begins_again_ends() {
    let long = "L".repeat(252);
    for order in [Order::OfBytes, Order::OfBytesUnsaid, Order::Backwards] {
        for (fresh_tokens, more) in MORE {
            let style = StoreStyle {
                page_entries: 10,
                endless: true,
                fresh_tokens,
                order,
                ..StoreStyle::default()
            };
            let store = Arc::new(MemoryStore::with_style(style));
            // None of them is too long for a name, as those in the wanted folder are.
            for n in 0..25 {
                store.put(&format!("d/{long}{n:02}"), "x");
            }
            let tree = Tree::over(store, TreeConfig::default()).await;
            for name in [format!("%%{long}%"), format!("{long}07-"), "LL".to_owned()] {
                tree.store.reset();
                let found = tree.find(&format!("d/{name}")).await;
                assert!(matches!(found.unwrap_err().errno(), libc::EIO | libc::ENOENT), "{name}");
                let lists = tree.store.reset().list;
                let empty = if fresh_tokens { 2 * EMPTY } else { 0 };
                assert!(lists <= 2 * (3 + more) + 3 + empty, "{order:?} {name}: {lists} LISTs");
            }
        }
    }
}

#[tokio::test]
async fn markers_are_directories_and_show_their_body_if_they_have_one() {
    let tree = Tree::of([("empty/", ""), ("full/", "body"), ("full/x", "1")]).await;
    assert_eq!(tree.list("").await, ["empty/", "full/"]);
    assert_eq!(tree.list("empty").await, [""; 0]);
    assert_eq!(tree.list("full").await, ["%%", "x"]);
    assert_eq!(tree.read("full/%%").await.unwrap(), b"body");
    assert!(tree.find("empty/%%").await.is_err());
}

#[tokio::test]
async fn strange_segments_are_reachable_and_answer_for_nobody_else() {
    let keys = [
        "/lead",
        "a//b",
        "a///c",
        "dots/./x",
        "dots/../y",
        "nul\0byte",
        "ctrl\n\x07",
        "100%",
        "%%",
        "%%%2E",
        "x%%object",
        "y%%z",
        "y%%z/below",
        "sp ace",
        "plus+",
        "日本/語",
        "a//",
        "//",
    ];
    let store = Arc::new(MemoryStore::new());
    for key in keys {
        store.put(key, key.to_owned());
    }
    let tree = Tree::over(store, TreeConfig::default()).await;
    let mut found = Vec::new();
    let mut dirs = vec![String::new()];
    while let Some(dir) = dirs.pop() {
        for entry in tree.list_by(&dir, 5, true).await {
            let path = format!("{dir}/{}", entry.name);
            assert_eq!(tree.find(&path).await.unwrap().ino, entry.ino, "{path:?}");
            if entry.is_dir {
                dirs.push(path);
            } else {
                found.push(String::from_utf8(tree.read(&path).await.unwrap()).unwrap());
            }
        }
    }
    found.sort();
    let mut expected = keys.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(tree.read("%%/lead").await.unwrap(), b"/lead");
    assert_eq!(tree.read("%%y%25%25z%%object").await.unwrap(), b"y%%z");
    assert_eq!(tree.read("dots/%%%2E%2E/y").await.unwrap(), b"dots/../y");
}

#[tokio::test]
async fn segments_longer_than_a_name_are_in_directories_of_their_parts() {
    let store = Arc::new(MemoryStore::new());
    let keys: Vec<String> = vec![
        format!("d/{}", "x".repeat(255)),
        format!("d/{}", "x".repeat(256)),
        format!("d/{}", "x".repeat(300)),
        format!("d/{}/inside", "x".repeat(300)),
        format!("d/{}", "y".repeat(900)),
        format!("d/{}", "é".repeat(200)),
        format!("d/{}%%", "p".repeat(253)),
        format!("d/{}%%/inside", "p".repeat(253)),
    ];
    for key in &keys {
        store.put(key, key.clone());
    }
    let tree = Tree::over(store, TreeConfig::default()).await;
    let mut found = Vec::new();
    let mut dirs = vec!["d".to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in tree.list_by(&dir, 2, true).await {
            assert!(entry.name.len() <= 255);
            let path = format!("{dir}/{}", entry.name);
            assert_eq!(tree.find(&path).await.unwrap().ino, entry.ino);
            if entry.is_dir {
                dirs.push(path);
            } else {
                found.push(String::from_utf8(tree.read(&path).await.unwrap()).unwrap());
            }
        }
    }
    found.sort();
    let mut expected = keys;
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_mounted_prefix_is_the_root() {
    let store = Arc::new(MemoryStore::new());
    store.put("tiles/10/a", "1");
    store.put("tiles/", "");
    store.put("other", "2");
    let tree = Tree::over(store, TreeConfig { prefix: "tiles", ..TreeConfig::default() }).await;
    assert_eq!(tree.list("").await, ["10/"]);
    assert_eq!(tree.read("10/a").await.unwrap(), b"1");
}

#[tokio::test]
async fn inode_numbers_are_stable_and_change_with_the_version() {
    let store = Arc::new(MemoryStore::new());
    store.put("a", "1");
    let tree = Tree::over(store, TreeConfig { ttl: Duration::ZERO, ..TreeConfig::default() }).await;
    let first = tree.find("a").await.unwrap().ino;
    tree.fs.forget(first, 1);
    assert_eq!(tree.fs.inode_count(), 1, "only the root is remembered");
    assert_eq!(tree.find("a").await.unwrap().ino, first);
    tree.store.put("a", "2");
    assert_ne!(tree.find("a").await.unwrap().ino, first);
}

#[tokio::test]
async fn listing_a_directory_is_forgotten_with_its_inodes() {
    let tree = Tree::over(large_directory(), TreeConfig::default()).await;
    tree.list_by("d", 100, true).await;
    assert!(tree.fs.inode_count() <= 2, "{}", tree.fs.inode_count());
}

#[tokio::test]
async fn a_walk_goes_back_to_any_cookie_after_its_pages_were_dropped() {
    let tree = Tree::over(
        large_directory(),
        TreeConfig { memory_bytes: 1 << 20, ..TreeConfig::default() },
    )
    .await;
    let all = tree.list_by("d", 100, false).await;
    assert_eq!(all.len(), 2500);
    let again = tree.list_by("d", 33, false).await;
    assert_eq!(all, again);
    assert!(tree.store.tally().list > 50, "pages were dropped: memory is small");
}

/// A folder of 14 pages.
fn fourteen_pages(order: Order) -> Arc<MemoryStore> {
    let style = StoreStyle { page_entries: 100, order, ..StoreStyle::default() };
    let store = Arc::new(MemoryStore::with_style(style));
    for n in 0..1400 {
        store.put(&format!("d/{n:04}"), "x");
    }
    store.put("d/sub/inside", "y");
    store
}

#[tokio::test]
async fn every_name_of_a_large_folder_is_found_whatever_the_order_of_its_listing() {
    for order in [Order::OfBytesUnsaid, Order::Backwards, Order::OfADirectoryBucket] {
        let tree = Tree::over(fourteen_pages(order), TreeConfig::default()).await;
        let names = tree.list("d").await;
        assert_eq!(names.len(), 1401, "{order:?}");
        tree.store.reset();
        for n in 0..1400 {
            assert_eq!(tree.find(&format!("d/{n:04}")).await.unwrap().size, 1, "{order:?} {n}");
        }
        assert!(tree.find("d/sub/inside").await.is_ok(), "{order:?}");
        assert!(tree.find("d/0000.ovr").await.is_err(), "{order:?}");
        let cost = tree.store.reset();
        // The folder below is listed, and what was known before the order was disproved.
        let again = u64::from(order == Order::Backwards);
        assert_eq!((cost.list, cost.head), (1 + again, 0), "{order:?}");
    }
}

#[tokio::test]
async fn one_name_of_a_folder_in_no_order_costs_a_head_and_a_list() {
    let tree = Tree::over(fourteen_pages(Order::OfADirectoryBucket), TreeConfig::default()).await;
    tree.find("d").await.unwrap();
    tree.find("d/0700").await.unwrap();
    tree.store.reset();
    for (name, is_there) in [("d/0003", true), ("d/0999", true), ("d/none", false)] {
        assert_eq!(tree.find(name).await.is_ok(), is_there, "{name}");
        let cost = tree.store.reset();
        assert_eq!((cost.list, cost.head), (1, 1), "{name}");
    }
}

#[tokio::test]
async fn what_a_page_steps_over_is_asked_for_unless_the_server_is_known_to_keep_the_order() {
    for (order, lists) in [(Order::OfBytes, 0), (Order::OfBytesUnsaid, 1)] {
        let tree = Tree::over(fourteen_pages(order), TreeConfig::default()).await;
        // Fetches the first page alone.
        assert!(tree.find("d/0000").await.is_ok());
        tree.store.reset();
        assert!(tree.find("d/0001.aux").await.is_err());
        assert_eq!(tree.store.reset().list, lists, "{order:?}");
    }
}
