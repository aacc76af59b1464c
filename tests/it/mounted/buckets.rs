//! Several buckets in one mount, each as a folder: named ones, and all of them.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::support::server::{Effect, Fault, Op, Policy, Refusal};

/// A server with three buckets.
fn three() -> Option<TestServer> {
    let server = server()?;
    server.put("alpha", "one.txt", "of alpha");
    server.put("alpha", "d/deep.txt", "deep in alpha");
    server.put("beta", "one.txt", "of beta");
    server.put("gamma", "2024/S/one.txt", "of gamma");
    server.put("gamma", "2025/S/one.txt", "of gamma, later");
    Some(server)
}

fn several(server: &TestServer, flags: &[&str]) -> Mount {
    let named = ["beta", "gamma/2024/S", "s3://gamma/2025/S/"];
    let mounting = Mounting::of(server, "alpha").beside(&named);
    mounting.with(["--memory", "256M", "--request-timeout", "4"]).with(flags).in_foreground()
}

fn all(server: &TestServer, flags: &[&str]) -> Mount {
    let mounting = Mounting::of(server, "s3://");
    mounting.with(["--memory", "256M", "--request-timeout", "4"]).with(flags).in_foreground()
}

fn text(mount: &Mount, path: &str) -> String {
    fs::read_to_string(mount.join(path)).unwrap()
}

fn error_of<T: std::fmt::Debug>(outcome: io::Result<T>) -> i32 {
    outcome.unwrap_err().raw_os_error().unwrap()
}

/// What the server was asked for: LISTs of objects, LISTs of buckets, GETs.
fn asked(server: &TestServer, work: impl FnOnce()) -> (u64, u64, u64) {
    assert!(server.wait_idle(Duration::from_secs(60)));
    server.reset_counts();
    work();
    assert!(server.wait_idle(Duration::from_secs(60)));
    let counts = server.counts();
    assert_eq!(counts.requests(), counts.list + counts.list_buckets + counts.get, "{counts:?}");
    (counts.list, counts.list_buckets, counts.get)
}

#[test]
fn named_buckets_and_prefixes_are_folders_of_their_names() {
    let Some(server) = three() else { return };
    server.reset_counts();
    let mount = several(&server, &[]);
    // One LIST of each, which also answers for the names in it.
    assert_eq!(server.counts().list, 4);
    let cost = asked(&server, || {
        assert_eq!(names(mount.path()), ["S", "S-2", "alpha", "beta"]);
        assert_eq!(names(&mount.join("alpha")), ["d", "one.txt"]);
        assert_eq!(text(&mount, "alpha/one.txt"), "of alpha");
        assert_eq!(text(&mount, "beta/one.txt"), "of beta");
        assert_eq!(text(&mount, "S/one.txt"), "of gamma");
        assert_eq!(text(&mount, "S-2/one.txt"), "of gamma, later");
        assert_eq!(error_of(fs::metadata(mount.join("gamma"))), libc::ENOENT);
        assert_eq!(error_of(fs::metadata(mount.join("alpha/none"))), libc::ENOENT);
    });
    assert_eq!(cost, (0, 0, 4));
    // Each is a directory of its own, and attributes say the key in the mount.
    assert!(fs::metadata(mount.join("S")).unwrap().is_dir());
    let mut key = [0; 64];
    let length = rustix::fs::getxattr(mount.join("S/one.txt"), "user.s3.key", &mut key).unwrap();
    assert_eq!(&key[..length], b"S/one.txt");
    assert!(rustix::fs::statvfs(mount.path()).unwrap().f_blocks > 0);
    mount.end();
}

#[test]
fn all_buckets_are_listed_once_and_found_by_name_without_a_list() {
    let Some(server) = three() else { return };
    server.set_buckets_on_a_page(2);
    server.reset_counts();
    let mount = all(&server, &[]);
    let counts = server.counts();
    assert_eq!((counts.list, counts.list_buckets), (0, 2), "two pages");
    let cost = asked(&server, || {
        assert_eq!(names(mount.path()), ["alpha", "beta", "gamma", BUCKET]);
        for bucket in ["alpha", "beta"] {
            assert_eq!(
                fs::read(mount.join(bucket).join("one.txt")).unwrap().len(),
                3 + bucket.len()
            );
        }
        assert_eq!(names(&mount.join("gamma/2024/S")), ["one.txt"]);
        // What programs look for in every folder is no bucket's name.
        for name in [".git", ".Trash-1000", "Thumbs.db", "README.md"] {
            assert_eq!(error_of(fs::metadata(mount.join(name))), libc::ENOENT);
        }
    });
    assert_eq!(cost, (5, 0, 2), "alpha, beta, gamma, gamma/2024, gamma/2024/S");
    // One that is made now is in no list, and found all the same: its LIST answers for it.
    server.put("delta-new", "x", "new");
    let cost = asked(&server, || assert_eq!(text(&mount, "delta-new/x"), "new"));
    assert_eq!(cost, (1, 0, 1));
    // One that is not there costs a LIST, once.
    let cost = asked(&server, || {
        for _ in 0..3 {
            assert_eq!(error_of(fs::metadata(mount.join("no-such-bucket"))), libc::ENOENT);
            assert_eq!(error_of(fs::metadata(mount.join("no-such-bucket.json"))), libc::ENOENT);
        }
    });
    assert_eq!(cost, (2, 0, 0));
    mount.end();
}

#[test]
fn who_may_not_list_buckets_finds_them_by_their_names() {
    let Some(server) = three() else { return };
    server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::ListBuckets));
    let mount = all(&server, &[]);
    assert_eq!(
        error_of(fs::read_dir(mount.path()).and_then(|mut all| all.next().unwrap())),
        libc::EACCES
    );
    assert_eq!(text(&mount, "beta/one.txt"), "of beta");
    assert!(mount.log().contains("s3:ListAllMyBuckets"), "{}", mount.log());
    mount.end();
    server.clear_faults();

    // Without credentials nobody is asked for a list.
    server.set_policy("beta", Policy { anonymous: true, ..Policy::default() });
    server.reset_counts();
    let mount = all(&server, &["--no-sign-request"]);
    assert_eq!(server.counts().requests(), 0);
    assert_eq!(text(&mount, "beta/one.txt"), "of beta");
    assert_eq!(error_of(fs::metadata(mount.join("alpha"))), libc::EACCES);
    mount.end();
}

#[test]
fn the_trouble_of_one_bucket_is_its_own() {
    let Some(server) = three() else { return };
    server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).bucket("beta"));
    let mount = several(&server, &["--metadata-ttl", "0"]);
    assert_eq!(names(mount.path()), ["S", "S-2", "alpha", "beta"]);
    let told = lines(&mount, "WARN", "beta");
    assert_eq!(told.len(), 1, "{}", mount.log());
    assert!(told[0].contains("s3:ListBucket"), "{told:?}");
    assert_eq!(error_of(fs::read(mount.join("beta/one.txt"))), libc::EACCES);
    assert_eq!(text(&mount, "alpha/one.txt"), "of alpha");
    // Let in again, it is there.
    server.clear_faults();
    assert_eq!(text(&mount, "beta/one.txt"), "of beta");
    // One that does not answer makes nobody wait but those who ask for it.
    server.fault(Fault::new(Effect::Hang).bucket("gamma"));
    thread::scope(|scope| {
        let hanging = scope.spawn(|| error_of(fs::read(mount.join("S/one.txt"))));
        for _ in 0..20 {
            assert_eq!(text(&mount, "alpha/d/deep.txt"), "deep in alpha");
        }
        assert!(!hanging.is_finished());
        assert_eq!(hanging.join().unwrap(), libc::EIO);
    });
    server.release();
    mount.end();

    // Where all of them are in trouble, there is no mount.
    server.clear_faults();
    let shell = crate::harness::shell::Shell::on(&server);
    let ran = shell.s3mem(&["mount", "none-one", "none-two", shell.mount_point()]);
    ran.fails_with(&["none-one"]);
}

#[test]
fn a_bucket_in_another_region_is_followed_there_and_the_others_stay() {
    let Some(server) = three() else { return };
    let of = |region: &str| Policy { region: Some(region.to_owned()), ..Policy::default() };
    server.set_policy("beta", of("eu-west-1"));
    server.set_policy("gamma", of("ap-south-1"));
    let mount = several(&server, &[]);
    for (path, contents) in [("alpha", "of alpha"), ("beta", "of beta"), ("S", "of gamma")] {
        assert_eq!(text(&mount, &format!("{path}/one.txt")), contents);
    }
    let status = crate::harness::mounting::succeeds(
        std::process::Command::new(crate::harness::mounting::PROGRAM)
            .args(["status", "--json"])
            .arg(mount.path()),
    );
    for (folder, bucket, region) in [
        ("alpha", "alpha", "us-east-1"),
        ("beta", "beta", "eu-west-1"),
        ("S-2", "gamma", "ap-south-1"),
    ] {
        let told =
            format!(r#"{{"folder": "{folder}", "bucket": "{bucket}", "region": "{region}"}}"#);
        assert!(status.contains(&told), "{told}: {status}");
    }
    mount.end();

    // A list of buckets says where they are: no request goes astray.
    let mount = all(&server, &[]);
    server.reset_counts();
    assert_eq!(text(&mount, "gamma/2024/S/one.txt"), "of gamma");
    let counts = server.counts();
    assert_eq!((counts.list, counts.get, counts.status_4xx), (3, 1, 0), "{counts:?}");
    mount.end();
}

#[test]
fn each_bucket_costs_what_its_own_region_does() {
    let Some(server) = three() else { return };
    let of = |region: &str| Policy { region: Some(region.to_owned()), ..Policy::default() };
    server.set_policy("beta", of("eu-west-1"));
    server.set_policy("gamma", of("ap-south-1"));
    let folder = tempfile::tempdir().unwrap();
    let prices = folder.path().join("prices.toml");
    let region = |name: &str, put: u32| {
        format!(
            "[[region]]\nnames = [\"{name}\"]\nput_per_1000 = {put}\nget_per_1000 = 0\n\
             egress_per_gb = 0\n"
        )
    };
    let all = [region("*", 1_000), region("eu-west-1", 10_000), region("ap-south-1", 100_000)];
    let list = format!("date = \"2026-01-01\"\ncurrency = \"EUR\"\n{}", all.concat());
    fs::write(&prices, list).unwrap();
    let mount = several(&server, &["--prices", prices.to_str().unwrap()]);
    let status = || {
        crate::harness::mounting::succeeds(
            std::process::Command::new(crate::harness::mounting::PROGRAM)
                .args(["status", "--json", "--reset"])
                .arg(mount.path()),
        )
    };
    let told = status();
    // One LIST of alpha, one of beta, and two of gamma.
    assert!(told.contains(r#""total": 211.000000000"#), "{told}");
    let regions = r#""regions": ["ap-south-1", "eu-west-1", "us-east-1"]"#;
    assert!(told.contains(regions), "{told}");
    names(&mount.join("alpha/d"));
    let told = status();
    assert!(told.contains(r#""total": 1.000000000"#), "{told}");
    assert!(told.contains(r#""regions": ["us-east-1"]"#), "{told}");
    mount.end();
}

#[test]
fn writes_go_into_the_bucket_of_their_folder() {
    let Some(server) = three() else { return };
    let flags = ["--writes", "upload", "--allow-overwrite", "--allow-delete"];
    let mount = several(&server, &[&flags[..], &["--rename-directories", "10"]].concat());
    fs::write(mount.join("alpha/new.txt"), "new").unwrap();
    fs::write(mount.join("S/new.txt"), "new in S").unwrap();
    assert_eq!(server.get("alpha", "new.txt").unwrap().content.slice(0..3), "new");
    assert_eq!(server.get("gamma", "2024/S/new.txt").unwrap().content.slice(0..8), "new in S");
    fs::write(mount.join("beta/one.txt"), "over").unwrap();
    assert_eq!(server.get("beta", "one.txt").unwrap().content.slice(0..4), "over");
    // In parts, in two buckets at once.
    let large = vec![7; 20 << 20];
    thread::scope(|scope| {
        for bucket in ["alpha", "beta"] {
            let path = mount.join(bucket).join("large");
            scope.spawn(|| fs::write(path, &large).unwrap());
        }
    });
    for bucket in ["alpha", "beta"] {
        assert_eq!(server.get(bucket, "large").unwrap().content.size(), 20 << 20);
        assert_eq!(server.open_uploads(bucket), [""; 0]);
    }
    // Renames, deletions and folders, inside of one bucket.
    fs::rename(mount.join("S/new.txt"), mount.join("S/renamed.txt")).unwrap();
    fs::rename(mount.join("alpha/d"), mount.join("alpha/e")).unwrap();
    fs::remove_file(mount.join("alpha/new.txt")).unwrap();
    fs::create_dir_all(mount.join("beta/x/y")).unwrap();
    fs::write(mount.join("beta/x/y/z"), "z").unwrap();
    assert_eq!(server.keys("gamma"), ["2024/S/one.txt", "2024/S/renamed.txt", "2025/S/one.txt"]);
    assert_eq!(server.keys("alpha"), ["e/deep.txt", "large", "one.txt"]);
    assert!(server.keys("beta").contains(&"x/y/z".to_owned()));
    mount.end();
}

#[test]
fn nothing_moves_from_one_bucket_to_another_and_the_top_stays_as_it_is() {
    let Some(server) = three() else { return };
    for (writes, mount) in [
        ("memory", several(&server, &["--writes", "memory"])),
        ("upload", several(&server, &["--writes", "upload", "--allow-delete"])),
    ] {
        fs::write(mount.join("alpha/mine"), "mine").unwrap();
        for name in ["mine", "one.txt", "d"] {
            let (from, to) = (mount.join("alpha").join(name), mount.join("beta/moved"));
            assert_eq!(error_of(fs::rename(&from, &to)), libc::EXDEV, "{writes} {name}");
        }
        // Two prefixes of one bucket are two places, too.
        assert_eq!(error_of(fs::rename(mount.join("S/one.txt"), mount.join("S-2/x"))), libc::EXDEV);
        let link = fs::hard_link(mount.join("alpha/one.txt"), mount.join("beta/link"));
        let expected = if writes == "memory" { libc::EXDEV } else { libc::EPERM };
        assert_eq!(error_of(link), expected, "{writes}");
        // mv(1) copies then.
        let moved = std::process::Command::new("mv")
            .arg(mount.join("alpha/mine"))
            .arg(mount.join("beta/"))
            .status();
        assert!(moved.unwrap().success(), "{writes}");
        assert_eq!(text(&mount, "beta/mine"), "mine");
        assert_eq!(fs::metadata(mount.join("alpha/mine")).unwrap_err().kind(), ErrorKind::NotFound);

        for made in [
            fs::create_dir(mount.join("new")),
            fs::write(mount.join("new"), ""),
            std::os::unix::fs::symlink("alpha", mount.join("new")),
            fs::remove_dir(mount.join("beta")),
            fs::rename(mount.join("beta"), mount.join("other")),
            fs::rename(mount.join("alpha/one.txt"), mount.join("one.txt")),
        ] {
            assert_eq!(error_of(made), libc::EPERM, "{writes}");
        }
        assert!(mount.log().contains("\"new\": nothing can be made"), "{}", mount.log());
        assert_eq!(names(mount.path()), ["S", "S-2", "alpha", "beta"]);
        assert_eq!(fs::metadata(mount.path()).unwrap().nlink(), 2);
        mount.end();
    }
    assert_eq!(server.get("beta", "mine").unwrap().content.slice(0..4), "mine");
    server.delete("beta", "mine");
}

#[test]
fn siblings_are_those_of_their_own_bucket() {
    let Some(server) = three() else { return };
    let picture = |size: u8| {
        let mut bytes = format!("P5 {size} 1 255\n").into_bytes();
        bytes.extend(vec![size; size.into()]);
        bytes
    };
    server.put("alpha", "p.pgm", picture(3));
    server.put("beta", "p.pgm", picture(5));
    let index = tempfile::TempDir::new().unwrap();
    let index = format!("--index-cache={}", index.path().display());
    for mount in [several(&server, &[&index]), all(&server, &[&index])] {
        for (bucket, width) in [("alpha", 3), ("beta", 5)] {
            let json = text(&mount, &format!("{bucket}/p.pgm.json"));
            assert!(json.contains(&format!("\"width\": {width},")), "{json}");
            let array = fs::read(mount.join(bucket).join("p.pgm.npy")).unwrap();
            assert!(array.ends_with(&[width; 3]), "{bucket}");
        }
        mount.end();
    }
}

#[test]
fn an_unfinished_upload_of_one_of_several_buckets_is_thrown_away_by_the_next_mount() {
    let Some(server) = three() else { return };
    let flags = ["--writes", "upload"];
    let mut mount = several(&server, &flags);
    let mut file = File::create(mount.join("S/large")).unwrap();
    io::Write::write_all(&mut file, &vec![1; 20 << 20]).unwrap();
    until("parts are on their way", || !server.open_uploads("gamma").is_empty());
    mount.kill();
    drop(file);
    drop(mount);
    let mount = several(&server, &flags);
    until("it is thrown away", || server.open_uploads("gamma").is_empty());
    mount.end();
}

#[test]
fn run_and_serve_take_several_buckets() {
    let Some(server) = three() else { return };
    let shell = crate::harness::shell::Shell::on(&server);
    let script = "cd $S3MEM_MOUNT; cat alpha/one.txt beta/one.txt";
    let ran = shell.s3mem(&["run", "alpha", "beta", "--", "sh", "-c", script]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "of alphaof beta"), "{ran:?}");
    for all in ["--all-buckets", "s3://"] {
        let ran = shell.s3mem(&["run", all, "--", "sh", "-c", "ls $S3MEM_MOUNT"]);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), "alpha\nbeta\ngamma\nmounted\n"),
            "{ran:?}"
        );
    }
    shell.s3mem(&["mount", "--all-buckets", shell.mount_point()]).succeeds();
    assert_eq!(names(&shell.mount_point), ["alpha", "beta", "gamma", BUCKET]);
    let status = shell.s3mem(&["status", shell.mount_point()]);
    assert!(status.stdout.starts_with("s3:// on "), "{status:?}");
    shell.umount().succeeds();
    for (words, part) in [
        (&["mount", "--all-buckets", "alpha", shell.mount_point()][..], "s3://"),
        (&["mount", "s3://", "alpha", shell.mount_point()], "s3://"),
        (&["doctor", "s3://", "alpha"], "s3://"),
    ] {
        let ran = shell.s3mem(words);
        assert_ne!(ran.code, Some(0), "{words:?}");
        assert!(ran.stderr.contains(part), "{words:?}: {ran:?}");
    }
}
