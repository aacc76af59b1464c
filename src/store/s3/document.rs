//! A reader of the documents that S3 servers answer with.
//!
//! Contract: takes whatever can be understood. It knows elements and their texts; of
//! attributes, namespaces, comments and declarations it knows only where they end. A
//! document that it can't follow is `None`, never a guess. Pure.

/// How deep elements may be nested; those of S3 are four deep.
const MOST_LEVELS: usize = 32;

/// An element with what is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Its name, without the prefix of a namespace.
    pub(super) name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The root of a document. A byte that is no UTF-8 becomes `U+FFFD`.
    pub(super) fn parse(document: &[u8]) -> Option<Element> {
        let document = String::from_utf8_lossy(document);
        let mut rest = document.trim_start_matches('\u{FEFF}').trim();
        let mut open: Vec<Element> = Vec::new();
        loop {
            let (text, behind) = rest.split_once('<')?;
            if let Some(element) = open.last_mut() {
                unescape(text, &mut element.text)?;
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
                        None => return Some(done),
                    }
                }
            }
        }
    }

    /// The elements of this name that are in it.
    pub(super) fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
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

/// Appends a text with its characters written as `&...;` put in.
fn unescape(text: &str, to: &mut String) -> Option<()> {
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        to.push_str(before);
        let (name, behind) = behind.split_once(';')?;
        to.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            name => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        });
        rest = behind;
    }
    to.push_str(rest);
    Some(())
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

    proptest! {
        #[test]
        fn nothing_panics(document in "[<>/!?&;#x\\-\\[\\]\"' aé:C]{0,40}") {
            let _ = Element::parse(document.as_bytes());
        }
    }
}
