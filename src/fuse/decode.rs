//! What the kernel says, as `fs` takes it: flags, modes, times, who asks.

use std::time::SystemTime;

use fuser::{Errno, OpenAccMode, OpenFlags, RenameFlags, Request, TimeOrNow};
use rustix::fs::OFlags;

use crate::fs::{Maker, NewNode, OpenHow, RenameHow, Seek, XattrSet};

/// open(2)'s flag, as Linux has it everywhere that fuser runs.
const O_TRUNC: i32 = 0o1000;
/// lseek(2)'s names for what is looked for.
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;
/// setxattr(2)'s flags.
const XATTR_CREATE: i32 = 1;
const XATTR_REPLACE: i32 = 2;
/// The part of a mode that says what kind of thing it is, and the kinds.
const KIND_BITS: u32 = 0o170_000;
const KIND_FIFO: u32 = 0o010_000;
const KIND_FILE: u32 = 0o100_000;
const KIND_SOCKET: u32 = 0o140_000;

/// How a file is opened.
pub(super) fn open_how(request: &Request, flags: OpenFlags) -> OpenHow {
    OpenHow {
        writes: flags.acc_mode() != OpenAccMode::O_RDONLY,
        truncates: flags.0 & O_TRUNC != 0,
        thread: request.pid(),
    }
}

/// Whether a read comes from the kernel's page cache, and not straight from a program.
pub(super) fn is_cached(flags: OpenFlags) -> bool {
    !OFlags::from_bits_retain(flags.0 as u32).contains(OFlags::DIRECT)
}

/// Who asks, and for which permissions.
pub(super) fn maker(request: &Request, mode: u32) -> Maker {
    let mode = permissions(mode);
    Maker { uid: request.uid(), gid: request.gid(), mode, thread: request.pid() }
}

/// The permission bits of a mode.
pub(super) fn permissions(mode: u32) -> u16 {
    (mode & 0o7777) as u16
}

/// What mknod(2) is to make. Devices are refused: the mount does not let anybody use them.
pub(super) fn new_node(mode: u32) -> Result<NewNode, Errno> {
    match mode & KIND_BITS {
        0 | KIND_FILE => Ok(NewNode::File),
        KIND_FIFO => Ok(NewNode::Fifo),
        KIND_SOCKET => Ok(NewNode::Socket),
        _ => Err(Errno::EPERM),
    }
}

/// How a rename treats a name that is taken.
pub(super) fn rename_how(flags: RenameFlags) -> Result<RenameHow, Errno> {
    match flags {
        RenameFlags::RENAME_NOREPLACE => Ok(RenameHow::Keep),
        RenameFlags::RENAME_EXCHANGE => Ok(RenameHow::Exchange),
        flags if flags.is_empty() => Ok(RenameHow::Replace),
        _ => Err(Errno::EINVAL),
    }
}

/// What lseek(2) looks for, and from where on.
pub(super) fn seek(offset: i64, whence: i32) -> Result<Seek, Errno> {
    let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
    match whence {
        SEEK_DATA => Ok(Seek::Data(offset)),
        SEEK_HOLE => Ok(Seek::Hole(offset)),
        _ => Err(Errno::EINVAL),
    }
}

/// Whether setxattr(2) wants an attribute to be there.
pub(super) fn xattr_set(flags: i32) -> Result<XattrSet, Errno> {
    match flags {
        0 => Ok(XattrSet::Always),
        XATTR_CREATE => Ok(XattrSet::Create),
        XATTR_REPLACE => Ok(XattrSet::Replace),
        _ => Err(Errno::EINVAL),
    }
}

/// A time as setattr gives it.
pub(super) fn time(time: Option<TimeOrNow>) -> Option<SystemTime> {
    time.map(|time| match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    })
}
