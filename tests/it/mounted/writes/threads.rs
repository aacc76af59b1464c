//! Many at once.

use super::*;
use crate::harness::dice::Dice;

#[test]
fn eight_threads_create_rename_and_delete_in_one_directory() {
    each_way(|server, way| {
        server.put_many(BUCKET, (0..400).map(|n| (format!("d/object {n}"), format!("object {n}"))));
        let before = objects(server);
        let mount = way.mount(server, &[]);
        let d = mount.join("d");
        let work = |thread: u64| {
            let mut dice = Dice(thread + 1);
            // The names that this thread alone uses, and what they must contain.
            let mut mine: Vec<(String, String)> = Vec::new();
            let objects = (0..50).map(|n| format!("object {}", thread * 50 + n));
            mine.extend(objects.map(|name| (name.clone(), name)));
            for round in 0..300 {
                match dice.below(5) {
                    0 | 1 => {
                        let name = format!("{thread} made {round}");
                        fs::write(d.join(&name), &name).unwrap();
                        mine.push((name.clone(), name));
                    }
                    2 => {
                        let at = dice.below(mine.len() as u64) as usize;
                        let name = format!("{thread} moved {round}");
                        fs::rename(d.join(&mine[at].0), d.join(&name)).unwrap();
                        mine[at].0 = name;
                    }
                    3 => {
                        let at = dice.below(mine.len() as u64) as usize;
                        let (name, _) = mine.swap_remove(at);
                        fs::remove_file(d.join(name)).unwrap();
                    }
                    _ => {
                        let at = dice.below(mine.len() as u64) as usize;
                        let (name, wanted) = &mine[at];
                        assert_eq!(fs::read_to_string(d.join(name)).unwrap(), *wanted);
                        // All threads fight for one name.
                        let shared = d.join("shared");
                        fs::write(d.join(format!("{thread} tmp")), "whole").unwrap();
                        fs::rename(d.join(format!("{thread} tmp")), &shared).unwrap();
                        assert_eq!(fs::read_to_string(shared).unwrap(), "whole");
                    }
                }
            }
            mine
        };
        let mut left: Vec<(String, String)> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || work(n))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        left.push(("shared".into(), "whole".into()));
        left.sort();
        let wanted: Vec<String> = left.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names(&d), wanted);
        for (name, content) in &left {
            assert_eq!(fs::read_to_string(d.join(name)).unwrap(), *content);
        }
        assert_eq!(objects(server), before);
        mount.end();
    });
}

#[test]
fn of_many_who_create_one_name_exclusively_one_succeeds() {
    each_way(|server, way| {
        let mount = way.mount(server, &[]);
        for round in 0..50 {
            let path = mount.join(format!("lock {round}"));
            let winners: usize = thread::scope(|scope| {
                let create = || OpenOptions::new().write(true).create_new(true).open(&path).is_ok();
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
                threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
            });
            assert_eq!(winners, 1);
        }
        mount.end();
    });
}

#[test]
fn a_reader_never_sees_anything_but_one_version_of_an_object_that_is_overwritten() {
    each_way(|server, way| {
        let wanted = vec![b'o'; 300_000];
        server.put_many(BUCKET, (0..50).map(|n| (format!("object {n}"), wanted.clone())));
        let mount = way.mount(server, &[]);
        for n in 0..50 {
            let path = mount.join(format!("object {n}"));
            thread::scope(|scope| {
                let readers: Vec<_> =
                    (0..3).map(|_| scope.spawn(|| fs::read(&path).unwrap())).collect();
                let writer = OpenOptions::new().write(true).open(&path).unwrap();
                writer.write_all_at(b"n", 0).unwrap();
                for reader in readers {
                    let read = reader.join().unwrap();
                    assert!(read[1..] == wanted[1..] && b"on".contains(&read[0]));
                }
            });
            assert_eq!(&fs::read(&path).unwrap()[..2], b"no");
        }
        mount.end();
    });
}
