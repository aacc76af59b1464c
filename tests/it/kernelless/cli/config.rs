//! Settings of files and variables, as they are shown and refused.

use std::fs;

use serde_json::Value;

use super::Shell;

const FILE: &str = "\
memory = \"512M\"
verify = true
write-memory = \"100M\"
memory-only = [\"*.aux.xml\", \"a\\\"b\"]

[profiles.sentinel]
bucket = \"sentinel-s2-l1c/tiles\"
requester-pays = true
metadata-ttl = \"forever\"
";

/// A shell whose user has this file of settings.
fn with_file(text: &str) -> Shell {
    let shell = Shell::new();
    fs::create_dir(shell.path(".config")).unwrap();
    fs::write(shell.path(".config/s3mem.toml"), text).unwrap();
    shell
}

#[test]
fn what_holds_is_shown_with_its_place_and_is_a_file_of_settings() {
    let shell = with_file(FILE).set("S3MEM_MEMORY", "1G").set("S3MEM_VERIFY", "off");
    let ran = shell.s3mem(&["config", "show", "@sentinel"]);
    ran.succeeds();
    let file = shell.path(".config/s3mem.toml");
    let commented = |said: &str, place: &str| format!("{said:36} # {place}");
    let in_file = |line: usize| format!("line {line} of {file}");
    for line in [
        format!("# {file}"),
        "[profiles.sentinel]".into(),
        commented("bucket = \"sentinel-s2-l1c/tiles\"", &in_file(7)),
        commented("memory = \"1G\"", "the variable S3MEM_MEMORY"),
        commented("verify = false", "the variable S3MEM_VERIFY"),
        commented("requester-pays = true", &in_file(8)),
        commented("metadata-ttl = \"forever\"", &in_file(9)),
        commented("# write-memory = \"100M\"", &format!("{}; of no use to this mount", in_file(3))),
        "# request-timeout: 30".into(),
        "# allow-other: off".into(),
        "# log-level: info".into(),
    ] {
        assert!(
            ran.stdout.lines().any(|shown| shown == line),
            "{line:?} is not in\n{}",
            ran.stdout
        );
    }
    // What was shown says the same once more.
    let again = with_file(&ran.stdout);
    let said = |shell: &Shell| {
        let ran = shell.s3mem(&["config", "show", "@sentinel", "--json"]);
        ran.succeeds();
        let told: Value = serde_json::from_str(&ran.stdout).unwrap();
        let settings = told["settings"].as_array().unwrap().clone();
        let used = settings.into_iter().filter(|setting| setting["used"] == true);
        used.map(|setting| (setting["name"].clone(), setting["value"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(said(&again), said(&shell));
    assert_eq!(said(&shell).len(), 4);
}

#[test]
fn json_has_every_setting_with_its_value_and_its_place() {
    let shell = with_file(FILE);
    let ran = shell.s3mem(&["config", "show", "--json"]);
    ran.succeeds();
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(told["profile"].is_null() && told["bucket"].is_null());
    assert_eq!(told["files"][0]["exists"], true);
    let settings = told["settings"].as_array().unwrap();
    let of = |name: &str| settings.iter().find(|setting| setting["name"] == name).unwrap();
    assert_eq!(of("memory")["value"], serde_json::json!(["512M"]));
    let place = format!("line 1 of {}", shell.path(".config/s3mem.toml"));
    assert_eq!(of("memory")["from"], Value::from(place));
    assert_eq!((&of("verify")["value"], &of("verify")["used"]), (&true.into(), &true.into()));
    assert_eq!(of("memory-only")["value"], serde_json::json!(["*.aux.xml", "a\"b"]));
    assert_eq!(of("memory-only")["used"], false);
    assert!(of("requester-pays")["value"].is_null() && of("requester-pays")["from"].is_null());
    assert_eq!(of("metadata-ttl")["default"], "60");
}

#[test]
fn every_flag_of_the_help_is_a_setting() {
    let shell = Shell::new();
    let shown = shell.s3mem(&["config", "show"]).stdout;
    let help = shell.s3mem(&["mount", "--help"]).stdout;
    let flags = help.lines().filter_map(|line| line.trim_start().split_once("--"));
    let flags = flags.filter(|(before, _)| before.is_empty() || before.ends_with(", "));
    let names = flags.filter_map(|(_, rest)| rest.split([' ', '[', '=']).next());
    let names: Vec<&str> = names.filter(|name| !["help", "options"].contains(name)).collect();
    assert!(names.len() >= 40, "{names:?}");
    for name in names {
        let line = format!("# {name}: ");
        assert!(shown.lines().any(|shown| shown.starts_with(&line)), "{line}\n{shown}");
    }
    assert!(!shown.contains("token"), "{shown}");
}

#[test]
fn a_mount_is_refused_for_what_a_file_says_with_the_line() {
    let file = |text| with_file(text).mount("bucket", &[]);
    file("memroy = \"1G\"\n").fails_with(&["line 1 of ", "\"memroy\"", "did you mean \"memory\"?"]);
    file("memory = \"much\"\n").fails_with(&[
        "--memory \"much\" is not a size",
        "line 1 of ",
        "sets --memory",
    ]);
    file("aws_secret_access_key = \"x\"\n").fails_with(&[
        "line 1 of ",
        "looks like a secret",
        "~/.aws/credentials",
    ]);
    Shell::new().set("S3MEM_MEMROY", "1G").mount("bucket", &[]).fails_with(&["S3MEM_MEMORY"]);
    with_file(FILE).mount("@landsat", &[]).fails_with(&["no profile \"landsat\"", "only sentinel"]);
    let shell = with_file("listen = \"nowhere\"\n");
    shell.s3mem(&["serve", "bucket"]).fails_with(&["\"nowhere\"", "line 1 of ", "sets --listen"]);
}

#[test]
fn settings_that_make_no_mount_are_shown_and_refused() {
    let ran = with_file("memory = \"much\"\n").s3mem(&["config", "show"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("memory = \"much\""), "{ran:?}");
    assert!(ran.stderr.contains("is not a size"), "{ran:?}");
    with_file("x").s3mem(&["config", "show"]).fails_with(&["line 1 of "]);
    let shell = with_file(FILE);
    shell.s3mem(&["config", "show", "sentinel"]).fails_with(&["write it as @NAME"]);
    shell.s3mem(&["config", "show", "@x"]).fails_with(&["no profile \"x\""]);
    shell.s3mem(&["config"]).is_misuse_with(&["<ACTION>"]);
}

#[test]
fn a_broken_file_keeps_nobody_from_unmounting() {
    let shell = with_file("nonsense");
    shell.s3mem(&["mount", "--help"]).succeeds();
    shell.umount().fails_with(&["mount"]);
}
