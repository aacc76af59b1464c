//! The bytes of files: written, read, cut, mapped, with holes.

use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{FallocateFlags, SeekFrom as Where, fallocate, seek};

use super::system::{Aligned, Shared, truncate};
use super::*;

/// The bytes that a test writes at an offset.
fn numbered(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ (at >> 12) as u8).collect()
}

#[test]
fn without_the_flag_nothing_can_be_written() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "file", "content");
    for flags in [&["--writes", "deny"][..], &[]] {
        let mount = Mounting::of(&server, BUCKET).with(flags).in_foreground();
        assert_eq!(errno(File::create(mount.join("new"))), libc::EROFS);
        assert_eq!(errno(OpenOptions::new().write(true).open(mount.join("file"))), libc::EROFS);
        assert_eq!(errno(fs::create_dir(mount.join("dir"))), libc::EROFS);
        mount.end();
    }
}

#[test]
fn a_file_can_be_made_anywhere_and_has_what_was_written() {
    each_way(|server, way| {
        server.put(BUCKET, "dir/below/object", "content");
        let before = objects(server);
        let mount = way.mount(server, &[]);
        fs::create_dir_all(mount.join("made/deep/er")).unwrap();
        let bytes = numbered(3 * MIB as usize + 17);
        for folder in ["", "dir", "dir/below", "made", "made/deep/er"] {
            let path = mount.join(folder).join("new file");
            let mut file = open_both(&path);
            file.write_all(&bytes).unwrap();
            assert_eq!(file.metadata().unwrap().len(), bytes.len() as u64);
            file.seek(SeekFrom::Start(0)).unwrap();
            let mut read = Vec::new();
            file.read_to_end(&mut read).unwrap();
            assert!(read == bytes);
            drop(file);
            assert!(fs::read(&path).unwrap() == bytes);
            assert_eq!(fs::metadata(&path).unwrap().len(), bytes.len() as u64);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
        }
        assert_eq!(objects(server), before);
        mount.end();
    });
}

#[test]
fn two_handles_of_one_file_see_each_others_bytes() {
    each_way(|server, way| {
        let mount = way.mount(server, &[]);
        let (one, two) = (open_both(&mount.join("f")), open_both(&mount.join("f")));
        let reader = File::open(mount.join("f")).unwrap();
        one.write_all_at(b"0123456789", 0).unwrap();
        assert_eq!(part(&two, 0..10).unwrap(), b"0123456789");
        two.write_all_at(b"abc", 4).unwrap();
        for file in [&one, &two, &reader] {
            assert_eq!(part(file, 0..10).unwrap(), b"0123abc789");
            assert_eq!(file.metadata().unwrap().len(), 10);
        }
        drop((one, two));
        assert_eq!(part(&reader, 0..10).unwrap(), b"0123abc789");
        drop(reader);
        mount.end();
    });
}

#[test]
fn what_is_appended_goes_to_the_end_whoever_else_appends() {
    each_way(|server, way| {
        server.put(BUCKET, "object", "object ");
        let mount = way.mount(server, &[]);
        for name in ["made", "object"] {
            let path = mount.join(name);
            let append = || OpenOptions::new().append(true).create(true).open(&path).unwrap();
            let (mut one, mut two) = (append(), append());
            for _ in 0..100 {
                one.write_all(b"one ").unwrap();
                two.write_all(b"two ").unwrap();
            }
            drop((one, two));
            append().write_all(b"end").unwrap();
            let start = if name == "made" { "" } else { "object " };
            let wanted = format!("{start}{}end", "one two ".repeat(100));
            assert_eq!(fs::read_to_string(&path).unwrap(), wanted);
        }
        mount.end();
    });
}

#[test]
fn a_sparse_file_has_holes_and_takes_little() {
    each_way(|server, way| {
        let mount = way.mount(server, &[]);
        let path = mount.join("sparse");
        let file = open_both(&path);
        let end = 40 << 30;
        file.write_all_at(b"start", 0).unwrap();
        file.write_all_at(b"middle", 8 * MIB).unwrap();
        file.set_len(end).unwrap();
        let status = fs::metadata(&path).unwrap();
        assert_eq!(status.len(), end);
        assert!(status.blocks() * 512 <= 5 * MIB, "{}", status.blocks());
        assert!(status.blocks() * 512 >= 8192, "{}", status.blocks());
        let hole = seek(&file, Where::Hole(0)).unwrap();
        assert!((4096..=4 * MIB).contains(&hole), "{hole}");
        let data = seek(&file, Where::Data(hole)).unwrap();
        assert!((6 * MIB..=8 * MIB).contains(&data), "{data}");
        assert_eq!(seek(&file, Where::Data(16 * MIB)), Err(rustix::io::Errno::NXIO));
        assert_eq!(seek(&file, Where::Hole(16 * MIB)), Ok(16 * MIB));
        assert_eq!(seek(&file, Where::Data(end)), Err(rustix::io::Errno::NXIO));
        assert_eq!(part(&file, 8 * MIB - 3..8 * MIB + 6).unwrap(), b"\0\0\0middle");
        assert_eq!(part(&file, end - 5..end).unwrap(), [0; 5]);
        drop(file);
        mount.end();
    });
}

#[test]
fn an_objects_only_hole_is_at_its_end() {
    each_way(|server, way| {
        server.put(BUCKET, "object", vec![0; 100_000]);
        let mount = way.mount(server, &[]);
        let file = File::open(mount.join("object")).unwrap();
        assert_eq!(seek(&file, Where::Data(5)), Ok(5));
        assert_eq!(seek(&file, Where::Hole(5)), Ok(100_000));
        assert_eq!(seek(&file, Where::Data(100_000)), Err(rustix::io::Errno::NXIO));
        drop(file);
        mount.end();
    });
}

#[test]
fn a_file_that_is_cut_and_grown_again_has_zeros_there() {
    each_way(|server, way| {
        let mount = way.mount(server, &[]);
        let path = mount.join("f");
        let bytes = numbered(100_000);
        fs::write(&path, &bytes).unwrap();
        let file = open_both(&path);
        assert!(part(&file, 0..100_000).unwrap() == bytes);
        truncate(&path, 5001).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 5001);
        assert_eq!(file.read_at(&mut [0; 10], 5001).unwrap(), 0);
        file.set_len(50_000).unwrap();
        let mut wanted = bytes[..5001].to_vec();
        wanted.resize(50_000, 0);
        assert!(part(&file, 0..50_000).unwrap() == wanted);
        drop(file);
        assert!(fs::read(&path).unwrap() == wanted);
        truncate(&path, 0).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().blocks(), 0);
        assert_eq!(fs::read(&path).unwrap(), b"");
        mount.end();
    });
}

#[test]
fn memory_is_reserved_and_given_back_by_fallocate() {
    each_way(|server, way| {
        let mount = way.mount(server, &[]);
        let path = mount.join("f");
        let file = open_both(&path);
        fallocate(&file, FallocateFlags::empty(), 0, 4 * MIB).unwrap();
        let status = || fs::metadata(&path).unwrap();
        assert_eq!(status().len(), 4 * MIB);
        assert!(status().blocks() * 512 >= 4 * MIB);
        fallocate(&file, FallocateFlags::KEEP_SIZE, 4 * MIB, 4 * MIB).unwrap();
        assert_eq!(status().len(), 4 * MIB);
        file.write_all_at(&vec![7; 4 * MIB as usize], 0).unwrap();
        let before = status().blocks();
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&file, punch, MIB, 2 * MIB).unwrap();
        assert_eq!(status().len(), 4 * MIB);
        assert!(status().blocks() + 2 * MIB / 512 <= before, "{before}");
        assert_eq!(part(&file, MIB - 1..MIB + 1).unwrap(), [7, 0]);
        assert_eq!(part(&file, 3 * MIB - 1..3 * MIB + 1).unwrap(), [0, 7]);
        assert!(part(&file, MIB..3 * MIB).unwrap().iter().all(|byte| *byte == 0));
        drop(file);
        mount.end();
    });
}

#[test]
fn what_is_stored_through_a_mapping_is_read_by_all() {
    each_way(|server, way| {
        server.put(BUCKET, "object", numbered(100_000));
        let mount = way.mount(server, &[]);
        fs::write(mount.join("made"), numbered(100_000)).unwrap();
        for name in ["made", "object"] {
            let path = mount.join(name);
            let file = open_both(&path);
            let (mut one, two) = (Shared::of(&file, 100_000), Shared::of(&file, 100_000));
            let reader = File::open(&path).unwrap();
            assert!(one[..] == numbered(100_000)[..]);
            one[50_000..50_006].copy_from_slice(b"stored");
            assert_eq!(&two[50_000..50_006], b"stored");
            assert_eq!(part(&reader, 49_999..50_006).unwrap()[1..], b"stored"[..]);
            file.write_all_at(b"written", 70_000).unwrap();
            assert_eq!(&one[70_000..70_007], b"written");
            one.sync();
            drop((file, reader, two));
            one[0..5].copy_from_slice(b"after");
            drop(one);
            let read = fs::read(&path).unwrap();
            assert_eq!(&read[..5], b"after");
            assert_eq!(&read[50_000..50_006], b"stored");
            assert_eq!(&read[70_000..70_007], b"written");
        }
        mount.end();
    });
}

#[test]
fn direct_reads_and_writes_give_the_same_bytes() {
    each_way(|server, way| {
        let mount = way.mount(server, &[]);
        let path = mount.join("f");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).custom_flags(libc::O_DIRECT);
        let direct = options.open(&path).unwrap();
        let mut memory = Aligned::new(64 << 10);
        memory.bytes().copy_from_slice(&numbered(64 << 10));
        direct.write_all_at(memory.bytes(), 8192).unwrap();
        let mut back = Aligned::new(64 << 10);
        direct.read_exact_at(back.bytes(), 8192).unwrap();
        assert!(back.bytes() == numbered(64 << 10));
        let cached = open_both(&path);
        assert!(part(&cached, 8192..8192 + (64 << 10)).unwrap() == numbered(64 << 10));
        cached.write_all_at(b"cached", 4096).unwrap();
        let mut page = Aligned::new(4096);
        direct.read_exact_at(page.bytes(), 4096).unwrap();
        assert_eq!(&page.bytes()[..6], b"cached");
        drop((direct, cached));
        mount.end();
    });
}

#[test]
fn exclusive_creation_finds_what_is_there_and_truncation_empties_it() {
    each_way(|server, way| {
        server.put(BUCKET, "object", "content");
        let mount = way.mount(server, &[]);
        let exclusive =
            |name| OpenOptions::new().write(true).create_new(true).open(mount.join(name));
        assert_eq!(errno(exclusive("object")), libc::EEXIST);
        exclusive("made").unwrap().write_all(b"something longer").unwrap();
        assert_eq!(errno(exclusive("made")), libc::EEXIST);
        for name in ["object", "made"] {
            let before = ino(&mount.join(name));
            let reader = File::open(mount.join(name)).unwrap();
            part(&reader, 0..7).unwrap();
            let mut file = File::create(mount.join(name)).unwrap();
            assert_eq!(reader.metadata().unwrap().len(), 0);
            assert_eq!(reader.read_at(&mut [0; 7], 0).unwrap(), 0);
            file.write_all(b"new").unwrap();
            assert_eq!(part(&reader, 0..3).unwrap(), b"new");
            assert_eq!(ino(&mount.join(name)), before);
            drop((reader, file));
            assert_eq!(fs::read(mount.join(name)).unwrap(), b"new");
        }
        mount.end();
    });
}

#[test]
fn copy_file_range_and_sendfile_copy_into_the_mount() {
    each_way(|server, way| {
        server.put(BUCKET, "object", numbered(3 * MIB as usize));
        let mount = way.mount(server, &[]);
        // Both are tried by fs::copy, in this order.
        fs::copy(mount.join("object"), mount.join("copy")).unwrap();
        assert!(fs::read(mount.join("copy")).unwrap() == numbered(3 * MIB as usize));
        fs::copy(mount.join("copy"), mount.join("again")).unwrap();
        assert!(fs::read(mount.join("again")).unwrap() == numbered(3 * MIB as usize));
        let (from, to) = (File::open(mount.join("copy")).unwrap(), open_both(&mount.join("sent")));
        let mut sent = 0;
        while sent < 3 * MIB as usize {
            sent += rustix::fs::sendfile(&to, &from, None, 3 * MIB as usize - sent).unwrap();
        }
        drop((from, to));
        assert!(fs::read(mount.join("sent")).unwrap() == numbered(3 * MIB as usize));
        mount.end();
    });
}
