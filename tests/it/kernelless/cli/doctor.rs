//! `s3mem doctor`, against everything that the test can break.

use std::fs;

use serde_json::Value;

use super::Shell;
use crate::harness::missing::can_mount;
use crate::harness::shell::Ran;
use crate::support::server::{Effect, Fault, Op, Refusal, SECRET_KEY, TestServer};

fn server() -> TestServer {
    let server = TestServer::start();
    server.put("tiles", "10/readme", "hello");
    server
}

/// What the doctor says, by the name of the check: the outcome, and what it says of it.
fn findings(ran: &Ran) -> Vec<(String, String, String)> {
    assert_eq!(ran.stderr, "", "{ran:?}");
    assert!(!ran.stdout.contains(SECRET_KEY), "{ran:?}");
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = told["findings"].as_array().unwrap();
    let of = |found: &Value| (text(&found["check"]), text(&found["outcome"]), text(&found["says"]));
    let found: Vec<_> = all.iter().map(of).collect();
    let problems = found.iter().filter(|(_, outcome, _)| outcome == "problem").count();
    assert_eq!(told["problems"].as_u64(), Some(problems as u64));
    assert_eq!(ran.code, Some(i32::from(problems > 0)), "{ran:?}");
    found
}

#[track_caller]
fn outcome<'f>(found: &'f [(String, String, String)], check: &str) -> (&'f str, &'f str) {
    let of = found.iter().find(|(name, ..)| name == check);
    of.map(|(_, outcome, says)| (outcome.as_str(), says.as_str()))
        .unwrap_or_else(|| panic!("{check} is missing in {found:?}"))
}

#[test]
fn a_bucket_that_is_all_right_has_no_problem_and_nothing_is_left_in_it() {
    if !can_mount() {
        return;
    }
    let server = server();
    let shell = Shell::on(&server);
    let ran = shell.s3mem(&["doctor", "tiles/10", shell.mount_point(), "--write-test", "--json"]);
    let found = findings(&ran);
    let checks =
        ["mount-point", "credentials", "server", "clock", "list", "get", "round-trip", "put"];
    for check in checks.iter().chain(&["conditions", "delete", "abort"]) {
        assert_eq!(outcome(&found, check).0, "ok", "{check} in {found:?}");
    }
    assert!(outcome(&found, "credentials").1.contains("Environment"), "{found:?}");
    assert_eq!(server.keys("tiles"), ["10/readme"]);
    assert_eq!(server.open_uploads("tiles"), [""; 0]);
    let text = shell.s3mem(&["doctor", "tiles/10", "--endpoint-url", &server.endpoint()]).stdout;
    assert!(text.ends_with("no problems\n") && text.contains("ok       get "), "{text}");
}

#[test]
fn without_a_write_test_nothing_but_list_and_get_is_sent() {
    let server = server();
    let shell = Shell::on(&server);
    let found = findings(&shell.s3mem(&["doctor", "tiles", "--json"]));
    assert_eq!(outcome(&found, "put").0, "skipped");
    let counts = server.counts();
    assert_eq!(counts.requests(), counts.list + counts.get, "{counts:?}");
    assert_eq!(counts.get, 1);
}

#[test]
fn several_buckets_are_looked_at_one_by_one_and_each_trouble_is_its_own() {
    let server = server();
    server.put("maps", "S/a", "hello");
    let shell = Shell::on(&server);
    let ran = shell.s3mem(&["doctor", "tiles/10", "s3://maps", "none-such", "--json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let found: Vec<(&str, Option<&str>, &str)> = told["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            let text = |name: &str| found[name].as_str();
            (text("check").unwrap(), text("bucket"), text("outcome").unwrap())
        })
        .collect();
    for (bucket, outcome) in
        [("s3://tiles/10", "ok"), ("s3://maps", "ok"), ("s3://none-such", "problem")]
    {
        assert!(found.contains(&("list", Some(bucket), outcome)), "{bucket} in {found:?}");
    }
    assert_eq!(found.iter().filter(|(check, ..)| *check == "credentials").count(), 1);
    // The last word is the mount point if it looks like one, or is there.
    let ran = shell.s3mem(&["doctor", "tiles", "maps", shell.mount_point()]);
    assert!(ran.stdout.contains("s3://maps: allowed: 1 names"), "{ran:?}");
    assert!(ran.stdout.contains(" mount-point "), "{ran:?}");
}

#[test]
fn all_buckets_are_listed_or_it_is_said_which_permission_is_missing() {
    let server = server();
    server.create_bucket("maps");
    let shell = Shell::on(&server);
    let found = findings(&shell.s3mem(&["doctor", "s3://", "--json"]));
    assert_eq!(outcome(&found, "buckets"), ("ok", "2 are listed; name those to look into"));
    server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::ListBuckets));
    let found = findings(&shell.s3mem(&["doctor", "s3://", "--json"]));
    assert_eq!(outcome(&found, "buckets").0, "warning");
    assert!(outcome(&found, "buckets").1.contains("s3:ListAllMyBuckets"), "{found:?}");
    shell.s3mem(&["doctor", "s3://", "--write-test"]).fails_with(&["give the name of one"]);
}

#[test]
fn each_permission_that_is_missing_is_named() {
    for (op, check, right) in [
        (Op::List, "list", "s3:ListBucket"),
        (Op::Get, "get", "s3:GetObject"),
        (Op::Put, "put", "s3:PutObject"),
        (Op::Delete, "delete", "s3:DeleteObject"),
    ] {
        let server = server();
        server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(op));
        let shell = Shell::on(&server);
        let ran = shell.s3mem(&["doctor", "tiles", "--write-test", "--json"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let found = findings(&ran);
        let (outcome, says) = outcome(&found, check);
        assert_eq!(outcome, "problem", "{check}: {found:?}");
        assert!(says.contains(right), "{check}: {says}");
        // With the command that gives it, or that deletes what is left.
        let command = match op {
            Op::Delete => "aws s3api delete-object --bucket tiles ".to_owned(),
            _ => format!(r#"\"Action\":\"{right}\""#),
        };
        assert!(ran.stdout.contains(&command), "{command}: {ran:?}");
    }
}

#[test]
fn a_clock_that_is_wrong_is_a_problem() {
    let server = server();
    let date = Effect::Header("date", b"Sat, 01 Jan 2000 00:00:00 GMT");
    server.fault(Fault::new(date));
    let found = findings(&Shell::on(&server).s3mem(&["doctor", "tiles", "--json"]));
    let (outcome, says) = outcome(&found, "clock");
    assert!(outcome == "problem" && says.contains("ahead of the server's"), "{says}");
}

#[test]
fn credentials_that_are_missing_or_unknown_are_told_from_each_other() {
    let server = server();
    let endpoint = server.endpoint();
    let none = Shell::new().set("AWS_ENDPOINT_URL", &endpoint);
    let found = findings(&none.s3mem(&["doctor", "tiles", "--json"]));
    assert_eq!(outcome(&found, "credentials").0, "problem");
    let wrong = Shell::on(&server).set("AWS_ACCESS_KEY_ID", "AKIAWRONG");
    let found = findings(&wrong.s3mem(&["doctor", "tiles", "--json"]));
    assert!(outcome(&found, "credentials").1.contains("AKIAWRONG"), "{found:?}");
    assert_eq!((outcome(&found, "list").0, outcome(&found, "get").0), ("problem", "skipped"));
}

#[test]
fn a_folder_that_can_not_be_mounted_on_is_told_with_what_mends_it() {
    let shell = Shell::new();
    let missing = shell.path("none");
    let ran = shell.s3mem(&["doctor", "", &missing]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains(&format!("try: mkdir -p '{missing}'\n")), "{ran:?}");
    fs::write(shell.mount_point.join("x"), "").unwrap();
    let ran = shell.s3mem(&["doctor", "", shell.mount_point(), "--json"]);
    assert_eq!(outcome(&findings(&ran), "mount-point").0, "problem");
}

#[test]
fn what_is_misspelled_is_said_before_anything_is_looked_at() {
    let shell = Shell::new();
    shell.s3mem(&["doctor", "--write-test"]).fails_with(&["give the name of one"]);
    shell.s3mem(&["doctor", "tiles", "--region", "Mars!"]).fails_with(&["--region"]);
}
