//! `s3mem run`: a mount for one command.

use std::fs;
use std::time::Duration;

use super::machine::{as_user, server};
use super::{Shell, has_root, signal, wait_until};

/// Hides fusermount3 from everybody in these mounts.
pub(in crate::mounted) const WITHOUT_FUSERMOUNT: &str = r#"
    for program in fusermount3 fusermount; do
        for folder in /usr/local/bin /usr/bin /bin; do
            if [ -e $folder/$program ]; then mount --bind /dev/null $folder/$program; fi
        done
    done
"#;

#[test]
fn a_command_finds_the_files_where_it_is_told_and_ends_as_it_ends() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let script = r#"cat "$S3MEM_MOUNT/readme"; echo " $S3MEM_MOUNT"; exit 7"#;
    let ran = shell.s3mem(&["run", "tiles", "--", "sh", "-c", script]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(7), ""), "{ran:?}");
    let folder = ran.stdout.strip_prefix("hello ").unwrap().trim();
    assert!(!fs::exists(folder).unwrap(), "{folder}");

    // A folder that is named stays if it was there, and goes if it was made.
    for (at, stays) in [(shell.mount_point().to_owned(), true), (shell.path("new"), false)] {
        let file = format!("{at}/readme");
        let at_folder = format!("--at={at}");
        let ran = shell.s3mem(&["run", &at_folder, "tiles", "--read-only", "--", "cat", &file]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "hello"), "{ran:?}");
        assert_eq!(fs::exists(&at).unwrap(), stays);
        assert!(!fs::exists(&file).unwrap());
    }
}

#[test]
fn what_cannot_be_run_is_told_from_what_is_not_there() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = shell.s3mem(&["run", "tiles", "--", "no-such-command"]);
    assert_eq!(ran.code, Some(127), "{ran:?}");
    assert!(ran.stderr.contains("no-such-command can't be run"), "{ran:?}");
    assert_eq!(shell.s3mem(&["run", "tiles", "--", "/etc/passwd"]).code, Some(126));
    let ran = shell.s3mem(&["run", "no-such-bucket", "--", "true"]);
    ran.fails_with(&["no-such-bucket"]);
    let ran = shell.s3mem(&["run", "--at", "/no/such/folder", "tiles", "--", "true"]);
    ran.fails_with(&["/no/such/folder", "--at"]);
}

#[test]
fn what_a_command_writes_is_in_the_bucket_when_the_command_line_returns() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    server.set_delay(Duration::from_millis(100));
    let script = r#"echo result > "$S3MEM_MOUNT/out.txt""#;
    let ran = shell.s3mem(&["run", "--writes", "upload", "tiles", "--", "sh", "-c", script]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert!(server.get("tiles", "out.txt").is_some());
}

#[test]
fn a_signal_goes_through_to_the_command() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let script = r#"trap "exit 9" TERM; touch ready; while :; do sleep 0.05; done"#;
    let mut run = shell.command(super::S3MEM);
    let child = run.args(["run", "tiles", "--", "sh", "-c", script]).spawn().unwrap();
    wait_until("the command to run", || fs::exists(shell.path("ready")).unwrap());
    signal("TERM", child.id());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(9));
}

#[test]
fn whoever_is_killed_leaves_neither_command_nor_mount() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let script = r#"echo $$ > pid; exec sleep 600"#;
    let mut run = shell.command(super::S3MEM);
    run.args(["run", "--at", shell.mount_point(), "tiles", "--", "sh", "-c", script]);
    let mut child = run.spawn().unwrap();
    wait_until("the command to run", || {
        fs::read_to_string(shell.path("pid")).is_ok_and(|text| text.ends_with('\n'))
    });
    let command = fs::read_to_string(shell.path("pid")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the end of the command", || {
        !fs::exists(format!("/proc/{}/exe", command.trim())).unwrap_or(false)
    });
    wait_until("the end of the mount", || {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        !table.contains(&format!(" {} ", shell.mount_point()))
    });
}

#[test]
fn who_may_not_mount_runs_a_command_in_mounts_of_its_own() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = as_user(
        &shell,
        &format!(
            r#"{WITHOUT_FUSERMOUNT}
               $AS $S3MEM mount tiles "$MNT" 2>&1 | grep -o "fusermount3, which ordinary users need"
               $AS $S3MEM run --at "$MNT" tiles -- \
                   sh -c 'id -un; cat "$1"/readme; echo; grep CapEff /proc/self/status
                          daemon=$("$2" status "$1" --json | sed "s/.*\"pid\": \([0-9]*\).*/\1/")
                          test -r /proc/$daemon/root/etc/passwd || echo closed' sh "$MNT" $S3MEM
               ls -A "$MNT"; grep -c " $MNT " /proc/self/mountinfo || true"#
        ),
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let rights = "CapEff:\t0000000000000000";
    let needs = "fusermount3, which ordinary users need";
    assert_eq!(ran.stdout, format!("{needs}\nnobody\nhello\n{rights}\nclosed\n0\n"));
}

#[test]
fn where_nobody_else_may_open_the_device_the_message_says_so() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = as_user(
        &shell,
        &format!(
            "{WITHOUT_FUSERMOUNT} chmod 600 /dev/fuse
             $AS $S3MEM run tiles -- true"
        ),
    );
    ran.fails_with(&["/dev/fuse may not be opened", "chmod 666 /dev/fuse"]);
}
