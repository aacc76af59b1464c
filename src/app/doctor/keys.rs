//! Keys that are no paths: which names their objects have in a mount.

use super::finding::Finding;
use crate::catalog::{Dir, Strange};
use crate::config::MountSettings;
use crate::store::{ListPage, ListedObject};

/// So many are named.
const EXAMPLES: usize = 3;

/// Says which of the keys that were listed have other paths, or none.
pub(super) fn look(page: &ListPage, settings: &MountSettings) -> Finding {
    let strange = Dir::root(settings.fs.prefix.clone()).strange(&page.objects);
    let bucket = settings.s3.bucket.to_string();
    judge(&page.objects, &strange, page.unreachable.len(), &bucket)
}

fn judge(objects: &[ListedObject], strange: &[Strange], no_text: usize, bucket: &str) -> Finding {
    let (check, all) = ("keys", objects.len());
    if strange.is_empty() && no_text == 0 {
        return Finding::good(
            check,
            format!("the paths of the first {all} objects are their keys"),
        );
    }
    let (mut escaped, mut shadowed, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
    for one in strange {
        match one {
            Strange::Escaped { key, path } => escaped.push(format!("{key} is {path}")),
            Strange::Shadowed { key, path } => shadowed.push(format!("{key} is {path}")),
            Strange::Unreachable { key } => hidden.push(key.to_string()),
        }
    }
    let mut says = Vec::new();
    let mut tell = |examples: &[String], what: &str| {
        if !examples.is_empty() {
            let shown = examples[..examples.len().min(EXAMPLES)].join(", ");
            let more = if examples.len() > EXAMPLES { ", ..." } else { "" };
            says.push(format!("{} {what} ({shown}{more})", examples.len()));
        }
    };
    tell(&escaped, "have a part that is no file name, and are written with %%");
    tell(&shadowed, "have the name of a folder, and a suffix");
    tell(&hidden, "have the name of a folder and no room for a suffix, and are not shown");
    if no_text > 0 {
        says.push(format!("{no_text} are no UTF-8, and are not shown"));
    }
    let finding =
        Finding::warning(check, format!("of the first {all} objects, {}", says.join("; ")));
    match hidden.first() {
        Some(key) => {
            let quoted = |key: &str| format!("'s3://{bucket}/{}'", key.replace('\'', "'\\''"));
            let command =
                format!("aws s3 mv {} {}", quoted(key), quoted(&format!("{key}.renamed")));
            // A command that would have to be escaped is none.
            if command.chars().any(char::is_control) { finding } else { finding.mended_by(command) }
        }
        None => finding,
    }
}
