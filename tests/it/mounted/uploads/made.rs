//! What a mount has made itself it takes away again without a flag, and nothing else.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;
use crate::harness::missing::has_file;
use crate::harness::mounting::succeeds;

#[test]
fn what_a_mount_has_made_it_replaces_renames_and_deletes_without_flags() {
    for backend in backends() {
        backend.put("theirs", "before");
        let mount = mount(&backend, &[]);
        let at = |name: &str| mount.join(name);
        save(&at("a"), b"one").unwrap();
        save(&at("a"), b"two").unwrap();
        let mut file = OpenOptions::new().append(true).open(at("a")).unwrap();
        file.write_all(b" three").unwrap();
        close(file).unwrap();
        assert!(backend.has("a", b"two three"));
        save(&at("b"), b"new").unwrap();
        fs::rename(at("b"), at("a")).unwrap();
        assert!(backend.has("a", b"new"));
        fs::rename(at("a"), at("c")).unwrap();
        assert_eq!(backend.keys(), ["c", "theirs"]);
        fs::rename(at("c"), at("d")).unwrap();
        fs::remove_file(at("d")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        fs::remove_dir(at("folder")).unwrap();
        assert_eq!(backend.keys(), ["theirs"]);
        mount.end();
    }
}

#[test]
fn what_a_mount_has_made_is_known_when_a_listing_shows_it() {
    for backend in backends() {
        let mount = mount(&backend, &["--metadata-ttl", "0"]);
        let at = |name: &str| mount.join(name);
        save(&at("a"), b"one").unwrap();
        fs::create_dir(at("folder")).unwrap();
        let before = fs::metadata(at("a")).unwrap().modified().unwrap();
        let is_listed = || fs::metadata(at("a")).unwrap().modified().unwrap() != before;
        until("its memory is given back", is_listed);
        save(&at("a"), b"two").unwrap();
        assert!(backend.has("a", b"two"));
        until("its memory is given back", is_listed);
        fs::remove_file(at("a")).unwrap();
        fs::remove_dir(at("folder")).unwrap();
        assert!(backend.keys().is_empty());
        mount.end();
    }
}

#[test]
fn what_others_have_made_stays_protected_whatever_is_beside_it() {
    for backend in backends() {
        backend.put("theirs", "before");
        backend.put("folder/", "");
        let mount = mount(&backend, &[]);
        let at = |name: &str| mount.join(name);
        save(&at("a"), b"ours").unwrap();
        assert_eq!(errno(fs::rename(at("a"), at("theirs"))), libc::EPERM);
        assert_eq!(errno(fs::rename(at("theirs"), at("a"))), libc::EPERM);
        assert_eq!(errno(save(&at("theirs"), b"ours")), libc::EPERM);
        assert_eq!(errno(fs::remove_dir(at("folder"))), libc::EPERM);
        // What somebody else has put in the place of ours is theirs.
        backend.put("a", "theirs now");
        assert_eq!(errno(fs::remove_file(at("a"))), libc::ESTALE);
        mount.end();
        assert!(backend.has("a", b"theirs now") && backend.has("theirs", b"before"));
        let asking = super::mount(&backend, &["--metadata-ttl", "0"]);
        save(&asking.join("b"), b"ours").unwrap();
        backend.put("b", "theirs now");
        until("theirs is seen", || fs::read(asking.join("b")).is_ok_and(|b| b == b"theirs now"));
        assert_eq!(errno(fs::remove_file(asking.join("b"))), libc::EPERM);
        assert_eq!(errno(save(&asking.join("b"), b"ours")), libc::EPERM);
        asking.end();
    }
}

#[test]
fn what_an_earlier_mount_has_made_is_an_object_like_any_other() {
    for backend in backends() {
        let first = mount(&backend, &[]);
        save(&first.join("a"), b"ours").unwrap();
        first.end();
        let second = mount(&backend, &[]);
        assert_eq!(errno(fs::remove_file(second.join("a"))), libc::EPERM);
        assert_eq!(errno(save(&second.join("a"), b"other")), libc::EPERM);
        second.end();
        assert!(backend.has("a", b"ours"));
    }
}

#[test]
fn one_flag_does_not_make_what_it_touches_the_mounts_own() {
    for backend in backends() {
        backend.put("a", "theirs");
        let deleting = mount(&backend, &["--allow-delete"]);
        fs::rename(deleting.join("a"), deleting.join("b")).unwrap();
        assert_eq!(errno(save(&deleting.join("b"), b"ours")), libc::EPERM, "a copy of theirs");
        deleting.end();
        let overwriting = mount(&backend, &["--allow-overwrite"]);
        save(&overwriting.join("b"), b"ours").unwrap();
        assert_eq!(errno(fs::remove_file(overwriting.join("b"))), libc::EPERM, "theirs was there");
        assert_eq!(errno(fs::rename(overwriting.join("b"), overwriting.join("c"))), libc::EPERM);
        overwriting.end();
        assert!(backend.has("b", b"ours"));
    }
}

/// A mount without flags, with an object of somebody else in it.
fn beside_theirs() -> Option<(Backend, Mount)> {
    let backend = in_process()?;
    backend.put("theirs.txt", "colour\n");
    let mount = mount(&backend, &[]);
    assert_eq!(names_in(mount.path()), ["theirs.txt"]);
    Some((backend, mount))
}

#[test]
fn sed_edits_what_was_made_here_in_place_and_leaves_nothing_beside_the_rest() {
    let Some((backend, mount)) = beside_theirs() else { return };
    let sed = |file: &str| {
        let script = "s/colour/color/";
        Command::new("sed").args(["-i", script, file]).current_dir(mount.path()).output().unwrap()
    };
    let refused = sed("theirs.txt");
    assert!(!refused.status.success());
    assert_eq!(backend.keys(), ["theirs.txt"], "its temporary file is gone");
    save(&mount.join("ours.txt"), b"colour, colour\n").unwrap();
    backend.reset_counts();
    for expected in ["color, colour\n", "color, color\n"] {
        assert!(sed("ours.txt").status.success());
        assert!(backend.has("ours.txt", expected.as_bytes()));
    }
    // Each time a PUT, a copy over the file, and a deletion.
    let counts = backend.counts().unwrap();
    assert_eq!((counts.put, counts.other), (4, 2), "{counts:?}");
    assert_eq!(backend.keys(), ["ours.txt", "theirs.txt"]);
    mount.end();
}

#[test]
fn rsync_copies_files_and_their_changes_without_flags() {
    if !has_file("/usr/bin/rsync") {
        return;
    }
    let Some((backend, mount)) = beside_theirs() else { return };
    let source = tempfile::tempdir().unwrap();
    for text in ["first", "second, longer"] {
        fs::write(source.path().join("f1"), text).unwrap();
        let from = format!("{}/", source.path().display());
        succeeds(Command::new("rsync").args(["-t", "-r", &from]).arg(mount.path()));
        assert!(backend.has("f1", text.as_bytes()));
    }
    fs::write(source.path().join("theirs.txt"), "not to be had").unwrap();
    let from = format!("{}/", source.path().display());
    let refused = Command::new("rsync").args(["-r", &from]).arg(mount.path()).output().unwrap();
    assert!(!refused.status.success());
    assert_eq!(backend.keys(), ["f1", "theirs.txt"], "nothing is left beside it");
    assert!(backend.has("theirs.txt", b"colour\n"));
    mount.end();
}

#[test]
fn a_file_that_is_written_beside_its_name_and_renamed_needs_no_flag() {
    let Some((backend, mount)) = beside_theirs() else { return };
    // As rsync does it, and many libraries.
    for text in ["first", "second, longer"] {
        let temporary = mount.join(".f1.a8Xk2p");
        save(&temporary, text.as_bytes()).unwrap();
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o640)).unwrap();
        fs::rename(&temporary, mount.join("f1")).unwrap();
        assert!(backend.has("f1", text.as_bytes()));
        assert_eq!(backend.keys(), ["f1", "theirs.txt"]);
    }
    mount.end();
}

#[test]
fn zip_makes_an_archive_and_adds_to_it_without_flags() {
    if !has_file("/usr/bin/zip") {
        return;
    }
    let Some((backend, mount)) = beside_theirs() else { return };
    let source = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        fs::write(source.path().join(name), name).unwrap();
        let mut zip = Command::new("zip");
        succeeds(zip.arg("-q").arg(mount.join("a.zip")).arg(name).current_dir(source.path()));
    }
    assert_eq!(backend.keys(), ["a.zip", "theirs.txt"]);
    let archive = backend.get("a.zip").unwrap();
    assert!([&b"one"[..], b"two"].iter().all(|name| archive.windows(3).any(|at| at == *name)));
    mount.end();
}

#[test]
fn vim_saves_what_was_made_here_and_leaves_no_swap_file() {
    if !has_file("/usr/bin/vim") {
        return;
    }
    let Some((backend, mount)) = beside_theirs() else { return };
    save(&mount.join("a.conf"), b"one\n").unwrap();
    let vim = |file: &str| {
        let mut vim = Command::new("timeout");
        let edit = ["60", "vim", "-u", "NONE", "-n", "-es", "-c", "set swapfile", "-c"];
        vim.args(edit).args(["normal Gotwo", "-c", "wq!", file]).current_dir(mount.path());
        vim.output().unwrap()
    };
    vim("a.conf");
    assert!(backend.has("a.conf", b"one\ntwo\n"));
    vim("theirs.txt");
    assert!(backend.has("theirs.txt", b"colour\n"));
    assert_eq!(backend.keys(), ["a.conf", "theirs.txt"]);
    mount.end();
}
