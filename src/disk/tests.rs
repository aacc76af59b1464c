//! The cache as its users see it: what was written is found, and nothing else.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle as Runtime;

use super::*;
use crate::key::{ETag, ObjectKey};

const MIB: u64 = 1 << 20;

/// A folder that nobody else gets into.
fn private() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    folder
}

fn config(folder: &Path, limit_bytes: u64) -> DiskConfig {
    DiskConfig {
        folder: folder.into(),
        limit_bytes,
        queue_bytes: 64 * MIB,
        place: "http://s3/b key 1".into(),
    }
}

/// A cache in a folder of a folder that the system has made.
fn cache(folder: &Path) -> Arc<Disk> {
    of_size(folder, 64 * MIB)
}

fn of_size(folder: &Path, limit_bytes: u64) -> Arc<Disk> {
    Disk::open(config(folder, limit_bytes), Runtime::current()).unwrap()
}

fn version(key: &str, etag: &str) -> ObjectVersion {
    ObjectVersion {
        key: ObjectKey::new(key),
        etag: Some(ETag::new(etag)),
        last_modified: SystemTime::UNIX_EPOCH,
        size: 1000,
    }
}

fn name(disk: &Disk, key: &str) -> Name {
    disk.name(&version(key, "\"1\""), "unit").unwrap()
}

fn body(bytes: &[u8]) -> Body {
    Arc::new(bytes.to_vec())
}

async fn settled(disk: &Disk) {
    disk.settle(Instant::now() + Duration::from_secs(60)).await;
}

async fn saved(disk: &Disk, key: &str, bytes: &[u8]) {
    disk.save(name(disk, key), body(bytes));
    settled(disk).await;
}

/// All files of entries, whole or not.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(folder.join("s3mem-cache-1")).unwrap();
    let folders = folders.map(|folder| folder.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

#[tokio::test]
async fn what_one_mount_has_written_another_one_finds_and_nothing_else() {
    let folder = private();
    let (first, second) = (cache(folder.path()), cache(folder.path()));
    assert_eq!(first.load(&name(&first, "k")).await, None);
    saved(&first, "k", b"known").await;
    assert_eq!(second.load(&name(&second, "k")).await.as_deref(), Some(&b"known"[..]));
    let one = version("k", "\"1\"");
    let others = [
        second.name(&version("l", "\"1\""), "unit"),
        second.name(&version("k", "\"2\""), "unit"),
        second.name(&ObjectVersion { size: 999, ..one.clone() }, "unit"),
        second.name(&one, "preview"),
    ];
    for other in others {
        assert_eq!(second.load(&other.unwrap()).await, None);
    }
    assert_eq!(second.name(&ObjectVersion { etag: None, ..one.clone() }, "unit"), None);
    let elsewhere = DiskConfig { place: "http://s3/b key 2".into(), ..config(folder.path(), MIB) };
    let elsewhere = Disk::open(elsewhere, Runtime::current()).unwrap();
    assert_eq!(elsewhere.load(&name(&elsewhere, "k")).await, None, "another account");
    let figures = second.figures();
    assert_eq!((figures.hits, figures.misses, figures.read_bytes), (1, 4, 5));
    assert_eq!((first.figures().entries, first.figures().misses), (1, 1));
}

#[tokio::test]
async fn parts_join_and_overlap_and_are_read_from_wherever_they_came() {
    let folder = private();
    let (first, second) = (cache(folder.path()), cache(folder.path()));
    let bytes: Vec<u8> = (0..400_000u32).map(|n| (n % 251) as u8).collect();
    let part = |range: Range<usize>| Part { start: range.start as u64, body: body(&bytes), range };
    first.join(name(&first, "k"), vec![part(0..1000), part(5000..200_000)]);
    settled(&first).await;
    second.join(name(&second, "k"), vec![part(150_000..300_000)]);
    second.join(name(&second, "k"), vec![part(300_000..400_000)]);
    settled(&second).await;
    let ranges = first.ranges(vec![name(&first, "k"), name(&first, "none")]).await;
    assert_eq!(ranges, [vec![0..1000, 5000..400_000], Vec::new()]);
    for range in [0..1000u64, 5000..400_000, 190_000..310_000, 7..9] {
        let part = first.part(&name(&first, "k"), range.clone()).await.unwrap();
        assert!(part == bytes[range.start as usize..range.end as usize], "{range:?}");
    }
    assert_eq!(first.part(&name(&first, "k"), 900..1001).await, None);
    // What is there already is not written again.
    let before = first.figures().entries;
    first.join(name(&first, "k"), vec![part(6000..7000)]);
    settled(&first).await;
    assert_eq!(first.figures().entries, before);
}

#[tokio::test]
async fn a_flipped_byte_anywhere_costs_the_entry_and_never_gives_wrong_bytes() {
    let folder = private();
    let disk = cache(folder.path());
    saved(&disk, "k", b"known").await;
    let path = entries(folder.path()).remove(0);
    let right = fs::read(&path).unwrap();
    for at in 0..right.len() {
        for cut in [false, true] {
            let mut bytes = right.clone();
            match cut {
                true => bytes.truncate(at),
                false => bytes[at] ^= 1,
            }
            fs::write(&path, bytes).unwrap();
            assert_eq!(disk.load(&name(&disk, "k")).await, None, "{at}, {cut}");
        }
    }
    saved(&disk, "k", b"known").await;
    assert!(disk.load(&name(&disk, "k")).await.is_some(), "it is replaced");
    // Another entry's file in its place.
    saved(&disk, "l", b"other").await;
    let other = entries(folder.path()).into_iter().find(|other| *other != path).unwrap();
    fs::copy(other, &path).unwrap();
    assert_eq!(disk.load(&name(&disk, "k")).await, None);
}

#[tokio::test]
async fn what_a_killed_process_leaves_is_found_to_be_no_entry_and_cleaned_up() {
    let folder = private();
    let disk = cache(folder.path());
    saved(&disk, "k", b"known").await;
    let path = entries(folder.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    // Killed before it was moved: with no byte, with some, with all.
    for written in [0, whole.len() / 2, whole.len()] {
        fs::remove_file(&path).unwrap();
        let unfinished = path.with_extension("new");
        fs::write(&unfinished, &whole[..written]).unwrap();
        assert_eq!(disk.load(&name(&disk, "k")).await, None);
        saved(&disk, "k", b"known").await;
        assert_eq!(entries(folder.path()), std::slice::from_ref(&path));
        assert!(disk.load(&name(&disk, "k")).await.is_some());
    }
    // The power went before its bytes were on the disk: the file has its length, and zeros.
    fs::write(&path, vec![0; whole.len()]).unwrap();
    assert_eq!(disk.load(&name(&disk, "k")).await, None);
    fs::write(&path, [&whole[..whole.len() - 3], &[0; 3]].concat()).unwrap();
    assert_eq!(disk.load(&name(&disk, "k")).await, None);
    // Unfinished ones of others go when the next mount counts.
    fs::write(path.with_extension("new"), b"half").unwrap();
    let next = cache(folder.path());
    saved(&next, "l", b"more").await;
    assert!(entries(folder.path()).iter().all(|path| path.extension().is_none()));
}

#[tokio::test]
async fn the_size_holds_over_all_mounts_and_what_was_used_last_stays() {
    let folder = private();
    let limit = 20 * MIB;
    let mounts = [of_size(folder.path(), limit), of_size(folder.path(), limit)];
    let bytes = |n: u64| vec![n as u8; 1 << 20];
    let taken = || -> u64 {
        let sizes = entries(folder.path()).into_iter().map(|path| path.metadata().unwrap().len());
        sizes.sum()
    };
    for n in 0..60u64 {
        let disk = &mounts[n as usize % 2];
        saved(disk, &n.to_string(), &bytes(n)).await;
        assert!(taken() <= limit, "{} after {n}", taken());
        if n == 10 {
            // It was used long ago, and now again.
            let first = entries(folder.path());
            for path in first {
                let old = SystemTime::now() - Duration::from_secs(1000);
                let file = fs::File::open(path).unwrap();
                file.set_times(fs::FileTimes::new().set_modified(old)).unwrap();
            }
            assert!(disk.load(&name(disk, "3")).await.is_some());
        }
        if n == 24 {
            assert!(disk.load(&name(disk, "3")).await.is_some(), "used since");
            let mut gone = 0;
            for n in 0..=10 {
                gone += u32::from(disk.load(&name(disk, &n.to_string())).await.is_none());
            }
            assert!((5..=10).contains(&gone), "those that were not: {gone}");
        }
    }
    let evicted: u64 = mounts.iter().map(|disk| disk.figures().evicted).sum();
    assert_eq!(evicted, 60 - entries(folder.path()).len() as u64);
    assert!(taken() >= limit / 2, "{}", taken());
    // A mount that may use less makes it smaller.
    let small = of_size(folder.path(), 5 * MIB);
    settled(&small).await;
    saved(&small, "x", b"x").await;
    assert!(taken() <= 5 * MIB);
    saved(&small, "y", &vec![0; 6 << 20]).await;
    assert!(small.load(&name(&small, "y")).await.is_none(), "larger than all of it");
}

#[tokio::test]
async fn a_counter_that_is_wrong_or_gone_is_put_right() {
    let folder = private();
    let disk = of_size(folder.path(), 3 * MIB);
    let lock = folder.path().join("s3mem-cache-1/lock");
    for (n, counter) in
        [&u64::MAX.to_le_bytes()[..], b"", b"half", &[0; 9], &(3 * MIB).to_le_bytes()]
            .into_iter()
            .enumerate()
    {
        fs::write(&lock, counter).unwrap();
        let key = n.to_string();
        saved(&disk, &key, &[1; 1000]).await;
        assert!(disk.load(&name(&disk, &key)).await.is_some(), "{counter:?}");
    }
    assert_eq!(entries(folder.path()).len(), 5);
}

#[tokio::test]
async fn a_folder_that_is_deleted_is_made_again() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("cache");
    let disk = cache(&folder);
    saved(&disk, "k", b"known").await;
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(disk.load(&name(&disk, "k")).await, None);
    saved(&disk, "k", b"known").await;
    assert!(disk.load(&name(&disk, "k")).await.is_some());
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn only_its_user_gets_into_the_folder_and_a_wider_one_is_refused() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("cache");
    let disk = cache(&folder);
    saved(&disk, "k", b"known").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("s3mem-cache-1")), 0o700);
    let path = entries(&folder).remove(0);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&folder.join("s3mem-cache-1/lock")), 0o600);
    drop(disk);
    for wider in [0o755, 0o710, 0o702] {
        fs::set_permissions(&folder, Permissions::from_mode(wider)).unwrap();
        let refused = Disk::open(config(&folder, MIB), Runtime::current()).unwrap_err();
        assert!(refused.to_string().contains("chmod 700"), "{refused}");
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
    assert!(Disk::open(config(&folder, MIB), Runtime::current()).is_ok());
    // Of somebody else; for root there is nobody whose folder it is not allowed to make.
    let foreign = Path::new(if rustix::process::geteuid().is_root() { "" } else { "/" });
    if foreign.is_absolute() {
        let refused = Disk::open(config(foreign, MIB), Runtime::current()).unwrap_err();
        assert!(refused.to_string().contains("belongs to the user with the ID 0"), "{refused}");
    } else {
        std::os::unix::fs::chown(&folder, Some(12345), None).unwrap();
        let refused = Disk::open(config(&folder, MIB), Runtime::current()).unwrap_err();
        assert!(refused.to_string().contains("the user with the ID 12345, not to 0"), "{refused}");
    }
    let refused = Disk::open(config(&outer.path().join("a/b"), MIB), Runtime::current());
    assert!(matches!(refused, Err(DiskError::Unusable { .. })), "its folder is not made");
}

#[tokio::test]
async fn folders_of_older_formats_are_deleted_and_those_of_newer_ones_left_alone() {
    let folder = private();
    for other in ["s3mem-cache-0/ab", "s3mem-cache-2/ab", "s3mem-cache-x", "something"] {
        fs::create_dir_all(folder.path().join(other)).unwrap();
        fs::write(folder.path().join(other).join("file"), b"x").unwrap();
    }
    let disk = cache(folder.path());
    saved(&disk, "k", b"known").await;
    let found = fs::read_dir(folder.path()).unwrap();
    let mut found: Vec<_> =
        found.map(|found| found.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, ["s3mem-cache-1", "s3mem-cache-2", "s3mem-cache-x", "something"]);
}

#[tokio::test]
async fn what_is_too_much_for_the_queue_is_dropped_and_nobody_waits() {
    let folder = private();
    let small = DiskConfig { queue_bytes: 1000, ..config(folder.path(), MIB) };
    let disk = Disk::open(small, Runtime::current()).unwrap();
    // Whoever holds the lock has the writer wait.
    let lock = folder.path().join("s3mem-cache-1/lock");
    let lock = fs::File::options().create(true).append(true).open(lock).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    for n in 0..50 {
        disk.save(name(&disk, &n.to_string()), body(&[0; 400]));
    }
    let dropped = disk.figures().dropped;
    assert!(dropped >= 46, "two wait, and two at most are in the writer's hands: {dropped}");
    assert_eq!(disk.load(&name(&disk, "0")).await, None, "who reads does not wait for the lock");
    drop(lock);
    settled(&disk).await;
    assert_eq!(disk.figures().entries + dropped, 50);
}

#[tokio::test]
async fn what_turned_out_to_be_wrong_goes_with_all_that_was_saved_of_it_before() {
    let folder = private();
    let disk = cache(folder.path());
    saved(&disk, "k", b"wrong").await;
    let part = |text: &[u8]| Part { start: 0, body: body(text), range: 0..text.len() };
    disk.join(name(&disk, "k"), vec![part(b"wrong, too")]);
    disk.forget([name(&disk, "k"), name(&disk, "none")]);
    settled(&disk).await;
    assert_eq!(disk.load(&name(&disk, "k")).await, None);
    disk.forget([name(&disk, "k")]);
    disk.join(name(&disk, "k"), vec![part(b"right")]);
    settled(&disk).await;
    assert_eq!(disk.load(&name(&disk, "k")).await.as_deref(), Some(&b"right"[..]));
}
