//! What a server, or its absence, makes of a mount: a sentence that says what to
//! do, a status that is not zero, and nothing mounted.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

use super::{Ran, Shell, can_mount};
use crate::support::server::{ACCESS_KEY, Effect, Fault, Policy, Refusal, SECRET_KEY, TestServer};

fn tiles() -> TestServer {
    let server = TestServer::start();
    server.put("tiles", "10/S/B01.txt", "x");
    server
}

/// Nothing where nothing can be mounted.
fn server() -> Option<TestServer> {
    can_mount().then(tiles)
}

/// Mounts `tiles` and makes sure that nothing is left of the attempt.
#[track_caller]
fn mount(shell: &Shell, flags: &[&str]) -> Ran {
    let ran = shell.mount("tiles", flags);
    assert!(!shell.is_mounted() && shell.daemon().is_none(), "{ran:?}");
    ran
}

/// What happens when the server refuses every request so.
#[track_caller]
fn refused(refusal: Refusal, flags: &[&str]) -> Ran {
    let server = tiles();
    server.fault(Fault::new(Effect::Refuse(refusal)));
    mount(&Shell::on(&server), flags)
}

#[test]
fn a_bucket_that_does_not_exist_is_named_with_its_server() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    shell.mount("tilse", &[]).fails_with(&[
        "there is no bucket \"tilse\"",
        &server.endpoint(),
        "Check the spelling",
        "NoSuchBucket",
    ]);
}

#[test]
fn a_denial_names_the_missing_permission_and_requester_pays() {
    if !can_mount() {
        return;
    }
    refused(Refusal::AccessDenied, &[]).fails_with(&[
        "no access to the bucket \"tiles\"",
        "s3:ListBucket on arn:aws:s3:::tiles",
        "s3:GetObject on arn:aws:s3:::tiles/*",
        "request id",
    ]);
}

#[test]
fn a_bucket_that_charges_its_readers_is_mounted_only_with_the_flag() {
    let Some(server) = server() else { return };
    server.set_policy("tiles", Policy { requester_pays: true, ..Policy::default() });
    let shell = Shell::on(&server);
    mount(&shell, &[]).fails_with(&["--requester-pays"]);
    shell.mount("tiles", &["--requester-pays"]).succeeds();
    shell.umount().succeeds();
}

#[test]
fn a_private_bucket_without_credentials_says_to_use_them() {
    if !can_mount() {
        return;
    }
    mount(&Shell::on(&tiles()), &["--no-sign-request"])
        .fails_with(&["without credentials", "Leave out --no-sign-request"]);
}

#[test]
fn a_public_bucket_is_mounted_without_credentials() {
    let Some(server) = server() else { return };
    server.set_policy("tiles", Policy { anonymous: true, ..Policy::default() });
    let shell = Shell::new();
    shell.mount("tiles", &["--no-sign-request", "--endpoint-url", &server.endpoint()]).succeeds();
    shell.umount().succeeds();
}

#[test]
fn a_bucket_of_another_account_is_refused_where_the_owner_is_expected() {
    let Some(server) = server() else { return };
    server.set_policy("tiles", Policy { owner: Some("111122223333".into()), ..Policy::default() });
    let shell = Shell::on(&server);
    mount(&shell, &["--expected-bucket-owner", "444455556666"])
        .fails_with(&["444455556666", "--expected-bucket-owner"]);
    shell.mount("tiles", &["--expected-bucket-owner", "111122223333"]).succeeds();
    shell.umount().succeeds();
}

#[test]
fn without_credentials_the_ways_to_get_some_are_named() {
    let Some(server) = server() else { return };
    let shell = Shell::new().set("AWS_ENDPOINT_URL", &server.endpoint());
    mount(&shell, &[]).fails_with(&[
        "no AWS credentials were found",
        "aws configure",
        "AWS_ACCESS_KEY_ID",
        "--profile",
        "--no-sign-request",
    ]);
    mount(&shell, &["--profile", "lab"]).fails_with(&["the profile \"lab\"", "~/.aws/config"]);
    mount(&shell.set("AWS_PROFILE", "lab2"), &[]).fails_with(&["the profile \"lab2\""]);
}

#[test]
fn credentials_region_and_endpoint_come_from_a_profile() {
    let Some(server) = server() else { return };
    server.set_policy("tiles", Policy { region: Some("eu-west-1".into()), ..Policy::default() });
    let shell = Shell::new();
    let endpoint = server.endpoint();
    std::fs::create_dir(shell.path(".aws")).unwrap();
    let config = format!("[profile lab]\nregion = eu-west-1\nendpoint_url = {endpoint}\n");
    std::fs::write(shell.path(".aws/config"), config).unwrap();
    let keys = format!("aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n");
    std::fs::write(shell.path(".aws/credentials"), format!("[lab]\n{keys}")).unwrap();
    shell.mount("tiles", &["--profile", "lab"]).succeeds();
    shell.umount().succeeds();
}

#[test]
fn a_program_that_never_gives_its_credentials_is_not_waited_for() {
    if !can_mount() {
        return;
    }
    let shell = Shell::new();
    std::fs::create_dir(shell.path(".aws")).unwrap();
    let config = "[default]\nregion = eu-west-1\ncredential_process = sleep 20\n";
    std::fs::write(shell.path(".aws/config"), config).unwrap();
    let start = Instant::now();
    mount(&shell, &["--request-timeout", "1"])
        .fails_with(&["credentials did not arrive within 1 seconds", "credential_process"]);
    assert!(start.elapsed().as_secs() < 19, "{:?}", start.elapsed());
}

/// Where a machine on AWS has its metadata service: one that takes connections and is silent.
fn silent_service() -> (String, TcpListener) {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    service.set_nonblocking(true).unwrap();
    (format!("http://{}", service.local_addr().unwrap()), service)
}

#[test]
fn a_metadata_service_that_hangs_is_not_asked_without_need() {
    let Some(server) = server() else { return };
    let (url, service) = silent_service();
    let shell = || {
        let shell = Shell::new().set("AWS_EC2_METADATA_DISABLED", "false");
        shell.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)
    };
    let keys = |shell: Shell| {
        shell.set("AWS_ACCESS_KEY_ID", ACCESS_KEY).set("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    };
    let endpoint = server.endpoint();
    let with_keys = keys(shell()).set("AWS_ENDPOINT_URL_S3", &endpoint);
    with_keys.mount("tiles", &["--path-style"]).succeeds();
    with_keys.umount().succeeds();
    let asked = service.accept();
    assert!(asked.is_err(), "with keys and an endpoint: {asked:?}");
    server.set_policy("tiles", Policy { anonymous: true, ..Policy::default() });
    let anonymous = shell();
    anonymous.mount("tiles", &["--no-sign-request", "--endpoint-url", &endpoint]).succeeds();
    anonymous.umount().succeeds();
    let asked = service.accept();
    assert!(asked.is_err(), "without credentials: {asked:?}");
}

#[test]
fn a_metadata_service_that_hangs_is_mentioned_after_a_second() {
    if !can_mount() {
        return;
    }
    let (url, _service) = silent_service();
    let shell = Shell::new().set("AWS_EC2_METADATA_DISABLED", "false");
    let shell = shell.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url);
    let ran = mount(&shell, &["--request-timeout", "3"]);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(lines[0].contains("still looking for AWS credentials"), "{ran:?}");
    assert!(lines.iter().all(|line| line.len() < 400), "{ran:?}");
}

#[test]
fn what_a_program_that_gives_no_credentials_writes_is_not_repeated() {
    let Some(server) = server() else { return };
    let shell = Shell::new();
    let script = shell.path("give");
    std::fs::write(
        &script,
        "echo hunter2 >&2; echo '{\"SecretAccessKey\": \"hunter2\"'; exit $1\n",
    )
    .unwrap();
    let config = shell.path("config");
    let shell = shell.set("AWS_CONFIG_FILE", &config).set("AWS_ENDPOINT_URL", &server.endpoint());
    for (status, said) in [(7, "the program failed (exit status: 7)"), (0, "is not understood")] {
        let text =
            format!("[default]\nregion = eu-west-1\ncredential_process = sh {script} {status}\n");
        std::fs::write(&config, text).unwrap();
        let ran = shell.mount("tiles", &["--log-file", "log", "--log-level", "trace"]);
        ran.fails_with(&["credential_process", said]);
        let log = std::fs::read_to_string(shell.path("log")).unwrap();
        assert!(!ran.stderr.contains("hunter2") && !log.contains("hunter2"), "{ran:?}\n{log}");
    }
}

#[test]
fn expired_credentials_are_told_from_wrong_ones() {
    if !can_mount() {
        return;
    }
    refused(Refusal::ExpiredToken, &[]).fails_with(&["have expired", "aws sso login"]);
    refused(Refusal::InvalidAccessKeyId, &[])
        .fails_with(&["does not accept the credentials", "does not know the access key"]);
}

#[test]
fn a_wrong_secret_is_refused_without_repeating_it() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server).set("AWS_SECRET_ACCESS_KEY", "hunter2hunter2");
    let ran = mount(&shell, &[]);
    ran.fails_with(&["the secret access key does not belong to the access key"]);
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
}

#[test]
fn a_wrong_clock_is_named_as_such() {
    if !can_mount() {
        return;
    }
    refused(Refusal::Other(403, "RequestTimeTooSkewed"), &[]).fails_with(&["clock is wrong"]);
}

#[test]
fn a_bucket_in_another_region_is_followed_there() {
    let Some(server) = server() else { return };
    server.set_policy("tiles", Policy { region: Some("eu-west-1".into()), ..Policy::default() });
    let shell = Shell::on(&server);
    shell.mount("tiles", &["--region", "us-east-1"]).succeeds();
    shell.umount().succeeds();
}

#[test]
fn a_region_that_does_not_help_is_named() {
    if !can_mount() {
        return;
    }
    refused(Refusal::Redirect("eu-west-1".into()), &[])
        .fails_with(&["the bucket \"tiles\" is in the region eu-west-1", "--region eu-west-1"]);
}

#[test]
fn a_server_that_is_not_there_is_named_with_the_reason() {
    if !can_mount() {
        return;
    }
    // A port that was free a moment ago.
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let shell = Shell::new();
    mount(&shell, &["--no-sign-request", "--request-timeout", "1", "--endpoint-url", &url])
        .fails_with(&[&url, "can't be reached", "Connection refused"]);
    let unknown = "http://no-such-host.invalid";
    mount(&shell, &["--no-sign-request", "--request-timeout", "1", "--endpoint-url", unknown])
        .fails_with(&[unknown, "can't be reached"]);
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up_in_time() {
    let Some(server) = server() else { return };
    server.fault(Fault::new(Effect::Hang));
    let start = Instant::now();
    mount(&Shell::on(&server), &["--request-timeout", "1"]).fails_with(&[
        "did not answer within 1 seconds",
        "--request-timeout",
        &server.endpoint(),
    ]);
    assert!(start.elapsed().as_secs() < 40, "{:?}", start.elapsed());
    server.release();
}

#[test]
fn a_slow_start_is_mentioned_before_it_is_given_up() {
    let Some(server) = server() else { return };
    server.fault(Fault::new(Effect::Hang));
    let ran = mount(&Shell::on(&server), &["--request-timeout", "5"]);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(lines[0].contains("has not answered yet"), "{ran:?}");
    server.release();
}

#[test]
fn an_overloaded_server_says_to_try_later() {
    if !can_mount() {
        return;
    }
    refused(Refusal::SlowDown, &["--request-timeout", "1"])
        .fails_with(&["out of order or overloaded", "Try again later"]);
}

#[test]
fn https_to_a_server_without_it_says_to_use_http() {
    let Some(server) = server() else { return };
    let url = server.endpoint().replace("http://", "https://");
    mount(&Shell::on(&server), &["--endpoint-url", &url, "--request-timeout", "1"]).fails_with(&[
        &url,
        "does not speak HTTPS",
        "http://",
    ]);
}

#[test]
fn a_web_page_is_not_taken_for_an_s3_server() {
    if !can_mount() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Ends with the test's process.
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.read(&mut [0; 4096]);
            let page = "<!doctype html><title>Welcome</title>";
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", page.len());
            let _ = connection.write_all((head + page).as_bytes());
        }
    });
    mount(&Shell::new(), &["--no-sign-request", "--endpoint-url", &url]).fails_with(&[
        &url,
        "does not understand",
        "web page",
    ]);
}

#[test]
fn a_server_without_virtual_hosts_leads_to_path_style() {
    let Some(_server) = server() else { return };
    let shell = Shell::on(&tiles()).set("AWS_ENDPOINT_URL", "http://s3mem-test.invalid:9000");
    mount(&shell, &["--request-timeout", "5"])
        .fails_with(&["no server of the name tiles.s3mem-test.invalid:9000", "add --path-style"]);
}

#[test]
fn an_address_that_has_the_bucket_in_it_is_given_without_it() {
    let Some(server) = server() else { return };
    let url = server.endpoint();
    let shell = Shell::on(&server).set("AWS_ENDPOINT_URL", &format!("{url}/tiles"));
    mount(&shell, &[]).fails_with(&[&format!("Give --endpoint-url {url} ")]);
}

#[test]
fn half_of_an_access_key_names_the_other_half() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server).set("AWS_SECRET_ACCESS_KEY", "");
    mount(&shell, &[]).fails_with(&["AWS_SECRET_ACCESS_KEY is not set"]);
}

#[test]
fn a_folder_that_is_an_object_is_said_to_be_one() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let ran = shell.mount("tiles/10/S/B01.txt", &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("\"10/S/B01.txt\" is an object and no folder"), "{ran:?}");
    shell.umount().succeeds();
}

#[test]
fn buckets_that_only_other_servers_allow_are_mounted_there() {
    for bucket in ["a", "ab", "tenant:bucket"] {
        let Some(server) = server() else { return };
        let shell = Shell::on(&server);
        server.put(bucket, "file", "x");
        shell.mount(bucket, &["--writes", "upload"]).succeeds();
        assert_eq!(fs::read_to_string(shell.mount_point.join("file")).unwrap(), "x", "{bucket}");
        fs::write(shell.mount_point.join("new"), "y").unwrap();
        assert_eq!(server.keys(bucket), ["file", "new"]);
        shell.umount().succeeds();
        let shell = Shell::on(&server).set("AWS_ENDPOINT_URL", "");
        shell.mount(bucket, &[]).fails_with(&["is no bucket of AWS", "--endpoint-url"]);
    }
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let file = shell.path("ca.pem");
    mount(&shell, &["--ca-bundle", &file]).fails_with(&[&file, "--ca-bundle", "No such file"]);
    fs::write(&file, "hello").unwrap();
    fs::create_dir(shell.path(".aws")).unwrap();
    let profile = format!("[default]\nca_bundle = {file}\n");
    fs::write(shell.path(".aws/config"), profile).unwrap();
    mount(&shell, &[]).fails_with(&[&file, "no certificates"]);
    fs::remove_file(shell.path(".aws/config")).unwrap();
    let shell = shell.set("AWS_CA_BUNDLE", &file);
    mount(&shell, &[]).fails_with(&[&file, "no certificates"]);
}
