//! The page for people: the gallery, with the plain list of a directory in it for whoever runs no
//! scripts, and for programs that read directories from pages.

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue};

use super::answer::{Answer, HTML, set, text};
use super::escape::html;

const PAGE: &str = include_str!("gallery/page.html");
const ASSETS: &[(&str, &str, &str)] = &[
    ("style.css", "text/css; charset=utf-8", include_str!("gallery/style.css")),
    ("gallery.js", "text/javascript; charset=utf-8", include_str!("gallery/gallery.js")),
    ("viewer.js", "text/javascript; charset=utf-8", include_str!("gallery/viewer.js")),
];
/// Nothing from elsewhere, and nothing that was not asked for.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'";

/// What differs from page to page.
pub(super) struct Page<'p> {
    /// What is served, for people.
    pub(super) source: &'p str,
    /// The names that lead here.
    pub(super) path: &'p str,
    /// How many of them there are.
    pub(super) depth: usize,
    /// Whether programs need a token.
    pub(super) needs_token: bool,
    /// The plain list, as HTML.
    pub(super) list: &'p str,
}

impl Page<'_> {
    /// The answer.
    pub(super) fn answer(&self) -> Answer {
        let title = html(&format!("{}/{}", self.source.trim_end_matches('/'), self.path));
        let (depth, token) = (self.depth.to_string(), u8::from(self.needs_token).to_string());
        let values = [
            ("{title}", title.as_str()),
            ("{source}", &html(self.source)),
            ("{depth}", &depth),
            ("{token}", &token),
            ("{listing}", self.list),
        ];
        // One after the other as they stand there: what is put in is not looked at again.
        let (mut page, mut rest) = (String::with_capacity(PAGE.len() + self.list.len()), PAGE);
        for (mark, value) in values {
            let Some((before, behind)) = rest.split_once(mark) else { continue };
            page.push_str(before);
            page.push_str(value);
            rest = behind;
        }
        page.push_str(rest);
        let mut answer = text(StatusCode::OK, HTML, page);
        set(&mut answer, CONTENT_SECURITY_POLICY, POLICY);
        answer
    }
}

/// A part of the page, by its name.
pub(super) fn asset(name: &str) -> Option<Answer> {
    let (_, kind, content) = ASSETS.iter().find(|(known, ..)| *known == name)?;
    let mut answer = text(StatusCode::OK, kind, *content);
    let value = HeaderValue::from_static("private, max-age=60");
    answer.headers_mut().insert(CACHE_CONTROL, value);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gallery_is_small_and_asks_nobody_else() {
        let parts = ASSETS.iter().map(|(_, _, content)| *content).chain([PAGE]);
        let all = parts.collect::<Vec<_>>().join("\n");
        assert!(all.len() < 150 << 10, "{} bytes", all.len());
        for outside in ["http:", "https:", "src=\"/", "href=\"/", "@import", "url("] {
            assert!(!all.contains(outside), "{outside}");
        }
        for mark in ["{title}", "{source}", "{depth}", "{token}", "{listing}"] {
            assert_eq!(PAGE.matches(mark).count(), 1, "{mark}");
        }
    }
}
