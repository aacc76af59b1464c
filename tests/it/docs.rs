//! The documents, as far as a program can judge them: what they link to, quote
//! and list exists, and what has to be in them is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

pub(crate) fn read(file: impl AsRef<Path>) -> String {
    let path = Path::new(ROOT).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files in a folder and the folders below it, sorted.
fn files_below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn documents() -> Vec<PathBuf> {
    let mut documents = files_below("docs");
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(documents.len() >= 2, "{documents:?}");
    let others = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
    documents.extend(others.map(|name| Path::new(ROOT).join(name)));
    documents
}

/// The lines of a document that are not in a block of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// What stands between backticks.
pub(crate) fn code_words(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// All words of letters, digits, `-` and `_`.
fn words(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.split(|c| !is_part(c)).collect()
}

/// Where the links of a document lead to: `[...](HERE)`.
fn links(text: &str) -> Vec<&str> {
    let behind = prose(text).flat_map(|line| line.split("](").skip(1));
    behind.filter_map(|rest| rest.split(')').next()).collect()
}

/// The anchors of a document's headings, as web pages of repositories make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut checked = 0;
    for document in documents() {
        let text = read(&document);
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let shown = format!("{}: ({link})", document.display());
            let target = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            assert!(target.is_file(), "{shown}: there is no such file");
            let is_there = anchor.is_empty() || anchors(&read(&target)).iter().any(|a| a == anchor);
            assert!(is_there, "{shown}: there is no such heading");
            checked += 1;
        }
    }
    assert!(checked >= 8, "only {checked} links were found");
}

/// Whether a test is where its path says: `it::MODULE::NAME` below `tests/it`,
/// `unit::MODULE::NAME` below `src`, in a file of its own or an inline `mod tests`.
pub(crate) fn find_test(path: &str) -> Result<(), String> {
    let parts: Vec<&str> = path.split("::").collect();
    let [kind, modules @ .., name] = &parts[..] else {
        return Err(format!("{path} is no path"));
    };
    let root = Path::new(ROOT).join(if *kind == "it" { "tests/it" } else { "src" });
    let file_of = |modules: &[&str]| -> Option<PathBuf> {
        let (last, above) = modules.split_last()?;
        let folder = above.iter().fold(root.clone(), |folder, name| folder.join(name));
        let files = [folder.join(format!("{last}.rs")), folder.join(last).join("mod.rs")];
        files.into_iter().find(|file| file.is_file())
    };
    let inline = || match modules {
        [above @ .., "tests"] => file_of(above).and_then(|file| {
            let text = read(file);
            let at = text.find("\nmod tests {")?;
            Some(text[at..].to_owned())
        }),
        _ => None,
    };
    let text = file_of(modules).map(read).or_else(inline);
    let text = text.ok_or_else(|| format!("{path}: there is no such module"))?;
    if has_test(&text, name) { Ok(()) } else { Err(format!("{path}: there is no such test")) }
}

/// Whether a source has a function of this name that is marked as a test.
fn has_test(text: &str, name: &str) -> bool {
    let signature = format!("fn {name}(");
    let mut is_marked = false;
    for line in text.lines().map(str::trim_start) {
        if line.trim_start_matches("async ").starts_with(&signature) {
            return is_marked;
        }
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_marked = true;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            is_marked = false;
        }
    }
    false
}

/// The footnotes of a document: `[^NAME]: TEXT`, which goes on in indented lines.
/// What is left of the document is returned beside them.
fn footnotes(text: &str) -> (Vec<(&str, String)>, String) {
    let mut notes: Vec<(&str, String)> = Vec::new();
    let mut rest = String::new();
    let mut is_in_note = false;
    for line in text.lines() {
        let begun = line.strip_prefix("[^").and_then(|line| line.split_once("]: "));
        if let Some((name, tests)) = begun {
            notes.push((name, tests.to_owned()));
            is_in_note = true;
        } else if let Some((_, note)) =
            notes.last_mut().filter(|_| is_in_note && line.starts_with("    "))
        {
            note.push('\n');
            note.push_str(line);
        } else {
            is_in_note = false;
            rest.push_str(line);
            rest.push('\n');
        }
    }
    (notes, rest)
}

/// The names in `[^NAME]`.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.split("[^").skip(1).filter_map(|rest| rest.split(']').next())
}

fn is_test(word: &str) -> bool {
    word.starts_with("it::") || word.starts_with("unit::")
}

/// The cells of a table's row.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

/// What is wrong with how a document refers to tests: a footnote that is missing, given
/// twice, never used or not a list of tests; a test outside of the footnotes; a promise
/// in a table with a column of tests that says nothing there.
fn wrong_references(text: &str) -> Vec<String> {
    let (notes, rest) = footnotes(text);
    let mut wrong = Vec::new();
    let used: BTreeSet<&str> = references(&rest).collect();
    let mut defined = BTreeSet::new();
    for (name, note) in &notes {
        if !defined.insert(*name) {
            wrong.push(format!("[^{name}] is given twice"));
        }
        let is_list = note.split(',').map(str::trim).all(|word| {
            let path = word.strip_prefix('`').and_then(|word| word.strip_suffix('`'));
            path.is_some_and(|path| is_test(path) && !path.contains('`'))
        });
        if !is_list {
            wrong.push(format!("[^{name}] is not a list of tests: {note}"));
        }
    }
    wrong.extend(used.difference(&defined).map(|name| format!("[^{name}] is not given")));
    wrong.extend(defined.difference(&used).map(|name| format!("[^{name}] is not used")));
    let outside = code_words(&rest).filter(|word| is_test(word));
    wrong.extend(outside.map(|word| format!("{word} is outside of the footnotes")));
    let mut has_tests = false;
    for line in rest.lines() {
        let row = cells(line);
        match row.as_deref().and_then(<[&str]>::last) {
            None => has_tests = false,
            Some(&"test") => has_tests = true,
            Some(cell) if has_tests => {
                let is_said =
                    ["[^", "not tested", "see ", "---"].iter().any(|s| cell.starts_with(s));
                if !is_said {
                    wrong.push(format!("no test, nor \"not tested\": {line}"));
                }
            }
            Some(_) => {}
        }
    }
    wrong
}

#[test]
fn every_test_that_semantics_quotes_exists() {
    let text = read("docs/semantics.md");
    assert_eq!(wrong_references(&text), [""; 0]);
    let quoted: BTreeSet<&str> = code_words(&text).filter(|word| is_test(word)).collect();
    assert!(quoted.len() >= 480, "only {} tests are quoted", quoted.len());
    let wrong: Vec<String> = quoted.into_iter().filter_map(|path| find_test(path).err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_reference_to_tests_that_leads_nowhere_is_noticed() {
    let good = "\
| promise | test |
|---|---|
| a | [^x-1] |
| b | [^x-2] (in part) |
| c | not tested |

More.[^x-1]

[^x-1]: `it::a::b`,
    `unit::c::tests::d`
[^x-2]: `it::e::f`
";
    assert_eq!(wrong_references(good), [""; 0]);
    let changes = [
        ("| [^x-2] (in part) |", "| not tested |", "not used"),
        ("More.[^x-1]", "More.[^x-3]", "not given"),
        ("[^x-2]: ", "[^x-1]: ", "given twice"),
        ("[^x-2]: `it::e::f`", "[^x-2]: `e::f`", "not a list of tests"),
        ("[^x-1]: `it::a::b`,", "[^x-1]: `it::a::b`", "not a list of tests"),
        ("    `unit", "`unit", "outside of the footnotes"),
        ("More.", "More: `it::a::b`.", "outside of the footnotes"),
        ("| not tested |", "| |", "no test"),
    ];
    for (from, to, problem) in changes {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        let wrong = wrong_references(&bad);
        assert!(wrong.iter().any(|wrong| wrong.contains(problem)), "{to}: {wrong:?}");
    }
}

#[test]
fn a_test_that_does_not_exist_is_noticed() {
    for good in [
        "it::docs::a_test_that_does_not_exist_is_noticed",
        "it::kernelless::catalog::a_listing_is_believed_for_its_ttl",
        "it::kernelless::cli::errors::misuse_is_told_from_failure_by_its_status",
        "unit::config::tests::without_flags_the_defaults_hold",
        "unit::mem::budget::tests::a_reservation_counts_until_it_is_dropped",
    ] {
        assert_eq!(find_test(good), Ok(()));
    }
    for bad in [
        "it",
        "it::docs::no_such_test",
        "it::docs::has_test",
        "it::no_such_module::every_relative_link_leads_to_a_file_and_a_heading",
        "unit::mem::budget::a_reservation_counts_until_it_is_dropped::x",
        "unit::mem::budget::tests::try_reserve",
        "unit::mem::slab::tests::a_reservation_counts_until_it_is_dropped",
    ] {
        assert!(find_test(bad).is_err(), "{bad}");
    }
}

/// The options that the help of a command names.
fn options_of(command: &str) -> BTreeSet<String> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_s3mem"));
    let output = program.args([command, "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let options: BTreeSet<String> = help
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'))
        .flat_map(|line| line.split([' ', ',']).filter(|word| word.starts_with("--")))
        // A value that may be left out follows in brackets.
        .filter_map(|word| word.split(['[', '=']).next().map(str::to_owned))
        .collect();
    assert!(options.contains("--endpoint-url") && options.len() >= 15, "{options:?}");
    options
}

#[test]
fn the_readme_names_every_option_of_mount() {
    let readme = read("README.md");
    let known = words(&readme);
    let missing: Vec<_> =
        options_of("mount").into_iter().filter(|option| !known.contains(&option[..])).collect();
    assert!(missing.is_empty(), "README.md does not name {missing:?}");
}

#[test]
fn the_manifests_of_kubernetes_use_options_that_exist() {
    let known: BTreeSet<String> = ["mount", "run"].iter().flat_map(|of| options_of(of)).collect();
    for file in files_below("examples/kubernetes") {
        let text = fs::read_to_string(&file).unwrap();
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']'));
        let options: Vec<&str> =
            words.filter(|word| word.starts_with("--") && !["--", "---"].contains(word)).collect();
        assert!(options.len() >= 3, "{}: {options:?}", file.display());
        for option in options {
            assert!(known.contains(option), "{}: {option}", file.display());
        }
    }
}

#[test]
fn every_option_that_serve_alone_has_is_explained() {
    let text = read("docs/serve.md");
    let known = words(&text);
    let own: Vec<_> = options_of("serve").difference(&options_of("mount")).cloned().collect();
    assert!(own.len() >= 5, "{own:?}");
    let missing: Vec<_> = own.iter().filter(|option| !known.contains(&option[..])).collect();
    assert!(missing.is_empty(), "docs/serve.md does not name {missing:?}");
}

#[test]
fn every_check_of_the_doctor_is_explained_and_no_other_one_is() {
    let sources = files_below("src/app/doctor");
    let text: String = sources.iter().map(read).collect();
    // The second word of a finding, or a constant, or an argument on its way there.
    let behind = |start: &'static str| text.split(start).skip(1);
    let quoted = |rest: &str| -> Option<String> {
        let name = rest.trim_start().strip_prefix('"')?.split('"').next()?;
        Some(name.to_owned())
    };
    let starts = ["Finding::good(", "Finding::warning(", "Finding::problem("];
    let starts = [&starts[..], &["Finding::skipped(", "denied(", "let check =", "CHECK: &str ="]];
    let starts = starts.concat();
    let mut told: BTreeSet<String> =
        starts.into_iter().flat_map(behind).filter_map(quoted).collect();
    // What unit tests make up has one letter.
    told.retain(|name| name.len() > 1);
    let document = read("docs/doctor.md");
    let rows = document.lines().filter_map(cells).filter(|cells| cells[0].starts_with('`'));
    let known: BTreeSet<String> = rows
        .flat_map(|cells| code_words(cells[0]).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(known.len() >= 20, "{known:?}");
    let without: Vec<_> = told.difference(&known).collect();
    assert!(without.is_empty(), "docs/doctor.md does not name {without:?}");
    let unknown: Vec<_> =
        known.iter().filter(|name| !text.contains(&format!("\"{name}\""))).collect();
    assert!(unknown.is_empty(), "the doctor has no {unknown:?}");
}

#[test]
fn the_words_in_the_troubleshooting_page_are_those_of_the_program() {
    let sources = files_below("src");
    let is_code = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "rs");
    let text: String = sources.iter().filter(is_code).map(read).collect();
    // A string that goes on in the next line.
    let mut parts = text.split("\\\n");
    let mut text = parts.next().unwrap().to_owned();
    parts.for_each(|part| text += part.trim_start());
    let document = read("docs/troubleshooting.md");
    let mut checked = 0;
    // What the C library says to programs is not ours.
    let ours = document.split("\n## ").filter(|section| !section.starts_with("While you work"));
    for line in ours.flat_map(str::lines) {
        let Some(words) =
            cells(line).and_then(|cells| cells[0].strip_prefix('`')?.strip_suffix('`'))
        else {
            continue;
        };
        assert!(text.contains(words), "nothing says {words:?}");
        checked += 1;
    }
    assert!(checked >= 20, "{checked}");
}

#[test]
fn whoever_comes_from_another_tool_is_told_of_options_that_exist() {
    let known: BTreeSet<String> = ["mount", "serve"].iter().flat_map(|of| options_of(of)).collect();
    let document = read("docs/coming-from.md");
    let mut told = BTreeSet::new();
    for line in document.lines() {
        let Some(cells) = cells(line).filter(|cells| cells.len() == 2) else { continue };
        let code = cells[1].split('`').skip(1).step_by(2);
        let names = code.flat_map(|code| code.split(' ')).filter(|word| word.starts_with("--"));
        told.extend(names.filter(|name| name.len() > 2 && !name.contains("---")));
    }
    assert!(told.len() >= 25, "{told:?}");
    let unknown: Vec<_> = told.iter().filter(|name| !known.contains(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_screen_in_the_documents_is_the_one_that_is_drawn() {
    let (text, screen) = (read("docs/status.md"), read("src/app/watch/80x24.txt"));
    assert!(text.contains(&format!("## Watching\n\n```\n{screen}```\n")), "not this:\n{screen}");
}

#[test]
fn the_readme_gives_the_two_commands_of_a_fresh_clone() {
    let readme = read("README.md");
    for command in ["cargo run --release --example demo", "scripts/test.sh"] {
        assert!(readme.lines().any(|line| line == command), "{command}");
    }
}

/// The code words that open the rows of a document's tables.
fn row_names(text: &str) -> BTreeSet<&str> {
    let first = |line| cells(line).and_then(|cells| cells.first().copied());
    let names = prose(text).filter_map(first);
    names.filter_map(|cell| cell.strip_prefix('`')?.strip_suffix('`')).collect()
}

#[test]
fn the_architecture_is_short_and_names_every_room_and_no_other() {
    let text = read("docs/architecture.md");
    assert!(text.len() <= 12 * 1024, "{} bytes", text.len());
    let at = text.find("\n## Rooms\n").unwrap() + 1;
    let section = text[at..].split("\n## ").next().unwrap();
    let src = Path::new(ROOT).join("src");
    let sources = files_below("src");
    let rooms: BTreeSet<&str> = sources
        .iter()
        .map(|path| path.strip_prefix(&src).unwrap().iter().next().unwrap().to_str().unwrap())
        .map(|name| name.trim_end_matches(".rs"))
        .collect();
    assert_eq!(row_names(section), rooms);
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let sources = files_below("src");
    assert!(sources.len() >= 100, "only {} files were found", sources.len());
    let is_code = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "rs");
    for path in sources.iter().filter(is_code) {
        // Tests in a file of their own are described by the module that they test.
        let is_tests = path.file_name().unwrap() == "tests.rs";
        let says = read(path).starts_with("//! ");
        assert!(says || is_tests, "{} does not begin with a //! header", path.display());
    }
}

#[test]
fn every_dependency_has_its_line_and_no_other_has_one() {
    let manifest = read("Cargo.toml");
    let text = read("docs/dependencies.md");
    let mut table = "";
    let mut wanted = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            table = line;
        }
        if matches!(table, "[dependencies]" | "[dev-dependencies]") {
            wanted.extend(line.split_once(" = ").map(|(name, _)| name));
        }
    }
    assert!(wanted.len() >= 20, "only {} dependencies were found", wanted.len());
    assert_eq!(row_names(&text), wanted);
}
