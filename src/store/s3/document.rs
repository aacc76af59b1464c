//! A reader of the documents that S3 servers answer with.
//!
//! Contract: takes whatever can be understood. It knows elements and their texts; of
//! attributes, namespaces, comments and declarations it knows only where they end. A
//! document that it can't follow is `None`, never a guess. What stands for no character (a
//! byte that is no UTF-8, half of a surrogate pair) becomes `U+FFFD`, and the root says that
//! there is such a thing. Pure.

use std::borrow::Cow;

/// How deep elements may be nested; those of S3 are four deep.
const MOST_LEVELS: usize = 32;

/// An element with what is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Its name, without the prefix of a namespace.
    pub(super) name: String,
    text: String,
    children: Vec<Element>,
    /// Whether something in the document stands for no character; said by its root.
    is_lossy: bool,
}

impl Element {
    /// The root of a document.
    pub(super) fn parse(document: &[u8]) -> Option<Element> {
        let document = String::from_utf8_lossy(document);
        let mut is_lossy = matches!(document, Cow::Owned(_));
        let mut rest = document.trim_start_matches('\u{FEFF}').trim();
        let mut open: Vec<Element> = Vec::new();
        loop {
            let (text, behind) = rest.split_once('<')?;
            if let Some(element) = open.last_mut() {
                is_lossy |= unescape(text, &mut element.text)?;
            } else if !text.trim().is_empty() {
                return None;
            }
            rest = behind;
            if let Some(behind) = rest.strip_prefix("!--") {
                rest = behind.split_once("-->")?.1;
            } else if let Some(behind) = rest.strip_prefix("![CDATA[") {
                let (text, behind) = behind.split_once("]]>")?;
                open.last_mut()?.text.push_str(text);
                rest = behind;
            } else if rest.starts_with(['?', '!']) {
                rest = rest.split_once('>')?.1;
            } else {
                let (tag, behind) = split_tag(rest)?;
                rest = behind;
                let is_closing = tag.starts_with('/');
                let is_empty = tag.ends_with('/');
                let name = local_name(tag.trim_matches('/'));
                if !is_closing {
                    if open.len() >= MOST_LEVELS {
                        return None;
                    }
                    open.push(Element { name: name.to_owned(), ..Element::default() });
                } else if open.last()?.name != name {
                    return None;
                }
                if is_closing || is_empty {
                    let done = open.pop()?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Some(Element { is_lossy, ..done }),
                    }
                }
            }
        }
    }

    /// The elements of this name that are in it.
    pub(super) fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The elements that are in it, in their order.
    pub(super) fn children(&self) -> impl Iterator<Item = &Element> {
        self.children.iter()
    }

    /// The text of the first element of this name; `None` also where it has none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let text = self.child(name)?.text.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The text of the first element of this name as it stands there, blanks included.
    pub(super) fn exact_text(&self, name: &str) -> Option<&str> {
        let text = self.child(name)?.own_text();
        (!text.is_empty()).then_some(text)
    }

    /// Whether a `U+FFFD` in the document may stand for what is no character.
    pub(super) fn is_lossy(&self) -> bool {
        self.is_lossy
    }

    fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Its text as it stands there.
    pub(super) fn own_text(&self) -> &str {
        &self.text
    }
}

/// The tag that begins here, and what is behind it. A `>` may stand in an attribute.
fn split_tag(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('>', None) => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// The name in a tag, without its namespace's prefix and its attributes.
fn local_name(tag: &str) -> &str {
    let name = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default()
}

/// Appends a text with its characters written as `&...;` put in. Whether one of them is no
/// character.
fn unescape(text: &str, to: &mut String) -> Option<bool> {
    let mut is_lossy = false;
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        to.push_str(before);
        let (name, behind) = behind.split_once(';')?;
        rest = behind;
        to.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            name => {
                let code = number(name)?;
                // Some servers write a character beyond `U+FFFF` as the two halves of UTF-16.
                if let Some((whole, behind)) = surrogate_pair(code, rest) {
                    rest = behind;
                    whole
                } else {
                    let character = char::from_u32(code);
                    is_lossy |= character.is_none();
                    character.unwrap_or(char::REPLACEMENT_CHARACTER)
                }
            }
        });
    }
    to.push_str(rest);
    Some(is_lossy)
}

/// The number that `#65` or `#x41` stands for; of one that is too large, the largest.
fn number(name: &str) -> Option<u32> {
    let number = name.strip_prefix('#')?;
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    is_number.then(|| u32::from_str_radix(digits, radix).unwrap_or(u32::MAX))
}

/// The character whose first half this is, if the second stands behind it; and what follows.
fn surrogate_pair(first: u32, behind: &str) -> Option<(char, &str)> {
    if !(0xd800..0xdc00).contains(&first) {
        return None;
    }
    let (name, behind) = behind.strip_prefix('&')?.split_once(';')?;
    let second = number(name).filter(|second| (0xdc00..0xe000).contains(second))?;
    let whole = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?;
    Some((whole, behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_document_is_read_whatever_stands_beside_its_elements() {
        let document = "\u{FEFF}<?xml version=\"1.0\"?>\n<!-- of > us -->\n\
            <s3:List xmlns:s3=\"http://x/>\"><s3:Key a='>'>a &amp; b&#x1;&#65;<![CDATA[<&]]></s3:Key>\
            <Empty/><Blank> </Blank><Owner ><Key>no</Key></Owner></s3:List>\n";
        let list = Element::parse(document.as_bytes()).unwrap();
        assert_eq!(list.name, "List");
        assert_eq!(list.text("Key"), Some("a & b\u{1}A<&"));
        assert_eq!((list.text("Empty"), list.text("Blank")), (None, None));
        assert_eq!(list.exact_text("Blank"), Some(" "));
        assert_eq!(list.all("Owner").count(), 1);
    }

    #[test]
    fn a_document_that_does_not_end_or_nest_is_none() {
        let deep = "<a>".repeat(MOST_LEVELS + 1) + &"</a>".repeat(MOST_LEVELS + 1);
        for bad in ["", "text", "<a>", "<a></b>", "</a>", "<a>&nbsp;</a>", "<a", "x<a/>", &deep] {
            assert_eq!(Element::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_reference_to_no_character_costs_that_character_alone() {
        let text = |inside: &str| {
            let root = Element::parse(format!("<a>{inside}</a>").as_bytes())?;
            Some((root.own_text().to_owned(), root.is_lossy()))
        };
        for (inside, expected, is_lossy) in [
            ("&#55357;&#56832;&#xD83D;&#xde00;", "\u{1f600}\u{1f600}", false),
            ("x&#xD800;y", "x\u{fffd}y", true),
            ("&#xDE00;&#xD83D;", "\u{fffd}\u{fffd}", true),
            ("&#xD83D;&#x41;", "\u{fffd}A", true),
            ("&#99999999999999;", "\u{fffd}", true),
            ("&#xfffd;&#0;", "\u{fffd}\0", false),
        ] {
            assert_eq!(text(inside), Some((expected.to_owned(), is_lossy)), "{inside}");
        }
        for malformed in ["&#;", "&#x;", "&#+65;", "&#6 5;", "&#xD83D;&#", "&"] {
            assert_eq!(text(malformed), None, "{malformed}");
        }
        assert!(Element::parse(b"<a>\xff</a>").unwrap().is_lossy());
    }

    proptest! {
        #[test]
        fn nothing_panics(document in "[<>/!?&;#x\\-\\[\\]\"' aé:C]{0,40}") {
            let _ = Element::parse(document.as_bytes());
        }
    }
}
