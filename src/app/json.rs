//! JSON, written by hand: what the daemon says is small, and its names are ours.

use std::fmt::Write;

use super::text::printable;

/// An object of fields in this order.
pub(super) fn object<'n>(fields: impl IntoIterator<Item = (&'n str, String)>) -> String {
    let field = |(name, value): (&str, String)| format!("{}: {value}", string(name));
    format!("{{{}}}", fields.into_iter().map(field).collect::<Vec<_>>().join(", "))
}

/// A list of values.
pub(super) fn list(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(", "))
}

/// A value that may be missing.
pub(super) fn maybe(value: Option<String>) -> String {
    value.unwrap_or_else(|| "null".to_owned())
}

/// A text as JSON writes it; all that could end a line or move a cursor is escaped.
pub(super) fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if *printable(c.encode_utf8(&mut [0; 4])) == *c.encode_utf8(&mut [0; 4]) => {
                quoted.push(c);
            }
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing into a String does not fail.
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_one_line_whatever_a_name_contains() {
        assert_eq!(string("a\"\\\n\u{1}ü\u{202e}"), "\"a\\\"\\\\\\u000a\\u0001ü\\u202e\"");
        assert_eq!(object([("a", "1".to_owned()), ("b", string("c"))]), r#"{"a": 1, "b": "c"}"#);
        assert_eq!(list([maybe(None), maybe(Some(string("x")))]), r#"[null, "x"]"#);
    }
}
