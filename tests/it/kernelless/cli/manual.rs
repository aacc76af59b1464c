//! Completions and pages of the manual, as the programs that read them see them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::harness::missing::has_program;
use crate::harness::shell::{Ran, Shell};

/// The flags that the long help of a command shows.
fn flags_in_help(shell: &Shell, command: &str) -> BTreeSet<String> {
    let help = shell.s3mem(&[command, "--help"]).stdout;
    let shown = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words = shown.flat_map(|line| line.split([' ', ',', '[', '=']));
    words.filter(|word| word.starts_with("--") && word.len() > 2).map(str::to_owned).collect()
}

/// What bash offers for the last of these words.
fn offered_by_bash(shell: &Shell, words: &[&str]) -> BTreeSet<String> {
    let script = r#"source <("$S3MEM" completions bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        before=
        (($# < 2)) || before=${*: -2:1}
        _s3mem s3mem "${*: -1}" "$before"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = shell.command("bash");
    bash.args(["-c", script, "bash"]).args(words);
    let ran = Ran::finish(bash.spawn().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    ran.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_exactly_the_flags_that_the_help_shows() {
    let shell = Shell::new();
    let commands = offered_by_bash(&shell, &["s3mem", ""]);
    for command in [
        "mount",
        "run",
        "umount",
        "unmount",
        "status",
        "doctor",
        "warm",
        "refresh",
        "config",
        "completions",
        "man",
    ] {
        assert!(commands.contains(command), "{command} is missing in {commands:?}");
    }
    for command in [
        "mount",
        "run",
        "umount",
        "status",
        "doctor",
        "warm",
        "refresh",
        "config",
        "completions",
        "man",
    ] {
        let offered = offered_by_bash(&shell, &["s3mem", command, "--"]);
        assert_eq!(offered, flags_in_help(&shell, command), "{command}");
    }
    let levels = offered_by_bash(&shell, &["s3mem", "mount", "--log-level", "e"]);
    assert_eq!(levels, BTreeSet::from(["error".to_owned()]));
}

#[test]
fn each_shell_accepts_its_completions() {
    let shell = Shell::new();
    for name in ["bash", "zsh", "fish"] {
        let ran = shell.s3mem(&["completions", name]);
        ran.succeeds();
        assert!(ran.stdout.contains("metadata-ttl"), "{name}");
        assert!(!ran.stdout.contains("ends-with-parent"), "{name} shows what is hidden");
        // Bash is read by the test above; zsh and fish where they are.
        if name == "bash" || !has_program_quietly(&shell, name) {
            continue;
        }
        let mut reader = shell.command(name);
        let mut child = reader.arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(ran.stdout.as_bytes()).unwrap();
        Ran::finish(child).succeeds();
    }
}

/// Optional readers are not among the programs that the tests ask for.
fn has_program_quietly(shell: &Shell, name: &str) -> bool {
    let mut which = shell.command("sh");
    which.args(["-c", "command -v \"$1\"", "sh", name]);
    Ran::finish(which.spawn().unwrap()).code == Some(0)
}

#[test]
fn another_shell_is_misuse_that_names_those_there_are() {
    Shell::new().s3mem(&["completions", "tcsh"]).is_misuse_with(&["bash, zsh, fish"]);
}

#[test]
fn the_manual_has_a_page_for_each_command_with_each_flag() {
    let shell = Shell::new().set("SOURCE_DATE_EPOCH", "86400");
    let folder = shell.path("new/man1");
    shell.s3mem(&["man", &folder]).succeeds();
    let mut pages: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    let commands = [
        "completions",
        "config",
        "doctor",
        "man",
        "mount",
        "refresh",
        "run",
        "serve",
        "status",
        "umount",
        "warm",
    ];
    let expected: Vec<String> = commands.iter().map(|name| format!("s3mem-{name}.1")).collect();
    assert_eq!(pages, [expected, vec!["s3mem.1".to_owned()]].concat());
    for command in commands {
        let page = fs::read_to_string(format!("{folder}/s3mem-{command}.1")).unwrap();
        assert!(page.contains("1970-01-02"), "{command} bears another date");
        // A hyphen that is no line break is written as \-.
        let page = page.replace("\\-", "-");
        for flag in flags_in_help(&shell, command) {
            assert!(page.contains(&flag), "{flag} is missing in the page of {command}");
        }
        assert!(!page.contains("--ends-with-parent"), "{command} shows what is hidden");
    }
    let mount = fs::read_to_string(format!("{folder}/s3mem-mount.1")).unwrap();
    let typed = "s3mem mount \\-\\-no\\-sign\\-request noaa\\-goes16 /mnt/goes";
    assert!(mount.contains(".SH EXAMPLES") && mount.contains(typed), "{mount}");
}

#[test]
fn mandoc_finds_nothing_wrong_with_the_manual() {
    if !has_program("mandoc") {
        return;
    }
    let shell = Shell::new();
    let folder = shell.path("man1");
    shell.s3mem(&["man", &folder]).succeeds();
    let mut mandoc = shell.command("mandoc");
    mandoc.args(["-T", "lint", "-W", "warning"]);
    mandoc.args(fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()));
    let ran = Ran::finish(mandoc.spawn().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
}

#[test]
fn a_manual_that_cannot_be_written_is_told_with_its_folder() {
    let shell = Shell::new();
    let file = shell.path("file");
    fs::write(&file, "").unwrap();
    shell.s3mem(&["man", &file]).fails_with(&["the manual can't be written into", &file]);
}
