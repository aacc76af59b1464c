//! The words after `-o`, rewritten as flags.
//!
//! A word is either a long flag of `s3mem mount` (with `_` in place of `-` if you like),
//! or one of the general words of mount(8), which mean something to mount(8) and
//! systemd, or that s3mem does in any case. An unknown word is an error, because a
//! misspelled option that is silently dropped is worse than a refused mount.

use std::ffi::OsString;

/// General words that change nothing: in any case the mount is nosuid and nodev,
/// atimes do not exist, and the kernel checks permissions. mount(8) adds `rw`, and
/// mount.fuse3 `dev` and `suid`, to every call, so these can't be refused.
const WITHOUT_EFFECT: &[&str] = &[
    "_netdev",
    "_rnetdev",
    "async",
    "atime",
    "auto",
    "auto_unmount",
    "default_permissions",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "group",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noatime",
    "noauto",
    "nodev",
    "nodiratime",
    "nofail",
    "nogroup",
    "noiversion",
    "nolazytime",
    "nomand",
    "noowner",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nouser",
    "nousers",
    "owner",
    "relatime",
    "rw",
    "silent",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "user",
    "users",
];

/// Prefixes of general words with a value that others read.
const WITHOUT_EFFECT_PREFIXES: &[&str] =
    &["x-", "X-", "comment=", "user=", "helper=", "uhelper=", "subtype="];

/// The flags that the `-o` arguments stand for. `known` are the long flags of the
/// command; with `sloppy` an unknown word is ignored.
pub(super) fn flags_of(
    arguments: &[String],
    sloppy: bool,
    known: &[String],
) -> Result<Vec<OsString>, String> {
    let mut flags = Vec::new();
    for word in arguments.iter().flat_map(|argument| split(argument)) {
        match flag_of(&word, known) {
            Ok(Some(flag)) => flags.push(flag.into()),
            Ok(None) => {}
            Err(_) if sloppy => {}
            Err(sentence) => return Err(sentence),
        }
    }
    Ok(flags)
}

/// The flag that one word stands for; `None` for a word without effect.
fn flag_of(word: &str, known: &[String]) -> Result<Option<String>, String> {
    if word.is_empty()
        || WITHOUT_EFFECT.contains(&word)
        || WITHOUT_EFFECT_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
    {
        return Ok(None);
    }
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    match name {
        "ro" if value.is_none() => return Ok(Some("--read-only".into())),
        "noexec" if value.is_none() => return Ok(Some("--noexec".into())),
        "nosymfollow" if value.is_none() => return Ok(Some("--nosymfollow".into())),
        "context" | "fscontext" | "defcontext" | "rootcontext" if value.is_some() => {
            return Ok(Some(format!("--security-context={word}")));
        }
        "fsname" => return Ok(Some(format!("--fsname={}", value.unwrap_or_default()))),
        "remount" => {
            return Err("a mount of s3mem can't be changed while it is mounted; \
                        unmount it with 's3mem umount' and mount it again"
                .into());
        }
        _ => {}
    }
    let flag = name.replace('_', "-");
    if !known.contains(&flag) {
        return Err(format!(
            "s3mem does not know the mount option \"{name}\"; \
             's3mem mount --help' shows them all, and each long option can be used after -o"
        ));
    }
    Ok(Some(match value {
        Some(value) => format!("--{flag}={value}"),
        None => format!("--{flag}"),
    }))
}

/// Splits at commas. `\,` is a comma that belongs to a value, and so is one between quotes,
/// which stay; `\\` is a backslash.
fn split(argument: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = argument.chars();
    let mut is_quoted = false;
    while let Some(character) = characters.next() {
        let last = words.len() - 1;
        is_quoted ^= character == '"';
        match character {
            ',' if !is_quoted => words.push(String::new()),
            '\\' => words[last].extend(characters.next()),
            other => words[last].push(other),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<String> {
        ["memory", "allow-other", "file-mode"].map(String::from).into()
    }

    fn flags(argument: &str) -> Result<Vec<String>, String> {
        let flags = flags_of(&[argument.to_owned()], false, &known())?;
        Ok(flags.into_iter().map(|flag| flag.into_string().unwrap()).collect())
    }

    #[test]
    fn every_long_flag_can_be_written_with_underscores_or_hyphens() {
        let both = ["allow_other,memory=4G,file_mode=0400", "allow-other,memory=4G,file-mode=0400"];
        for argument in both {
            assert_eq!(
                flags(argument).unwrap(),
                ["--allow-other", "--memory=4G", "--file-mode=0400"]
            );
        }
    }

    #[test]
    fn general_words_of_mount_change_nothing() {
        assert!(
            flags("rw,dev,suid,_netdev,nofail,x-systemd.automount,comment=a b,user=eve,")
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_misspelled_option_is_refused_by_name_and_skipped_when_sloppy() {
        assert!(flags("memroy=4G").unwrap_err().contains("\"memroy\""));
        let sloppy = flags_of(&["memroy=4G,allow_other".to_owned()], true, &known()).unwrap();
        assert_eq!(sloppy, ["--allow-other"]);
    }

    #[test]
    fn an_escaped_comma_belongs_to_the_value() {
        assert_eq!(split(r"fsname=a\,b,ro"), ["fsname=a,b", "ro"]);
        assert_eq!(split(r"fsname=a\\,ro"), [r"fsname=a\", "ro"]);
    }

    #[test]
    fn words_for_the_kernel_are_passed_on() {
        assert_eq!(
            flags(r#"nosymfollow,context="system_u:object_r:nfs_t:s0:c1,c2",ro"#).unwrap(),
            [
                "--nosymfollow",
                r#"--security-context=context="system_u:object_r:nfs_t:s0:c1,c2""#,
                "--read-only"
            ]
        );
        for word in ["fscontext=a", "defcontext=a", "rootcontext=a"] {
            assert_eq!(flags(word).unwrap(), [format!("--security-context={word}")]);
        }
        assert!(flags("context").is_err());
    }

    #[test]
    fn remounting_is_refused_with_a_way_out() {
        assert!(flags("remount,ro").unwrap_err().contains("s3mem umount"));
    }
}
