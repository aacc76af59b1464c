//! Files that could not be put into the bucket: who is told, and what becomes of them
//! when the mount is to end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::Duration;

use super::{Ran, S3MEM, Shell, can_mount, has_root, signal, wait_until};
use crate::support::server::{Effect, Fault, FaultId, Op, Refusal, TestServer};

const UPLOAD: &[&str] = &["--memory", "256M", "--writes", "upload", "--log-file", "log"];
const BYTES: &[u8] = b"what a program wrote";

/// A mount whose server refuses what is written, with one file that was refused.
struct Refusing {
    shell: Shell,
    server: TestServer,
    fault: FaultId,
}

impl Refusing {
    /// `None` where nothing can be mounted.
    fn mount(flags: &[&str]) -> Option<Refusing> {
        if !can_mount() {
            return None;
        }
        let server = TestServer::start();
        server.put("tiles", "10/S/readme", "hello");
        let shell = Shell::on(&server);
        shell.mount("tiles/10", &[UPLOAD, flags].concat()).succeeds();
        let fault = server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Put));
        let refused = write(&shell.mount_point.join("S/a b"), BYTES);
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EACCES));
        Some(Refusing { shell, server, fault })
    }

    fn status(&self, flags: &[&str]) -> Ran {
        self.shell.s3mem(&[&["status", self.shell.mount_point()], flags].concat())
    }

    /// What the bucket has of the file.
    fn object(&self) -> Option<Vec<u8>> {
        let object = self.server.get("tiles", "10/S/a b")?;
        Some(object.content.slice(0..object.content.size()).to_vec())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.shell.path("log")).unwrap()
    }

    #[track_caller]
    fn wait_for_log(&self, part: &str) {
        wait_until(&format!("{part:?} is in the log"), || self.log().contains(part));
    }

    #[track_caller]
    fn wait_for_end(&self) {
        wait_until("the daemon has ended", || self.shell.daemon().is_none());
        assert!(!self.shell.is_mounted());
    }

    /// The daemon waits, and what it waits for is only sent when it can be.
    #[track_caller]
    fn is_sent_once_the_server_takes_it(&self) {
        thread::sleep(Duration::from_secs(1));
        assert!(self.shell.daemon().is_some());
        assert_eq!(self.object(), None);
        self.server.clear_fault(self.fault);
        self.wait_for_end();
        assert_eq!(self.object().as_deref(), Some(BYTES));
        assert!(!self.log().contains("is lost"), "{}", self.log());
    }
}

/// Writes a file; the error is that of closing it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Writes a file and closes it; the error is that of closing it.
fn close(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    Ok(nix::unistd::close(file)?)
}

/// An `s3mem umount` that has said what it waits for, and waits.
struct Waiting {
    umount: Child,
    /// Where its standard error goes, which is read while it runs.
    said: String,
}

impl Waiting {
    #[track_caller]
    fn start(shell: &Shell) -> Waiting {
        let said = shell.path("said");
        let mut umount = shell.command(S3MEM);
        umount.args(["umount", shell.mount_point()]).stderr(File::create(&said).unwrap());
        let waiting = Waiting { umount: umount.spawn().unwrap(), said };
        wait_until("it says what it waits for", || waiting.said().ends_with('\n'));
        waiting
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }
}

#[test]
fn status_lists_what_is_not_in_the_bucket_with_the_reason() {
    let Some(mount) = Refusing::mount(&[]) else { return };
    let ran = mount.status(&[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{ran:?}");
    let whole = format!("s3://tiles/10 on {}\n", mount.shell.mount_point());
    for part in [
        whole.as_str(),
        "upload, on unmount wait",
        "of 128 MiB of memory",
        "1 file is not in the bucket yet\n",
        "    S/a b (20 bytes): ",
        "AccessDenied",
    ] {
        assert!(ran.stdout.contains(part), "{part:?} is missing in {}", ran.stdout);
    }
    let ran = mount.status(&["--json"]);
    assert_eq!((ran.code, ran.stdout.matches('\n').count()), (Some(3), 1), "{ran:?}");
    for part in [
        "{\"source\": \"s3://tiles/10\", \"mount_point\": \"/",
        "\"writes\": \"upload\", \"on_unmount\": \"wait\"",
        "\"limit_bytes\": 134217728}",
        "\"put_requests\": ",
        "[{\"path\": \"S/a b\", \"bytes\": 20, \"open\": false, \"conflict\": false, \"why\": \"PUT ",
    ] {
        assert!(ran.stdout.contains(part), "{part:?} is missing in {}", ran.stdout);
    }
    mount.server.clear_fault(mount.fault);
    wait_until("it was sent by itself", || mount.status(&[]).code == Some(0));
    assert_eq!(mount.object().as_deref(), Some(BYTES));
    assert!(mount.status(&[]).stdout.contains("nothing: everything is in the bucket"));
    mount.shell.umount().succeeds();
}

#[test]
fn status_says_which_files_are_open() {
    let Some(mount) = Refusing::mount(&[]) else { return };
    mount.server.clear_fault(mount.fault);
    wait_until("it was sent by itself", || mount.status(&[]).code == Some(0));
    // Another process has it open: those that this one starts close what they inherit.
    let path = mount.shell.mount_point.join("S/open");
    let mut bash = mount.shell.command("bash");
    bash.args(["-c", r#"exec 3> "$1"; printf x >&3; exec sleep 60"#, "bash"]).arg(&path);
    let mut sleep = bash.spawn().unwrap();
    wait_until("it is written", || fs::metadata(&path).is_ok_and(|file| file.len() == 1));
    let ran = mount.status(&["--json"]);
    let busy = mount.shell.umount();
    sleep.kill().unwrap();
    sleep.wait().unwrap();
    assert!(ran.stdout.contains(r#""S/open", "bytes": 1, "open": true"#), "{ran:?}");
    assert_eq!(ran.code, Some(3));
    busy.fails_with(&["is in use by sleep"]);
    mount.shell.umount().succeeds();
    assert!(mount.server.get("tiles", "10/S/open").is_some());
}

#[test]
fn status_without_a_mount_point_shows_all_mounts_of_the_user() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put("tiles", "readme", "hello");
    let (one, other) = (Shell::on(&server), Shell::on(&server));
    one.mount("tiles", &[]).succeeds();
    other.mount("tiles", &["--writes", "memory"]).succeeds();
    // Mounts of other tests come and go meanwhile, and some of them wait for something.
    let ran = one.s3mem(&["status"]);
    for (shell, writes) in [(&one, "deny"), (&other, "memory")] {
        let start = format!("s3://tiles on {}\n  writes         {writes}\n", shell.mount_point());
        assert!(ran.stdout.contains(&start), "{ran:?}");
    }
    let inside = one.mount_point.join("readme");
    let ran = one.s3mem(&["status", inside.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.matches("s3://").count()), (Some(0), 1), "{ran:?}");
    one.umount().succeeds();
    other.umount().succeeds();
    one.s3mem(&["status", one.mount_point()]).fails_with(&["is not in a mount of s3mem"]);
    one.s3mem(&["status", "none"]).fails_with(&["does not exist"]);
}

#[test]
fn a_mount_that_refuses_to_go_names_what_is_missing_and_what_to_do() {
    let Some(mount) = Refusing::mount(&["--on-unmount", "refuse"]) else { return };
    mount.shell.umount().fails_with(&[
        mount.shell.mount_point(),
        "stays mounted",
        "1 file: \"S/a b\" (PUT ",
        "AccessDenied",
        "copy these files elsewhere",
        "s3mem status",
    ]);
    assert_eq!(fs::read(mount.shell.mount_point.join("S/a b")).unwrap(), BYTES);
    mount.server.clear_fault(mount.fault);
    wait_until("it was sent by itself", || mount.status(&[]).code == Some(0));
    mount.shell.umount().succeeds();
    assert_eq!(mount.object().as_deref(), Some(BYTES));
}

#[test]
fn umount_waits_until_all_is_in_the_bucket() {
    let Some(mount) = Refusing::mount(&[]) else { return };
    let waiting = Waiting::start(&mount.shell);
    let said = waiting.said();
    for part in ["s3mem: waiting until everything is in the bucket", "\"S/a b\"", "AccessDenied"] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }
    assert!(mount.shell.is_mounted());
    mount.server.clear_fault(mount.fault);
    let Waiting { umount, said } = waiting;
    let ran = Ran::finish(umount);
    let said = fs::read_to_string(said).unwrap();
    assert_eq!((ran.code, said.lines().count()), (Some(0), 1), "{said}");
    assert!(mount.shell.daemon().is_none() && !mount.shell.is_mounted());
    assert_eq!(mount.object().as_deref(), Some(BYTES));
}

#[test]
fn what_was_closed_is_waited_for_while_the_kernel_has_it_open_still() {
    for on_close in ["wait", "later"] {
        let Some(mount) = Refusing::mount(&["--on-close", on_close]) else { return };
        let path = mount.shell.mount_point.join("S/closed");
        let refused = close(&path, BYTES);
        assert_eq!(refused.is_err(), on_close == "wait");
        // As a handle whose release the kernel has not told yet.
        let open = File::open(&path).unwrap();
        let status = mount.status(&["--json"]).stdout;
        assert!(status.contains(r#""S/closed", "bytes": 20, "open": false"#), "{status}");
        let Waiting { umount, said } = Waiting::start(&mount.shell);
        mount.server.clear_fault(mount.fault);
        let code = Ran::finish(umount).code;
        let said = fs::read_to_string(said).unwrap();
        for part in ["waiting until everything is", "2 files", "\"S/closed\"", "is in use"] {
            assert!(said.contains(part), "{part:?} is missing in {said}");
        }
        assert_eq!(code, Some(1), "{said}");
        assert!(mount.server.get("tiles", "10/S/closed").is_some());
        drop(open);
        mount.shell.umount().succeeds();
    }
}

#[test]
fn a_signal_right_behind_a_close_ends_the_mount_once_the_file_is_sent() {
    for on_close in ["wait", "later"] {
        let Some(mount) = Refusing::mount(&["--on-close", on_close]) else { return };
        let path = mount.shell.mount_point.join("S/closed");
        assert_eq!(close(&path, BYTES).is_err(), on_close == "wait");
        let open = File::open(&path).unwrap();
        signal("TERM", mount.shell.daemon().unwrap());
        mount.wait_for_log("sending what is not in the bucket yet");
        assert_eq!(fs::read(&path).unwrap(), BYTES, "it can still be copied");
        mount.is_sent_once_the_server_takes_it();
        assert!(mount.server.get("tiles", "10/S/closed").is_some());
        drop(open);
    }
}

#[test]
fn what_is_written_behind_a_close_is_left_alone_until_the_next_one() {
    let Some(mount) = Refusing::mount(&[]) else { return };
    let path = mount.shell.mount_point.join("S/a b");
    let mut again = File::options().append(true).open(&path).unwrap();
    again.write_all(b", and more").unwrap();
    mount.server.clear_fault(mount.fault);
    let status = mount.status(&["--json"]).stdout;
    assert!(status.contains(r#""S/a b", "bytes": 30, "open": true"#), "{status}");
    mount.shell.umount().fails_with(&["is in use"]);
    assert_eq!(mount.object(), None);
    nix::unistd::close(again).unwrap();
    assert_eq!(mount.object().as_deref(), Some(&b"what a program wrote, and more"[..]));
    mount.shell.umount().succeeds();
}

#[test]
fn who_stops_waiting_leaves_the_mount_as_it_is() {
    let Some(mount) = Refusing::mount(&[]) else { return };
    let Waiting { umount, .. } = Waiting::start(&mount.shell);
    signal("TERM", umount.id());
    assert_eq!(Ran::finish(umount).code, None);
    assert_eq!(fs::read(mount.shell.mount_point.join("S/a b")).unwrap(), BYTES);
    mount.server.clear_fault(mount.fault);
    wait_until("it was sent by itself", || mount.status(&[]).code == Some(0));
    mount.shell.umount().succeeds();
}

#[test]
fn what_is_discarded_is_named_and_in_the_log() {
    let Some(mount) = Refusing::mount(&["--on-unmount", "discard"]) else { return };
    let ran = mount.shell.umount();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in ["s3mem: lost with the mount", "1 file: \"S/a b\" (PUT ", "AccessDenied"] {
        assert!(ran.stderr.contains(part), "{part:?} is missing in {ran:?}");
    }
    assert!(mount.shell.daemon().is_none() && !mount.shell.is_mounted());
    assert!(mount.log().contains("\"S/a b\" (20 bytes) is lost"), "{}", mount.log());
    mount.server.clear_fault(mount.fault);
    assert_eq!(mount.object(), None);
}

#[test]
fn an_object_that_somebody_else_has_changed_keeps_the_mount_until_it_is_dealt_with() {
    let Some(mount) = Refusing::mount(&[]) else { return };
    mount.server.put("tiles", "10/S/a b", "theirs");
    mount.server.clear_fault(mount.fault);
    mount.shell.umount().fails_with(&["somebody else has changed", "\"S/a b\"", "fusermount3 -u"]);
    assert_eq!(fs::read(mount.shell.mount_point.join("S/a b")).unwrap(), BYTES);
    signal("TERM", mount.shell.daemon().unwrap());
    mount.wait_for_end();
    assert!(mount.log().contains("\"S/a b\" (20 bytes) is lost"), "{}", mount.log());
    assert_eq!(mount.object().as_deref(), Some(&b"theirs"[..]));
}

#[test]
fn a_signal_has_all_sent_before_the_daemon_ends() {
    for way in ["wait", "refuse"] {
        let Some(mount) = Refusing::mount(&["--on-unmount", way]) else { return };
        signal("TERM", mount.shell.daemon().unwrap());
        mount.wait_for_log("SIGTERM: unmounting");
        mount.is_sent_once_the_server_takes_it();
    }
}

#[test]
fn a_second_signal_ends_at_once_and_the_log_says_what_is_lost() {
    let Some(mount) = Refusing::mount(&[]) else { return };
    let daemon = mount.shell.daemon().unwrap();
    signal("TERM", daemon);
    mount.wait_for_log("sending what is not in the bucket yet");
    assert!(mount.shell.is_mounted(), "it can still be copied");
    signal("TERM", daemon);
    mount.wait_for_end();
    assert!(mount.log().contains("\"S/a b\" (20 bytes) is lost"), "{}", mount.log());
    assert_eq!(mount.object(), None);
}

#[test]
fn a_signal_discards_where_that_was_asked_for() {
    let Some(mount) = Refusing::mount(&["--on-unmount", "discard"]) else { return };
    signal("TERM", mount.shell.daemon().unwrap());
    mount.wait_for_end();
    assert!(mount.log().contains("\"S/a b\" (20 bytes) is lost"), "{}", mount.log());
    assert_eq!(mount.object(), None);
}

#[test]
fn the_daemon_outlives_a_mount_that_somebody_else_took_away_until_all_is_sent() {
    if !has_root() {
        return;
    }
    for way in ["wait", "refuse"] {
        let Some(mount) = Refusing::mount(&["--on-unmount", way]) else { return };
        mount.shell.umount_past_the_daemon();
        mount.wait_for_log("sending what is not in the bucket yet");
        assert!(!mount.shell.is_mounted());
        mount.is_sent_once_the_server_takes_it();
    }
}

#[test]
fn a_signal_ends_a_daemon_that_outlives_its_mount() {
    if !has_root() {
        return;
    }
    let Some(mount) = Refusing::mount(&[]) else { return };
    mount.shell.umount_past_the_daemon();
    mount.wait_for_log("sending what is not in the bucket yet");
    signal("INT", mount.shell.daemon().unwrap());
    mount.wait_for_end();
    assert!(mount.log().contains("\"S/a b\" (20 bytes) is lost"), "{}", mount.log());
}

#[test]
fn a_daemon_that_outlives_its_mount_does_not_answer_for_the_next_one() {
    if !has_root() {
        return;
    }
    let Some(mount) = Refusing::mount(&[]) else { return };
    let shell = &mount.shell;
    let old = shell.daemon().unwrap();
    shell.umount_past_the_daemon();
    mount.wait_for_log("sending what is not in the bucket yet");
    // The kernel gives it the same device number, unless another test was quicker.
    shell.mount("tiles", &[]).succeeds();
    let ran = mount.status(&["--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("\"writes\": \"deny\""), "{ran:?}");
    shell.umount().succeeds();
    assert_eq!(shell.daemon(), Some(old));
    mount.is_sent_once_the_server_takes_it();
}

#[test]
fn other_users_are_not_told() {
    if !can_mount() || !has_root() {
        return;
    }
    let server = TestServer::start();
    server.put("tiles", "readme", "hello");
    let shell = Shell::on(&server);
    shell.mount("tiles", &["--allow-other"]).succeeds();
    // In mounts of its own: a copy of the program that everybody can reach.
    let ran = shell.script_as_root(
        r#"chmod 755 "$HOME" "$MNT/.."; cp "$S3MEM" "$HOME/s3mem-copy"; chmod 755 "$HOME/s3mem-copy"
           exec setpriv --reuid 65534 --regid 65534 --clear-groups "$HOME/s3mem-copy" status "$MNT""#,
    );
    ran.fails_with(&["belongs to the user with the ID 0", "only they and root may ask"]);
    shell.umount().succeeds();
}

#[test]
fn a_refusal_says_once_which_flag_would_allow_it_and_status_counts() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put("tiles", "10/a", "hello");
    server.put("tiles", "10/b", "hello");
    let shell = Shell::on(&server);
    shell.mount("tiles", UPLOAD).succeeds();
    let path = |name: &str| shell.mount_point.join(name);
    let refused = |outcome: io::Result<()>| outcome.unwrap_err().raw_os_error().unwrap();
    for _ in 0..2 {
        assert_eq!(refused(fs::write(path("10/a"), "x")), libc::EPERM);
        assert_eq!(refused(fs::remove_file(path("10/a"))), libc::EPERM);
        assert_eq!(refused(fs::rename(path("10/b"), path("10/c"))), libc::EPERM);
        assert_eq!(refused(fs::rename(path("10/a"), path("10/b"))), libc::EPERM);
        assert_eq!(refused(fs::rename(path("10"), path("11"))), libc::EXDEV);
    }
    // What no flag would allow is none.
    assert_eq!(refused(std::os::unix::fs::symlink("a", path("10/link"))), libc::EPERM);
    let log = fs::read_to_string(shell.path("log")).unwrap();
    let said: Vec<&str> = log.lines().filter(|line| line.contains(" was not ")).collect();
    let expected = [
        r#""10/a" was not overwritten: this takes --allow-overwrite"#,
        r#""10/a" was not deleted: this takes --allow-delete"#,
        r#""10/b" was not renamed: this takes --allow-delete"#,
        r#""10/a" was not renamed: this takes --allow-overwrite and --allow-delete"#,
        r#""10" was not renamed as a folder: this takes --rename-directories and --allow-delete"#,
    ];
    assert_eq!(said.len(), expected.len(), "{log}");
    for (line, part) in said.iter().zip(expected) {
        assert!(line.contains("INFO") && line.contains(part), "{part} is not in {line}");
    }
    let status = shell.s3mem(&["status", shell.mount_point()]).stdout;
    assert!(status.contains("refused        10 changes that flags would allow"), "{status}");
    let json = shell.s3mem(&["status", "--json", shell.mount_point()]).stdout;
    assert!(json.contains(r#""refused": 10"#), "{json}");
    shell.umount().succeeds();
}
