//! Imports run strictly downward: the house of docs/architecture.md, held.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What each room may import. A room that is not here may not exist.
const ALLOWED: &[(&str, &[&str])] = &[
    ("main", &["app", "cli", "config", "decoders"]),
    ("cli", &[]),
    (
        "config",
        &[
            "cli", "decoders", "disk", "fleet", "fuse", "key", "publish", "raster", "serve",
            "stats", "store", "sys", "view",
        ],
    ),
    (
        "app",
        &[
            "catalog", "cli", "config", "decoders", "disk", "drafts", "fleet", "fs", "fuse", "key",
            "mem", "names", "publish", "raster", "reader", "serve", "stats", "store", "sync",
            "sys", "view",
        ],
    ),
    ("fuse", &["fs", "key", "sys"]),
    ("serve", &["fs"]),
    (
        "fs",
        &[
            "catalog", "drafts", "key", "mem", "names", "publish", "reader", "stats", "store",
            "sync", "view",
        ],
    ),
    ("publish", &["catalog", "drafts", "key", "mem", "names", "reader", "store", "sync"]),
    ("names", &["catalog", "drafts", "key", "mem", "store", "sync", "view"]),
    ("drafts", &["key", "mem", "store", "sync"]),
    ("view", &["disk", "fleet", "key", "mem", "raster", "reader", "stats", "store", "sync"]),
    ("decoders", &["mem", "raster", "stats", "sys"]),
    ("raster", &[]),
    ("catalog", &["key", "mem", "stats", "store"]),
    ("reader", &["disk", "key", "mem", "store"]),
    ("store", &["key", "stats", "sync"]),
    ("fleet", &["disk", "key", "stats", "store"]),
    ("disk", &["key", "sync"]),
    ("mem", &[]),
    ("stats", &[]),
    ("key", &[]),
    ("sync", &[]),
    ("sys", &[]),
    ("lib", &[]),
];

/// Crates that one room alone may name, since its job is to hide them.
const HIDDEN: &[(&str, &[&str])] = &[
    ("fuser::", &["fuse"]),
    ("aws_config", &["store"]),
    ("aws_sdk_s3", &["store"]),
    ("aws_credential_types", &["store"]),
    ("aws_smithy_http_client", &["store"]),
    ("clap::", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("exr::", &["raster"]),
    ("fearless_simd", &["raster"]),
    ("hyper::", &["serve"]),
    ("hyper_util::", &["serve", "store"]),
    ("image::", &["raster"]),
    ("indicatif::", &["app"]),
    ("jxl_oxide", &["raster"]),
    ("landlock::", &["decoders"]),
    ("libc::", &["sys", "fs", "app", "decoders"]),
    ("moxcms", &["raster"]),
    ("postcard::", &["decoders"]),
    ("ratatui::", &["app"]),
    ("seccompiler::", &["decoders"]),
    ("serde_json::", &["app", "stats"]),
    ("tiff::", &["raster"]),
    ("toml::", &["config"]),
];

/// All source files as (path, room, text without comments).
fn sources() -> Vec<(String, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
            let room = inside.split(['/', '.']).next().unwrap().to_owned();
            let is_code = |line: &&str| !line.trim_start().starts_with("//");
            let text = fs::read_to_string(&path).unwrap();
            let code = text.lines().filter(is_code).collect::<Vec<_>>().join("\n");
            found.push((inside, room, code));
        }
    }
    found
}

/// The rooms that `crate::...` paths in `code` lead to.
fn imports(code: &str) -> Vec<String> {
    let name_at = |at: usize| -> String {
        let rest = &code[at..];
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut rooms = Vec::new();
    for prefix in ["crate::", "s3mem::"] {
        rooms.extend(code.match_indices(prefix).map(|(at, _)| name_at(at + prefix.len())));
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

#[test]
fn imports_run_strictly_downward() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    for (file, room, code) in sources() {
        let may =
            allowed.get(room.as_str()).unwrap_or_else(|| panic!("{file}: a room without rules"));
        for target in imports(&code) {
            assert!(
                target == room || may.contains(&target.as_str()),
                "{file} imports crate::{target}, which {room} may not"
            );
        }
        assert!(!code.contains("crate::{"), "{file}: one room a line, so that this test sees it");
        assert!(!code.contains("use crate::*"), "{file}: no glob imports");
    }
}

#[test]
fn the_rules_themselves_have_no_cycle() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    fn depth<'a>(
        room: &'a str,
        allowed: &BTreeMap<&'a str, &'a [&'a str]>,
        above: &mut Vec<&'a str>,
    ) {
        assert!(!above.contains(&room), "a cycle: {above:?} -> {room}");
        above.push(room);
        for below in allowed[room] {
            depth(below, allowed, above);
        }
        above.pop();
    }
    for (room, _) in ALLOWED {
        depth(room, &allowed, &mut Vec::new());
    }
}

/// Whether `name` starts a path, and is no module of ours (`self::tiff::...`).
fn names_crate(code: &str, name: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = &code[..at];
        let path = before.strip_suffix("::").unwrap_or(before);
        !path.ends_with(inside)
    })
}

#[test]
fn each_hidden_crate_is_named_in_its_room_only() {
    for (file, room, code) in sources() {
        for (name, rooms) in HIDDEN {
            assert!(
                !names_crate(&code, name) || rooms.contains(&room.as_str()),
                "{file} names {name}, which belongs to {rooms:?}"
            );
        }
    }
}

#[test]
fn unsafe_code_is_in_two_rooms_only() {
    for (file, room, code) in sources() {
        assert!(!code.contains("unsafe ") || ["mem", "sys"].contains(&room.as_str()), "{file}");
    }
}

#[test]
fn only_the_store_says_that_a_request_failed() {
    let mut looked = 0;
    for (file, room, code) in sources() {
        if room == "store" || file.ends_with("tests.rs") {
            continue;
        }
        looked += 1;
        let code = code.split("#[cfg(test)]\nmod tests").next().unwrap();
        assert!(!code.contains("StoreError::new("), "{file} makes an error of the store's");
    }
    assert!(looked > 50, "{looked} files");
}

/// The rooms whose structs are held small: the split of one that had grown to 17 fields and
/// 139 methods.
const SMALL: [&str; 4] = ["drafts", "fs", "names", "publish"];
const MOST_FIELDS: usize = 8;
const MOST_METHODS: usize = 40;

#[test]
fn no_struct_knows_too_much() {
    let mut methods: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut structs = 0;
    for (file, room, code) in sources() {
        if !SMALL.contains(&room.as_str()) {
            continue;
        }
        let code = code.split("#[cfg(test)]\nmod tests").next().unwrap();
        for (head, body) in blocks(code) {
            let words: Vec<&str> = head.split([' ', '<', '(', '{']).collect();
            if let Some(at) = words.iter().position(|word| *word == "struct") {
                let is_field = |line: &&str| {
                    line.starts_with("    ") && !line.starts_with("     ") && line.contains(": ")
                };
                let fields = body.lines().filter(is_field).count();
                structs += 1;
                assert!(fields <= MOST_FIELDS, "{file}: {} has {fields} fields", words[at + 1]);
            }
            if head.starts_with("impl") {
                let of = head.rsplit(" for ").next().unwrap();
                let of = of.trim_start_matches("impl").trim_start_matches("<'_>").trim();
                let name = of.rsplit('>').find(|part| !part.trim().is_empty()).unwrap_or(of);
                let name = name.trim().split(['<', ' ']).next().unwrap().to_owned();
                let is_method = |line: &&str| {
                    line.starts_with("    ") && !line.starts_with("     ") && line.contains("fn ")
                };
                let count = body.lines().filter(is_method).count();
                *methods.entry((room.clone(), name)).or_default() += count;
            }
        }
    }
    assert!(structs > 20 && methods.len() > 20, "{structs} structs, {methods:?}");
    let large: Vec<_> = methods.iter().filter(|(_, count)| **count > MOST_METHODS).collect();
    assert!(large.is_empty(), "too many methods: {large:?}");
}

/// The blocks that begin at the left margin, each as its first line and the rest.
fn blocks(code: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(end) = rest.find("\n}") {
        let block = &rest[..end];
        rest = &rest[end + 2..];
        let start = block.rfind("\n\n").map_or(0, |at| at + 2);
        let last = block[start..].trim_start();
        let head = last.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
        if head.ends_with('{') {
            let at = last.find(head).unwrap_or_default() + head.len();
            found.push((head.trim_end_matches('{').trim(), &last[at..]));
        } else if let Some(at) = last.find("{\n") {
            found.push((last[..at].trim(), &last[at + 1..]));
        }
    }
    found
}
