//! A log in a file.
//!
//! Contract: the file is its user's alone when we make it, and can be opened anew, for
//! programs that rename logs. One that nobody else keeps short has a limit: the file is
//! renamed to `NAME.old` and begun again. Several daemons may write to one file.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// An open log.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: RwLock<File>,
    limit_bytes: Option<u64>,
}

impl LogFile {
    /// The log at `path`, to which lines are appended.
    pub(super) fn open(path: &Path, limit_bytes: Option<u64>) -> io::Result<LogFile> {
        let file = RwLock::new(open(path)?);
        Ok(LogFile { path: path.to_owned(), file, limit_bytes })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Goes on in the file that has the name now, or in a new one.
    pub(super) fn reopen(&self) -> io::Result<()> {
        let file = open(&self.path)?;
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }

    /// Writes a line in one call, so that lines of several threads never mix.
    pub(super) fn append(&self, line: &str) -> io::Result<()> {
        self.begin_anew_when_full();
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        (&*file).write_all(line.as_bytes())
    }

    /// A log that can't be begun anew goes on as it is.
    fn begin_anew_when_full(&self) {
        let Some(limit) = self.limit_bytes else { return };
        let metadata = self.file.read().unwrap_or_else(PoisonError::into_inner).metadata();
        let Some(ours) = metadata.ok().filter(|ours| ours.len() >= limit) else { return };
        // Another daemon may have renamed it already.
        if fs::metadata(&self.path).is_ok_and(|there| there.ino() == ours.ino()) {
            let mut old = OsString::from(&self.path);
            old.push(".old");
            let _ = fs::rename(&self.path, old);
        }
        let _ = self.reopen();
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_its_users_alone_and_goes_on_after_it_was_renamed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, renamed) = (dir.path().join("log"), dir.path().join("log.1"));
        let log = LogFile::open(&path, None).unwrap();
        log.append("one\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::rename(&path, &renamed).unwrap();
        log.append("two\n").unwrap();
        log.reopen().unwrap();
        log.append("three\n").unwrap();
        assert_eq!(fs::read_to_string(renamed).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(path).unwrap(), "three\n");
    }

    #[test]
    fn a_log_that_nobody_keeps_short_is_begun_anew_and_two_daemons_agree() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let [one, two] = [(); 2].map(|()| LogFile::open(&path, Some(4)).unwrap());
        one.append("long line\n").unwrap();
        one.append("next\n").unwrap();
        two.append("of another\n").unwrap();
        let (new, old) = (fs::read_to_string(&path).unwrap(), dir.path().join("log.old"));
        assert_eq!(new, "next\nof another\n");
        assert_eq!(fs::read_to_string(old).unwrap(), "long line\n");
    }

    #[test]
    fn a_log_whose_folder_is_gone_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let log = LogFile::open(&dir.path().join("log"), None).unwrap();
        drop(dir);
        assert!(log.reopen().is_err());
        log.append("line\n").unwrap();
    }
}
