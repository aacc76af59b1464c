//! Whether a process that closes a file has it open elsewhere still.
//!
//! The kernel says of each close(2) that it happened, and not which one is the last:
//! a shell that starts `program > file` opens the file, duplicates the descriptor and
//! closes the first one before the program has written anything; and whatever it
//! starts has the descriptor too, and closes it when it ends. What the kernel says
//! of a process's descriptors in /proc tells; asking there never comes back here, as
//! a stat of the file would.

use std::fs;
use std::path::Path;

/// The process that a thread belongs to; the thread itself if that can't be known.
pub fn process_of(thread: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let tgid = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    tgid.and_then(|text| text.trim().parse().ok()).unwrap_or(thread)
}

/// The bits of a descriptor's flags that say that it is written through.
const WRITES: u32 = 0o3;

/// Whether the process (or thread) `pid` has the inode open for writing; no if
/// that can't be known.
pub(super) fn has_open_for_writing(pid: u32, ino: u64) -> bool {
    pid != 0 && any_writes(Path::new(&format!("/proc/{pid}/fdinfo")), ino)
}

fn any_writes(folder: &Path, ino: u64) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        fs::read_to_string(entry.path()).is_ok_and(|info| is_written_through(&info, ino))
    })
}

fn is_written_through(info: &str, ino: u64) -> bool {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let is_it = field("ino:").and_then(|text| text.parse().ok()) == Some(ino);
    let flags = field("flags:").and_then(|text| u32::from_str_radix(text, 8).ok());
    is_it && flags.is_some_and(|flags| flags & WRITES != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_descriptor_that_is_written_through_is_found_until_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = fs::File::create(&path).unwrap();
        let (me, ino) = (std::process::id(), file.metadata().unwrap().ino());
        assert!(has_open_for_writing(me, ino));
        let reader = fs::File::open(&path).unwrap();
        drop(file);
        assert!(!has_open_for_writing(me, ino), "only read from");
        drop(reader);
        assert!(!has_open_for_writing(0, ino));
        assert_eq!(process_of(me), me);
        assert!(!has_open_for_writing(u32::MAX, ino));
    }
}
