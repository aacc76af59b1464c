//! Credentials that are replaced while a mount lasts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use super::{Shell, can_mount, wait_until};
use crate::support::server::{ACCESS_KEY, SECRET_KEY, TestServer};

const NEW_KEY: &str = "AKIDS3MEMTESTSERVER1";

/// A server with a small object in each of many folders, so that each costs a LIST.
fn tiles() -> Option<TestServer> {
    can_mount().then(|| {
        let server = TestServer::start();
        server.put_many("tiles", (0..16).map(|n| (format!("{n}/a.txt"), "x")));
        server
    })
}

/// A shell that finds its credentials in a profile, which says `lines`.
fn shell(server: &TestServer, lines: &str) -> Shell {
    let shell = Shell::new().set("AWS_ENDPOINT_URL", &server.endpoint());
    fs::create_dir(shell.path(".aws")).unwrap();
    write_profile(&shell, lines);
    shell.set("AWS_REGION", "us-east-1")
}

fn write_profile(shell: &Shell, lines: &str) {
    fs::write(shell.path(".aws/credentials"), format!("[default]\n{lines}\n")).unwrap();
}

fn keys(access_key: &str) -> String {
    format!("aws_access_key_id = {access_key}\naws_secret_access_key = {SECRET_KEY}")
}

fn read(shell: &Shell, folder: u32) -> std::io::Result<String> {
    fs::read_to_string(shell.mount_point.join(format!("{folder}/a.txt")))
}

#[test]
fn keys_that_are_replaced_in_the_file_are_found_by_the_mount() {
    let Some(server) = tiles() else { return };
    let shell = shell(&server, &keys(ACCESS_KEY));
    shell.mount("tiles", &[]).succeeds();
    assert_eq!(read(&shell, 0).unwrap(), "x");

    server.replace_key(NEW_KEY);
    server.reset_counts();
    let refused = read(&shell, 1).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    // The same keys are not tried twice.
    assert_eq!(server.counts().list, 1);

    write_profile(&shell, &keys(NEW_KEY));
    wait_until("the new keys are found", || read(&shell, 1).is_ok());
    server.reset_counts();
    assert_eq!(read(&shell, 2).unwrap(), "x");
    assert_eq!((server.counts().list, server.counts().get), (1, 1), "nothing is sent twice");
    shell.umount().succeeds();
}

#[test]
fn a_program_without_expiration_is_asked_once_for_all_who_wait() {
    let Some(server) = tiles() else { return };
    let scratch = Shell::new();
    let (program, asked, key) = (scratch.path("give"), scratch.path("asked"), scratch.path("key"));
    fs::write(&key, ACCESS_KEY).unwrap();
    let script = format!(
        "#!/bin/sh\necho asked >> {asked}\nprintf '{{\"Version\": 1, \"AccessKeyId\": \"%s\", \
         \"SecretAccessKey\": \"%s\"}}' \"$(cat {key})\" '{SECRET_KEY}'\n"
    );
    let mut file = fs::File::create(&program).unwrap();
    file.write_all(script.as_bytes()).unwrap();
    drop(file);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let shell = shell(&server, &format!("credential_process = {program}"));
    shell.mount("tiles", &[]).succeeds();

    fs::write(&key, NEW_KEY).unwrap();
    server.replace_key(NEW_KEY);
    server.set_delay(Duration::from_millis(200));
    fs::write(&asked, "").unwrap();
    thread::scope(|scope| {
        let shell = &shell;
        let readers: Vec<_> = (0..8).map(|n| scope.spawn(move || read(shell, n))).collect();
        for reader in readers {
            assert_eq!(reader.join().unwrap().unwrap(), "x");
        }
    });
    let times = fs::read_to_string(&asked).unwrap().lines().count();
    // The mount's own look-up, and the one of the SDK before it signs.
    assert!((1..=2).contains(&times), "{times}");
    shell.umount().succeeds();
}

#[test]
fn a_key_with_the_end_of_a_line_in_it_is_a_sentence() {
    let Some(server) = tiles() else { return };
    let shell = Shell::on(&server).set("AWS_ACCESS_KEY_ID", &format!("{ACCESS_KEY}\nx"));
    shell.mount("tiles", &[]).fails_with(&["the access key contains a character"]);
}

#[test]
fn a_setting_that_does_not_go_with_the_server_is_told_with_its_reason() {
    let Some(server) = tiles() else { return };
    for name in ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"] {
        let shell = Shell::on(&server).set(name, "true");
        shell.mount("tiles", &[]).fails_with(&["do not go together with another", name]);
    }
}
