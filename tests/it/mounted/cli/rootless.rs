//! `s3mem mount --rootless`: a mount in a namespace, reached through the process that holds it.

use std::fs;

use super::machine::{as_user, server};
use super::run::WITHOUT_FUSERMOUNT;
use super::{Shell, has_root};

/// Tells of what is mounted: `$holder` and `$daemon` are its processes, `$path` is where it is.
const START: &str = r#"
    start() {
        path=$($AS $S3MEM mount --rootless tiles "$@"); holder=${path#/proc/}; holder=${holder%%/*}
        daemon=$($AS $S3MEM status "$path" --json | sed 's/.*"pid": \([0-9]*\).*/\1/')
    }
    has_ended() { [ "$(cut -d' ' -f3 /proc/$1/stat 2>/dev/null || echo X)" = Z ] || [ ! -e /proc/$1/stat ]; }
    wait_for_both() { until has_ended $holder && has_ended $daemon; do sleep 0.05; done; }
    folder_of() { echo "/${1#/proc/*/root/}"; }
"#;

#[test]
fn who_may_not_mount_finds_the_files_by_the_printed_path() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = as_user(
        &shell,
        &format!(
            r#"{WITHOUT_FUSERMOUNT}{START} chown nobody "$HOME"
               start --link "$HOME/link"
               $AS cat "$path/readme"; echo; [ "$($AS readlink "$HOME/link")" = "$path" ]
               $AS cat "$HOME/link/readme"; echo
               $AS $S3MEM status "$HOME/link" | head -n 1 | sed "s|$(folder_of $path)|FOLDER|"
               # Nobody else sees it, root neither.
               grep -c "$(folder_of $path)" /proc/self/mountinfo || true; ls -A "$(folder_of $path)"
               $AS $S3MEM umount "$HOME/link"
               [ ! -e "$(folder_of $path)" ]; ls -A "$HOME" | grep link || echo no link
               # On a folder that is named, from where one stands.
               cd "$HOME"; start mnt; $AS ls "$path"; ls -A "$MNT"; $AS $S3MEM umount "$path"; ls -d "$MNT" | wc -l"#
        ),
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout, "hello\nhello\ns3://tiles on FOLDER\n0\nno link\nreadme\n1\n");
}

#[test]
fn the_process_that_holds_a_mount_has_no_secrets_and_the_daemon_stays_closed() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = as_user(
        &shell,
        &format!(
            r#"{WITHOUT_FUSERMOUNT}{START} start
               wc -c < /proc/$holder/environ; tr '\0' ' ' < /proc/$holder/cmdline | grep -c hold-mounts
               for file in environ mem fd root/etc/passwd; do
                   if $AS test -r /proc/$daemon/$file; then echo "$file yes"; else echo "$file no"; fi
               done
               $AS $S3MEM umount "$path""#
        ),
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout, "0\n1\nenviron no\nmem no\nfd no\nroot/etc/passwd no\n");
}

#[test]
fn the_holder_and_the_daemon_end_together_however_one_ends() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = as_user(
        &shell,
        &format!(
            r#"{WITHOUT_FUSERMOUNT}{START} chown nobody "$HOME"
               for signal in TERM KILL; do for process in holder daemon; do
                   start --link "$HOME/link"
                   kill -$signal ${{!process}}; wait_for_both
                   # What a killed holder leaves is replaced by the next.
                   if [ $signal.$process = KILL.holder ]; then rmdir "$(folder_of $path)"; continue; fi
                   [ ! -e "$(folder_of $path)" ]; ls -A "$HOME" | grep link || echo "$signal $process"
               done; done"#
        ),
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout, "TERM holder\nTERM daemon\nKILL daemon\n");
}

#[test]
fn only_who_may_not_mount_gets_a_namespace_where_that_is_left_to_s3mem() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = shell.script_as_root(
        r#"for when in --rootless=if-needed --rootless; do
               path=$($S3MEM mount $when --link "$HOME/link" tiles)
               case $path in /proc/*) echo apart ;; *) echo ordinary ;; esac
               [ "$(readlink "$HOME/link")" = "$path" ]; cat "$path/readme"; echo
               $S3MEM umount "$path"
               while [ -L "$HOME/link" ] || [ -e "$path" ]; do sleep 0.05; done
           done"#,
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout, "ordinary\nhello\napart\nhello\n");
    // Where nobody may gain rights, fusermount3 is of no use.
    let ran = as_user(
        &shell,
        r#"AS="setpriv --no-new-privs --reuid nobody --clear-groups --"
           $AS $S3MEM mount tiles "$MNT" 2>&1 | grep -o "no_new_privs" || true
           path=$($AS $S3MEM mount --rootless=if-needed tiles); $AS cat $path/readme
           $AS $S3MEM umount $path"#,
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout, "no_new_privs\nhello");
}

#[test]
fn what_stands_in_the_way_of_a_rootless_mount_is_told() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let file = shell.path("file");
    fs::write(&file, "mine").unwrap();
    let link = format!("--link={file}");
    shell.s3mem(&["mount", "--rootless", "tiles", &link]).fails_with(&["file exists", "--link"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    shell.s3mem(&["mount", "--rootless", "tiles", "--allow-other"]).fails_with(&["--allow-other"]);
    shell
        .s3mem(&["mount", "--rootless", "tiles", "/no/such/folder"])
        .fails_with(&["can't be made"]);
    for command in ["umount", "status"] {
        let ran = shell.s3mem(&[command, "/proc/4194304/root/tmp/x"]);
        ran.fails_with(&["/proc/4194304/root/tmp/x leads into mounts that are gone"]);
    }
    let ran = shell.s3mem(&["mount", "--rootless", "no-such-bucket"]);
    ran.fails_with(&["no-such-bucket"]);
    let ran = shell.s3mem(&["mount", "tiles"]);
    ran.is_misuse_with(&["MOUNTPOINT"]);
}

#[test]
fn a_mount_ends_with_a_process_that_is_named() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let mut sleep = shell.command("sleep").arg("600").spawn().unwrap();
    let ends_with = format!("--ends-with={}", sleep.id());
    shell.mount("tiles", &[&ends_with]).succeeds();
    assert!(shell.is_mounted());
    sleep.kill().unwrap();
    super::wait_until("the end of the mount", || !shell.is_mounted());
    sleep.wait().unwrap();
    // One that has ended before leaves no mount either.
    shell.mount("tiles", &[&ends_with]);
    super::wait_until("the end of the mount", || !shell.is_mounted());
}
