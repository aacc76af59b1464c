//! Every way in which a program may read a file gives its bytes.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};

use rustix::fs::sendfile;
use tempfile::tempfile;

use super::system::{Mapping, truncate};
use super::*;
use crate::harness::backend::backends;
use crate::support::pattern::pattern_bytes;

/// No multiple of a page, nor of anything else.
const SIZE: u64 = 9 * MIB + 54_321;

#[test]
fn read_pread_and_seek_give_the_bytes_on_every_server() {
    for backend in backends() {
        backend.put("file", pattern_bytes(1, 0..SIZE));
        let mount = backend.mount(&[]);
        let mut file = File::open(mount.join("file")).unwrap();
        let mut start = vec![0; 100_001];
        file.read_exact(&mut start).unwrap();
        assert_pattern(1, 0, &start);
        assert_pattern(1, 7 * MIB - 5, &part(&file, 7 * MIB - 5..8 * MIB).unwrap());
        assert_eq!(file.stream_position().unwrap(), 100_001, "pread moves nothing");

        assert_eq!(file.seek(SeekFrom::End(-1000)).unwrap(), SIZE - 1000);
        let mut tail = Vec::new();
        assert_eq!(file.read_to_end(&mut tail).unwrap(), 1000, "{}", backend.name());
        assert_pattern(1, SIZE - 1000, &tail);
        assert_eq!(file.seek(SeekFrom::Current(-(SIZE as i64))).unwrap(), 0);
        let mut whole = Vec::new();
        file.read_to_end(&mut whole).unwrap();
        assert_eq!(whole.len() as u64, SIZE);
        assert_pattern(1, 0, &whole);

        assert_eq!(file.seek(SeekFrom::Start(SIZE + 10)).unwrap(), SIZE + 10);
        assert_eq!(file.read(&mut start).unwrap(), 0, "there is nothing behind the end");
        assert_eq!(errno(file.seek(SeekFrom::Current(-2 * SIZE as i64))), libc::EINVAL);
        drop(file);
        mount.end();
    }
}

#[test]
fn a_file_is_all_data_without_holes() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "file", SIZE, 2);
    let mount = mount(&server, &[]);
    let file = File::open(mount.join("file")).unwrap();
    let seek = |to| rustix::fs::seek(&file, to).map_err(|error| error.raw_os_error());
    assert_eq!(seek(rustix::fs::SeekFrom::Data(1000)), Ok(1000));
    assert_eq!(seek(rustix::fs::SeekFrom::Hole(1000)), Ok(SIZE));
    assert_eq!(seek(rustix::fs::SeekFrom::Data(SIZE)), Err(libc::ENXIO));
    drop(file);
    mount.end();
}

#[test]
fn a_mapped_file_has_the_bytes_and_zeros_to_the_end_of_its_last_page() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "file", SIZE, 3);
    let mount = mount(&server, &[]);
    let file = File::open(mount.join("file")).unwrap();
    let pages = SIZE.next_multiple_of(4096) as usize;
    let mapping = Mapping::of(&file, pages);
    // A mapping outlives the descriptor that it was made from.
    drop(file);
    let mut dice = Dice(0x5eed_0002);
    for _ in 0..100 {
        let at = dice.below(SIZE - 5000);
        assert_pattern(3, at, &mapping[at as usize..at as usize + 5000]);
    }
    assert_pattern(3, 0, &mapping[..SIZE as usize]);
    assert!(mapping[SIZE as usize..].iter().all(|&byte| byte == 0));
    drop(mapping);
    mount.end();
}

#[test]
fn sendfile_and_copies_of_files_carry_the_bytes() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "file", SIZE, 4);
    let mount = mount(&server, &[]);
    let file = File::open(mount.join("file")).unwrap();
    let sent = tempfile().unwrap();
    let mut offset = 12_345;
    while sendfile(&sent, &file, Some(&mut offset), MIB as usize).unwrap() > 0 {}
    assert_eq!(offset, SIZE);
    assert_eq!(sent.metadata().unwrap().len(), SIZE - 12_345);
    assert_pattern(4, 12_345, &part(&sent, 0..SIZE - 12_345).unwrap());

    // Tries copy_file_range before anything else.
    let mut copied = tempfile().unwrap();
    assert_eq!(std::io::copy(&mut &file, &mut copied).unwrap(), SIZE);
    assert_pattern(4, 0, &part(&copied, 0..SIZE).unwrap());
    drop(file);
    mount.end();
}

#[test]
fn direct_reads_give_the_bytes_and_each_once() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "file", SIZE, 5);
    let mount = mount(&server, &[]);
    let path = mount.join("file");
    let ((), cost) = cost_of(&server, || {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).custom_flags(libc::O_DIRECT).open(&path).unwrap();
        let mut room = vec![0; MIB as usize + 4096];
        let aligned = room.as_ptr().align_offset(4096);
        let buffer = &mut room[aligned..aligned + MIB as usize];
        let mut at = 0;
        loop {
            let length = file.read(buffer).unwrap();
            if length == 0 {
                break;
            }
            assert_pattern(5, at, &buffer[..length]);
            at += length as u64;
        }
        assert_eq!(at, SIZE);
        // Not in order, and across the end.
        let length = file.read_at(buffer, SIZE / 4096 * 4096 - 8192).unwrap();
        assert_eq!(length as u64, 8192 + SIZE % 4096);
        assert_pattern(5, SIZE / 4096 * 4096 - 8192, &buffer[..length]);
    });
    assert_eq!((cost.list, cost.head, cost.bytes), (0, 0, SIZE));
    mount.end();
}

#[test]
fn many_readers_at_random_offsets_each_get_their_bytes() {
    let Some(server) = server() else { return };
    let size = 64 * MIB + 777;
    server.put_pattern(BUCKET, "file", size, 6);
    // Little memory, so that blocks come and go under the readers.
    let mount = mount(&server, &["--memory", "64M"]);
    let (path, shared) = (mount.join("file"), File::open(mount.join("file")).unwrap());
    thread::scope(|scope| {
        for reader in 0..16 {
            let (path, shared) = (&path, &shared);
            scope.spawn(move || {
                let own = File::open(path).unwrap();
                let file = if reader % 2 == 0 { shared } else { &own };
                let mut dice = Dice(0x5eed_0003 + reader);
                for round in 0..100 {
                    let length = 1 + dice.below(300_000);
                    let at = dice.below(size - length);
                    assert_pattern(6, at, &part(file, at..at + length).unwrap());
                    if round % 20 == 0 {
                        forget_pages(path);
                    }
                }
            });
        }
    });
    drop(shared);
    mount.end();
}

#[test]
fn an_empty_file_is_empty_and_costs_nothing() {
    for backend in backends() {
        backend.put("empty", "");
        let mount = backend.mount(&[]);
        let path = mount.join("empty");
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(fs::read(&path).unwrap(), b"", "{}", backend.name());
        mount.end();
    }
    let Some(server) = server() else { return };
    server.put(BUCKET, "empty", "");
    let mount = mount(&server, &[]);
    let (read, cost) = cost_of(&server, || fs::read(mount.join("empty")).unwrap());
    assert_eq!((read, cost), (vec![], NOTHING));
    mount.end();
}

#[test]
fn a_file_over_4_gib_is_right_on_both_sides_of_4_gib_and_at_its_end() {
    let Some(server) = server() else { return };
    let size = 5 * GIB + 17;
    server.put_pattern(BUCKET, "huge", size, 7);
    let mount = mount(&server, &[]);
    let path = mount.join("huge");
    let ((), cost) = cost_of(&server, || {
        let mut file = File::open(&path).unwrap();
        assert_eq!(file.seek(SeekFrom::End(0)).unwrap(), size);
        for border in [2 * GIB, 4 * GIB] {
            let range = border - MIB..border + MIB;
            assert_pattern(7, range.start, &part(&file, range).unwrap());
        }
        assert_pattern(7, size - MIB, &part(&file, size - MIB..size).unwrap());
        assert_eq!(file.read_at(&mut [0; 10], size).unwrap(), 0);
    });
    assert!(cost.bytes <= 3 * 40 * MIB, "{cost:?}");
    mount.end();
}

#[test]
fn whatever_writes_is_refused_as_read_only_and_costs_nothing() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "file", "content");
    server.put(BUCKET, "dir/file", "content");
    let mount = mount(&server, &[]);
    let (file, dir, new) = (mount.join("file"), mount.join("dir"), mount.join("new"));
    fs::metadata(mount.join("dir/file")).unwrap();
    let open = |options: &mut OpenOptions| errno(options.open(&file));
    let ((), cost) = cost_of(&server, || {
        let refusals = [
            ("open for writing", open(OpenOptions::new().write(true))),
            ("open for both", open(OpenOptions::new().read(true).write(true))),
            ("open to append", open(OpenOptions::new().append(true))),
            ("open and truncate", open(OpenOptions::new().write(true).truncate(true))),
            ("create", errno(File::create(&new))),
            ("mkdir", errno(fs::create_dir(&new))),
            ("unlink", errno(fs::remove_file(&file))),
            ("rmdir", errno(fs::remove_dir(&dir))),
            ("rename", errno(fs::rename(&file, &new))),
            ("rename a directory", errno(fs::rename(&dir, &new))),
            ("chmod", errno(fs::set_permissions(&file, fs::Permissions::from_mode(0o600)))),
            ("chown", errno(std::os::unix::fs::chown(&file, Some(1), None))),
            ("symlink", errno(symlink("file", &new))),
            ("link", errno(fs::hard_link(&file, &new))),
            ("truncate", errno(truncate(&file, 1))),
            ("setxattr", errno(set_attribute(&file))),
            ("utimes", errno(touch(&file))),
        ];
        for (what, errno) in refusals {
            assert_eq!(errno, libc::EROFS, "{what}");
        }
        let mut reading = File::open(&file).unwrap();
        assert_eq!(errno(reading.write(b"x")), libc::EBADF);
    });
    assert_eq!(cost, NOTHING);
    assert_eq!(server.keys(BUCKET), ["dir/file", "file"]);
    assert_eq!(fs::read(&file).unwrap(), b"content");
    mount.end();
}

fn set_attribute(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::setxattr(path, "user.x", b"y", rustix::fs::XattrFlags::empty())?)
}

fn touch(path: &Path) -> io::Result<()> {
    File::open(path)?.set_modified(std::time::SystemTime::now())
}
