//! `s3mem warm`: files, trees and siblings of mounts are fetched into memory ahead of work.
//!
//! Contract: reads through the mount, as any program would, so whoever may read may warm. What
//! has been fetched is not dropped for what comes behind it: the first file for which there is
//! no room ends it. At the end it is looked whether all is still there.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::fs::Advice;

use super::progress::Progress;
use super::text::tell;
use crate::cli::WarmArgs;
use crate::config::show_size;
use crate::fs::{CACHED, ROOM};
use crate::view::{UnknownView, ViewSet, has_image_name};

/// How many files are fetched at once, unless somebody wants another number.
const JOBS: u16 = 8;
/// How much is read at a time.
const PIECE_BYTES: usize = 1 << 20;
/// What a file takes is a multiple of this.
const PAGE_BYTES: u64 = 4096;
/// The status if something did not fit.
const DID_NOT_FIT: u8 = 3;
/// So many names are told of what did not fit, or failed.
const TOLD: usize = 5;

/// Why nothing was fetched. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum WarmError {
    #[error("--siblings: {0}")]
    Siblings(#[from] UnknownView),
    #[error("the list {path} can't be read: {cause}")]
    List { path: PathBuf, cause: io::Error },
}

/// What became of one file.
#[derive(Debug)]
enum Outcome {
    Fetched(u64),
    NoRoom(u64),
    Failed(String),
    /// An image has no such sibling.
    Nothing,
}

/// Runs the command.
pub(super) fn run(args: &WarmArgs) -> Result<ExitCode, WarmError> {
    let siblings: Option<ViewSet> = match &args.siblings {
        None => None,
        Some(list) => Some(list.parse()?),
    };
    let mut paths = args.paths.clone();
    if let Some(list) = &args.from_file {
        let lines = read_list(list);
        paths.extend(lines.map_err(|cause| WarmError::List { path: list.clone(), cause })?);
    }
    let mut work = Work { siblings, rooms: HashMap::new(), items: Vec::new(), failed: Vec::new() };
    for path in &paths {
        work.add_tree(path);
    }
    Ok(work.fetch(args.jobs.unwrap_or(JOBS).into()))
}

fn read_list(list: &Path) -> io::Result<Vec<PathBuf>> {
    let mut text = String::new();
    match list == "-" {
        true => io::stdin().lock().read_to_string(&mut text)?,
        false => File::open(list)?.read_to_string(&mut text)?,
    };
    Ok(text.lines().filter(|line| !line.is_empty()).map(PathBuf::from).collect())
}

/// A file to fetch.
#[derive(Debug)]
struct Item {
    path: PathBuf,
    /// The mount that it is in.
    device: u64,
    /// Its size, except of a sibling, of which nobody may know it yet.
    size: Option<u64>,
}

/// How much may still be fetched into one mount, in bytes.
#[derive(Debug)]
struct Room {
    all: u64,
    left: Mutex<u64>,
}

/// All that is to be done.
#[derive(Debug)]
struct Work {
    siblings: Option<ViewSet>,
    rooms: HashMap<u64, Room>,
    items: Vec<Item>,
    failed: Vec<String>,
}

impl Work {
    /// Adds a file, or all files below a folder, in the order of their names.
    fn add_tree(&mut self, path: &Path) {
        let fail = |cause: &dyn std::fmt::Display| format!("{}: {cause}", path.display());
        let status = match fs::metadata(path) {
            Ok(status) => status,
            Err(error) => return self.failed.push(fail(&error)),
        };
        if let Entry::Vacant(place) = self.rooms.entry(status.dev()) {
            let Some(all) = room_of(path) else {
                return self.failed.push(fail(&"not in a mount of s3mem"));
            };
            place.insert(Room { all, left: Mutex::new(all) });
        }
        if !status.is_dir() {
            return self.add_file(path, &status);
        }
        let entries = fs::read_dir(path).and_then(|entries| {
            let paths = entries.map(|entry| Ok(entry?.path()));
            paths.collect::<io::Result<Vec<PathBuf>>>()
        });
        match entries {
            Ok(mut entries) => {
                entries.sort();
                // A link could lead round in a circle.
                entries.retain(|entry| !entry.is_symlink());
                entries.iter().for_each(|entry| self.add_tree(entry));
            }
            Err(error) => self.failed.push(fail(&error)),
        }
    }

    fn add_file(&mut self, path: &Path, status: &fs::Metadata) {
        if !status.is_file() {
            return;
        }
        let device = status.dev();
        let Some(siblings) = self.siblings else {
            self.items.push(Item { path: path.to_owned(), device, size: Some(status.len()) });
            return;
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if has_image_name(&name) {
            for kind in siblings.kinds() {
                let path = path.with_file_name(format!("{name}{}", kind.suffix()));
                self.items.push(Item { path, device, size: None });
            }
        }
    }

    /// Fetches all of it, and says what came of it.
    fn fetch(self, jobs: usize) -> ExitCode {
        let sizes = self.items.iter().filter_map(|item| item.size).sum();
        let progress = Progress::start(self.items.len(), sizes);
        let outcomes: Mutex<Vec<(usize, Outcome)>> = Mutex::default();
        let (next, is_full) = (AtomicUsize::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..jobs.min(self.items.len()) {
                scope.spawn(|| {
                    let mut buffer = vec![0; PIECE_BYTES];
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(item) = self.items.get(index) else { return };
                        let outcome = self.fetch_one(item, &mut buffer, &is_full, &progress);
                        progress.file_done();
                        crate::sync::lock(&outcomes).push((index, outcome));
                    }
                });
            }
        });
        let mut outcomes = outcomes.into_inner().unwrap_or_default();
        outcomes.sort_by_key(|(index, _)| *index);
        progress.end();
        self.report(outcomes)
    }

    fn fetch_one(
        &self,
        item: &Item,
        buffer: &mut [u8],
        is_full: &AtomicBool,
        progress: &Progress,
    ) -> Outcome {
        let fail = |error: io::Error| Outcome::Failed(format!("{}: {error}", item.path.display()));
        if is_full.load(Ordering::Relaxed) {
            return Outcome::NoRoom(item.size.unwrap_or(0));
        }
        let size = match item.size {
            Some(size) => size,
            None => match fs::metadata(&item.path) {
                Ok(status) => {
                    progress.more(status.len());
                    status.len()
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Outcome::Nothing,
                Err(error) => return fail(error),
            },
        };
        let Some(room) = self.rooms.get(&item.device) else { return Outcome::NoRoom(size) };
        if !room.take(size) {
            // Others may fit where one is larger than all of the memory.
            is_full.fetch_or(size <= room.all, Ordering::Relaxed);
            return Outcome::NoRoom(size);
        }
        let read = || -> io::Result<u64> {
            let mut file = File::open(&item.path)?;
            let mut all = 0;
            loop {
                match file.read(buffer)? {
                    0 => break,
                    count => {
                        all += count as u64;
                        progress.bytes(count as u64);
                    }
                }
            }
            // The mount has the bytes; the kernel need not have them a second time.
            let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
            Ok(all)
        };
        let mut read = read;
        read().map_or_else(fail, Outcome::Fetched)
    }

    fn report(self, outcomes: Vec<(usize, Outcome)>) -> ExitCode {
        let (mut files, mut bytes) = (0_u64, 0);
        let (mut unfit, mut unfit_bytes, mut failed) = (Vec::new(), 0, self.failed);
        for (index, outcome) in outcomes {
            let Some(item) = self.items.get(index) else { continue };
            match outcome {
                Outcome::Nothing => {}
                Outcome::Failed(sentence) => failed.push(sentence),
                Outcome::NoRoom(size) => {
                    unfit.push(item.path.display().to_string());
                    unfit_bytes += size;
                }
                Outcome::Fetched(size) if item.size.is_some() && held(&item.path) < Some(size) => {
                    unfit.push(item.path.display().to_string());
                    unfit_bytes += size;
                }
                Outcome::Fetched(size) => {
                    files += 1;
                    bytes += size;
                }
            }
        }
        let what = if self.siblings.is_some() { "siblings" } else { "files" };
        // A reader that stops reading does not want the rest.
        let _ = writeln!(io::stdout(), "in memory: {files} {what}, {}", show_size(bytes));
        if !unfit.is_empty() {
            tell(&format!(
                "{} {what} ({}) did not fit into the memory of the mount (--memory): {}",
                unfit.len(),
                show_size(unfit_bytes),
                some_of(&unfit)
            ));
        }
        if !failed.is_empty() {
            tell(&format!("{} could not be read: {}", failed.len(), some_of(&failed)));
            return ExitCode::FAILURE;
        }
        if unfit.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DID_NOT_FIT) }
    }
}

impl Room {
    /// Sets memory aside for a file of `size` bytes, if there is enough.
    fn take(&self, size: u64) -> bool {
        let bytes = size.next_multiple_of(PAGE_BYTES);
        let mut left = crate::sync::lock(&self.left);
        let enough = *left >= bytes;
        if enough {
            *left -= bytes;
        }
        enough
    }
}

/// How much the mount of a path may hold of files, in bytes; `None` if it is not one of ours.
fn room_of(path: &Path) -> Option<u64> {
    number(path, ROOM)
}

/// How much of a file is in memory.
fn held(path: &Path) -> Option<u64> {
    number(path, CACHED)
}

fn number(path: &Path, name: &str) -> Option<u64> {
    let mut value = [0; 32];
    let length = rustix::fs::getxattr(path, name, &mut value).ok()?;
    std::str::from_utf8(value.get(..length)?).ok()?.parse().ok()
}

fn some_of(names: &[String]) -> String {
    let shown = names[..names.len().min(TOLD)].join(", ");
    match names.len().saturating_sub(TOLD) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
