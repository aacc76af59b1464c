use std::ffi::OsString;

use super::*;
use crate::cli::{self, Command};

const GIB: u64 = 1 << 30;

fn settings_in(environment: &Environment, flags: &[&str]) -> Result<MountSettings, ConfigError> {
    let line = ["s3mem", "mount", "tiles/10", "/mnt/tiles"].iter().chain(flags).map(OsString::from);
    match cli::parse(line, &|_| Ok(cli::FoundSettings::default())).unwrap() {
        Command::Mount(args) => MountSettings::new(&args, environment),
        other => panic!("not a mount: {other:?}"),
    }
}

fn settings(flags: &[&str]) -> Result<MountSettings, ConfigError> {
    settings_in(&Environment::default(), flags)
}

fn refusal(flags: &[&str]) -> String {
    settings(flags).unwrap_err().to_string()
}

#[test]
fn without_flags_the_defaults_hold() {
    let settings = settings(&[]).unwrap();
    assert_eq!(settings.fs.metadata_ttl, Duration::from_secs(60));
    assert!(!settings.fs.verify);
    assert_eq!(settings.retry.request_timeout, Duration::from_secs(30));
    assert_eq!((settings.fs.file_mode, settings.fs.dir_mode), (0o644, 0o755));
    assert_eq!(settings.fs.uid, sys::effective_uid());
    assert!(settings.mount.allow_exec && !settings.mount.allow_other);
    assert_eq!(settings.mount.source, "s3://tiles/10");
    assert_eq!(settings.log.target, LogTarget::System);
    assert!(settings.notes.is_empty());
}

#[test]
fn what_is_read_whole_is_verified_if_asked_for() {
    assert!(settings(&["--verify"]).unwrap().fs.verify);
}

#[test]
fn memory_is_a_quarter_of_the_limit_and_at_least_64_mib() {
    for (limit, bytes) in [(Some(16 * GIB), 4 * GIB), (Some(128 << 20), 64 << 20), (None, GIB)] {
        let environment = Environment { memory_limit_bytes: limit, ..Environment::default() };
        assert_eq!(settings_in(&environment, &[]).unwrap().fs.memory_bytes, bytes);
    }
}

#[test]
fn memory_over_the_limit_is_taken_with_a_note() {
    let environment = Environment { memory_limit_bytes: Some(GIB), ..Environment::default() };
    let settings = settings_in(&environment, &["--memory", "2G"]).unwrap();
    assert_eq!(settings.fs.memory_bytes, 2 * GIB);
    assert!(
        settings.notes[0].contains("--memory 2G is more than the 1 GiB"),
        "{:?}",
        settings.notes
    );
}

#[test]
fn a_size_that_does_not_parse_or_is_too_small_is_refused() {
    assert!(refusal(&["--memory", "lots"]).contains("\"lots\" is not a size"));
    assert!(refusal(&["--memory", "63M"]).contains("at least 64M"));
    assert_eq!(settings(&["--memory", "64M"]).unwrap().fs.memory_bytes, 64 << 20);
}

#[test]
fn a_listing_is_believed_for_seconds_never_or_forever() {
    let ttl = |text| settings(&["--metadata-ttl", text]).unwrap().fs.metadata_ttl;
    assert_eq!(ttl("0"), Duration::ZERO);
    assert_eq!(ttl("1.5"), Duration::from_millis(1500));
    assert_eq!(ttl("forever"), Duration::MAX);
    assert!(ttl("99999999999999999999999999") < Duration::MAX);
    for bad in ["-1", "ever", "1e3", "", ".", "inf", "nan"] {
        let flag = format!("--metadata-ttl={bad}");
        assert!(refusal(&[&flag]).contains("--metadata-ttl"), "{bad}");
    }
}

#[test]
fn a_request_timeout_of_zero_is_refused() {
    assert!(refusal(&["--request-timeout", "0"]).contains("more than 0"));
}

#[test]
fn endpoints_are_addresses_of_servers_without_passwords() {
    for good in [
        "https://s3.example.org",
        "http://localhost:9000",
        "http://[::1]:9000/base",
        "http://10.0.0.1",
    ] {
        assert_eq!(
            settings(&["--endpoint-url", good]).unwrap().endpoint_url.as_deref(),
            Some(good)
        );
    }
    for bad in [
        "",
        "s3.example.org",
        "localhost:9000",
        "ftp://x",
        "http://",
        "http://a b",
        "http://a:port",
        "http://[::1",
        "https://:9000",
    ] {
        let flag = format!("--endpoint-url={bad}");
        assert!(refusal(&[&flag]).contains("not the address of a server"), "{bad}");
    }
    let sentence = refusal(&["--endpoint-url", "https://me:hunter2@s3.example.org"]);
    assert!(sentence.contains("password") && !sentence.contains("hunter2"), "{sentence}");
}

#[test]
fn an_endpoint_in_the_environment_is_checked_like_a_flag() {
    let environment = Environment { endpoint_url: Some("minio".into()), ..Environment::default() };
    let sentence = settings_in(&environment, &[]).unwrap_err().to_string();
    assert!(sentence.starts_with("AWS_ENDPOINT_URL \"minio\""), "{sentence}");
}

#[test]
fn modes_are_octal_permissions_only() {
    let mode = |text| settings(&["--file-mode", text]).unwrap().fs.file_mode;
    assert_eq!((mode("400"), mode("0440"), mode("0o444")), (0o400, 0o440, 0o444));
    for bad in ["u=r", "4755", "888", "", "+400"] {
        let flag = format!("--file-mode={bad}");
        assert!(refusal(&[&flag]).contains("--file-mode"), "{bad}");
    }
}

#[test]
fn users_and_groups_are_numbers() {
    assert_eq!(settings(&["--uid", "1000", "--gid", "100"]).unwrap().fs.gid, 100);
    assert!(refusal(&["--uid", "alice"]).contains("'id -u NAME'"));
    assert!(refusal(&["--gid", "4294967295"]).contains("'id -g NAME'"));
}

#[test]
fn regions_and_owners_that_can_not_be_are_refused() {
    assert!(refusal(&["--region", "EU (Frankfurt)"]).contains("eu-central-1"));
    assert!(refusal(&["--expected-bucket-owner", "1234"]).contains("12 digits"));
}

#[test]
fn a_log_inside_the_mount_is_refused() {
    assert!(refusal(&["--log-file", "/mnt/tiles/log"]).contains("inside the mount point"));
    let outside = settings(&["--log-file", "/mnt/tiles.log"]).unwrap();
    assert_eq!(outside.log.target, LogTarget::File("/mnt/tiles.log".into()));
}

#[test]
fn what_mount_shows_is_one_option_word() {
    assert_eq!(one_option_word("s3://b/a,suid\\\n"), "s3://b/a%2Csuid%5C%0A");
    let settings = settings(&["-o", "fsname=maps,noexec"]).unwrap();
    assert_eq!(settings.mount.source, "maps");
    assert!(!settings.mount.allow_exec);
}

#[test]
fn labels_are_for_kernels_that_have_them_and_others_are_told() {
    let with = |has_selinux| {
        let environment = Environment { has_selinux, ..Environment::default() };
        settings_in(&environment, &["-o", "context=system_u:object_r:nfs_t:s0"]).unwrap()
    };
    assert_eq!(with(true).mount.security_context, ["context=system_u:object_r:nfs_t:s0"]);
    assert_eq!(with(true).notes, [""; 0]);
    let without = with(false);
    assert!(without.mount.security_context.is_empty());
    assert!(without.notes[0].contains("is ignored: this system runs without SELinux"));
}

#[test]
fn an_own_server_is_known_as_such_wherever_it_is_written() {
    let in_variable = Environment {
        endpoint_url: Some("http://localhost:9000".into()),
        ..Environment::default()
    };
    assert!(settings_in(&in_variable, &[]).unwrap().s3.is_own_server);
    let ignored = Environment { ignores_endpoints: true, ..in_variable };
    assert!(!settings_in(&ignored, &[]).unwrap().s3.is_own_server);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config");
    std::fs::write(&file, "[default]\nendpoint_url = http://localhost:9000\n").unwrap();
    let in_profile = Environment { profile_file: Some(file), ..Environment::default() };
    let found = settings_in(&in_profile, &["--cache-dir", "/c"]).unwrap();
    assert_eq!(found.endpoint_url.as_deref(), Some("http://localhost:9000"));
    // So nothing of it is taken for something of AWS: neither its prices nor what is cached.
    assert!(found.s3.is_own_server && found.pricing.is_none());
    assert!(found.disk.unwrap().place.starts_with("http://localhost:9000/"));
    assert!(!settings_in(&Environment::default(), &[]).unwrap().s3.is_own_server);
}
