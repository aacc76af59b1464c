//! Writing to what is in the bucket: what is fetched of it, and who sees it.

use super::system::truncate;
use super::*;
use crate::support::pattern::pattern_bytes;

const SIZE: u64 = 3 * MIB + 777;

#[test]
fn overwriting_an_object_fetches_nothing_of_it() {
    each_way(|server, way| {
        server.put(BUCKET, "object", pattern_bytes(1, 0..SIZE));
        let before = objects(server);
        let mount = way.mount(server, &[]);
        let path = mount.join("object");
        fs::metadata(&path).unwrap();
        let ((), cost) = cost_of(server, || fs::write(&path, "new").unwrap());
        assert_eq!(cost, NOTHING);
        let (read, cost) = cost_of(server, || fs::read(&path).unwrap());
        assert_eq!((read.as_slice(), cost), (&b"new"[..], NOTHING));
        assert_eq!(objects(server), before);
        mount.end();
    });
}

#[test]
fn appending_to_an_object_fetches_it_once() {
    each_way(|server, way| {
        server.put(BUCKET, "object", pattern_bytes(1, 0..SIZE));
        let before = objects(server);
        let mount = way.mount(server, &[]);
        let path = mount.join("object");
        fs::metadata(&path).unwrap();
        let append = || {
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(b"appended").unwrap();
        };
        let ((), cost) = cost_of(server, append);
        assert_eq!((cost.list, cost.head, cost.bytes), (0, 0, SIZE), "{cost:?}");
        let ((), cost) = cost_of(server, || {
            append();
            let read = fs::read(&path).unwrap();
            assert!(read[..SIZE as usize] == pattern_bytes(1, 0..SIZE));
            assert_eq!(&read[SIZE as usize..], b"appendedappended");
        });
        assert_eq!(cost, NOTHING);
        assert_eq!(objects(server), before);
        mount.end();
    });
}

#[test]
fn cutting_an_object_fetches_what_is_kept_of_it() {
    each_way(|server, way| {
        for name in ["short", "long", "none", "open"] {
            server.put(BUCKET, name, pattern_bytes(1, 0..SIZE));
        }
        let before = objects(server);
        let mount = way.mount(server, &[]);
        fs::metadata(mount.join("short")).unwrap();
        let cut = |name: &str, size: u64| {
            let path = mount.join(name);
            let ((), cost) = cost_of(server, || truncate(&path, size as i64).unwrap());
            let (read, after) = cost_of(server, || fs::read(&path).unwrap());
            assert_eq!(after, NOTHING);
            let kept = size.min(SIZE) as usize;
            assert!(read[..kept] == pattern_bytes(1, 0..kept as u64));
            assert!(read[kept..].iter().all(|byte| *byte == 0));
            assert_eq!(read.len() as u64, size);
            cost
        };
        assert_eq!(cut("none", 0), NOTHING);
        let cost = cut("short", 200_000);
        // In units of 64 KiB, as any read.
        assert_eq!((cost.list, cost.get), (0, 1), "{cost:?}");
        assert!((200_000..=200_000 + (64 << 10)).contains(&cost.bytes), "{cost:?}");
        assert_eq!(cut("long", 2 * SIZE).bytes, SIZE);
        assert_eq!(objects(server), before);
        mount.end();
    });
}

#[test]
fn who_has_an_object_open_sees_what_is_written_to_it() {
    each_way(|server, way| {
        server.put(BUCKET, "object", pattern_bytes(1, 0..SIZE));
        let mount = way.mount(server, &[]);
        let path = mount.join("object");
        let (number, reader) = (ino(&path), File::open(&path).unwrap());
        // Some of it in the kernel's cache, some not.
        part(&reader, 0..10_000).unwrap();
        let writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all_at(b"near", 5000).unwrap();
        writer.write_all_at(b"far", 2 * MIB).unwrap();
        assert_eq!(part(&reader, 5000..5004).unwrap(), b"near");
        assert_eq!(part(&reader, 2 * MIB..2 * MIB + 3).unwrap(), b"far");
        assert!(part(&reader, 6000..10_000).unwrap() == pattern_bytes(1, 6000..10_000));
        writer.set_len(MIB).unwrap();
        assert_eq!(reader.metadata().unwrap().len(), MIB);
        assert_eq!(reader.read_at(&mut [0; 3], 2 * MIB).unwrap(), 0);
        assert_eq!((ino(&path), reader.metadata().unwrap().ino()), (number, number));
        drop(writer);
        // Both ways into the file were closed: the next goes straight to memory.
        forget_pages(&path);
        assert_eq!(part(&reader, 5000..5004).unwrap(), b"near");
        drop(reader);
        let again = open_both(&path);
        again.write_all_at(b"NEAR", 5000).unwrap();
        assert_eq!(part(&again, 4999..5005).unwrap()[1..5], b"NEAR"[..]);
        drop(again);
        let read = fs::read(&path).unwrap();
        assert_eq!((read.len() as u64, &read[5000..5004]), (MIB, &b"NEAR"[..]));
        mount.end();
    });
}

#[test]
fn an_object_that_cannot_be_fetched_is_not_opened_for_writing() {
    use crate::support::server::{Effect, Fault, Op, Refusal};
    each_way(|server, way| {
        server.put(BUCKET, "object", pattern_bytes(1, 0..SIZE));
        let mount = way.mount(server, &[]);
        fs::metadata(mount.join("object")).unwrap();
        let fault = server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Get));
        let append = || OpenOptions::new().append(true).open(mount.join("object"));
        assert_eq!(errno(append()), libc::EACCES);
        server.clear_fault(fault);
        append().unwrap().write_all(b"x").unwrap();
        let read = fs::read(mount.join("object")).unwrap();
        assert!(read[..SIZE as usize] == pattern_bytes(1, 0..SIZE));
        assert_eq!(&read[SIZE as usize..], b"x");
        mount.end();
    });
}

#[test]
fn whatever_programs_do_the_bucket_stays_as_it_is() {
    each_way(|server, way| {
        server.put_many(BUCKET, (0..40).map(|n| (format!("d{}/{n}", n % 4), format!("{n}"))));
        let before = objects(server);
        let mount = way.mount(server, &[]);
        server.reset_counts();
        fs::remove_dir_all(mount.join("d0")).unwrap();
        fs::rename(mount.join("d1"), mount.join("moved")).unwrap();
        for n in 0..40 {
            let path = mount.join(format!("d{}/{n}", n % 4));
            match n % 4 {
                0 | 1 => assert!(is_gone(&path)),
                2 => fs::write(path, "overwritten").unwrap(),
                _ => fs::hard_link(&path, mount.join(format!("link{n}"))).unwrap(),
            }
        }
        mount.end();
        let counts = server.counts();
        assert_eq!((counts.put, counts.other, counts.head_bucket), (0, 0, 0), "{counts:?}");
        assert_eq!(objects(server), before);
    });
}
