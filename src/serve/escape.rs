//! Names as URLs, HTML and JSON write them.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is safe in one name of a path.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A relative link to a name beside the present place. The dot keeps a colon from being taken
/// for the end of a scheme.
pub(super) fn link(name: &str) -> String {
    format!("./{}", utf8_percent_encode(name, NAME))
}

/// A text between tags, or as a quoted value.
pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // What no document may have in it.
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A text as a string of JSON, with its quotes.
pub(super) fn json(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // Nothing that ends a script, or a line in one.
            '<' | '\u{2028}' | '\u{2029}' => push_unit(&mut quoted, c as u32),
            c if c.is_control() => push_unit(&mut quoted, c as u32),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn push_unit(text: &mut String, unit: u32) {
    // Writing into a String does not fail.
    let _ = write!(text, "\\u{unit:04x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_gets_out_of_where_it_stands() {
        assert_eq!(link("a b:/?#é%"), "./a%20b%3A%2F%3F%23%C3%A9%25");
        assert_eq!(html("<a href='x'>&\"\u{1}"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\u{fffd}");
        assert_eq!(json("a\"\\\n</x>\u{2028}é"), r#""a\"\\\u000a\u003c/x>\u2028é""#);
    }
}
