//! Ordinary users, and machines that lack something: each in mounts of its own,
//! where the machine can be changed without changing it for anybody else.

use std::fs;

use super::{Ran, Shell, can_mount, has_file, has_root, not_run};
use crate::support::server::TestServer;

/// Makes `$AS` a command that runs another as an ordinary user, who can reach the
/// program, the mount point (which is theirs) and /dev/fuse.
const AS_USER: &str = r#"
    mount -t tmpfs -o mode=755 none /mnt; mknod /mnt/fuse c 10 229; chmod 666 /mnt/fuse
    mount --bind /mnt/fuse /dev/fuse; cp "$S3MEM" /mnt/s3mem; S3MEM=/mnt/s3mem
    chmod 755 "$HOME"; chown nobody "$MNT"
    AS="setpriv --reuid nobody --clear-groups --"
"#;

/// A server with the bucket `tiles`; nothing where nothing can be mounted.
pub(in crate::mounted) fn server() -> Option<TestServer> {
    can_mount().then(|| {
        let server = TestServer::start();
        server.put("tiles", "readme", "hello");
        server
    })
}

pub(in crate::mounted) fn as_user(shell: &Shell, script: &str) -> Ran {
    shell.script_as_root(&format!("{AS_USER}{script}"))
}

#[test]
fn an_ordinary_user_mounts_reads_and_unmounts() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = as_user(
        &shell,
        r#"$AS $S3MEM mount tiles "$MNT"
           $AS cat "$MNT/readme"; $AS stat -c ' %U %a' "$MNT/readme"
           cat "$MNT/readme" 2>/dev/null || echo "not for root"
           grep -c "fuse.s3mem s3://tiles .*user_id=$(id -u nobody)" /proc/self/mountinfo
           $AS $S3MEM umount "$MNT"; ls -A "$MNT""#,
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout, "hello nobody 644\nnot for root\n1\n");
}

#[test]
fn an_ordinary_users_dead_mount_is_replaced_too() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = as_user(
        &shell,
        r#"$AS $S3MEM mount -f tiles "$MNT" 2>/dev/null & until grep -q " $MNT " /proc/self/mountinfo; do sleep 0.05; done
           kill -9 $!; wait $! || true
           $AS $S3MEM mount tiles "$MNT"; $AS cat "$MNT/readme"; $AS $S3MEM umount "$MNT"; ls -A "$MNT""#,
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "hello"), "{ran:?}");
}

#[test]
fn a_mount_of_another_user_is_left_alone() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = as_user(
        &shell,
        r#"$S3MEM mount tiles "$MNT"; code=0; $AS $S3MEM umount "$MNT" || code=$?
           $S3MEM umount "$MNT"; exit $code"#,
    );
    ran.fails_with(&["was mounted by the user with the ID 0", "sudo s3mem umount"]);
}

#[test]
fn nobody_else_can_answer_for_a_daemon_or_keep_its_dead_mount() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    // The socket of nobody's daemon lies where that of root's is looked for.
    let ran = as_user(
        &shell,
        r#"sockets() { ls /run/s3mem /tmp/s3mem-0 2>/dev/null | grep -F "$1.sock"; }
           device() { awk -v at="$1" '$5 == at { print $3 }' /proc/self/mountinfo; }
           $S3MEM mount tiles "$MNT"; dead=$(device "$MNT"); sockets "$dead" > /dev/null
           folder=/run/s3mem; [ -S $folder/$dead.sock ] || folder=/tmp/s3mem-0
           kill -9 $($S3MEM status "$MNT" --json | sed 's/.*"pid": \([0-9]*\).*/\1/'); until ! stat "$MNT" 2>/dev/null >&2; do sleep 0.05; done
           mkdir /mnt/other; chown nobody /mnt/other; $AS $S3MEM mount tiles /mnt/other
           stat -c %a $folder /tmp/s3mem-65534
           mv /tmp/s3mem-65534/$(device /mnt/other).sock $folder/$dead.sock
           $S3MEM status "$MNT" 2>&1 | sed "s|$MNT|MNT|" || true
           $S3MEM mount tiles "$MNT"; $S3MEM status "$MNT" | head -n 1 | sed "s|$MNT|MNT|"
           $S3MEM umount "$MNT"; $AS $S3MEM umount /mnt/other 2> /dev/null"#,
    );
    let [modes, forged, real] =
        ["700\n700\n", "s3mem: the daemon of MNT does not answer", "s3://tiles on MNT\n"];
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.stdout.starts_with(&format!("{modes}{forged}")), "{ran:?}");
    assert!(ran.stdout.ends_with(real), "{ran:?}");
}

#[test]
fn the_daemons_memory_is_closed_to_other_programs_of_its_user_unless_that_was_asked_for() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = as_user(
        &shell,
        r#"for flag in --read-only --allow-core-dumps; do
               $AS $S3MEM mount $flag tiles "$MNT"
               daemon=$($AS $S3MEM status "$MNT" --json | sed 's/.*"pid": \([0-9]*\).*/\1/')
               for file in environ mem fd root/etc/passwd; do
                   if $AS test -r /proc/$daemon/$file; then echo "$file yes"; else echo "$file no"; fi
               done
               $AS $S3MEM umount "$MNT"
           done"#,
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let open = "environ yes\nmem yes\nfd yes\nroot/etc/passwd yes\n";
    assert_eq!(ran.stdout, open.replace("yes", "no") + open);
}

#[test]
fn where_the_system_has_no_log_there_is_one_that_status_names() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = as_user(
        &shell,
        r#"rm -f /tmp/s3mem-65534/s3mem.log
           mount -t tmpfs none /dev; mknod /dev/null c 1 3; mknod /dev/fuse c 10 229; chmod 666 /dev/*
           $AS $S3MEM mount tiles "$MNT"; $AS $S3MEM status "$MNT" | grep ' log '
           $AS $S3MEM umount "$MNT"
           log=/tmp/s3mem-65534/s3mem.log; stat -c %a $log; grep -c "has mounted s3://tiles on $MNT" $log"#,
    );
    let expected = "  log            /tmp/s3mem-65534/s3mem.log\n600\n1\n";
    assert_eq!((ran.code, ran.stderr.as_str(), ran.stdout.as_str()), (Some(0), "", expected));
}

#[test]
fn allow_other_needs_the_line_in_fuse_conf() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    fs::write(shell.path("without"), "#user_allow_other\n").unwrap();
    fs::write(shell.path("with"), "user_allow_other\n").unwrap();
    as_user(
        &shell,
        r#"mount --bind "$HOME/without" /etc/fuse.conf; exec $AS $S3MEM mount --allow-other tiles "$MNT""#,
    )
    .fails_with(&["/etc/fuse.conf has the line user_allow_other", "leave the flag out"]);
    let ran = as_user(
        &shell,
        r#"mount --bind "$HOME/with" /etc/fuse.conf; $AS $S3MEM mount --allow-other tiles "$MNT"
           cat "$MNT/readme"; $AS $S3MEM umount "$MNT""#,
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "hello"), "{ran:?}");
}

#[test]
fn a_mount_point_of_somebody_else_is_refused_to_an_ordinary_user() {
    if !can_mount() || !has_root() {
        return;
    }
    let shell = Shell::new();
    as_user(&shell, r#"chown 0 "$MNT"; exec $AS $S3MEM mount tiles "$MNT""#)
        .fails_with(&["may not write to the mount point", "mkdir ~/s3"]);
    as_user(&shell, r#"chown 0 "$MNT"; chmod 1777 "$MNT"; exec $AS $S3MEM mount tiles "$MNT""#)
        .fails_with(&["belongs to somebody else", "mkdir ~/s3"]);
}

#[test]
fn a_missing_fusermount3_is_named_with_its_package() {
    if !can_mount() || !has_root() {
        return;
    }
    let shell = Shell::new();
    as_user(
        &shell,
        r#"for name in fusermount3 fusermount; do
               for dir in /usr/local/bin /usr/bin /bin; do
                   if [ -f $dir/$name ]; then mount --bind /dev/null $dir/$name; fi
               done
           done
           exec $AS $S3MEM mount tiles "$MNT""#,
    )
    .fails_with(&["fusermount3", "apt install fuse3", "dnf install fuse3"]);
}

#[test]
fn a_missing_dev_fuse_is_named_with_the_ways_to_get_it() {
    if !has_root() {
        return;
    }
    let shell = Shell::new();
    shell
        .script_as_root(
            r#"mount -t tmpfs none /dev; mknod /dev/null c 1 3; chmod 666 /dev/null
               exec "$S3MEM" mount tiles "$MNT""#,
        )
        .fails_with(&["no /dev/fuse", "modprobe fuse", "--device /dev/fuse"]);
}

#[test]
fn a_forbidden_dev_fuse_is_named_as_such() {
    if !has_root() {
        return;
    }
    let shell = Shell::new();
    as_user(&shell, r#"chmod 600 /dev/fuse; exec $AS $S3MEM mount tiles "$MNT""#)
        .fails_with(&["/dev/fuse may not be opened", "chmod 666 /dev/fuse"]);
}

#[test]
fn mount_finds_the_program_by_its_type() {
    if !has_root() || !has_file("/sbin/mount.fuse3") {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    // mount(8) searches the system's folders only, whatever PATH says.
    let ran = shell.script_as_root(
        r#"mount -t tmpfs none /usr/local/bin; ln -s "$S3MEM" /usr/local/bin/s3mem
           mount -t fuse.s3mem s3://tiles "$MNT" -o nofail,memory=64M,file_mode=0400
           stat -c %a "$MNT/readme"; umount "$MNT""#,
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "400\n"), "{ran:?}");
}

#[test]
fn an_automount_is_mounted_over_and_stays() {
    let has_autofs = fs::read_to_string("/proc/filesystems").unwrap().contains("\tautofs\n");
    if !has_root() || !has_autofs {
        if !has_autofs {
            not_run("because the kernel has no autofs");
        }
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    // As systemd does it; whoever is of the same process group is not made to wait.
    let ran = shell.script_as_root(
        r#"mkfifo "$HOME/pipe"; exec 9<>"$HOME/pipe"
           mount -i -t autofs -o fd=9,minproto=5,maxproto=5,direct systemd-1 "$MNT"
           $S3MEM mount tiles "$MNT" -o x-systemd.automount,nofail
           cat "$MNT/readme"; echo; awk -v at="$MNT" '$5 == at { print $(NF - 2) }' /proc/self/mountinfo
           $S3MEM umount "$MNT"; awk -v at="$MNT" '$5 == at { print $(NF - 2) }' /proc/self/mountinfo
           umount "$MNT""#,
    );
    let table = "hello\nautofs\nfuse.s3mem\nautofs\n";
    assert_eq!((ran.code, ran.stderr.as_str(), ran.stdout.as_str()), (Some(0), "", table));
}

#[test]
fn symbolic_links_are_not_followed_if_that_was_asked_for() {
    if !has_root() {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = shell.script_as_root(
        r#"$S3MEM mount tiles "$MNT" --writes memory -o rw,nosymfollow
           ln -s readme "$MNT/link"; readlink "$MNT/link"; cat "$MNT/link" 2>&1 | grep -o 'Too many.*'
           $S3MEM umount "$MNT""#,
    );
    let said = "readme\nToo many levels of symbolic links\n";
    assert_eq!((ran.code, ran.stderr.as_str(), ran.stdout.as_str()), (Some(0), "", said));
}
