use super::*;

fn parsed(line: &[&str]) -> Result<Command, ParseError> {
    parse(line.iter().map(OsString::from), &|_| Ok(FoundSettings::default()))
}

fn mount(line: &[&str]) -> MountArgs {
    match parsed(line).unwrap() {
        Command::Mount(args) => *args,
        other => panic!("{line:?} is {other:?}"),
    }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn options_behind_o_are_flags() {
    let args = mount(&["s3mem", "mount", "b/p", "/mnt", "-o", "allow_other,memory=2G", "-o", "ro"]);
    assert!(args.allow_other && args.read_only);
    assert_eq!(args.memory.as_deref(), Some("2G"));
}

#[test]
fn a_typed_flag_wins_over_the_same_word_behind_o() {
    let args = mount(&["s3mem", "mount", "--memory", "1G", "-o", "memory=2G", "b", "/mnt"]);
    assert_eq!(args.memory.as_deref(), Some("1G"));
}

#[test]
fn a_value_that_looks_like_an_option_word_stays_a_value() {
    let args = mount(&["s3mem", "mount", "--profile", "o", "-oro", "--", "b", "/mnt"]);
    assert_eq!(args.profile.as_deref(), Some("o"));
    assert!(args.read_only && !args.foreground);
}

#[test]
fn a_mount_helper_means_fake_by_f_and_not_foreground() {
    let args =
        mount(&["/sbin/mount.s3mem", "s3://b/p", "/mnt", "-sfnv", "-o", "rw,whatever=1,uid=7"]);
    assert!(args.fake && !args.foreground);
    assert_eq!(args.uid.as_deref(), Some("7"));
    assert_eq!(args.source, "s3://b/p");
}

#[test]
fn a_mount_helper_refuses_unknown_words_unless_sloppy() {
    let error = parsed(&["mount.s3mem", "b", "/mnt", "-o", "whatever=1"]).unwrap_err();
    assert!(error.to_string().contains("\"whatever\""), "{error}");
}

#[test]
fn a_source_that_begins_with_a_dash_is_no_flag_to_a_mount_helper_option() {
    let args = mount(&["mount.s3mem", "b", "/mnt/--daemon", "-t", "s3mem", "-N", "/proc/1/ns/mnt"]);
    assert!(!args.daemon);
    assert_eq!(args.mount_point, PathBuf::from("/mnt/--daemon"));
}

#[test]
fn the_call_of_mount_fuse3_is_a_mount() {
    let args = mount(&["s3mem", "s3://b/p", "/mnt", "-o", "rw,dev,suid,allow_other"]);
    assert!(args.allow_other);
    assert_eq!(args.mount_point, PathBuf::from("/mnt"));
}

#[test]
fn a_mistyped_command_is_no_bucket() {
    assert!(parsed(&["s3mem", "moutn", "b", "/mnt"]).is_err());
    assert!(parsed(&["s3mem", "umuont", "/mnt"]).is_err());
}

#[test]
fn unmount_is_umount() {
    for name in ["umount", "unmount"] {
        assert!(matches!(parsed(&["s3mem", name, "/mnt"]).unwrap(), Command::Umount(_)));
    }
}

#[test]
fn the_daemon_is_called_with_what_was_typed_and_one_flag_more() {
    let typed = ["mount.s3mem", "b", "/mnt", "-s", "-o", "memory=2G"].map(OsString::from).to_vec();
    let call = MountArgs::daemon_call(typed).unwrap();
    assert_eq!(call, ["mount", "--daemon", "--sloppy", "-o", "memory=2G", "--", "b", "/mnt"]);
    let args = mount(&["s3mem", "mount", "--daemon", "-o", "memory=2G", "--", "b", "/mnt"]);
    assert!(args.daemon);
}

#[test]
fn the_mount_point_may_be_left_out_where_a_folder_can_be_made() {
    let args = mount(&["s3mem", "mount", "--rootless", "b"]);
    assert_eq!((args.rootless.rootless, args.folder()), (Some(Rootless::Always), None));
    let typed = ["s3mem", "mount", "--rootless=if-needed", "b"].map(OsString::from).to_vec();
    let call = args.rootless_daemon_call(typed, Path::new("/tmp/made"), 12).unwrap();
    let expected = [
        "mount",
        "--daemon",
        "--enter=12",
        "--ends-with=12",
        "--rootless=if-needed",
        "b",
        "/tmp/made",
    ];
    assert_eq!(call, expected);
    let args = mount(&["s3mem", "mount", "--rootless", "b", "/mnt"]);
    let typed = ["s3mem", "mount", "--rootless", "b", "/mnt"].map(OsString::from).to_vec();
    let call = args.rootless_daemon_call(typed, Path::new("/mnt"), 12).unwrap();
    assert_eq!(
        call,
        ["mount", "--daemon", "--enter=12", "--ends-with=12", "--rootless", "b", "/mnt"]
    );
    for wrong in [
        ["mount", "b", "--read-only"].as_slice(),
        &["mount", "b", "/mnt", "--link", "x"],
        &["mount", "b", "/mnt", "--rootless", "-f"],
        &["run", "b", "--rootless", "--", "true"],
    ] {
        let words = [&["s3mem"], wrong].concat();
        assert!(parsed(&words).is_err(), "{wrong:?}");
    }
}

#[test]
fn every_visible_long_flag_is_an_option_word() {
    for flag in mount_flags(&grammar()) {
        assert!(
            !["daemon", "fake", "sloppy", "noexec", "nosymfollow", "fsname"]
                .contains(&flag.as_str()),
            "{flag} is hidden"
        );
    }
    assert!(mount_flags(&grammar()).contains(&"expected-bucket-owner".to_owned()));
}
