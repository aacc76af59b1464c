//! Mounts by what files and variables say.

use std::fs;

use serde_json::Value;

use super::{Shell, assert_lists, can_mount};
use crate::support::server::TestServer;

#[test]
fn a_profile_mounts_its_bucket_with_its_settings() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put("tiles", "10/S/a", b"first".to_vec());
    let shell = Shell::on(&server).set("S3MEM_MEMORY", "128M");
    let folder = shell.path("settings");
    let shell = shell.set("XDG_CONFIG_HOME", &folder);
    fs::create_dir(shell.path("settings")).unwrap();
    let file = shell.path("settings/s3mem.toml");
    let text = "memory = \"256M\"\nfile-mode = 0o600\n\n[profiles.ten]\nbucket = \"tiles/10\"\n\
        metadata-ttl = 5\n";
    fs::write(&file, text).unwrap();
    shell.mount("@ten/S", &["--metadata-ttl", "forever"]).succeeds();
    assert_lists(&shell.mount_point, &["a"]);
    let ran = shell.s3mem(&["status", shell.mount_point(), "--json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told["source"], "s3://tiles/10/S");
    let options = told["options"].as_array().unwrap();
    let of = |name: &str| {
        let found = options.iter().find(|option| option["name"] == name);
        let found = found.unwrap_or_else(|| panic!("{name} is not in {options:?}"));
        (found["value"].as_str().unwrap(), found["from"].as_str().map(str::to_owned))
    };
    assert_eq!(of("memory"), ("128M", Some("the variable S3MEM_MEMORY".into())));
    assert_eq!(of("file-mode"), ("0o600", Some(format!("line 2 of {file}"))));
    assert_eq!(of("metadata-ttl"), ("forever", None));
    let mode = fs::metadata(shell.mount_point.join("a")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    shell.umount().succeeds();
}

#[test]
fn a_command_runs_on_a_profile() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put("tiles", "10/a", b"first".to_vec());
    let shell = Shell::on(&server);
    fs::create_dir(shell.path(".config")).unwrap();
    fs::write(shell.path(".config/s3mem.toml"), "[profiles.t]\nbucket = \"tiles\"\n").unwrap();
    let ran = shell.s3mem(&["run", "@t/10", "--", "sh", "-c", "cat \"$S3MEM_MOUNT/a\""]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "first"), "{ran:?}");
}

#[test]
fn a_line_of_fstab_may_name_a_profile() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put("tiles", "10/a", b"first".to_vec());
    let shell = Shell::on(&server);
    fs::create_dir(shell.path(".config")).unwrap();
    fs::write(shell.path(".config/s3mem.toml"), "[profiles.t]\nbucket = \"tiles/10\"\n").unwrap();
    shell.s3mem(&["@t", shell.mount_point(), "-o", "rw,metadata_ttl=1"]).succeeds();
    assert_lists(&shell.mount_point, &["a"]);
    shell.umount().succeeds();
}
