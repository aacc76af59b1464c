//! Steps that change which names there are.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use s3mem::fs::{NewNode, RenameHow};

use super::driver::{Driver, MAKER, Outcome};
use super::oracle::{Change, Made, bytes_of, is_memory_only};
use super::steps::Fault;
use crate::harness::plain_tree::{At, Body, Id, of_bucket};

/// What a step is to do, and how that may end.
type Plan = (Vec<Change>, Vec<Result<(), i32>>);

fn refused(errno: i32) -> Plan {
    (Vec::new(), vec![Err(errno)])
}

/// What needs no request.
fn nothing() -> Plan {
    (Vec::new(), vec![Ok(())])
}

/// How something may end that the mount may do or not, or may not know that it may.
pub(super) fn outcomes(expected: Result<(), i32>, may: Made) -> Vec<Result<(), i32>> {
    match may {
        Made::Yes => vec![expected],
        Made::Perhaps => vec![expected, Err(libc::EPERM)],
        Made::No => vec![Err(libc::EPERM)],
    }
}

/// Files and directories have other names here, so that no key is both.
pub(super) fn is_dir_name(name: &str) -> bool {
    matches!(name, "d" | "e" | "n")
}

impl Driver {
    pub(super) async fn mkdir(&mut self, at: &At, fault: Option<&Fault>) {
        let Some((dir, name, known)) = self.look(at).await else { return };
        let Some(ino) = self.ino_of_dir(dir).await else { return };
        if !is_dir_name(&name) {
            return;
        }
        let key = self.key(dir, &name);
        let marker = format!("{key}/");
        let (mut changes, mut expected) = (Vec::new(), Ok(()));
        if known.is_some() {
            expected = Err(libc::EEXIST);
        } else if !is_memory_only(&key) {
            if self.oracle.etag(&marker).is_some() {
                expected = Err(libc::EEXIST);
            }
            changes.push(Change::new(&marker, Some(Vec::new()), None));
        }
        self.arm(fault);
        let done = self.tree.fs.make(ino, OsStr::new(&name), NewNode::Dir, MAKER).await;
        let failed = self.settle().await;
        let outcome = self.judge(done, &[expected], failed, &marker);
        self.account(&changes, &outcome, failed);
        match outcome {
            Outcome::Done((attr, _)) => {
                let body = Body::Dir(Default::default());
                let id = self.model.make(dir, &name, body, MAKER.mode).unwrap();
                self.entered(id, attr);
            }
            Outcome::Refused(_) => {}
            Outcome::Failed => drop(self.oracle.unsure.insert(marker)),
        }
    }

    pub(super) async fn unlink(&mut self, at: &At, fault: Option<&Fault>) {
        let Some((dir, name, known)) = self.look(at).await else { return };
        let Some(ino) = self.ino_of_dir(dir).await else { return };
        let key = self.key(dir, &name);
        let (changes, expected) = match known {
            None => refused(libc::ENOENT),
            Some(id) if self.model.is_dir(id) => refused(libc::EISDIR),
            Some(id) => self.to_unlink(id, &key),
        };
        self.arm(fault);
        let done = self.tree.fs.unlink(ino, OsStr::new(&name)).await;
        let failed = self.settle().await;
        let outcome = self.judge(done, &expected, failed, &key);
        self.account(&changes, &outcome, failed);
        match outcome {
            Outcome::Done(()) => {
                self.model.unlink(dir, &name).unwrap();
                if self.oracle.etag(&key).is_some() {
                    // Somebody else's, or ours without our knowing: that shows again.
                    self.oracle.unsure.insert(key);
                }
            }
            Outcome::Refused(_) => {}
            Outcome::Failed => drop(self.oracle.unsure.insert(key)),
        }
    }

    fn to_unlink(&self, id: Id, key: &str) -> Plan {
        let file = &self.about[&id];
        let Some(seen) = file.seen.clone().filter(|_| !file.is_conflict) else {
            return nothing();
        };
        self.to_delete(key, seen)
    }

    /// To delete a version.
    fn to_delete(&self, key: &str, seen: String) -> Plan {
        let may = self.oracle.may_delete(key, Some(&seen));
        let expected = match self.oracle.etag(key) {
            _ if may == Made::No => return refused(libc::EPERM),
            Some(now) if now != seen => Err(libc::ESTALE),
            // Somebody else was quicker.
            Some(_) | None => Ok(()),
        };
        (vec![Change::new(key, None, Some(seen))], outcomes(expected, may))
    }

    pub(super) async fn rmdir(&mut self, at: &At, fault: Option<&Fault>) {
        let Some((dir, name, known)) = self.look(at).await else { return };
        if let Some(id) = known.filter(|id| self.model.is_dir(*id)) {
            self.list(id, 7, false).await;
        }
        let Some(ino) = self.ino_of_dir(dir).await else { return };
        let key = format!("{}/", self.key(dir, &name));
        let (changes, expected) = match known {
            None => refused(libc::ENOENT),
            Some(id) if !self.model.is_dir(id) => refused(libc::ENOTDIR),
            Some(id) if !self.model.entries(id).is_empty() => refused(libc::ENOTEMPTY),
            Some(_) if is_memory_only(&key) => nothing(),
            Some(_) if self.below(&key).iter().any(|below| *below != key) => {
                refused(libc::ENOTEMPTY)
            }
            Some(_) => match self.oracle.etag(&key) {
                Some(etag) => self.to_delete(&key, etag),
                None => nothing(),
            },
        };
        self.arm(fault);
        let done = self.tree.fs.rmdir(ino, OsStr::new(&name)).await;
        let failed = self.settle().await;
        let outcome = self.judge(done, &expected, failed, &key);
        self.account(&changes, &outcome, failed);
        match outcome {
            Outcome::Done(()) => self.model.rmdir(dir, &name).unwrap(),
            Outcome::Refused(_) => {}
            Outcome::Failed => drop(self.oracle.unsure.insert(key)),
        }
    }

    /// The keys that begin so.
    fn below(&self, prefix: &str) -> Vec<String> {
        let keys = self.oracle.objects.keys();
        keys.filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    pub(super) async fn rename(
        &mut self,
        from: &At,
        to: &At,
        how: RenameHow,
        fault: Option<&Fault>,
    ) {
        let Some((from_dir, from_name, _)) = self.look(from).await else { return };
        let Some((to_dir, to_name, target)) = self.look(to).await else { return };
        if self.model.nodes[from_dir].names == 0 {
            return;
        }
        let source = self.model.find(from_dir, &from_name);
        let is_dir = |id: Option<Id>| id.is_some_and(|id| self.model.is_dir(id));
        if source.is_some() && target.is_none() && is_dir(source) != is_dir_name(&to_name) {
            return;
        }
        // The kernel refuses these by itself.
        let is_loop = |moved: Option<Id>, dir| {
            moved.is_some_and(|id| self.model.is_dir(id) && self.model.is_within(dir, id))
        };
        if is_loop(source, to_dir) || is_loop(target, from_dir) {
            return;
        }
        if let Some(target) = target.filter(|_| is_dir(target)) {
            self.list(target, 7, false).await;
        }
        let (from, to) = ((from_dir, from_name.as_str()), (to_dir, to_name.as_str()));
        let (changes, expected) = self.to_rename(from, to, how);
        let (Some(from_ino), Some(to_ino)) =
            (self.ino_of_dir(from_dir).await, self.ino_of_dir(to_dir).await)
        else {
            return;
        };
        let (from_key, to_key) = (self.key(from.0, from.1), self.key(to.0, to.1));
        self.arm(fault);
        let (from_os, to_os) = ((from_ino, OsStr::new(from.1)), (to_ino, OsStr::new(to.1)));
        let done = self.tree.fs.rename(from_os, to_os, how).await;
        let failed = self.settle().await;
        let outcome = self.judge(done, &expected, failed, (&from_key, &to_key, how));
        // Some of it may be done when somebody else is found to have been quicker.
        let is_half = matches!(outcome, Outcome::Refused(libc::ESTALE));
        match is_half {
            true => self.account(&changes, &Outcome::<()>::Failed, failed),
            false => self.account(&changes, &outcome, failed),
        }
        match outcome {
            Outcome::Done(()) if source == target => {}
            Outcome::Done(()) => {
                let source = source.unwrap();
                self.renamed(source, from, to, target);
                if self.model.is_dir(source) {
                    self.moved_below(source, &from_key, &to_key);
                }
            }
            Outcome::Refused(_) if !is_half => {}
            Outcome::Refused(_) | Outcome::Failed => {
                if source.is_none() || source == target {
                    return;
                }
                let is_file = source.filter(|id| self.model.is_file(*id));
                if is_file.is_none() {
                    self.oracle.unsure.insert(format!("{from_key}/"));
                    self.oracle.unsure.insert(format!("{to_key}/"));
                }
                self.resync(to.0, to.1, is_file).await;
                self.resync(from.0, from.1, is_file).await;
                self.sync_pending();
            }
        }
    }

    fn renamed(&mut self, source: Id, from: (Id, &str), to: (Id, &str), target: Option<Id>) {
        let seen = target.and_then(|id| self.about.get(&id)).and_then(|file| file.seen.clone());
        let was_memory = is_memory_only(&self.key(from.0, from.1));
        let was_open = self.is_open(source, false);
        if let Some(target) = target.filter(|id| self.model.is_dir(*id)) {
            // What an interrupted rename put there is there again.
            self.empty(target);
        }
        self.model.rename(from, to, RenameHow::Replace).unwrap();
        let key = self.key(to.0, to.1);
        let etag = self.oracle.etag(&key);
        let Some(file) = self.about.get_mut(&source) else { return };
        file.was_moved = true;
        file.is_closed &= !was_memory;
        if is_memory_only(&key) {
        } else if file.is_dirty && was_open && !was_memory {
            // The server has copied what it had; the rest is sent later.
            file.seen = if file.seen.is_some() { etag } else { seen };
            file.is_conflict = false;
        } else {
            (file.seen, file.is_dirty, file.is_conflict) = (etag, false, false);
        }
    }

    fn to_rename(&self, from: (Id, &str), to: (Id, &str), how: RenameHow) -> Plan {
        let Some(source) = self.model.find(from.0, from.1) else { return refused(libc::ENOENT) };
        let target = self.model.find(to.0, to.1);
        match (target, how) {
            (_, RenameHow::Exchange) => return refused(libc::EINVAL),
            (Some(_), RenameHow::Keep) => return refused(libc::EEXIST),
            (Some(target), _) if target == source => return nothing(),
            _ => {}
        }
        let (from_key, to_key) = (self.key(from.0, from.1), self.key(to.0, to.1));
        let (was_memory, is_memory) = (is_memory_only(&from_key), is_memory_only(&to_key));
        if let Some(target) = target {
            match (self.model.is_dir(source), self.model.is_dir(target)) {
                (false, true) => return refused(libc::EISDIR),
                (true, false) => return refused(libc::ENOTDIR),
                (true, true) if !self.model.entries(target).is_empty() => {
                    if was_memory || is_memory || self.is_held(&to_key, true) {
                        return refused(libc::ENOTEMPTY);
                    }
                    let (old, new) = (self.rest(&from_key), self.rest(&to_key));
                    let most = self.oracle.config.rename_objects as usize;
                    if old.len() > most || new.len() > most {
                        return refused(libc::EXDEV);
                    }
                    if !new.is_subset(&old) {
                        return refused(libc::ENOTEMPTY);
                    }
                }
                _ => {}
            }
        }
        match (was_memory, is_memory) {
            (true, true) => nothing(),
            _ if self.model.is_dir(source) && (was_memory || is_memory) => refused(libc::EXDEV),
            _ if self.model.is_dir(source) => self.to_rename_dir(&from_key, &to_key),
            _ => self.to_rename_file(source, &from_key, target, &to_key),
        }
    }

    /// What lies below a directory in the bucket: the rest of each key, and its size.
    fn rest(&self, dir: &str) -> BTreeSet<(String, u64)> {
        let prefix = format!("{dir}/");
        let rest = |key: String| {
            let size = self.oracle.objects[&key].content.size();
            (key[prefix.len()..].to_owned(), size)
        };
        self.below(&prefix).into_iter().map(rest).collect()
    }

    fn to_rename_dir(&self, from: &str, to: &str) -> Plan {
        let config = &self.oracle.config;
        if config.rename_objects == 0 {
            return refused(libc::EXDEV);
        }
        if !config.allow_delete {
            return refused(libc::EPERM);
        }
        let prefix = format!("{from}/");
        let keys = self.below(&prefix);
        if self.is_held(from, false) || keys.len() as u64 > config.rename_objects {
            return refused(libc::EXDEV);
        }
        let (mut changes, mut expected) = (Vec::new(), Ok(()));
        for key in &keys {
            let object = &self.oracle.objects[key];
            let copy = format!("{to}/{}", &key[prefix.len()..]);
            match self.oracle.objects.get(&copy) {
                Some(held) if held.etag != object.etag => expected = Err(libc::ESTALE),
                _ => {}
            }
            let bytes = Some(bytes_of(object));
            let seen = self.oracle.etag(&copy).filter(|etag| *etag == object.etag);
            let made = self.oracle.made(key, Some(&object.etag));
            changes.push(Change::new(&copy, bytes, seen).copied(made));
            changes.push(Change::new(key, None, Some(object.etag.clone())));
        }
        (changes, vec![expected])
    }

    /// Whether something below a directory is in memory alone, or open if that counts.
    fn is_held(&self, dir: &str, counts_open: bool) -> bool {
        let prefix = format!("{dir}/");
        let named = (0..self.model.nodes.len()).filter(|id| self.model.nodes[*id].names > 0);
        named.into_iter().any(|id| {
            let Some(file) = self.about.get(&id) else {
                let path = self.prefix(id);
                return path.starts_with(&prefix) && is_memory_only(&path);
            };
            let key = self.key_of(id);
            let is_alone = is_memory_only(&key) || file.is_dirty;
            let is_open = counts_open && file.is_made && self.is_open(id, false);
            key.starts_with(&prefix) && (is_alone || is_open)
        })
    }

    /// What lies in a directory that was renamed is what the bucket has there now.
    fn moved_below(&mut self, dir: Id, from: &str, to: &str) {
        if is_memory_only(to) {
            return;
        }
        let prefix = format!("{to}/");
        // What is unsure of the old names is unsure of the new ones.
        for id in 0..self.model.nodes.len() {
            if !self.is_remote(id) || !self.key_of(id).starts_with(&prefix) {
                continue;
            }
            let key = self.key_of(id);
            let was = format!("{from}/{}", &key[prefix.len()..]);
            let object = self.oracle.objects.get(&key).cloned();
            let file = self.about.get_mut(&id).unwrap();
            let seen = object.as_ref().map(|object| object.etag.clone());
            // Bytes in memory are of the version that was copied, or not of use any more.
            (file.is_made, file.was_moved) = (file.is_made && file.seen == seen, true);
            file.seen = seen;
            let is_kept = object.is_some_and(|object| bytes_of(&object) == self.model.bytes(id));
            if !is_kept {
                assert!(self.is_unsure(&was), "{key:?} is not what was renamed");
                let (above, name) = self.model.place(id).unwrap();
                self.model.unlink(above, &name).unwrap();
            }
        }
        for key in self.below(&prefix) {
            let (mut at, rest) = (dir, key[prefix.len()..].to_owned());
            for segment in rest.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev() {
                at = match self.model.find(at, segment) {
                    Some(id) => id,
                    None => {
                        let node = of_bucket(Body::Dir(Default::default()));
                        self.model.add(at, segment, node)
                    }
                };
            }
            let name = rest.rsplit('/').next().unwrap_or_default();
            if !name.is_empty() && self.model.find(at, name).is_none() {
                let object = self.oracle.objects[&key].clone();
                let id = self.model.add(at, name, of_bucket(Body::File(bytes_of(&object))));
                let seen = Some(object.etag.clone());
                self.about.insert(id, super::driver::File { seen, ..Default::default() });
            }
        }
    }

    fn to_rename_file(&self, source: Id, from: &str, target: Option<Id>, to: &str) -> Plan {
        if is_memory_only(to) {
            return refused(libc::EXDEV);
        }
        let file = &self.about[&source];
        let target_seen = target.and_then(|id| self.about[&id].seen.clone());
        let may = self.oracle.may_overwrite(to, target_seen.as_ref());
        let may = may.min(self.oracle.may_delete(from, file.seen.as_ref()));
        if may == Made::No {
            return refused(libc::EPERM);
        }
        let is_open = self.is_open(source, false);
        let stays_open = is_open && file.is_dirty && !is_memory_only(from);
        if is_memory_only(from) && is_open {
            return refused(libc::EXDEV);
        }
        let (mut changes, mut expected) = (Vec::new(), Ok(()));
        // What is being written is sent later; what the bucket has is copied at once.
        let is_copied = !file.is_dirty || stays_open && file.seen.is_some();
        if is_copied || !stays_open {
            if !self.oracle.is_seen(to, &target_seen) {
                expected = Err(libc::ESTALE);
            }
            let bytes = match stays_open {
                true => self.oracle.objects.get(from).map(|object| bytes_of(object)),
                false => Some(self.model.bytes(source).to_vec()),
            };
            let change = Change::new(to, bytes, target_seen);
            changes.push(match is_copied {
                true => change.copied(self.oracle.made(from, file.seen.as_ref())),
                false => change,
            });
        }
        if let Some(seen) = file.seen.clone() {
            let (deletion, outcome) = self.to_delete(from, seen.clone());
            changes.extend(deletion);
            expected = expected.and(outcome[0]);
            if is_copied && !self.oracle.is_seen(from, &Some(seen)) {
                expected = Err(libc::ESTALE);
            }
        }
        (changes, outcomes(expected, may))
    }
}
