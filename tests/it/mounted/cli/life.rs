//! The life of a mount: from the command that returns when it is usable to the end
//! that leaves nothing behind, however it comes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use s3mem::sys::allow_many_open_files;

use super::{Ran, S3MEM, Shell, assert_lists, can_mount, has_root, signal, wait_until};
use crate::harness::mounting::Mounting;
use crate::support::server::{ACCESS_KEY, SECRET_KEY, TestServer};

/// A server with the bucket `tiles`; nothing where nothing can be mounted.
fn server() -> Option<TestServer> {
    can_mount().then(|| {
        let server = TestServer::start();
        server.put("tiles", "10/S/B01.txt", "pixels");
        server.put("tiles", "readme", "hello");
        server
    })
}

#[test]
fn a_mount_is_usable_when_the_command_returns_and_gone_when_umount_returns() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    shell.mount("tiles", &[]).succeeds();
    assert_eq!(fs::read_to_string(shell.mount_point.join("readme")).unwrap(), "hello");
    assert_lists(&shell.mount_point, &["10", "readme"]);
    let daemon = shell.daemon().unwrap();
    shell.umount().succeeds();
    assert!(!shell.is_mounted());
    // Not a moment later: umount waits until the process has ended.
    assert!(!Path::new(&format!("/proc/{daemon}/fd")).join("0").exists());
}

#[test]
fn a_prefix_is_mounted_as_if_it_were_the_bucket() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    for source in ["tiles/10", "s3://tiles/10/", "s3://tiles/10"] {
        shell.mount(source, &[]).succeeds();
        assert_lists(&shell.mount_point, &["S"]);
        shell.umount().succeeds();
    }
}

#[test]
fn an_empty_prefix_is_mounted_with_a_warning() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = shell.mount("tiles/11", &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.starts_with("s3mem: the bucket has nothing below \"11/\""), "{ran:?}");
    shell.umount().succeeds();
}

#[test]
fn the_mount_table_shows_what_is_mounted_and_how() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    shell.mount("tiles/10", &[]).succeeds();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = table.lines().find(|line| line.contains(shell.mount_point())).unwrap();
    assert!(line.contains(" - fuse.s3mem s3://tiles/10 "), "{line}");
    let options = line.split(' ').nth(5).unwrap();
    for option in ["ro", "nosuid", "nodev"] {
        assert!(options.split(',').any(|word| word == option), "{line}");
    }
    shell.umount().succeeds();
}

#[test]
fn owner_and_permissions_are_those_of_the_flags() {
    use std::os::unix::fs::MetadataExt;
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let show = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    let me = show(&shell.mount_point);
    shell.mount("tiles", &[]).succeeds();
    assert_eq!(show(&shell.mount_point.join("readme")), (me.0, me.1, 0o644));
    assert_eq!(show(&shell.mount_point.join("10")), (me.0, me.1, 0o755));
    shell.umount().succeeds();
    // All of them behind -o, with underscores, as /etc/fstab has them.
    let words = format!("rw,_netdev,gid=77,file_mode=0440,dir_mode=550,uid={}", me.0);
    shell.mount("tiles", &["-o", &words]).succeeds();
    assert_eq!(show(&shell.mount_point.join("readme")), (me.0, 77, 0o440));
    assert_eq!(show(&shell.mount_point.join("10")), (me.0, 77, 0o550));
    shell.umount().succeeds();
}

#[test]
fn a_second_mount_is_refused_and_says_what_is_there() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    shell.mount("tiles/10", &[]).succeeds();
    shell.mount("tiles", &[]).fails_with(&["s3://tiles/10 is already mounted on", "s3mem umount"]);
    let inside = shell.mount_point.join("S");
    shell
        .s3mem(&["umount", inside.to_str().unwrap()])
        .fails_with(&["inside a mount", shell.mount_point()]);
    shell.umount().succeeds();
}

#[test]
fn of_mounts_that_are_started_at_once_on_one_folder_exactly_one_succeeds() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let start =
        |_| shell.command(S3MEM).args(["mount", "tiles", shell.mount_point()]).spawn().unwrap();
    let started: Vec<Child> = (0..4).map(start).collect();
    let (good, bad): (Vec<Ran>, Vec<Ran>) =
        started.into_iter().map(Ran::finish).partition(|ran| ran.code == Some(0));
    assert_eq!((good.len(), bad.len()), (1, 3), "{good:?} {bad:?}");
    bad.iter().for_each(|ran| ran.fails_with(&["s3://tiles is already mounted on"]));
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(table.matches(shell.mount_point()).count(), 1, "{table}");
    shell.umount().succeeds();
}

#[test]
fn a_start_that_fails_lets_the_next_one_have_the_folder() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let start =
        |bucket| shell.command(S3MEM).args(["mount", bucket, shell.mount_point()]).spawn().unwrap();
    let started = [start("none"), start("tiles"), start("none")];
    let codes = started.map(|child| Ran::finish(child).code);
    assert_eq!(codes, [Some(1), Some(0), Some(1)]);
    shell.umount().succeeds();
}

#[test]
fn a_dead_mount_is_replaced_by_a_new_one() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    shell.mount("tiles", &[]).succeeds();
    signal("KILL", shell.daemon().unwrap());
    wait_until("the daemon is dead", || fs::metadata(&shell.mount_point).is_err());
    shell.mount("tiles", &[]).succeeds();
    assert_eq!(fs::read_to_string(shell.mount_point.join("readme")).unwrap(), "hello");
    shell.umount().succeeds();
    assert!(!shell.is_mounted(), "the dead mount is still there, below the new one");
}

#[test]
fn a_dead_mount_is_taken_away_by_umount() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    shell.mount("tiles", &[]).succeeds();
    let _open = File::open(shell.mount_point.join("readme")).unwrap();
    signal("KILL", shell.daemon().unwrap());
    wait_until("the daemon is dead", || fs::metadata(&shell.mount_point).is_err());
    shell.umount().succeeds();
    assert_lists(&shell.mount_point, &[]);
}

#[test]
fn signals_that_end_the_daemon_unmount_first() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    for name in ["TERM", "INT"] {
        shell.mount("tiles", &[]).succeeds();
        signal(name, shell.daemon().unwrap());
        wait_until("the daemon has ended", || shell.daemon().is_none());
        assert!(!shell.is_mounted(), "SIG{name}");
        assert_lists(&shell.mount_point, &[]);
    }
}

#[test]
fn signals_that_end_other_programs_leave_the_mount_alone() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    shell.mount("tiles", &["--log-file", "log"]).succeeds();
    let (daemon, log) = (shell.daemon().unwrap(), shell.path("log"));
    let was_renamed = || fs::read_to_string(&log).is_ok_and(|text| text.contains("opened anew"));
    for name in ["USR1", "USR2", "HUP"] {
        signal(name, daemon);
    }
    wait_until("the signal is in the log", was_renamed);
    // As logrotate does it.
    fs::rename(&log, shell.path("log.1")).unwrap();
    signal("HUP", daemon);
    wait_until("the log is opened anew", was_renamed);
    assert_eq!(fs::read_to_string(shell.mount_point.join("readme")).unwrap(), "hello");
    shell.umount().succeeds();
    assert!(fs::read_to_string(&log).unwrap().contains("is unmounted"));
    let renamed = fs::read_to_string(shell.path("log.1")).unwrap();
    assert!(renamed.contains("has mounted") && !renamed.contains("is unmounted"), "{renamed}");
}

#[test]
fn a_daemon_whose_log_nobody_reads_ends_after_a_signal() {
    let Some(server) = server() else { return };
    // After the first signal it has more time than after the second.
    for signals in [1, 2] {
        let shell = Shell::on(&server);
        let path = shell.path("log");
        assert!(shell.command("mkfifo").arg(&path).status().unwrap().success());
        let log = File::options().read(true).write(true).open(&path).unwrap();
        shell.mount("tiles", &["--log-file", "log"]).succeeds();
        let daemon = shell.daemon().unwrap();
        fill(&log);
        let start = Instant::now();
        (0..signals).for_each(|_| signal("TERM", daemon));
        wait_until("the daemon has ended", || shell.daemon().is_none());
        assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
        assert!(!shell.is_mounted());
    }
}

/// Writes into a pipe until there is room for no byte more.
fn fill(pipe: &File) {
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let mut pipe = File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap();
    for bytes in [&[b'x'; 4096][..], b"x"] {
        while pipe.write(bytes).is_ok() {}
    }
}

#[test]
fn a_signal_lets_open_files_be_read_to_the_end_and_leaves_no_mount() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    shell.mount("tiles", &[]).succeeds();
    let mut open = File::open(shell.mount_point.join("readme")).unwrap();
    signal("TERM", shell.daemon().unwrap());
    wait_until("the mount is out of the tree", || !shell.is_mounted());
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    drop(open);
    wait_until("the daemon has ended", || shell.daemon().is_none());
}

#[test]
fn a_file_that_stays_open_delays_the_end_by_seconds_only() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    shell.mount("tiles", &[]).succeeds();
    let _open = File::open(shell.mount_point.join("readme")).unwrap();
    let start = Instant::now();
    signal("TERM", shell.daemon().unwrap());
    wait_until("the daemon has ended", || shell.daemon().is_none());
    assert!((4..40).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_lists(&shell.mount_point, &[]);
}

#[test]
fn a_second_signal_ends_at_once() {
    let Some(server) = server() else { return };
    let ends_at_once = || {
        let shell = Shell::on(&server);
        shell.mount("tiles", &[]).succeeds();
        let _open = File::open(shell.mount_point.join("readme")).unwrap();
        let start = Instant::now();
        let daemon = shell.daemon().unwrap();
        signal("TERM", daemon);
        wait_until("the mount is out of the tree", || !shell.is_mounted());
        signal("TERM", daemon);
        wait_until("the daemon has ended", || shell.daemon().is_none());
        start.elapsed() < Duration::from_secs(4)
    };
    // A busy machine may take a second or two of its own.
    assert!((0..5).any(|_| ends_at_once()));
}

#[test]
fn umount_names_who_keeps_a_mount_busy_and_leaves_it_alone() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    shell.mount("tiles", &[]).succeeds();
    let mut sleep =
        shell.command("sleep").arg("60").current_dir(shell.mount_point.join("10")).spawn().unwrap();
    let busy = shell.umount();
    sleep.kill().unwrap();
    sleep.wait().unwrap();
    busy.fails_with(&["is in use by sleep", &format!("process {}", sleep.id()), "try again"]);
    assert_eq!(fs::read_to_string(shell.mount_point.join("readme")).unwrap(), "hello");
    shell.umount().succeeds();
}

#[test]
fn the_daemon_ends_when_somebody_else_unmounts() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    shell.mount("tiles", &[]).succeeds();
    shell.umount_past_the_daemon();
    wait_until("the daemon has ended", || shell.daemon().is_none());
}

#[test]
fn the_end_is_a_good_one_while_the_kernel_still_tells_of_closed_files() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    allow_many_open_files().unwrap();
    // The two meet in about one of seven rounds.
    for _ in 0..20 {
        let mount = Mounting::of(&server, "tiles").in_foreground();
        let path = mount.join("readme");
        drop((0..2000).map(|_| File::open(&path).unwrap()).collect::<Vec<_>>());
        mount.end_at_once();
    }
}

#[test]
fn a_mount_in_the_foreground_stays_until_it_is_interrupted() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let child = shell.command(S3MEM).args(["mount", "-f", "tiles", shell.mount_point()]).spawn();
    let child = child.unwrap();
    wait_until("it is mounted", || shell.is_mounted());
    assert_eq!(shell.daemon(), Some(child.id()));
    // The terminal was closed.
    signal("HUP", child.id());
    assert_lists(&shell.mount_point, &["10", "readme"]);
    signal("INT", child.id());
    let ran = Ran::finish(child);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in ["has mounted s3://tiles on", "SIGINT: unmounting", "is unmounted"] {
        assert!(ran.stderr.contains(part), "{part:?} is missing in {ran:?}");
    }
    assert!(!shell.is_mounted());
}

#[test]
fn the_daemon_keeps_nothing_of_the_terminal() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    // `succeeds` has read its output to the end: the daemon does not hold it open.
    // Others may look at what it has open, the tests too.
    shell.mount("tiles", &["--allow-core-dumps"]).succeeds();
    let process = format!("/proc/{}", shell.daemon().unwrap());
    for stream in ["0", "1", "2"] {
        let target = fs::read_link(format!("{process}/fd/{stream}")).unwrap();
        assert_eq!(target, Path::new("/dev/null"));
    }
    assert_eq!(fs::read_link(format!("{process}/cwd")).unwrap(), Path::new("/"));
    let status = fs::read_to_string(format!("{process}/stat")).unwrap();
    // Behind the name in parentheses: state, parent, group, session.
    let session = status.rsplit(')').next().unwrap().split(' ').nth(4).unwrap();
    assert!(process.ends_with(&format!("/{session}")), "not the leader of its session: {status}");
    shell.umount().succeeds();
}

#[test]
fn a_mount_helper_mounts_and_fakes() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let helper = shell.path("mount.s3mem");
    symlink(S3MEM, &helper).unwrap();
    let call = |flags: &[&str]| {
        let mut command = shell.command(&helper);
        Ran::finish(command.args(["s3://tiles", shell.mount_point()]).args(flags).spawn().unwrap())
    };
    call(&["-f", "-o", "rw,memory=64M"]).succeeds();
    assert!(!shell.is_mounted());
    call(&["-n", "-o", "rw,nonsense"]).is_misuse_with(&["\"nonsense\""]);
    call(&["-sn", "-o", "rw,nonsense,fsname=maps"]).succeeds();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(table.contains(&format!(" {} ro", shell.mount_point())), "{table}");
    assert!(table.contains(" fuse.s3mem maps "), "{table}");
    shell.umount().succeeds();
}

#[test]
fn a_log_tells_the_life_of_a_mount_and_no_secret_at_any_level() {
    let Some(server) = server() else { return };
    server.put("tiles", "evil\x1b[31m\nERROR key", "x");
    let shell = Shell::on(&server);
    let log = shell.path("log");
    shell.mount("tiles", &["--log-file", "log", "--log-level", "trace"]).succeeds();
    for entry in fs::read_dir(&shell.mount_point).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::read(path).unwrap();
        }
    }
    shell.umount().succeeds();
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(log).unwrap();
    assert!(text.contains("has mounted s3://tiles on"), "{text}");
    assert!(text.contains("is unmounted"), "{text}");
    for secret in [SECRET_KEY, ACCESS_KEY, "AWS4-HMAC", "Signature="] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
    let hostile = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(hostile), "control characters in the log");
    for line in text.lines() {
        assert!(line.starts_with("20"), "a line without its time: {line:?}");
    }
}
