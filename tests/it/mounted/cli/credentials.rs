//! Credentials that are replaced while a mount lasts.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
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

/// A token service that gives the access key that a token names, and notes the tokens.
fn token_service() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let tokens = Arc::<Mutex<Vec<String>>>::default();
    let noted = tokens.clone();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let (mut text, mut piece) = (String::new(), [0; 4096]);
            let token = loop {
                let count = client.read(&mut piece).unwrap();
                text += &String::from_utf8_lossy(&piece[..count]);
                let token = text.split("WebIdentityToken=").nth(1);
                match token.and_then(|rest| rest.split_once('&').map(|(token, _)| token)) {
                    Some(token) => break token.to_owned(),
                    // The token is the last thing that is sent.
                    None if count == 0 || text.contains("WebIdentityToken=key-") => {
                        break text.rsplit('=').next().unwrap().to_owned();
                    }
                    None => {}
                }
            };
            noted.lock().unwrap().push(token.clone());
            let key = token.trim_start_matches("key-");
            let answer = format!(
                "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
                 <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>\
                 <SessionToken></SessionToken><Expiration>2095-01-01T00:00:00Z</Expiration>\
                 </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
            );
            let length = answer.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close");
            let _ = write!(client, "{head}\r\n\r\n{answer}");
        }
    });
    (url, tokens)
}

#[test]
fn a_web_identity_token_that_changes_in_its_file_is_read_again() {
    let Some(server) = tiles() else { return };
    let (service, tokens) = token_service();
    let shell = Shell::new();
    let file = shell.path("token");
    fs::write(&file, format!("key-{ACCESS_KEY}")).unwrap();
    let shell = shell
        .set("AWS_ENDPOINT_URL", &server.endpoint())
        .set("AWS_ENDPOINT_URL_STS", &service)
        .set("AWS_REGION", "us-east-1")
        .set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
        .set("AWS_WEB_IDENTITY_TOKEN_FILE", &file);
    shell.mount("tiles", &[]).succeeds();
    assert_eq!(read(&shell, 0).unwrap(), "x");

    fs::write(&file, format!("key-{NEW_KEY}")).unwrap();
    server.replace_key(NEW_KEY);
    wait_until("the new token is found", || read(&shell, 1).is_ok());
    let tokens = tokens.lock().unwrap();
    assert_eq!(tokens.first().unwrap(), &format!("key-{ACCESS_KEY}"));
    assert_eq!(tokens.last().unwrap(), &format!("key-{NEW_KEY}"));
    shell.umount().succeeds();
}
