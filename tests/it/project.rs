//! The front door: tasks, recipes, the pinned compiler and the changelog agree with what
//! they are about.

use std::path::Path;
use std::process::{Command, Output};

use crate::docs::{code_words, find_test, read};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(Path::new(ROOT).join(program));
    command.args(arguments).current_dir(ROOT).output().unwrap()
}

/// What `NAME = "VALUE"` says in a file of TOML.
fn value(file: &str, name: &str) -> String {
    let text = read(file);
    let found = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
    });
    found.unwrap_or_else(|| panic!("{file} has no {name}"))
}

#[test]
fn each_step_of_ci_has_a_task_of_its_name_that_runs_it() {
    let listed = run(".ci/run", &["--list"]);
    let steps = String::from_utf8(listed.stdout).unwrap();
    assert!(steps.lines().count() >= 5, "{steps}");
    let tasks = read("justfile");
    for step in steps.lines() {
        let task = format!("\n{step}:\n    .ci/run {step}\n");
        assert!(tasks.contains(&task), "the justfile has no task {step}");
    }
}

#[test]
fn a_step_that_does_not_exist_is_refused_before_any_is_run() {
    let told = run(".ci/run", &["fmt", "no-such-step"]);
    assert_eq!((told.status.code(), told.stdout.as_slice()), (Some(2), b"".as_slice()));
    assert!(String::from_utf8(told.stderr).unwrap().contains("\"no-such-step\""));
}

/// What a run of tests comes to of which these fail, `again` of them the second time too.
fn tested(failing: &[&str], again: usize, is_whole: bool) -> (Option<i32>, String) {
    let names = failing.iter().map(|name| format!("    {name}\n")).collect::<String>();
    let count = failing.len();
    let told = |end: &str| format!("running 9 tests\n\nfailures:\n\nfailures:\n{names}\n{end}\n");
    let result = format!("test result: FAILED. 5 passed; {count} failed; 0 ignored");
    let first = told(if is_whole { &result } else { "signal: 11" });
    let script = r#"
        set -euo pipefail
        section() { echo "== $1"; }
        cargo() {
            echo "cargo $*"
            [[ $* != *--exact* ]] || return "$AGAIN"
            printf '%s' "$FIRST"
            return "$CODE"
        }
        source scripts/lib/tests.sh
        run_tests --test it fast
    "#;
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(ROOT);
    command.env("FIRST", first).env("AGAIN", again.to_string());
    command.env("CODE", if is_whole && count == 0 { "0" } else { "101" });
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn one_or_two_tests_that_fail_run_again_alone_and_no_more_than_those() {
    for names in [&["a::b"][..], &["a::b", "c"]] {
        let (code, told) = tested(names, 0, true);
        assert_eq!(code, Some(0), "{told}");
        let alone = format!("fast -- --exact --test-threads 1 {}\n", names.join(" "));
        assert!(told.contains(&alone), "{told}");
        assert_eq!(told.matches("UNSTABLE: ").count(), names.len(), "{told}");
        let (code, told) = tested(names, 1, true);
        assert_eq!((code, told.contains("UNSTABLE")), (Some(101), false), "{told}");
    }
    let runs = |told: &str| told.matches("cargo test").count();
    let (code, told) = tested(&["a", "b", "c"], 0, true);
    assert_eq!((code, runs(&told)), (Some(101), 1), "{told}");
    let (code, told) = tested(&["a::b"], 0, false);
    assert_eq!((code, runs(&told)), (Some(101), 1), "{told}");
    let (code, told) = tested(&[], 0, true);
    assert_eq!((code, runs(&told)), (Some(0), 1), "{told}");
}

#[test]
fn every_file_and_test_that_contributing_names_exists() {
    let text = read("CONTRIBUTING.md");
    let roots = [".ci/", "benches/", "docs/", "examples/", "fuzz/", "scripts/", "src/", "tests/"];
    let mut checked = 0;
    for word in code_words(&text) {
        if word.starts_with("it::") || word.starts_with("unit::") {
            assert_eq!(find_test(word), Ok(()));
        } else if roots.iter().any(|root| word.starts_with(root)) {
            let path = word.split(' ').next().unwrap_or_default();
            assert!(Path::new(ROOT).join(path).exists(), "there is no {path}");
        } else {
            continue;
        }
        checked += 1;
    }
    assert!(checked >= 40, "only {checked} names were found");
}

#[test]
fn every_way_to_install_names_the_tests_that_hold_it() {
    let text = read("docs/install.md");
    let tests: Vec<_> = code_words(&text).filter(|word| word.starts_with("it::")).collect();
    for test in &tests {
        assert_eq!(find_test(test), Ok(()));
    }
    for section in text.split("\n## ").skip(2) {
        let is_said = section.contains("\nTested by `it::") || section.contains("\nNot tested: ");
        assert!(is_said, "{section}");
    }
    assert!(tests.len() >= 8, "{tests:?}");
}

#[test]
fn the_pinned_compiler_is_the_oldest_that_works() {
    let oldest = value("Cargo.toml", "rust-version");
    let pinned = value("rust-toolchain.toml", "channel");
    assert!(pinned == oldest || pinned.starts_with(&format!("{oldest}.")), "{pinned}, {oldest}");
}

#[test]
fn the_changelog_has_a_section_for_this_version() {
    let version = value("Cargo.toml", "version");
    let changelog = read("CHANGELOG.md");
    let has =
        |title: &str| changelog.lines().any(|line| line.starts_with(&format!("## [{title}]")));
    assert!(has(&version) || has("Unreleased"), "nothing is said of {version}");
}

#[test]
fn release_notes_are_the_section_of_the_changelog() {
    let changelog = read("CHANGELOG.md");
    let (_, behind) = changelog.split_once("\n## [").unwrap();
    let (title, behind) = behind.split_once(']').unwrap();
    let section = behind.split("\n## [").next().unwrap_or_default();
    let (_, section) = section.split_once('\n').unwrap();
    let told = run("scripts/release-notes.sh", &[title]);
    assert_eq!(String::from_utf8(told.stdout).unwrap().trim(), section.trim());
    let unknown = run("scripts/release-notes.sh", &["0.0.0"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
}

/// The crates of a build with their features, as `cargo tree` prints them.
fn crates(edges: &str) -> std::collections::BTreeSet<String> {
    let arguments = [
        "tree",
        "--locked",
        "--offline",
        "--edges",
        edges,
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p} {f}",
    ];
    let tree = Command::new(env!("CARGO")).args(arguments).current_dir(ROOT).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8(tree.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_program_and_the_tests_share_one_build_of_every_dependency() {
    let (program, tests) = (crates("normal,build"), crates("normal,build,dev"));
    assert!(program.len() > 100, "{program:?}");
    let twice: Vec<_> = program.difference(&tests).collect();
    assert!(
        twice.is_empty(),
        "name the features that the tests need in [dependencies]: {twice:#?}"
    );
}
