//! `s3mem mount BUCKET /dev/fd/N`: another program has opened /dev/fuse and mounted it.

use super::machine::{as_user, server};
use super::{Shell, has_root};

/// Opens the device as descriptor 3, and mounts it for a user, as a driver of storage does.
const HELPER: &str = r#"
    hand_over() {
        exec 3<>/dev/fuse
        mount -i -t fuse.s3mem -o "fd=3,rootmode=40000,user_id=$1,group_id=0,allow_other,ro" s3://tiles "$MNT"
    }
    is_there() { grep -c " $MNT " /proc/self/mountinfo || true; }
"#;

#[test]
fn a_device_that_a_helper_has_mounted_is_served_without_any_right_to_mount() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = as_user(
        &shell,
        &format!(
            r#"{HELPER} hand_over $(id -u nobody)
               # Who can't even open the device serves it.
               mount --bind /dev/null /dev/fuse
               $AS $S3MEM mount tiles /dev/fd/3 -f 2>"$HOME/log" & daemon=$!
               exec 3>&-
               until $AS cat "$MNT/readme" 2>/dev/null; do sleep 0.05; done; echo
               cat "$MNT/readme"; echo; ls "$MNT"
               # Whoever has mounted unmounts, and the daemon ends with that.
               umount "$MNT"; wait $daemon; echo "ended $?"; is_there
               grep -c "s3://tiles on /dev/fd/3" "$HOME/log""#
        ),
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout, "hello\nhello\nreadme\nended 0\n0\n1\n");
}

#[test]
fn the_command_returns_when_the_device_is_served_and_a_signal_leaves_the_mount_to_its_owner() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = shell.script_as_root(&format!(
        r#"{HELPER} hand_over 0
           $S3MEM mount tiles /dev/fd/3; exec 3>&-
           cat "$MNT/readme"; echo
           for process in /proc/[0-9]*; do
               if [ "$(tr '\0' ' ' 2>/dev/null < $process/cmdline)" = "s3mem mount --daemon tiles /dev/fd/3 " ]
               then daemon=${{process#/proc/}}; fi
           done
           kill -TERM $daemon; while kill -0 $daemon 2>/dev/null; do sleep 0.05; done
           # Dead, and still there.
           is_there; cat "$MNT/readme" 2>&1 | sed 's/.*: //'
           umount "$MNT"; is_there"#
    ));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout, "hello\n1\nTransport endpoint is not connected\n0\n");
}

#[test]
fn what_is_no_mounted_device_is_refused_in_one_sentence() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    for flags in ["", "-f"] {
        for (descriptor, command, part) in [
            ("3", "3</dev/null", "no /dev/fuse"),
            ("17", "", "Bad file descriptor"),
            ("0", "0<>/dev/fuse", "standard streams"),
            ("3", "3<>/dev/fuse", "has to mount it before"),
        ] {
            let script = format!("$S3MEM mount tiles /dev/fd/{descriptor} {flags} {command}");
            let ran = shell.script_as_root(&script);
            ran.fails_with(&[&format!("/dev/fd/{descriptor}"), part]);
        }
    }
}
