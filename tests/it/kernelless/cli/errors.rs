//! Bad input that is found before any server is asked.

use super::Shell;
use std::fs;

#[test]
fn a_missing_mount_point_is_refused_with_the_command_that_makes_it() {
    let shell = Shell::new();
    let path = shell.path("none");
    shell
        .s3mem(&["mount", "bucket", &path])
        .fails_with(&["does not exist", &format!("mkdir -p '{path}'")]);
}

#[test]
fn a_mount_point_that_is_a_file_is_refused() {
    let shell = Shell::new();
    let path = shell.path("file");
    fs::write(&path, "x").unwrap();
    shell.s3mem(&["mount", "bucket", &path]).fails_with(&[&path, "is not a folder"]);
}

#[test]
fn a_mount_point_that_is_not_empty_is_refused() {
    let shell = Shell::new();
    fs::write(shell.path("mnt/thesis.tex"), "x").unwrap();
    shell.mount("bucket", &[]).fails_with(&["is not empty", "empty folder"]);
}

#[test]
fn a_mount_point_where_something_else_is_mounted_is_refused_and_named() {
    Shell::new().s3mem(&["mount", "bucket", "/proc"]).fails_with(&[
        "proc",
        "is already mounted on /proc",
        "umount '/proc'",
    ]);
}

#[test]
fn a_relative_mount_point_is_understood() {
    Shell::new().s3mem(&["mount", "bucket", "none"]).fails_with(&["/none does not exist"]);
}

#[test]
fn a_size_that_does_not_parse_is_refused_with_examples() {
    let shell = Shell::new();
    shell.mount("bucket", &["--memory", "much"]).fails_with(&["--memory \"much\"", "512M"]);
    shell.mount("bucket", &["--memory", "8M"]).fails_with(&["--memory \"8M\"", "at least 64M"]);
}

#[test]
fn a_view_that_does_not_exist_is_refused_with_those_that_do() {
    let shell = Shell::new();
    for list in ["gif", "png,gif", "", "png,"] {
        shell.mount("bucket", &["--views", list]).fails_with(&[
            "is not a view",
            "'none', 'all', or some of png,preview,npy,tif,json,indexed,reduced",
        ]);
    }
}

#[test]
fn a_preview_size_that_is_none_is_refused_with_what_it_may_be() {
    let shell = Shell::new();
    for size in ["0", "15", "20000", "large"] {
        let told = [&format!("--preview-size \"{size}\""), "16", "16384"];
        shell.mount("bucket", &["--preview-size", size]).fails_with(&told);
    }
}

#[test]
fn a_limit_that_is_no_number_is_refused_with_an_example() {
    let shell = Shell::new();
    for flag in [
        "--max-image-pixels",
        "--max-tile-samples",
        "--max-decode-memory",
        "--max-tiles",
        "--max-code-blocks",
        "--max-expansion",
    ] {
        for text in ["many", "0", "1.5.2"] {
            let told = [&format!("{flag} \"{text}\" is not a valid limit"), "16M or 2G"];
            shell.mount("bucket", &[flag, text]).fails_with(&told);
        }
    }
}

#[test]
fn an_arn_that_does_not_parse_is_refused_with_its_form() {
    let shell = Shell::new();
    shell
        .mount("arn:aws:s3:eu-central-1:1234:accesspoint/tiles", &[])
        .fails_with(&["is not an access point ARN", "arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME"]);
    shell.mount("arn:aws:s3:::tiles/10", &[]).fails_with(&["give s3://tiles/10"]);
    shell
        .mount("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", &[])
        .fails_with(&["multi-region access point"]);
}

#[test]
fn a_bucket_that_can_not_be_is_refused() {
    let shell = Shell::new();
    shell.mount("my bucket", &[]).fails_with(&["\"my bucket\" is not a bucket name"]);
    shell
        .mount("https://s3.example.org", &[])
        .fails_with(&["does not name a bucket", "--endpoint-url"]);
}

#[test]
fn flags_with_values_that_can_not_be_are_refused_by_name() {
    let shell = Shell::new();
    for (flag, value, part) in [
        ("--endpoint-url", "minio:9000", "http://localhost:9000"),
        ("--region", "Frankfurt", "eu-central-1"),
        ("--profile", "", "~/.aws/config"),
        ("--expected-bucket-owner", "me", "12 digits"),
        ("--metadata-ttl", "soon", "\"forever\""),
        ("--request-timeout", "0", "more than 0"),
        ("--uid", "alice", "'id -u NAME'"),
        ("--gid", "staff", "'id -g NAME'"),
        ("--file-mode", "rw", "0644"),
        ("--dir-mode", "9", "0755"),
    ] {
        shell.mount("bucket", &[flag, value]).fails_with(&[flag, part]);
    }
}

#[test]
fn a_password_in_the_endpoint_is_refused_and_not_repeated() {
    let ran = Shell::new().mount("bucket", &["--endpoint-url", "https://me:hunter2@example.org"]);
    ran.fails_with(&["--endpoint-url", "AWS_ACCESS_KEY_ID"]);
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
}

#[test]
fn misuse_is_told_from_failure_by_its_status() {
    let shell = Shell::new();
    shell.s3mem(&["mount", "bucket"]).is_misuse_with(&["MOUNTPOINT"]);
    shell.s3mem(&["moutn", "bucket", "/mnt"]).is_misuse_with(&["moutn", "mount"]);
    shell.mount("bucket", &["--log-level", "loud"]).is_misuse_with(&["loud", "debug"]);
    shell
        .mount("bucket", &["-o", "memroy=1G"])
        .is_misuse_with(&["\"memroy\"", "s3mem mount --help"]);
}

#[test]
fn umount_refuses_what_is_not_its_own() {
    let shell = Shell::new();
    shell.umount().fails_with(&["nothing is mounted on", shell.mount_point()]);
    shell.s3mem(&["umount", "/proc"]).fails_with(&["not a mount of s3mem but proc"]);
    shell.s3mem(&["umount", "/no/such/folder"]).fails_with(&["/no/such/folder does not exist"]);
}

#[test]
fn control_characters_in_a_path_do_not_reach_the_terminal() {
    let ran = Shell::new().s3mem(&["mount", "bucket", "none\x1b[2J\nhere"]);
    ran.fails_with(&["does not exist"]);
    assert!(!ran.stderr.trim_end().contains(|c: char| c.is_control()), "{ran:?}");
}

#[test]
fn arguments_that_are_the_wrong_way_round_are_put_right() {
    let shell = Shell::new();
    shell
        .s3mem(&["mount", "/mnt/data", "tiles"])
        .fails_with(&["the bucket comes first", "s3mem mount tiles /mnt/data"]);
}

#[test]
fn a_tilde_that_no_shell_has_replaced_is_named() {
    let shell = Shell::new();
    shell.s3mem(&["mount", "tiles", "~/mnt"]).fails_with(&["\"~/mnt\"", "$HOME"]);
    shell.mount("tiles", &["--log-file", "~/log"]).fails_with(&["\"~/log\"", "$HOME"]);
}

#[test]
fn the_address_of_a_page_leads_to_the_command_that_was_meant() {
    let shell = Shell::new();
    let page = "https://s3.console.aws.amazon.com/s3/buckets/tiles?prefix=10/";
    shell.mount(page, &[]).fails_with(&["s3mem mount s3://tiles/10 MOUNTPOINT"]);
    shell.mount("http://minio:9000/tiles", &[]).fails_with(&[
        "s3mem mount --endpoint-url http://minio:9000 --path-style tiles MOUNTPOINT",
    ]);
}
