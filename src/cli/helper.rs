//! The calls of mount helpers, rewritten as `s3mem mount ...`.
//!
//! mount(8) starts `mount.s3mem SOURCE DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`
//! for the type `s3mem`, where `-f` means "fake" and `-n` "no mtab"; mount.fuse3
//! starts `s3mem SOURCE DIR -o OPTIONS` for the type `fuse.s3mem`. Neither knows
//! of subcommands.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Rewrites the call of a mount helper; anything else stays as it is.
pub(super) fn rewrite(
    mut words: Vec<OsString>,
    is_command: impl Fn(&str) -> bool,
) -> Result<Vec<OsString>, String> {
    let program = words.first().map(|word| Path::new(word).file_name().unwrap_or(word));
    if program.is_some_and(|name| name.as_encoded_bytes().starts_with(b"mount.")) {
        return rewrite_mount_helper(words);
    }
    if is_mount_fuse3_call(&words, is_command) {
        words.insert(1, "mount".into());
    }
    Ok(words)
}

/// `s3mem SOURCE DIR -o OPTIONS` and nothing else: a mistyped command must not
/// become a mount, so this is the exact shape.
fn is_mount_fuse3_call(words: &[OsString], is_command: impl Fn(&str) -> bool) -> bool {
    let [_, source, dir, option, ..] = words else { return false };
    let is_flag = |word: &OsStr| word.as_encoded_bytes().starts_with(b"-");
    !is_flag(source)
        && !is_flag(dir)
        && option.as_encoded_bytes().starts_with(b"-o")
        && !source.to_str().is_some_and(is_command)
}

fn rewrite_mount_helper(words: Vec<OsString>) -> Result<Vec<OsString>, String> {
    let mut operands = Vec::new();
    let mut flags: Vec<OsString> = Vec::new();
    let mut rest = words.into_iter().skip(1);
    while let Some(word) = rest.next() {
        let Some(letters) =
            word.to_str().and_then(|w| w.strip_prefix('-')).filter(|l| !l.is_empty())
        else {
            operands.push(word);
            continue;
        };
        if matches!(letters, "-help" | "h" | "-version" | "V") {
            return Ok(vec!["s3mem".into(), word]);
        }
        // Letters may share one dash, and a value may follow its letter directly.
        for (index, letter) in letters.char_indices() {
            match letter {
                's' => flags.push("--sloppy".into()),
                'f' => flags.push("--fake".into()),
                'n' | 'v' => {}
                'o' | 't' | 'N' => {
                    let behind = &letters[index + 1..];
                    let value = if behind.is_empty() { rest.next() } else { Some(behind.into()) };
                    let value = value.ok_or_else(|| format!("-{letter} needs a value after it"))?;
                    if letter == 'o' {
                        flags.extend(["-o".into(), value]);
                    }
                    break;
                }
                _ => {
                    return Err(format!(
                        "\"-{letter}\" is not an option of a mount helper; \
                         the call is: mount.s3mem SOURCE DIR [-sfnv] [-o OPTIONS]"
                    ));
                }
            }
        }
    }
    let mut words: Vec<OsString> = vec!["s3mem".into(), "mount".into()];
    words.extend(flags);
    words.push("--".into());
    words.extend(operands);
    Ok(words)
}
