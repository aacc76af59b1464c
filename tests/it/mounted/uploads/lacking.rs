//! Servers that do not know all of what S3 knows of writes.

use super::*;
use crate::harness::mounting::lines;
use crate::support::server::{Lacks, TestServer};

fn on_a_server_without(lacks: Lacks) -> Option<Backend> {
    let backend = in_process()?;
    backend.server().unwrap().set_lacks(lacks);
    Some(backend)
}

fn counts_of_a_save(server: &TestServer, mounting: Mounting) -> (u64, u64, u64) {
    let mounting = mounting.with(["--memory", "256M", "--writes", "upload"]);
    let mount = mounting.in_foreground();
    server.reset_counts();
    save(&mount.join("a"), b"small").unwrap();
    save(&mount.join("b"), &noise(1, 20 * MIB as usize)).unwrap();
    mount.end();
    let counts = server.counts();
    (counts.put, counts.status_4xx, counts.unsigned_bodies)
}

#[test]
fn no_checksum_is_sent_if_the_environment_or_the_profile_says_so() {
    let lacks = Lacks { checksums: true, ..Lacks::default() };
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("config");
    fs::write(&profile, "[default]\nrequest_checksum_calculation = when_required\n").unwrap();
    for (name, value) in [
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "WHEN_REQUIRED"),
        ("AWS_CONFIG_FILE", profile.to_str().unwrap()),
    ] {
        let Some(backend) = on_a_server_without(lacks) else { return };
        let mounting = backend.mounting().env(name, value);
        let (put, refused, unsigned) = counts_of_a_save(backend.server().unwrap(), mounting);
        assert_eq!((refused, unsigned), (0, 0), "{name}");
        assert!(put > 1);
        assert!(backend.has("a", b"small"));
    }
    let Some(backend) = on_a_server_without(lacks) else { return };
    let mounting = backend.mounting().env("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported");
    assert_eq!(counts_of_a_save(backend.server().unwrap(), mounting).1, 1, "it has to find out");
}

#[test]
fn what_a_server_lacks_is_said_once_and_no_object_of_others_is_replaced() {
    let lacks = Lacks { checksums: true, conditions: true, uneven_parts: true };
    let Some(backend) = on_a_server_without(lacks) else { return };
    let mount = mount_free(&backend);
    let large = noise(2, 40 * MIB as usize);
    for (name, bytes) in [("a", &b"small"[..]), ("b", &large), ("a", b"again"), ("c", &large)] {
        save(&mount.join(name), bytes).unwrap();
        assert!(backend.has(name, bytes), "{name}");
    }
    let mut file = File::create(mount.join("new")).unwrap();
    file.write_all(b"ours").unwrap();
    backend.put("new", "theirs");
    assert_eq!(errno(close(file)), libc::ESTALE);
    assert!(backend.has("new", b"theirs"));
    fs::rename(mount.join("a"), mount.join("d")).unwrap();
    fs::remove_file(mount.join("b")).unwrap();
    assert_eq!(backend.keys(), ["c", "d", "new"]);
    for lack in ["refuses the checksums", "no conditions on writes", "no conditions on copies"] {
        assert_eq!(lines(&mount, "WARN", lack).len(), 1, "{lack}: {}", mount.log());
    }
    assert_eq!(lines(&mount, "WARN", "no conditions on deletions").len(), 1);
    fs::remove_file(mount.join("new")).unwrap();
    mount.end();
}
