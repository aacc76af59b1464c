//! What is mounted where, as the kernel tells it in `/proc/self/mountinfo`.
//!
//! Reading the table never touches the mounts themselves, so that a dead or hung
//! one can be looked at.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The file-system type of our mounts.
const S3MEM: &str = "fuse.s3mem";
/// The type of what mounts something when it is looked into.
const AUTOFS: &str = "autofs";

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mounted {
    /// The device number, `MAJOR:MINOR`; no two live mounts of FUSE share one.
    pub(super) device: String,
    /// Where it is mounted.
    pub(super) mount_point: PathBuf,
    /// The type, such as `ext4` or `fuse.sshfs`.
    pub(super) fs_type: String,
    /// What is mounted, such as `/dev/sda1` or `s3://bucket`.
    pub(super) source: String,
    /// For FUSE, the user who mounted it.
    pub(super) user: Option<u32>,
}

impl Mounted {
    /// Whether s3mem mounted it.
    pub(super) fn is_s3mem(&self) -> bool {
        self.fs_type == S3MEM
    }

    /// Whether it only waits to be mounted over, when somebody looks: systemd's
    /// `x-systemd.automount`, and autofs.
    pub(super) fn is_automount(&self) -> bool {
        self.fs_type == AUTOFS
    }
}

/// All mounts that this process can see, in the order in which the kernel lists them.
#[derive(Debug)]
pub(super) struct MountTable(Vec<Mounted>);

impl MountTable {
    /// The table as it is now.
    pub(super) fn read() -> io::Result<MountTable> {
        // Bytes, not text: a mount point may have any name.
        let table = fs::read("/proc/self/mountinfo")?;
        Ok(MountTable(table.split(|byte| *byte == b'\n').filter_map(parse_line).collect()))
    }

    /// What is mounted exactly on `path`; of several mounts the uppermost.
    pub(super) fn on(&self, path: &Path) -> Option<&Mounted> {
        self.0.iter().rev().find(|mounted| mounted.mount_point == path)
    }

    /// The mounts of s3mem that a user has mounted, each once.
    pub(super) fn of_user(&self, user: u32) -> Vec<Mounted> {
        let mut found: Vec<Mounted> = Vec::new();
        for mounted in self.0.iter().filter(|mounted| mounted.is_s3mem()) {
            let is_new = found.iter().all(|other| other.device != mounted.device);
            if mounted.user == Some(user) && is_new {
                found.push(mounted.clone());
            }
        }
        found
    }

    /// Whether the mount with this device number is there.
    pub(super) fn has(&self, device: &str) -> bool {
        self.0.iter().any(|mounted| mounted.device == device)
    }

    /// The mount of s3mem that `path` lies in.
    pub(super) fn s3mem_around(&self, path: &Path) -> Option<&Mounted> {
        path.ancestors()
            .skip(1)
            .find_map(|above| self.on(above).filter(|mounted| mounted.is_s3mem()))
    }
}

/// One line: `36 35 0:45 / /mnt/s2 rw,nosuid - fuse.s3mem s3://b rw,user_id=0`; any
/// number of optional fields stands before the lone hyphen.
fn parse_line(line: &[u8]) -> Option<Mounted> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let hyphen = fields.iter().position(|field| *field == b"-")?;
    let text = |at: usize| Some(String::from_utf8_lossy(&unescape(fields.get(at)?)).into_owned());
    let options = text(hyphen + 3)?;
    Some(Mounted {
        device: text(2)?,
        mount_point: OsString::from_vec(unescape(fields.get(4)?)).into(),
        fs_type: text(hyphen + 1)?,
        source: text(hyphen + 2)?,
        user: options.split(',').find_map(|word| word.strip_prefix("user_id=")?.parse().ok()),
    })
}

/// Undoes the kernel's escapes: `\040` is a space.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let octal = behind
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> MountTable {
        MountTable(text.split('\n').filter_map(|line| parse_line(line.as_bytes())).collect())
    }

    const TEXT: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
36 22 0:45 / /mnt/my\\040data ro,nosuid,nodev shared:7 master:1 - fuse.s3mem s3://b/p\\040q ro,user_id=1000,group_id=100
37 36 0:46 / /mnt/my\\040data rw - tmpfs none rw";

    #[test]
    fn a_mount_is_known_by_its_device_as_long_as_it_is_there() {
        let table = table(TEXT);
        assert!(table.has("0:45"));
        assert!(!table.has("0:4"));
    }

    #[test]
    fn the_uppermost_mount_on_a_path_is_found() {
        let table = table(TEXT);
        assert_eq!(table.on(Path::new("/mnt/my data")).unwrap().fs_type, "tmpfs");
        assert_eq!(table.on(Path::new("/")).unwrap().source, "/dev/sda1");
        assert!(table.on(Path::new("/mnt")).is_none());
    }

    #[test]
    fn a_mount_of_s3mem_says_what_and_whose_it_is() {
        let first_two = TEXT.rsplit_once('\n').unwrap().0;
        let table = table(first_two);
        let ours = table.on(Path::new("/mnt/my data")).unwrap();
        assert!(ours.is_s3mem());
        assert_eq!(
            (ours.device.as_str(), ours.source.as_str(), ours.user),
            ("0:45", "s3://b/p q", Some(1000))
        );
        assert_eq!(table.s3mem_around(Path::new("/mnt/my data/a/b")), Some(ours));
        assert_eq!(table.s3mem_around(Path::new("/mnt")), None);
        assert_eq!((table.of_user(1000), table.of_user(0)), (vec![ours.clone()], vec![]));
    }

    #[test]
    fn this_machines_table_has_a_root() {
        assert!(MountTable::read().unwrap().on(Path::new("/")).is_some());
    }
}
