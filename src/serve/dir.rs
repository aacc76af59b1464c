//! A directory: as a page for people, as JSON for programs, a part of it at a time.

use std::fmt::Write;
use std::time::UNIX_EPOCH;

use hyper::StatusCode;

use super::answer::{Answer, HTML, JSON, refusal, text};
use super::escape::{html, json, link};
use super::gallery::Page;
use super::open::{Entry, Node, OpenDir};
use super::shared::Shared;
use super::target::Target;
use crate::fs::{FsError, Kind, has_image_name};

/// How many entries come at once, and how many at most.
const PAGE: usize = 1000;
const MOST: usize = 5000;

/// A part of a directory.
struct Listing {
    entries: Vec<Entry>,
    /// Where the rest begins.
    next: Option<u64>,
}

/// Answers a request for a directory.
///
/// # Errors
/// What the listing failed with.
pub(super) async fn answer(
    shared: &Shared,
    target: &Target,
    node: Node,
) -> Result<Answer, FsError> {
    let number = |word: &str, default: u64| match target.word(word) {
        None | Some("") => Some(default),
        Some(text) => text.parse().ok(),
    };
    let (Some(after), Some(limit)) = (number("after", 0), number("limit", PAGE as u64)) else {
        let sentence = "after= is what the page before gave as \"next\", and limit= is a number.";
        return Ok(refusal(StatusCode::BAD_REQUEST, sentence));
    };
    let most = usize::try_from(limit).unwrap_or(MOST).clamp(1, MOST);
    let path = target.path();
    let dir = match shared.cursors.take(&path, after) {
        Some(dir) => dir,
        None => OpenDir::open(node)?,
    };
    let (entries, next) = dir.list(after, most).await?;
    if let Some(next) = next {
        shared.cursors.keep(path.clone(), next, dir);
    }
    let listing = Listing { entries, next };
    Ok(match target.word("format") {
        Some("json") => text(StatusCode::OK, JSON, as_json(&path, &listing)),
        Some("html") => text(StatusCode::OK, HTML, plain_page(shared, &path, &listing)),
        _ => {
            let list = as_html(&shared.config.title, &path, &listing);
            let page = Page {
                source: &shared.config.title,
                path: &path,
                depth: target.names.len(),
                needs_token: shared.config.token.is_some(),
                list: &list,
            };
            page.answer()
        }
    })
}

fn as_json(path: &str, listing: &Listing) -> String {
    let mut out = format!("{{\"path\":{},\"entries\":[", json(path));
    for (number, Entry { name, attr }) in listing.entries.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        // Writing into a String does not fail.
        let _ = write!(out, "{comma}\n{{\"name\":{},\"kind\":", json(name));
        if attr.kind == Kind::Dir {
            out.push_str("\"dir\"}");
            continue;
        }
        let modified = attr.of.modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let image = if has_image_name(name) { ",\"image\":true" } else { "" };
        let _ = write!(out, "\"file\",\"bytes\":{},\"modified\":{modified}{image}}}", attr.size);
    }
    let next = listing.next.map_or_else(|| "null".to_owned(), |next| format!("\"{next}\""));
    let _ = writeln!(out, "],\n\"next\":{next}}}");
    out
}

/// A directory as a page without a gallery.
fn plain_page(shared: &Shared, path: &str, listing: &Listing) -> String {
    let list = as_html(&shared.config.title, path, listing);
    let title = title(&shared.config.title, path);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <title>Index of {title}</title></head>\n<body>\n{list}</body></html>\n"
    )
}

fn title(source: &str, path: &str) -> String {
    html(&format!("{}/{path}", source.trim_end_matches('/')))
}

/// The entries as a list of links.
fn as_html(source: &str, path: &str, listing: &Listing) -> String {
    let mut out = format!("<h1>Index of {}</h1>\n<ul>\n", title(source, path));
    if !path.is_empty() {
        out.push_str("<li><a href=\"../\">../</a></li>\n");
    }
    for Entry { name, attr } in &listing.entries {
        let slash = if attr.kind == Kind::Dir { "/" } else { "" };
        let _ =
            writeln!(out, "<li><a href=\"{}{slash}\">{}{slash}</a></li>", link(name), html(name));
    }
    out.push_str("</ul>\n");
    if let Some(next) = listing.next {
        let query = format!("format=html&amp;after={next}");
        let _ = writeln!(out, "<p><a href=\"./?{query}\" rel=\"next\">More</a></p>");
    }
    out
}
