//! Keys that somebody chose to do harm: no terminal obeys them, none is too deep or too long,
//! and none hides another.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use super::*;
use crate::harness::missing::can_mount;
use crate::harness::mounting::both;
use crate::harness::shell::{Ran, Shell, signal, wait_until};
use crate::support::server::{Effect, Fault, Op, Refusal};

/// A title of the terminal, a cleared screen, colours in eight bits, reversed writing, and a
/// line that looks like one of ours.
const EVIL: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}gpj\u{61c}\u{8}\r\nFORGED line\n";

/// Fails if a terminal would obey anything in it, or take a line of it for one of ours.
#[track_caller]
fn is_harmless(what: &str, text: &str) {
    let obeyed = |c: char| {
        let reverses = matches!(c, '\u{61c}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
        (c.is_control() && c != '\n') || reverses
    };
    assert!(!text.contains(obeyed), "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("FORGED")), "{what}: {text:?}");
    assert!(text.contains("owned"), "{what} has nothing of the key: {text:?}");
}

#[track_caller]
fn ran_harmlessly(what: &str, ran: &Ran) {
    is_harmless(what, &format!("{}{}", ran.stdout, ran.stderr));
}

#[test]
fn no_name_in_a_bucket_reaches_a_terminal_as_it_is() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put("tiles", &format!("{EVIL}/in"), "there");
    // A directory has its name, which the log says.
    server.put("tiles", &format!("{EVIL}/twice"), "object");
    server.put("tiles", &format!("{EVIL}/twice/below"), "x");
    server.put("tiles", &format!("{EVIL}/{EVIL}"), "denied");
    server.put("tiles", &format!("{EVIL}/{EVIL}.tif"), "no image");
    let mut shell = Shell::on(&server);
    shell.mount_point = shell.path(&format!("mnt{}", EVIL.replace('/', ""))).into();
    fs::create_dir(&shell.mount_point).unwrap();
    let source = format!("tiles/{EVIL}");
    let log = ["--log-file", "log", "--log-level", "trace"];
    let writes =
        ["--writes", "upload", "--on-unmount", "refuse", "--allow-delete", "--memory", "256M"];
    let flags = [&log[..], &writes, &["--metrics", "127.0.0.1:0"]].concat();
    let mounted = shell.mount(&source, &flags);
    assert_eq!(mounted.code, Some(0), "{mounted:?}");

    // What fails, to have it said.
    let page = "<Error><Code>\u{1b}[31mowned</Code><Message>\u{9b}2J\nFORGED</Message></Error>";
    server.fault(Fault::new(Effect::Page(403, page)).on(Op::Get).key("no-such"));
    let denied = Effect::Refuse(Refusal::Other(403, "\u{1b}[31mowned\nFORGED"));
    server.fault(Fault::new(denied.clone()).on(Op::Put));
    let get = server.fault(Fault::new(denied).on(Op::Get));
    let path = |name: &str| shell.mount_point.join(name);
    assert!(names(&shell.mount_point).contains(&EVIL.to_owned()));
    assert_eq!(errno(fs::read(path(EVIL))), libc::EACCES);
    server.clear_fault(get);
    assert_eq!(fs::read(path("in")).unwrap(), b"there");
    assert!(fs::read(path(&format!("{EVIL}.tif.json"))).is_err());
    assert_eq!(errno(fs::remove_dir(path("twice"))), libc::ENOTEMPTY);
    let mut file = File::create(path(&format!("{EVIL} new"))).unwrap();
    file.write_all(b"not in the bucket").unwrap();
    assert_eq!(errno(nix::unistd::close(file).map_err(io::Error::from)), libc::EACCES);

    let point = shell.mount_point().to_owned();
    let asked = |arguments: &[&str]| {
        let ran = shell.s3mem(arguments);
        ran_harmlessly(&format!("{:?}", arguments[0]), &ran);
        ran
    };
    assert_eq!(asked(&["status", &point]).code, Some(3));
    // It is told of all mounts; a dead one of another test makes it fail.
    assert!(matches!(asked(&["status"]).code, Some(1 | 3)));
    let told = asked(&["status", &point, "--json"]).stdout;
    let json: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(json["mount_point"], point);
    assert_eq!(json["source"], format!("s3://{source}"));
    assert_eq!(json["pending"][0]["path"], format!("{EVIL} new"));
    let keys = json["files"].as_array().unwrap().iter().map(|file| file["key"].as_str().unwrap());
    assert!(keys.clone().any(|key| key == format!("{EVIL}/in")), "{told}");
    let address = format!("{}/metrics", json["metrics"].as_str().unwrap());
    let metrics = Command::new("curl").args(["-sS", &address]).output().unwrap();
    is_harmless("metrics", &both(&metrics));
    let refused = asked(&["umount", &point]);
    assert_eq!((refused.code, refused.stderr.matches('\n').count()), (Some(1), 1), "{refused:?}");
    // A program that is in the way is named, whatever it is called.
    let program = shell.path("owned\u{1b}[31m");
    fs::copy("/bin/sleep", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut busy =
        shell.command(&program).arg("60").current_dir(&shell.mount_point).spawn().unwrap();
    let pid = shell.daemon().unwrap();
    asked(&["status", &point, "--json"]);
    for arguments in [
        &["doctor", &source, &point][..],
        &["doctor", &source, &point, "--json"],
        &["mount", &source, &point],
        &["mount", &source, &format!("{point}/in")],
        &["umount", &format!("{point}/twice")],
        &["status", &format!("{point} none")],
        // The command line itself.
        &["mount", "tiles", &point, &format!("--memory={EVIL}")],
        &["mount", "tiles", &point, &format!("--{EVIL}")],
        &["mount", "tiles", &point, "-o", EVIL],
        &["mount", EVIL, &point],
        &[EVIL],
        &["serve", &source, "--listen", EVIL],
        &["run", "tiles", "--", &format!("/{EVIL}")],
    ] {
        asked(arguments);
    }
    busy.kill().unwrap();
    busy.wait().unwrap();
    // The second signal discards, which is in the log.
    signal("TERM", pid);
    let log = || fs::read_to_string(shell.path("log")).unwrap();
    wait_until("it sends", || log().contains("sending what is not in the bucket yet"));
    signal("TERM", pid);
    wait_until("the daemon has ended", || shell.daemon().is_none());
    let log = log();
    is_harmless("log", &log);
    for line in log.lines() {
        assert!(line.starts_with("20"), "a line without its time: {line:?}");
    }
    for part in ["is lost", "the directory has the name", "has mounted", "GET "] {
        assert!(log.contains(part), "{part:?} is missing in {log}");
    }
}

/// All directories of a tree from the root down, where each has one entry.
fn descend(root: &Path) -> (usize, Vec<u8>) {
    let (mut path, mut depth) = (root.to_owned(), 0);
    loop {
        let listed = names(&path);
        assert_eq!(listed.len(), 1, "{depth} deep");
        path.push(&listed[0]);
        if fs::metadata(&path).unwrap().is_file() {
            return (depth, fs::read(path).unwrap());
        }
        depth += 1;
    }
}

#[test]
fn a_thousand_directories_deep_is_a_path_like_any_other() {
    // Of 1,024 bytes, the most that S3 takes.
    for (key, deep, path) in [
        ("a/".repeat(511) + "xy", 511, "a/".repeat(511) + "xy"),
        ("/".repeat(1000) + "x", 1000, "%%/".repeat(1000) + "x"),
        ("../".repeat(341) + "x", 341, "%%%2E%2E/".repeat(341) + "x"),
        ("\0/".repeat(511) + "xy", 511, "%%%00/".repeat(511) + "xy"),
    ] {
        let Some(server) = server() else { return };
        server.put(BUCKET, &key, "the bottom");
        let mount = mount(&server, &["--metadata-ttl", "3600"]);
        // By its path first: each directory on the way is asked for once.
        let (read, cost) = cost_of(&server, || fs::read(mount.join(&path)));
        assert_eq!(read.unwrap(), b"the bottom");
        assert_eq!(
            (cost.list, cost.head, cost.get),
            (deep as u64, 0, 1),
            "the root is known from the mount: {cost:?}"
        );
        let (found, cost) = cost_of(&server, || descend(mount.path()));
        assert_eq!(found, (deep, b"the bottom".to_vec()));
        assert_eq!(cost, NOTHING, "each was listed on the way");
        mount.end();
    }
}

#[test]
fn keys_of_1024_bytes_are_found_whatever_they_are_made_of() {
    let Some(server) = server() else { return };
    let keys = ["x", "%", "\0", "é", "\u{1f6f0}", "%%object", "."].map(|unit| {
        let mut key = unit.repeat(1024 / unit.len());
        key.extend(std::iter::repeat_n('x', 1024 - key.len()));
        key
    });
    // Those that begin like them share their directories.
    let beginnings = keys.iter().flat_map(|key| {
        let count = key.chars().count();
        [count / 2, count - 1].map(|count| key.chars().take(count).collect::<String>() + "y")
    });
    let all: BTreeSet<String> = beginnings.chain(keys.iter().cloned()).collect();
    server.put_many(BUCKET, all.iter().map(|key| (key.clone(), key.clone())));
    let mount = mount(&server, &[]);
    let mut found = BTreeSet::new();
    let mut folders = vec![mount.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder) {
            let path = folder.join(name);
            match fs::metadata(&path).unwrap().is_dir() {
                true => folders.push(path),
                false => assert!(found.insert(String::from_utf8(fs::read(path).unwrap()).unwrap())),
            }
        }
    }
    assert_eq!(found, all);
    mount.end();
}

#[test]
fn names_that_s3mem_takes_for_itself_are_those_of_objects_where_there_are_such() {
    let Some(server) = server() else { return };
    // What would be an escape, a long part, an object beside a directory, a sibling of one.
    let taken = [
        "%%",
        "%%x",
        "%%x%",
        "%%%25%25",
        "d%%object",
        "%%d%25%25object",
        "d",
        "d%%object%%object",
        "%%%%object",
        "d/a",
        "i.tif",
        "i.tif.png",
        "i.tif.png.png",
        "i.tif.json/x",
        "i.tif%%object",
        "i.tif.json%%object",
        "%%i.tif.json%25%25object",
        "i.tif.npy%%object/x",
    ];
    server.put_many(BUCKET, taken.map(|key| (key, key)));
    server.put(BUCKET, "i.tif", &include_bytes!("../../support/images/bits.tif")[..]);
    let mount = mount(&server, &["--list-views"]);
    let (mut found, mut of_image) = (BTreeSet::new(), Vec::new());
    let mut folders = vec![mount.path().to_owned()];
    while let Some(folder) = folders.pop() {
        let listed = names(&folder);
        let once: BTreeSet<&String> = listed.iter().collect();
        assert_eq!(once.len(), listed.len(), "{listed:?}");
        for name in listed {
            let path = folder.join(&name);
            match fs::metadata(&path) {
                Ok(status) if status.is_dir() => {
                    folders.push(path);
                    continue;
                }
                // What has the name of an image and is none has siblings in the listing alone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let image = name.rsplit_once('.').unwrap().0.trim_end_matches(".preview");
                    assert!(image.ends_with(".png") && taken.contains(&image), "{name}");
                    continue;
                }
                status => drop(status.unwrap()),
            }
            match String::from_utf8(fs::read(path).unwrap()) {
                Ok(text) if taken.contains(&text.as_str()) => assert!(found.insert(text)),
                Ok(_) | Err(_) => of_image.push(name),
            }
        }
    }
    let expected = taken.iter().filter(|key| **key != "i.tif").map(|key| (*key).to_owned());
    assert_eq!(found, expected.collect());
    // Real objects and a directory stand where it would have these.
    for missing in ["i.tif.png", "i.tif.json"] {
        assert!(!of_image.iter().any(|name| name == missing), "{of_image:?}");
    }
    for there in ["i.tif", "i.tif.npy", "i.tif.preview.png"] {
        assert!(of_image.iter().any(|name| name == there), "{of_image:?}");
    }
    mount.end();
}
