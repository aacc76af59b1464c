//! What a daemon has said, for tests.

use serde_json::Value;

/// Two of a mount from which programs read, a second apart, and what they change.
pub(super) fn told() -> [Value; 2] {
    [include_str!("first.json"), include_str!("second.json")]
        .map(|text| serde_json::from_str(text).unwrap())
}
