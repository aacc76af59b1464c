//! The versions that a bucket keeps, where it keeps any.
//!
//! Contract: as on S3. What was there before has the id `null`; a deletion without an id leaves
//! a marker and takes nothing away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::super::bucket::Object as Stored;
use super::answers::Render;
use super::service::Operations;

/// S3 gives no more than this in one page, whatever is asked for.
const MAX_KEYS: i32 = 1000;

/// All versions of all objects of a bucket.
#[derive(Debug, Default)]
pub(super) struct History {
    /// By key, the oldest first.
    kept: BTreeMap<String, Vec<Kept>>,
    count: u64,
}

/// A version, or a delete marker.
#[derive(Debug, Clone)]
struct Kept {
    id: String,
    time: SystemTime,
    object: Option<Arc<Stored>>,
}

impl History {
    /// Begins with what is there.
    pub(super) fn of(objects: &BTreeMap<String, Arc<Stored>>) -> Self {
        let kept = |(key, object): (&String, &Arc<Stored>)| {
            let (id, time) = ("null".to_owned(), object.last_modified);
            (key.clone(), vec![Kept { id, time, object: Some(object.clone()) }])
        };
        History { kept: objects.iter().map(kept).collect(), count: 0 }
    }

    /// Notes a new version of an object, or that it was deleted.
    pub(super) fn note(&mut self, key: &str, object: Option<&Arc<Stored>>) {
        self.count += 1;
        let id = format!("v{:06}.{}", self.count, "x".repeat(24));
        let time = object.map_or_else(SystemTime::now, |object| object.last_modified);
        let kept = Kept { id, time, object: object.cloned() };
        self.kept.entry(key.to_owned()).or_default().push(kept);
    }

    /// The version of this id.
    pub(super) fn find(&self, key: &str, id: &str) -> Option<Arc<Stored>> {
        self.kept.get(key)?.iter().find(|kept| kept.id == id)?.object.clone()
    }

    /// Takes a version away for good; what is current then.
    pub(super) fn destroy(&mut self, key: &str, id: &str) -> Option<Arc<Stored>> {
        let kept = self.kept.get_mut(key)?;
        kept.retain(|kept| kept.id != id);
        kept.last()?.object.clone()
    }

    /// The id of the version that is current.
    pub(super) fn current(&self, key: &str) -> Option<String> {
        Some(self.kept.get(key)?.last()?.id.clone())
    }

    /// The ids of an object's versions, the oldest first.
    pub(super) fn ids(&self, key: &str) -> Vec<String> {
        let kept = self.kept.get(key).into_iter().flatten();
        kept.map(|kept| kept.id.clone()).collect()
    }

    fn list(&self, input: &ListObjectVersionsInput, render: &Render) -> ListObjectVersionsOutput {
        let prefix = input.prefix.clone().unwrap_or_default();
        let most = input.max_keys.unwrap_or(MAX_KEYS).clamp(0, MAX_KEYS) as usize;
        let after_key = input.key_marker.clone().unwrap_or_default();
        let newest_first = self.kept.iter().filter(|(key, _)| key.starts_with(&prefix));
        let mut all: Vec<(&String, &Kept, bool)> = newest_first
            .flat_map(|(key, kept)| {
                let last = kept.len();
                let with_rank = kept.iter().enumerate().rev();
                with_rank.map(move |(at, one)| (key, one, at + 1 == last))
            })
            .filter(|(key, ..)| **key >= after_key)
            .collect();
        if let Some(id) = &input.version_id_marker {
            let at = all.iter().position(|(key, one, _)| **key == after_key && one.id == *id);
            all.drain(..at.map_or(0, |at| at + 1));
        } else if !after_key.is_empty() {
            all.retain(|(key, ..)| **key > after_key);
        }
        let is_truncated = all.len() > most;
        all.truncate(most);
        let last = all.last().filter(|_| is_truncated);
        let next_key_marker = last.map(|(key, ..)| render.text(key));
        let next_version_id_marker = last.map(|(_, one, _)| one.id.clone());
        let (mut versions, mut delete_markers) = (Vec::new(), Vec::new());
        for (key, one, is_latest) in all {
            let (key, version_id) = (Some(render.text(key)), Some(one.id.clone()));
            let (is_latest, last_modified) = (Some(is_latest), Some(one.time.into()));
            match &one.object {
                Some(object) => versions.push(ObjectVersion {
                    key,
                    version_id,
                    is_latest,
                    last_modified,
                    e_tag: render.etag(object),
                    size: Some(object.content.size() as i64),
                    ..Default::default()
                }),
                None => delete_markers.push(DeleteMarkerEntry {
                    key,
                    version_id,
                    is_latest,
                    last_modified,
                    ..Default::default()
                }),
            }
        }
        ListObjectVersionsOutput {
            prefix: input.prefix.clone().map(|prefix| render.text(&prefix)),
            is_truncated: Some(is_truncated),
            next_key_marker,
            next_version_id_marker,
            versions: Some(versions),
            delete_markers: Some(delete_markers),
            encoding_type: render.told(input.encoding_type.clone()),
            ..Default::default()
        }
    }
}

impl Operations {
    /// The object of this key, or the version of it that is asked for, with its id.
    pub(super) fn find_version(
        &self,
        bucket: &str,
        key: &str,
        id: Option<&str>,
    ) -> S3Result<(Arc<Stored>, Option<String>)> {
        self.read(bucket, |hosted| {
            let history = hosted.history.as_ref();
            let object = match id {
                None => hosted.bucket.objects.get(key).cloned(),
                // Without a history the only one is `null`.
                Some("null") if history.is_none() => hosted.bucket.objects.get(key).cloned(),
                Some(id) => history.and_then(|history| history.find(key, id)),
            };
            let missing = || match id {
                None => s3_error!(NoSuchKey, "The specified key does not exist."),
                Some(_) => s3_error!(NoSuchVersion, "The specified version does not exist."),
            };
            let told = history.and_then(|history| match id {
                None => history.current(key),
                Some(id) => Some(id.to_owned()),
            });
            Ok((object.ok_or_else(missing)?, told))
        })
    }

    /// As ListObjectVersions.
    pub(super) fn versions(
        &self,
        input: &ListObjectVersionsInput,
    ) -> S3Result<ListObjectVersionsOutput> {
        let render = Render::new(self.shared.listing(), input.encoding_type.as_ref());
        self.read(&input.bucket, |hosted| match &hosted.history {
            Some(history) => Ok(history.list(input, &render)),
            None => Ok(History::of(&hosted.bucket.objects).list(input, &render)),
        })
    }
}
