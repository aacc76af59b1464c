//! Which uploads in parts are under way, where a crash can't lose it.
//!
//! S3 keeps the parts of an upload that is never finished, and bills them. What a
//! listing of uploads says does not tell ours from others', so each mount writes
//! down its own: one file for each daemon that has any, in memory that outlives it
//! (/run), which the daemon locks. A mount of the same bucket takes over the files that
//! nobody holds any more.
//!
//! An upload whose beginning was never answered has no name by which it could be aborted,
//! and in a listing nothing tells it from another client's. So its key and time are written
//! down, and said to whoever looks after the bucket. It has no parts, and costs nothing.
//!
//! A line is `KEY ID`, or `KEY ? TIME` where there is no answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::key::ObjectKey;
use crate::store::Upload;

const ENDING: &str = "uploads";
/// What stands in a line for the name of an upload that nobody knows.
const UNKNOWN: &str = "?";
/// Of so many keys it is remembered that an upload of them may have been begun.
const MOST_LOST: usize = 1000;

/// The uploads of this mount, and those that earlier ones left.
#[derive(Debug, Default)]
pub(super) struct Record {
    written: Option<Mutex<Written>>,
    left: Mutex<Vec<Left>>,
}

/// What this mount has under way.
#[derive(Debug)]
struct Written {
    path: PathBuf,
    /// As long as there is any.
    file: Option<File>,
    uploads: BTreeSet<(String, String)>,
    /// The uploads that were to begin and of which there is no answer, by key.
    unanswered: BTreeMap<String, Beginning>,
}

/// An upload that is to begin.
#[derive(Debug, Clone, Copy)]
struct Beginning {
    since: SystemTime,
    /// Whether nobody waits for the answer any more.
    is_lost: bool,
}

/// An upload that may have been begun, without anybody who knows its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    /// The object that it was to make.
    pub(super) key: ObjectKey,
    /// When it was to begin.
    pub(super) since: SystemTime,
}

/// The file of a mount that has ended, which we hold now.
#[derive(Debug)]
struct Left {
    _file: File,
    path: PathBuf,
    uploads: Vec<Upload>,
    lost: Vec<Lost>,
}

impl Record {
    /// A record in `folder`; one that can't be written is none.
    pub(super) fn open(folder: Option<&Path>, bucket: &str) -> Self {
        let Some(folder) = folder else { return Record::default() };
        let prefix = format!("{:016x}-", checksum(bucket));
        let left = take_over(folder, &prefix).unwrap_or_default();
        let path = folder.join(format!("{prefix}{}.{ENDING}", std::process::id()));
        let (uploads, unanswered) = (BTreeSet::new(), BTreeMap::new());
        let mut written = Written { path, file: None, uploads, unanswered };
        let tried = fs::create_dir_all(folder).and_then(|()| written.try_out());
        let written = tried.map(|()| written).map_err(|error| {
            tracing::warn!(
                "uploads that a crash leaves unfinished can't be thrown away by the next mount: \
                 {}: {error}",
                folder.display()
            );
        });
        Record { written: written.ok().map(Mutex::new), left: Mutex::new(left) }
    }

    /// Notes that an upload is about to begin.
    pub(super) fn begin(&self, key: &ObjectKey) {
        self.change(|written| {
            if written.unanswered.len() < MOST_LOST {
                let beginning = Beginning { since: SystemTime::now(), is_lost: false };
                written.unanswered.entry(key.as_str().to_owned()).or_insert(beginning);
            }
        });
    }

    /// Notes what came of an upload that was about to begin: this one, or none.
    pub(super) fn begun(&self, key: &ObjectKey, upload: Option<&Upload>) {
        self.change(|written| {
            if written.unanswered.get(key.as_str()).is_some_and(|beginning| !beginning.is_lost) {
                written.unanswered.remove(key.as_str());
            }
            written.uploads.extend(upload.map(words));
        });
    }

    /// Notes that nobody knows what came of it.
    pub(super) fn lost(&self, key: &ObjectKey) {
        self.change(|written| {
            if let Some(beginning) = written.unanswered.get_mut(key.as_str()) {
                beginning.is_lost = true;
            }
        });
    }

    /// Notes that an upload is over.
    pub(super) fn remove(&self, upload: &Upload) {
        self.change(|written| {
            written.uploads.remove(&words(upload));
        });
    }

    /// What earlier mounts may have begun without knowing it; told once.
    pub(super) fn take_lost(&self) -> Vec<Lost> {
        let mut left = self.left();
        let lost = left.iter_mut().flat_map(|left| std::mem::take(&mut left.lost)).collect();
        left.retain(Left::is_needed);
        lost
    }

    /// What earlier mounts left unfinished.
    pub(super) fn left_behind(&self) -> Vec<Upload> {
        self.left().iter().flat_map(|left| left.uploads.clone()).collect()
    }

    /// One of those is over.
    pub(super) fn forget_left_behind(&self, upload: &Upload) {
        self.left().retain_mut(|left| {
            left.uploads.retain(|other| other != upload);
            left.is_needed()
        });
    }

    fn change(&self, change: impl FnOnce(&mut Written)) {
        let Some(written) = &self.written else { return };
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut written);
        if let Err(error) = written.write() {
            tracing::warn!("the record of uploads can't be written: {error}");
        }
    }

    fn left(&self) -> MutexGuard<'_, Vec<Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Left {
    /// Whether it still says something; a file that does not is deleted.
    fn is_needed(&self) -> bool {
        let is_needed = !self.uploads.is_empty() || !self.lost.is_empty();
        if !is_needed {
            let _ = fs::remove_file(&self.path);
        }
        is_needed
    }
}

impl Written {
    fn is_empty(&self) -> bool {
        self.uploads.is_empty() && self.unanswered.is_empty()
    }

    /// Finds out now, not at the first upload, whether the file can be written.
    fn try_out(&mut self) -> io::Result<()> {
        self.file = Some(self.create()?);
        self.write()
    }

    /// Has the file say what is under way; where nothing is, there is none.
    fn write(&mut self) -> io::Result<()> {
        if self.is_empty() {
            return match self.file.take() {
                Some(_) => fs::remove_file(&self.path),
                None => Ok(()),
            };
        }
        let named = self.uploads.iter().map(|(key, id)| format!("{} {}\n", word(key), word(id)));
        let unanswered = self.unanswered.iter().map(|(key, beginning)| {
            let since = beginning.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            format!("{} {UNKNOWN} {}\n", word(key), since.as_secs())
        });
        let text: String = named.chain(unanswered).collect();
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.create()?,
        };
        let written = file
            .rewind()
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.set_len(text.len() as u64));
        // In any case: while it is locked nobody takes it for one that a crash left.
        self.file = Some(file);
        written
    }

    /// A new file, which nobody finds before it is locked.
    fn create(&self) -> io::Result<File> {
        let unnamed = self.path.with_extension("new");
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&unnamed)?;
        file.lock()?;
        fs::rename(&unnamed, &self.path)?;
        Ok(file)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // What is not over is left to the next mount.
        if self.is_empty() {
            let _ = self.write();
        }
    }
}

fn words(upload: &Upload) -> (String, String) {
    (upload.key.as_str().to_owned(), upload.id.to_string())
}

/// A key or an id without the characters that separate them.
fn word(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The upload that a line names.
fn upload_of(line: &str) -> Option<Upload> {
    let (key, id) = line.split_once(' ').filter(|(_, id)| !id.starts_with(UNKNOWN))?;
    Some(Upload { key: ObjectKey::new(text_of(key)?), id: Arc::from(text_of(id)?) })
}

/// The upload without a name that a line tells of.
fn lost_of(line: &str) -> Option<Lost> {
    let mut words = line.split(' ');
    let key = ObjectKey::new(text_of(words.next()?)?);
    let seconds = words.next().filter(|id| *id == UNKNOWN).and(words.next())?.parse().ok()?;
    let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(Lost { key, since })
}

fn text_of(word: &str) -> Option<String> {
    Some(percent_decode_str(word).decode_utf8().ok()?.into_owned())
}

/// The files of this bucket that no daemon holds.
fn take_over(folder: &Path, prefix: &str) -> io::Result<Vec<Left>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with(prefix) || !name.ends_with(ENDING) {
            continue;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
        if file.try_lock().is_err() {
            continue;
        }
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let uploads: Vec<Upload> = text.lines().filter_map(upload_of).collect();
        let lost: Vec<Lost> = text.lines().filter_map(lost_of).collect();
        let left = Left { _file: file, path, uploads, lost };
        if left.is_needed() {
            found.push(left);
        }
    }
    Ok(found)
}

/// A name for a bucket that is no path.
fn checksum(bucket: &str) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bucket.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(key: &str, id: &str) -> Upload {
        Upload { key: ObjectKey::new(key), id: Arc::from(id) }
    }

    #[test]
    fn what_a_crash_leaves_is_found_by_the_next_mount_of_the_bucket_alone() {
        let folder = tempfile::tempdir().unwrap();
        let open = |bucket| Record::open(Some(folder.path()), bucket);
        let crashed = open("bucket");
        crashed.begin(&ObjectKey::new("a/b\n c"));
        crashed.begun(&ObjectKey::new("a/b\n c"), Some(&upload("a/b\n c", "1")));
        crashed.begun(&ObjectKey::new("d"), Some(&upload("d", "2")));
        crashed.remove(&upload("d", "2"));
        // A record of the same process has the same name: as after a crash, another's.
        let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().replace('-', "-9");
        assert!(open("other").left_behind().is_empty());
        fs::copy(&path, path.with_file_name(name)).unwrap();
        drop(crashed);
        fs::remove_file(&path).unwrap();
        let next = open("bucket");
        assert_eq!(next.left_behind(), [upload("a/b\n c", "1")]);
        next.forget_left_behind(&upload("a/b\n c", "1"));
        assert!(next.left_behind().is_empty());
        drop(next);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn there_is_a_file_while_an_upload_is_under_way_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let files = || fs::read_dir(folder.path()).unwrap().count();
        let record = Record::open(Some(folder.path()), "bucket");
        assert_eq!(files(), 0);
        for _ in 0..2 {
            record.begin(&ObjectKey::new("a"));
            assert_eq!(files(), 1);
            record.begun(&ObjectKey::new("a"), Some(&upload("a", "1")));
            record.begun(&ObjectKey::new("b"), Some(&upload("b", "2")));
            record.remove(&upload("a", "1"));
            assert_eq!(files(), 1);
            record.remove(&upload("b", "2"));
            assert_eq!(files(), 0);
        }
    }

    #[test]
    fn a_beginning_without_an_answer_is_told_once_by_the_next_mount() {
        let folder = tempfile::tempdir().unwrap();
        let (lost, refused, again) = ("lost in x", "refused", "lost, then begun");
        let record = Record::open(Some(folder.path()), "bucket");
        for key in [lost, refused, again] {
            record.begin(&ObjectKey::new(key));
        }
        record.begun(&ObjectKey::new(refused), None);
        record.lost(&ObjectKey::new(again));
        record.begin(&ObjectKey::new(again));
        record.begun(&ObjectKey::new(again), Some(&upload(again, "1")));
        record.remove(&upload(again, "1"));
        let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let text = fs::read_to_string(path).unwrap();
        assert!(text.lines().all(|line| upload_of(line).is_none()), "{text}");
        drop(record);
        let next = Record::open(Some(folder.path()), "bucket");
        assert!(next.left_behind().is_empty());
        let told = next.take_lost();
        assert_eq!(told.iter().map(|lost| lost.key.as_str()).collect::<Vec<_>>(), [lost, again]);
        assert!(told.iter().all(|lost| lost.since.elapsed().unwrap() < Duration::from_secs(60)));
        assert!(next.take_lost().is_empty());
        drop(next);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_living_daemons_uploads_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let living = Record::open(Some(folder.path()), "bucket");
        living.begun(&ObjectKey::new("a"), Some(&upload("a", "1")));
        assert!(take_over(folder.path(), "").unwrap().is_empty());
    }
}
