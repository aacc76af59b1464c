//! Who owns a thing, who may use it, and its times.

use std::time::SystemTime;

/// Who owns something, who may use it, and its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When it was last read.
    pub accessed: SystemTime,
    /// When it was last written to.
    pub modified: SystemTime,
    /// When anything about it changed last.
    pub changed: SystemTime,
}

/// Changes to [`Attributes`]; `None` leaves a field as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttrChange {
    /// Permission bits.
    pub mode: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// The size of a file in bytes.
    pub size: Option<u64>,
    /// When it was last read.
    pub accessed: Option<SystemTime>,
    /// When it was last written to.
    pub modified: Option<SystemTime>,
}

/// Set-user-id and set-group-id: a change of owner clears them.
const SET_ID_BITS: u16 = 0o6000;

impl Attributes {
    /// Owned by somebody, made just now.
    pub fn new(mode: u16, uid: u32, gid: u32) -> Self {
        let now = SystemTime::now();
        Attributes { mode, uid, gid, accessed: now, modified: now, changed: now }
    }

    /// Applies the changes, except for the size.
    pub fn change(&mut self, change: &AttrChange) {
        if change.uid.is_some() || change.gid.is_some() {
            self.mode &= !SET_ID_BITS;
        }
        self.mode = change.mode.unwrap_or(self.mode);
        self.uid = change.uid.unwrap_or(self.uid);
        self.gid = change.gid.unwrap_or(self.gid);
        self.accessed = change.accessed.unwrap_or(self.accessed);
        self.modified = change.modified.unwrap_or(self.modified);
        self.changed = SystemTime::now();
    }
}
