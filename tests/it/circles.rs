//! No two files of a room import each other, directly or by way of others.
//!
//! File A imports file B if the code of A names an item that B defines: in a `use`, or
//! in a path such as `super::place::Place`. A name is followed to its definition, so
//! what counts for `super::Place` is the file that `mod.rs` has it from. What does not
//! count: `mod` and `pub use` themselves, the name of a module in which nothing is
//! named, calls of methods wherever their `impl` is, and tests. A word that is the name
//! of something that the file has from elsewhere is taken for it, whatever it means.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The circles that are still there. The list may only shrink: a circle that is not in
/// it fails the test, and so does one that is in it and is mended.
const KNOWN: &[&[&str]] = &[];

/// Rooms that are being rebuilt.
const LEFT_OUT: &[&str] = &[];

/// How many names a name may stand for, one after the other.
const MOST_ALIASES: usize = 8;

/// The names of a module in order, without the crate: `["store", "retry"]`.
type Module = Vec<String>;

#[derive(Debug, Default)]
struct File {
    path: String,
    /// The paths and names in the code, outside of `use`.
    named: BTreeSet<Module>,
    /// What is defined here, outside of any function or `impl`.
    items: BTreeSet<String>,
    /// What is defined elsewhere: the name, and the path that it stands for.
    uses: BTreeMap<String, Module>,
}

/// All modules of a crate that are not tests.
struct Modules(BTreeMap<Module, File>);

impl Modules {
    fn below(root: &Path) -> Modules {
        let mut found = BTreeMap::new();
        let mut of_tests = Vec::new();
        for path in sources(root) {
            let inside = path.strip_prefix(root).unwrap().to_str().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let (module, file) = File::read(inside, &text);
            let tests = test_modules(&text);
            of_tests.extend(tests.map(|name| [module.as_slice(), &[name.to_owned()]].concat()));
            found.insert(module, file);
        }
        found.retain(|module, _| !of_tests.iter().any(|tests| module.starts_with(tests)));
        Modules(found)
    }

    /// The module that defines what `path` means in `module`; none if it is of another
    /// crate, or a module itself.
    fn definer(&self, module: &Module, path: &[String], aliases: usize) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let mut at = module.clone();
        match first.as_str() {
            "crate" | "s3mem" => at.clear(),
            "super" => drop(at.pop()?),
            "self" => {}
            _ => rest = path,
        }
        for (index, name) in rest.iter().enumerate() {
            let inner = [at.as_slice(), std::slice::from_ref(name)].concat();
            if name == "super" {
                at.pop()?;
            } else if self.0.contains_key(&inner) {
                at = inner;
            } else {
                let file = self.0.get(&at)?;
                if file.items.contains(name) {
                    return Some(at);
                }
                let stands_for = file.uses.get(name).filter(|_| aliases < MOST_ALIASES)?;
                let path = [stands_for.as_slice(), &rest[index + 1..]].concat();
                return self.definer(&at, &path, aliases + 1);
            }
        }
        None
    }

    /// The other files of its room that each file of a room imports.
    fn imports(&self, room: &str) -> BTreeMap<&str, BTreeSet<&str>> {
        let files = self.0.iter().filter(|(module, _)| module.first().is_some_and(|r| r == room));
        let imports = files.map(|(module, file)| {
            let definers = file.named.iter().filter_map(|path| self.definer(module, path, 0));
            let others = definers.filter(|other| other != module && other[0] == room);
            (file.path.as_str(), others.map(|other| self.0[&other].path.as_str()).collect())
        });
        imports.collect()
    }

    /// The circles of a room: files of which each reaches all others.
    fn circles(&self, room: &str) -> BTreeSet<Vec<&str>> {
        let imports = self.imports(room);
        let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for file in imports.keys() {
            let (mut seen, mut next) = (BTreeSet::new(), vec![*file]);
            while let Some(file) = next.pop() {
                next.extend(imports[file].iter().filter(|import| seen.insert(**import)));
            }
            reached.insert(file, seen);
        }
        let mut circles = BTreeSet::new();
        for (file, seen) in reached.iter().filter(|(file, seen)| seen.contains(*file)) {
            let others = seen.iter().filter(|other| reached[*other].contains(file));
            circles.insert(others.copied().collect());
        }
        circles
    }
}

impl File {
    fn read(path: &str, text: &str) -> (Module, File) {
        let name = path.trim_end_matches(".rs").trim_end_matches("/mod");
        let is_root = matches!(name, "lib" | "main");
        let module = if is_root { vec![] } else { name.split('/').map(str::to_owned).collect() };
        let code = without_tests(text);
        let mut file = File { path: path.to_owned(), ..File::default() };
        for statement in statements(&code, "use ") {
            let (_, tree) = statement.split_once("use ").unwrap();
            file.uses.extend(use_tree(tree.trim_end_matches(';')));
        }
        file.items = code.lines().filter_map(item).map(str::to_owned).collect();
        file.named = paths(&code);
        (module, file)
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.file_name().is_some_and(|name| name != "main.rs") {
            found.push(path);
        }
    }
    found
}

/// The names of the modules that are compiled for tests only.
fn test_modules(text: &str) -> impl Iterator<Item = &str> {
    let after = text.match_indices("#[cfg(test)]\n").map(|(at, mark)| &text[at + mark.len()..]);
    after.filter_map(|rest| {
        let (_, name) = rest.lines().next()?.split_once("mod ")?;
        name.strip_suffix(';')
    })
}

/// A source without comments and without tests at its end.
fn without_tests(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.split(" // ").next().unwrap_or_default().to_owned() + "\n").collect()
}

/// The statements that begin with a word, public or not, at whatever depth.
fn statements<'a>(code: &'a str, word: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in code.split_inclusive('\n') {
        let start = line.trim_start();
        if without_visibility(start).starts_with(word) {
            let from = at + (line.len() - start.len());
            let end = code[from..].find(';').map_or(code.len(), |length| from + length + 1);
            found.push(&code[from..end]);
        }
        at += line.len();
    }
    found
}

fn without_visibility(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("pub") else { return line };
    match rest.strip_prefix('(') {
        Some(rest) => rest.split_once(')').map_or("", |(_, rest)| rest.trim_start()),
        None => rest.trim_start(),
    }
}

/// The name that a line defines, if it is not within anything.
fn item(line: &str) -> Option<&str> {
    let mut words = without_visibility(line).split_inclusive([' ', '!']).map(str::trim_end);
    let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static", "union"];
    let before = ["async", "unsafe", "extern", "\"C\""];
    let mut word = words.find(|word| !before.contains(word))?;
    if word == "const" && without_visibility(line).contains(" fn ") {
        word = words.find(|word| *word == "fn")?;
    }
    let is_item = kinds.contains(&word) || word == "macro_rules!";
    let name = words.next().filter(|_| is_item)?;
    let name = name.strip_prefix("mut").map_or(name, str::trim_start);
    Some(name.split(|c: char| !is_of_name(c)).next().unwrap_or_default())
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The names that `a::{b, c::d as e}` brings, and the path of each.
fn use_tree(tree: &str) -> Vec<(String, Module)> {
    let tree = tree.trim();
    let segments = |path: &str| -> Module {
        path.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let Some((above, inner)) = tree.split_once('{') else {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
        let mut path = segments(path);
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let last = path.last().cloned().unwrap_or_default();
        return vec![(if name.is_empty() { last } else { name.trim().to_owned() }, path)];
    };
    let inner = inner.trim_end().strip_suffix('}').unwrap_or(inner);
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in inner.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    let above = segments(above);
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    let below = parts.flat_map(|part| use_tree(part));
    below.map(|(name, path)| (name, [above.as_slice(), &path].concat())).collect()
}

/// All paths that code outside of `use` spells out, and all names.
fn paths(code: &str) -> BTreeSet<Module> {
    let mut rest = code.to_owned();
    for statement in statements(code, "use ") {
        rest = rest.replace(statement, "");
    }
    let words = rest.split(|c| !is_of_name(c) && c != ':').map(|word| word.trim_matches(':'));
    words.map(|word| word.split("::").map(str::to_owned).collect()).collect()
}

fn of_this_crate() -> Modules {
    Modules::below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn no_two_files_of_a_room_import_each_other() {
    let modules = of_this_crate();
    for file in modules.0.values() {
        let glob =
            file.uses.get("*").filter(|path| matches!(&*path[0], "crate" | "super" | "self"));
        assert!(glob.is_none(), "{} imports {glob:?}, which hides what it imports", file.path);
    }
    let rooms: BTreeSet<&str> =
        modules.0.keys().filter_map(|module| module.first()).map(String::as_str).collect();
    let mut found = BTreeSet::new();
    for room in rooms.into_iter().filter(|room| !LEFT_OUT.contains(room)) {
        found.extend(modules.circles(room));
    }
    let known: BTreeSet<Vec<&str>> = KNOWN.iter().map(|files| files.to_vec()).collect();
    if let Some(circle) = found.difference(&known).next() {
        let room = circle[0].split('/').next().unwrap_or_default();
        let mut imports = modules.imports(room);
        imports.retain(|file, _| circle.contains(file));
        imports.values_mut().for_each(|others| others.retain(|other| circle.contains(other)));
        panic!("these import each other: {circle:#?}, namely {imports:#?}");
    }
    let mended: Vec<_> = known.difference(&found).collect();
    assert!(mended.is_empty(), "mended, so take it out of KNOWN: {mended:#?}");
}

/// The circles of the room `room`, of these files in it.
fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("room")).unwrap();
    for (name, code) in files {
        fs::write(folder.path().join("room").join(name), code).unwrap();
    }
    let modules = Modules::below(folder.path());
    let circles = modules.circles("room");
    circles.into_iter().map(|files| files.into_iter().map(str::to_owned).collect()).collect()
}

#[test]
fn a_circle_is_found_whichever_way_a_file_is_imported() {
    let other = "pub(super) struct B(super::a::A);\n";
    for imports in [
        "use super::b::B;\npub(super) struct A(Box<B>);\n",
        "pub(super) struct A(Box<super::b::B>);\n",
        "use super::B;\npub(super) struct A(Box<B>);\n",
        "use super::{\n    B as Other,\n};\npub(super) struct A(Box<Other>);\n",
        "use super::b;\npub(super) struct A(Box<b::B>);\n",
        "pub(super) struct A;\nfn f() {\n    use crate::room::b::{self, B};\n    B::new();\n}\n",
    ] {
        let root = "mod a;\nmod b;\npub use b::B;\n";
        let found = circles_of(&[("mod.rs", root), ("a.rs", imports), ("b.rs", other)]);
        assert_eq!(found, [["room/a.rs", "room/b.rs"]], "{imports}");
    }
    let by_others = circles_of(&[
        ("mod.rs", "mod a;\nmod b;\npub struct Root(a::A);\n"),
        ("a.rs", "pub struct A(super::b::B);\n"),
        ("b.rs", "pub struct B;\nimpl B {\n    fn root() -> super::Root {}\n}\n"),
    ]);
    assert_eq!(by_others, [["room/a.rs", "room/b.rs", "room/mod.rs"]]);
}

#[test]
fn what_a_root_gives_on_and_what_tests_import_makes_no_circle() {
    let none: [Vec<String>; 0] = [];
    let found = circles_of(&[
        ("mod.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B;\npub struct Root;\n"),
        ("a.rs", "use super::Root;\npub struct A(Root);\n// super::b::B\n"),
        (
            "b.rs",
            "use super::A;\npub struct B(A);\n\n#[cfg(test)]\nmod tests {\n    use super::super::a;\n}\n",
        ),
    ]);
    assert_eq!(found, none);
    let of_tests = circles_of(&[
        ("mod.rs", "mod a;\n#[cfg(test)]\nmod tests;\npub struct Root(a::A);\n"),
        ("a.rs", "pub struct A;\n"),
        ("tests.rs", "use super::a::A;\nfn f() -> super::Root {}\n"),
    ]);
    assert_eq!(of_tests, none);
}
