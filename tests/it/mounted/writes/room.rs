//! How much can be written, and what happens when that is full.

use rustix::fs::statvfs;

use super::*;

const ROOM: u64 = 16 * MIB;
const FLAGS: [&str; 2] = ["--write-memory", "16M"];

/// Writes pieces until there is no room; how many were acknowledged, and the errno.
fn write_until_full(file: &File, piece: usize) -> (u64, i32) {
    let mut offset = 0;
    loop {
        match file.write_at(&vec![(offset / piece as u64) as u8; piece], offset) {
            Ok(count) => offset += count as u64,
            Err(error) => return (offset, error.raw_os_error().unwrap()),
        }
    }
}

fn assert_intact(file: &File, length: u64, piece: u64) {
    let read = part(file, 0..length).unwrap();
    let wrong = read.iter().zip(0..).position(|(byte, at): (_, u64)| *byte != (at / piece) as u8);
    assert_eq!(wrong, None);
}

#[test]
fn a_full_mount_refuses_and_keeps_what_it_acknowledged_and_deleting_makes_room() {
    each_way(|server, way| {
        server.put(BUCKET, "object", vec![1; MIB as usize]);
        let mount = way.mount(server, &FLAGS);
        let (first, second) = (open_both(&mount.join("first")), open_both(&mount.join("second")));
        first.write_all_at(b"before", 0).unwrap();
        let (written, errno) = write_until_full(&second, 100_000);
        assert_eq!(errno, libc::ENOSPC);
        assert!((ROOM - MIB..=ROOM).contains(&written), "{written}");
        assert_intact(&second, written, 100_000);
        assert_eq!(part(&first, 0..6).unwrap(), b"before");
        first.write_all_at(b"BE", 0).unwrap();
        assert_eq!(part(&first, 0..6).unwrap(), b"BEfore", "what has room can be written over");
        // Neither an object nor a name that is there already needs any room to be read.
        assert_eq!(fs::read(mount.join("object")).unwrap().len() as u64, MIB);
        let append = OpenOptions::new().append(true).open(mount.join("object"));
        assert_eq!(super::errno(append), libc::ENOSPC);
        assert_eq!(fs::read(mount.join("object")).unwrap().len() as u64, MIB);
        drop(second);
        fs::remove_file(mount.join("second")).unwrap();
        let again = open_both(&mount.join("again"));
        until("room", || write_until_full(&again, 100_000).0 >= ROOM - MIB);
        again.set_len(0).unwrap();
        assert_eq!(write_until_full(&first, 65_536).1, libc::ENOSPC);
        assert!(first.metadata().unwrap().len() >= ROOM - MIB);
        drop((first, again));
        mount.end();
    });
}

#[test]
fn a_size_alone_takes_no_room_and_writing_there_does() {
    each_way(|server, way| {
        let mount = way.mount(server, &FLAGS);
        let file = open_both(&mount.join("f"));
        file.set_len(1 << 40).unwrap();
        let mut written = 0;
        let errno = loop {
            // Each piece in a place of its own.
            match file.write_at(&[7; 65_536], written * (1 << 24)) {
                Ok(count) => {
                    assert_eq!(count, 65_536);
                    written += 1;
                }
                Err(error) => break error.raw_os_error().unwrap(),
            }
        };
        assert_eq!(errno, libc::ENOSPC);
        assert!(written * 65_536 <= ROOM && written >= 6, "{written}");
        for n in 0..written {
            let at = n * (1 << 24);
            assert!(part(&file, at..at + 65_536).unwrap().iter().all(|byte| *byte == 7));
        }
        let more = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 1 << 39, ROOM);
        assert_eq!(more, Err(rustix::io::Errno::NOSPC));
        drop(file);
        mount.end();
    });
}

#[test]
fn statfs_shows_the_room_that_is_left() {
    each_way(|server, way| {
        let mount = way.mount(server, &FLAGS);
        let room = || {
            let stat = statvfs(mount.path()).unwrap();
            (stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize)
        };
        let (all, left) = room();
        assert_eq!(all, ROOM);
        assert!((ROOM - 65_536..=ROOM).contains(&left), "{left}");
        let file = open_both(&mount.join("f"));
        file.write_all_at(&vec![7; 8 * MIB as usize], 0).unwrap();
        let taken = left - room().1;
        assert!((8 * MIB..=10 * MIB).contains(&taken), "{taken}");
        file.set_len(0).unwrap();
        assert_eq!(room(), (all, left));
        drop(file);
        mount.end();
    });
}

#[test]
fn more_files_than_a_process_may_have_open_can_be_made() {
    each_way(|server, way| {
        // The daemon inherits the limit of who starts it: this one on most machines.
        let mount = way.mount_by("ulimit -S -n 1024; exec", server);
        for n in 0..5000 {
            fs::write(mount.join(format!("{n}")), "x").unwrap();
        }
        assert_eq!(names(mount.path()).len(), 5000);
        for n in 0..5000 {
            assert_eq!(fs::read(mount.join(format!("{n}"))).unwrap(), b"x");
        }
        mount.end();
    });
}

#[test]
fn names_have_room_of_their_own_and_a_rename_that_has_none_changes_nothing() {
    each_way(|server, way| {
        server.put_many(BUCKET, (0..10).map(|n| (format!("object {n}"), format!("{n}"))));
        let mount = way.mount(server, &["--write-memory", "1M"]);
        fs::create_dir(mount.join("d")).unwrap();
        let mut made = 0;
        let errno = loop {
            match fs::create_dir(mount.join(format!("d/{made}"))) {
                Ok(()) => made += 1,
                Err(error) => break error.raw_os_error().unwrap(),
            }
        };
        assert_eq!(errno, libc::ENOSPC);
        assert!((100..2000).contains(&made), "{made}");
        let exchange = |from: &str, to: &str| {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            renameat_with(CWD, mount.join(from), CWD, mount.join(to), RenameFlags::EXCHANGE)
        };
        assert_eq!(exchange("object 1", "object 2"), Err(rustix::io::Errno::NOSPC));
        assert_eq!(exchange("d/1", "object 2"), Err(rustix::io::Errno::NOSPC));
        for n in 0..10 {
            assert_eq!(
                fs::read_to_string(mount.join(format!("object {n}"))).unwrap(),
                format!("{n}")
            );
        }
        assert_eq!(names(&mount.join("d")).len(), made);
        // What has a name can be moved over another that is there, and deleted.
        fs::rename(mount.join("d/1"), mount.join("d/2")).unwrap();
        fs::remove_dir(mount.join("d/2")).unwrap();
        fs::create_dir(mount.join("d/new")).unwrap();
        mount.end();
    });
}
