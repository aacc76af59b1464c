//! The book that docs/book/book.toml makes of the documents.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::docs::read;
use crate::harness::missing::missing;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The pages that the summary names.
fn pages() -> BTreeSet<String> {
    let summary = read("docs/SUMMARY.md");
    let links = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    links.map(str::to_owned).collect()
}

/// The Markdown below a folder, as paths in it.
fn markdown(folder: &Path, inside: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder.join(inside)).unwrap() {
        let name = inside.join(entry.unwrap().file_name());
        if folder.join(&name).is_dir() {
            markdown(folder, &name, found);
        } else if name.extension().is_some_and(|ending| ending == "md") {
            found.insert(name.to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn every_document_is_a_page_of_the_book() {
    let mut documents = BTreeSet::new();
    markdown(&Path::new(ROOT).join("docs"), Path::new(""), &mut documents);
    documents.remove("SUMMARY.md");
    assert_eq!(pages(), documents);
}

/// Where the links of a page of the book lead to.
fn links(html: &str) -> impl Iterator<Item = &str> {
    ["href=\"", "src=\""]
        .into_iter()
        .flat_map(|start| html.split(start).skip(1))
        .filter_map(|rest| rest.split('"').next())
}

#[test]
fn the_book_is_built_and_its_links_lead_somewhere() {
    let python = std::env::var_os("S3MEM_TEST_PYTHON").map(PathBuf::from);
    let Some(mdbook) = python.as_deref().and_then(Path::parent).map(|bin| bin.join("mdbook"))
    else {
        missing("S3MEM_REQUIRE_PROGRAMS", "because S3MEM_TEST_PYTHON is not set");
        return;
    };
    let out = TempDir::new().unwrap();
    let mut build = Command::new(mdbook);
    build.arg("build").arg(Path::new(ROOT).join("docs/book")).arg("--dest-dir").arg(out.path());
    let told = build.output().unwrap();
    let said = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success() && !said.contains("ERROR"), "{said}");
    let mut checked = 0;
    for page in pages() {
        let page = page.replace(".md", ".html");
        let path = out.path().join(&page);
        let html = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
        for link in links(&html) {
            // What lies outside of the documents is in the repository, and held by it::docs.
            let is_elsewhere = link.contains(':') || link.starts_with("../../");
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let depth = page.matches('/').count();
            if is_elsewhere || (depth == 0 && file.starts_with("../")) {
                continue;
            }
            let target =
                if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{page}: {link}");
            if !anchor.is_empty() && target.extension().is_some_and(|ending| ending == "html") {
                let text = fs::read_to_string(&target).unwrap();
                assert!(text.contains(&format!("id=\"{anchor}\"")), "{page}: {link}");
            }
            checked += 1;
        }
    }
    assert!(checked > 1000, "{checked}");
}
