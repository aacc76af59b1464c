//! Help texts, byte for byte. `S3MEM_BLESS=1` writes what is printed now.

use super::Shell;
use std::fs;
use std::path::Path;

#[track_caller]
fn assert_prints(arguments: &[&str], snapshot: &str) {
    let ran = Shell::new().s3mem(arguments);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/kernelless/cli/snapshots")
        .join(snapshot);
    if std::env::var_os("S3MEM_BLESS").is_some_and(|value| value == "1") {
        fs::write(&file, &ran.stdout).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        ran.stdout == expected,
        "{} is not what is printed; S3MEM_BLESS=1 accepts this:\n{}",
        file.display(),
        ran.stdout
    );
}

#[test]
fn the_short_help_of_the_program_is_as_written() {
    assert_prints(&["-h"], "help-short.txt");
}

#[test]
fn the_long_help_of_the_program_is_as_written() {
    assert_prints(&["--help"], "help.txt");
}

#[test]
fn the_short_help_of_mount_is_as_written() {
    assert_prints(&["mount", "-h"], "mount-short.txt");
}

#[test]
fn the_long_help_of_mount_is_as_written() {
    assert_prints(&["mount", "--help"], "mount.txt");
}

#[test]
fn the_help_of_umount_is_as_written_under_both_its_names() {
    assert_prints(&["umount", "-h"], "umount-short.txt");
    assert_prints(&["umount", "--help"], "umount.txt");
    let alias = Shell::new().s3mem(&["unmount", "-h"]);
    assert_eq!(alias.stdout, Shell::new().s3mem(&["umount", "-h"]).stdout);
}

#[test]
fn the_help_of_run_is_as_written() {
    assert_prints(&["run", "-h"], "run-short.txt");
    assert_prints(&["run", "--help"], "run.txt");
}

#[test]
fn the_help_of_serve_is_as_written() {
    assert_prints(&["serve", "-h"], "serve-short.txt");
    assert_prints(&["serve", "--help"], "serve.txt");
}

#[test]
fn the_help_of_status_is_as_written() {
    assert_prints(&["status", "-h"], "status-short.txt");
    assert_prints(&["status", "--help"], "status.txt");
}

#[test]
fn the_help_of_doctor_is_as_written() {
    assert_prints(&["doctor", "-h"], "doctor-short.txt");
    assert_prints(&["doctor", "--help"], "doctor.txt");
}

#[test]
fn the_help_of_warm_is_as_written() {
    assert_prints(&["warm", "-h"], "warm-short.txt");
    assert_prints(&["warm", "--help"], "warm.txt");
}

#[test]
fn the_help_of_refresh_is_as_written() {
    assert_prints(&["refresh", "-h"], "refresh-short.txt");
    assert_prints(&["refresh", "--help"], "refresh.txt");
}

#[test]
fn the_help_of_config_is_as_written() {
    assert_prints(&["config", "-h"], "config-short.txt");
    assert_prints(&["config", "--help"], "config.txt");
}

#[test]
fn the_help_of_completions_is_as_written() {
    assert_prints(&["completions", "-h"], "completions-short.txt");
    assert_prints(&["completions", "--help"], "completions.txt");
}

#[test]
fn the_help_of_man_is_as_written() {
    assert_prints(&["man", "-h"], "man-short.txt");
    assert_prints(&["man", "--help"], "man.txt");
}

#[test]
fn the_version_is_that_of_the_package() {
    let ran = Shell::new().s3mem(&["--version"]);
    assert_eq!(ran.stdout, format!("s3mem {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn without_a_command_the_help_comes_with_the_status_of_misuse() {
    Shell::new().s3mem(&[]).is_misuse_with(&["Usage: s3mem <COMMAND>", "mount", "umount"]);
}
