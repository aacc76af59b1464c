//! When a file is put into the bucket, with how many requests, and as what.

use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::process::Command;

use super::*;

#[test]
fn what_is_closed_is_in_the_bucket_after_one_request() {
    for backend in backends() {
        let mount = mount(&backend, &[]);
        backend.reset_counts();
        save(&mount.path().join("note.txt"), b"hello").unwrap();
        assert!(backend.has("note.txt", b"hello"));
        if let Some(counts) = backend.counts() {
            let asked = (counts.put, counts.other, counts.get, counts.head);
            assert_eq!(asked, (1, 0, 0, 0), "{counts:?}");
        }
        assert_eq!(backend.told("note.txt").content_type.as_deref(), Some("text/plain"));
        assert_eq!(fs::read(mount.path().join("note.txt")).unwrap(), b"hello");
        if let Some(counts) = backend.counts() {
            assert_eq!(counts.get, 0, "it is still in memory");
        }
        mount.end();
    }
}

#[test]
fn an_empty_file_is_an_object_too() {
    for backend in backends() {
        let mount = mount(&backend, &[]);
        save(&mount.path().join("empty"), b"").unwrap();
        assert!(backend.has("empty", b""));
        mount.end();
    }
}

#[test]
fn what_a_shell_redirects_is_sent_once() {
    for backend in backends() {
        let mount = mount(&backend, &[]);
        backend.reset_counts();
        let file = mount.path().join("out");
        // Each child of the shell has the descriptor too, and closes it when it ends.
        let script = format!("exec > '{}'; echo one; ls /; /bin/echo two >&1", file.display());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let text = String::from_utf8(backend.get("out").unwrap()).unwrap();
        assert!(text.starts_with("one\n") && text.ends_with("two\n"), "{text}");
        if let Some(counts) = backend.counts() {
            assert_eq!(counts.put, 1);
        }
        mount.end();
    }
}

#[test]
fn fsync_sends_and_a_close_without_a_change_sends_nothing_more() {
    for backend in backends() {
        let mount = mount(&backend, &[]);
        let mut file = File::create(mount.path().join("a")).unwrap();
        file.write_all(b"first").unwrap();
        assert!(backend.get("a").is_none(), "nothing is sent before");
        file.sync_all().unwrap();
        assert!(backend.has("a", b"first"));
        let sent = backend.counts().map(|counts| counts.put);
        close(file).unwrap();
        assert_eq!(backend.counts().map(|counts| counts.put), sent);
        mount.end();
    }
}

#[test]
fn what_is_written_behind_an_fsync_is_sent_by_the_close() {
    for backend in backends() {
        let mount = mount(&backend, &[]);
        let mut file = File::create(mount.path().join("a")).unwrap();
        file.write_all(b"first").unwrap();
        file.sync_all().unwrap();
        file.write_all(b" second").unwrap();
        close(file).unwrap();
        assert!(backend.has("a", b"first second"));
        mount.end();
    }
}

#[test]
fn a_large_file_goes_in_parts_of_which_the_changed_ones_are_sent_again() {
    for backend in backends() {
        let mount = mount(&backend, &[]);
        let mut bytes = noise(1, 45 * MIB as usize);
        let mut file = File::create(mount.path().join("film.mp4")).unwrap();
        file.write_all(&bytes).unwrap();
        // As a program does that writes its header last.
        file.seek(SeekFrom::Start(0)).unwrap();
        bytes[..7].copy_from_slice(b"changed");
        file.write_all(b"changed").unwrap();
        close(file).unwrap();
        assert!(backend.has("film.mp4", &bytes));
        let told = backend.told("film.mp4");
        assert!(told.etag.ends_with("-6"), "{}", told.etag);
        assert_eq!(told.content_type.as_deref(), Some("video/mp4"));
        assert_eq!(backend.open_uploads("film.mp4"), 0);
        mount.end();
    }
}

#[test]
fn random_writes_in_any_order_are_one_object() {
    for backend in backends() {
        let mount = mount(&backend, &[]);
        let bytes = noise(2, 20 * MIB as usize);
        let file = File::create(mount.path().join("random")).unwrap();
        let pieces: Vec<usize> = (0..bytes.len()).step_by(100_000).collect();
        for &at in pieces.iter().rev() {
            let end = (at + 100_000).min(bytes.len());
            file.write_all_at(&bytes[at..end], at as u64).unwrap();
        }
        close(file).unwrap();
        assert!(backend.has("random", &bytes));
        mount.end();
    }
}

#[test]
fn a_file_larger_than_the_memory_is_sent_while_it_is_written_in_order() {
    for backend in backends() {
        let mount = mount(&backend, &["--write-memory", "32M"]);
        let bytes = noise(3, 150 * MIB as usize);
        let path = mount.path().join("large");
        let mut file =
            OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        file.write_all(&bytes).unwrap();
        // What only the server has can't be read before the file is an object, but as far
        // as the kernel remembers it.
        forget_pages(&path);
        let mut byte = [0];
        assert_eq!(errno(file.read_exact_at(&mut byte, 5)), libc::EIO);
        close(file).unwrap();
        assert!(backend.has("large", &bytes));
        if let Some(counts) = backend.counts() {
            assert_eq!(counts.put, 19, "each part of 8 MiB is sent once");
        }
        until("the memory is given back", || {
            let mut file = File::open(&path).unwrap();
            let mut start = vec![0; 1000];
            file.read_exact(&mut start).is_ok_and(|()| start == bytes[..1000])
        });
        save(&mount.path().join("another"), &bytes[..20 * MIB as usize]).unwrap();
        mount.end();
    }
}

#[test]
fn memory_of_files_that_the_bucket_has_is_given_back_when_it_is_needed() {
    for backend in backends() {
        let mount = mount(&backend, &["--write-memory", "32M"]);
        let bytes = noise(4, 10 * MIB as usize);
        for number in 0..12 {
            save(&mount.path().join(format!("f{number}")), &bytes).unwrap();
        }
        for number in 0..12 {
            let name = format!("f{number}");
            assert!(backend.has(&name, &bytes));
            assert_eq!(fs::read(mount.path().join(&name)).unwrap(), bytes, "{name}");
        }
        mount.end();
    }
}

#[test]
fn a_file_that_does_not_fit_and_is_not_written_in_order_is_refused() {
    for backend in backends() {
        let mount = mount(&backend, &["--write-memory", "32M"]);
        let file = File::create(mount.path().join("a")).unwrap();
        let piece = noise(5, MIB as usize);
        let mut outcome = Ok(());
        for number in (0..64).rev() {
            outcome = file.write_all_at(&piece, number * MIB);
            if outcome.is_err() {
                break;
            }
        }
        assert_eq!(errno(outcome), libc::ENOSPC);
        drop(file);
        fs::remove_file(mount.path().join("a")).ok();
        mount.end();
    }
}

#[test]
fn type_class_and_encryption_are_those_of_the_flags() {
    for backend in backends() {
        // MinIO knows one class beside the standard one, and encrypts for whoever has
        // set up a service for its keys.
        let (class, encryption) = match &backend {
            Backend::InProcess(_) => ("STANDARD_IA", Some("AES256")),
            Backend::Minio(_) => ("REDUCED_REDUNDANCY", None),
        };
        let mut flags = vec!["--content-type", "x/y", "--storage-class", class];
        flags.extend(encryption.into_iter().flat_map(|encryption| ["--sse", encryption]));
        let mount = mount(&backend, &flags);
        save(&mount.path().join("a.txt"), b"hello").unwrap();
        let told = backend.told("a.txt");
        assert_eq!(told.content_type.as_deref(), Some("x/y"));
        assert_eq!(told.storage_class.as_deref(), Some(class));
        assert_eq!(told.encryption.as_deref(), encryption);
        mount.end();
    }
}

#[test]
fn a_size_that_is_set_by_name_is_sent_at_once() {
    for backend in backends() {
        backend.put("a", "hello world");
        let mount = mount_free(&backend);
        let mut cut = Command::new("truncate");
        assert!(cut.args(["-s", "5"]).arg(mount.path().join("a")).status().unwrap().success());
        until("the object is cut", || backend.has("a", b"hello"));
        mount.end();
    }
}

#[test]
fn what_a_mapping_writes_behind_the_last_close_is_sent_too() {
    for backend in backends() {
        let mount = mount(&backend, &[]);
        let path = mount.path().join("mapped");
        let script = "import mmap, os, sys\n\
        f = open(sys.argv[1], 'w+b')\n\
        f.truncate(8192)\n\
        m = mmap.mmap(f.fileno(), 8192)\n\
        m[0:3] = b'one'\n\
        f.close()\n\
        m[4096:4099] = b'two'\n\
        m.close()\n";
        assert!(
            Command::new("python3").args(["-c", script]).arg(&path).status().unwrap().success()
        );
        let mut wanted = vec![0; 8192];
        wanted[..3].copy_from_slice(b"one");
        wanted[4096..4099].copy_from_slice(b"two");
        until("the mapping's bytes are in the bucket", || backend.has("mapped", &wanted));
        mount.end();
    }
}
