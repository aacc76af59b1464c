//! Which account asks: part of the names of what is kept on disk, so that what one could read is
//! not found by another one, while new credentials of the same find it again.

use std::fmt::Write as _;

use md5::{Digest, Md5};

use crate::store::KnownCredentials;

/// What AWS's access keys begin with: those of users, and temporary ones.
const PREFIXES: [&str; 2] = ["AKIA", "ASIA"];
/// The account's number is in so many characters behind that.
const CHARACTERS: usize = 10;

/// A name for whoever asks: the bucket's owner where it is given, the account of a key of AWS, a
/// digest of another server's key, or nobody.
pub(super) fn name(
    owner: Option<&str>,
    credentials: Option<&KnownCredentials>,
    is_aws: bool,
) -> String {
    if let Some(owner) = owner {
        return format!("owner {owner}");
    }
    let Some(KnownCredentials { access_key_id, .. }) = credentials else {
        return "anonymous".to_owned();
    };
    match account_of(access_key_id).filter(|_| is_aws) {
        Some(account) => format!("account {account:012}"),
        None => {
            let mut name = "key ".to_owned();
            for byte in Md5::digest(access_key_id) {
                // Writing into a String does not fail.
                let _ = write!(name, "{byte:02x}");
            }
            name
        }
    }
}

/// The number of the account that a key of AWS says: 40 bits behind the first one, in base 32.
fn account_of(access_key_id: &str) -> Option<u64> {
    let text = PREFIXES.iter().find_map(|prefix| access_key_id.strip_prefix(prefix))?;
    let digit = |character: u8| match character {
        b'A'..=b'Z' => Some(u64::from(character - b'A')),
        b'2'..=b'7' => Some(u64::from(character - b'2') + 26),
        _ => None,
    };
    let digits = text.as_bytes().get(..CHARACTERS)?;
    let bits = digits.iter().try_fold(0, |bits, &next| Some(bits << 5 | digit(next)?))?;
    Some(bits >> 9 & ((1 << 40) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &str, is_aws: bool) -> String {
        let known =
            KnownCredentials { access_key_id: key.into(), provider: "x".into(), expiry: None };
        name(None, Some(&known), is_aws)
    }

    #[test]
    fn new_credentials_of_one_account_have_one_name() {
        assert_eq!(of("ASIAQNZGKIQY56JQ7WML", true), "account 029608264753");
        assert_eq!(of("AKIAQNZGKIQYQAAAAAAA", true), "account 029608264753");
        assert_ne!(of("AKIAQNZGKJQYQAAAAAAA", true), "account 029608264753");
    }

    #[test]
    fn other_keys_are_told_apart_and_not_told() {
        let names = [of("minio", false), of("minio2", false), of("ASIAQNZGKIQY56JQ7WML", false)];
        assert!(names.iter().all(|name| name.starts_with("key ") && !name.contains("minio")));
        assert!(names[0] != names[1]);
        assert!(of("AKIA", true).starts_with("key "));
        assert_eq!(name(None, None, true), "anonymous");
        assert_eq!(name(Some("123"), None, true), "owner 123");
    }
}
