//! Old versions of objects among the keys of the bucket (`--versions`).
//!
//! Contract: below the folder [`AmongVersions::folder`] of a key stands, for each version of
//! that object, `TIME-NUMBER/NAME`, and for each delete marker an empty folder
//! `TIME-NUMBER-deleted/`. NAME is the last segment of the key; NUMBER counts those of one
//! second from the oldest on, so that a new version gives no other one another name. Whoever
//! asks nothing there causes no request. Old versions are only read: a write there is refused.
//! Everything else goes through as it is.
//!
//! A listing of such a folder is one ListObjectVersions for each thousand versions. Those of
//! the objects that were listed last are remembered, for the folder of each version.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use super::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeptVersion, KeyOrder, ListPage, ListRequest, ListedObject, ObjectHead,
    ObjectStore, Part, PartRequest, PutRequest, Spelling, StoreError, StoreErrorKind, Trail,
    Upload, VersionsPage, VersionsRequest, Written,
};
use crate::key::{AmongVersions, ETag, ObjectKey, ObjectVersion, Prefix, is_marked};

/// So many versions are remembered, of all objects together: some 4 MB.
const REMEMBERED: usize = 20_000;

/// A store that shows the versions of each object beside it.
#[derive(Debug)]
pub struct ShowVersions {
    inner: Arc<dyn ObjectStore>,
    /// How long what was listed is believed.
    ttl: Duration,
    remembered: Mutex<VecDeque<Remembered>>,
}

/// What an object's versions are called.
#[derive(Debug, Clone)]
struct Remembered {
    key: String,
    listed: Instant,
    versions: Arc<[Named]>,
}

/// A version under its name: an object, or an empty folder.
#[derive(Debug, Clone, PartialEq)]
enum Named {
    Version(ListedObject),
    Deleted(Prefix),
}

impl Named {
    fn as_str(&self) -> &str {
        match self {
            Named::Version(object) => object.version.key.as_str(),
            Named::Deleted(folder) => folder.as_str(),
        }
    }
}

impl ShowVersions {
    /// Shows what `inner` keeps. What was listed of an object is believed for `ttl`.
    pub fn new(inner: Arc<dyn ObjectStore>, ttl: Duration) -> Self {
        ShowVersions { inner, ttl, remembered: Mutex::default() }
    }

    /// The versions of an object, asked for now.
    async fn list(&self, key: &str) -> Result<Arc<[Named]>, StoreError> {
        let listed = Instant::now();
        let (mut all, mut after, mut trail) = (Vec::new(), None, Trail::default());
        loop {
            let request = VersionsRequest { key: ObjectKey::new(key), after };
            let page = self.inner.list_versions(request).await?;
            all.extend(page.versions);
            let Some(next) = page.next else { break };
            trail.follow(&Prefix::new(key), None, &next)?;
            after = Some(next);
        }
        let versions: Arc<[Named]> = named(key, all).into();
        let mut remembered = self.remembered();
        remembered.retain(|one| one.key != key);
        remembered.push_front(Remembered { key: key.into(), listed, versions: versions.clone() });
        let mut count = 0;
        remembered.retain(|one| {
            count += one.versions.len() + 1;
            count <= REMEMBERED
        });
        Ok(versions)
    }

    /// The versions of an object, as they were listed last if that is not long ago.
    async fn known(&self, key: &str) -> Result<Arc<[Named]>, StoreError> {
        let known = self.remembered().iter().find(|one| one.key == key).cloned();
        match known.filter(|one| one.listed.elapsed() < self.ttl) {
            Some(known) => Ok(known.versions),
            None => self.list(key).await,
        }
    }

    /// What a key is in the bucket. One that does not say which version it is, but its name
    /// there, is never taken for the current one.
    async fn real(&self, key: &ObjectKey) -> Result<ObjectKey, StoreError> {
        let Some(among) = AmongVersions::of(key.as_str()) else { return Ok(key.clone()) };
        if key.version_id().is_some() {
            return Ok(key.with_text(among.key));
        }
        let versions = self.known(among.key).await?;
        let found = versions.iter().find_map(|one| match one {
            Named::Version(object) if one.as_str() == key.as_str() => Some(&object.version.key),
            Named::Version(_) | Named::Deleted(_) => None,
        });
        let found = found.map(|key| key.with_text(among.key));
        found.ok_or_else(|| {
            let detail = "the object has no such version";
            StoreError::new(StoreErrorKind::NotFound, format!("GET {key}"), detail)
        })
    }

    /// Forgets the versions of an object of which one can't be read any more.
    fn hear<T>(&self, key: &ObjectKey, outcome: &Result<T, StoreError>) {
        if let Err(StoreError { kind: StoreErrorKind::NotFound | StoreErrorKind::Changed, .. }) =
            outcome
            && key.version_id().is_some()
        {
            self.remembered().retain(|one| one.key != key.as_str());
        }
    }

    fn remembered(&self) -> MutexGuard<'_, VecDeque<Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The versions of the object `key`, newest first, under their names, in the order of these.
fn named(key: &str, mut versions: Vec<KeptVersion>) -> Vec<Named> {
    let seconds = |version: &KeptVersion| {
        let since = version.last_modified.duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    };
    // From the oldest on. Servers that tell delete markers behind the versions say at least
    // which one is the latest.
    versions.reverse();
    versions.sort_by_key(|version| (version.last_modified, version.is_latest));
    let folder = Prefix::new(AmongVersions::folder(key));
    let name = key.rsplit('/').next().unwrap_or_default();
    let (mut second, mut number) = (None, 0);
    let mut all = Vec::with_capacity(versions.len());
    for version in versions {
        number = if second == Some(seconds(&version)) { number + 1 } else { 1 };
        second = Some(seconds(&version));
        let time: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds(&version));
        let here = format!("{}-{number}", humantime::format_rfc3339_seconds(time));
        all.push(match version.content {
            None => Named::Deleted(Prefix::new(format!("{folder}{here}-deleted/"))),
            Some(content) => {
                let key = folder.key(&format!("{here}/{name}"));
                let key = match version.id {
                    Some(id) => key.at_version(id),
                    None => key,
                };
                let (size, etag) = (content.size, content.etag);
                let last_modified = version.last_modified;
                let version = ObjectVersion { key, size, etag, last_modified };
                Named::Version(ListedObject { version, storage_class: content.storage_class })
            }
        });
    }
    all.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    all
}

/// What a listing shows of an object's versions: all in one page.
fn page(versions: &[Named], request: &ListRequest) -> ListPage {
    let mut page = ListPage::default();
    let after = request.after.as_deref().unwrap_or_default();
    for one in versions {
        let Some(rest) = one.as_str().strip_prefix(request.prefix.as_str()) else { continue };
        if one.as_str() <= after {
            continue;
        }
        match (one, rest.split_once('/')) {
            (Named::Deleted(_), _) if !request.delimited || rest.is_empty() => {}
            (_, Some((segment, _))) if request.delimited => {
                page.prefixes.push(Prefix::new(format!("{}{segment}/", request.prefix)));
            }
            (Named::Deleted(folder), _) => page.prefixes.push(folder.clone()),
            (Named::Version(object), _) => page.objects.push(object.clone()),
        }
    }
    page.prefixes.dedup();
    page
}

/// Why nothing can be written there.
fn read_only<T>(request: &str, key: &ObjectKey) -> Result<T, StoreError> {
    let detail = "versions that a bucket keeps of an object can only be read";
    Err(StoreError::new(StoreErrorKind::Other, format!("{request} {key}"), detail))
}

fn is_among(key: &ObjectKey) -> bool {
    is_marked(key.as_str())
}

#[async_trait]
impl ObjectStore for ShowVersions {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        if let Some(AmongVersions { key, rest }) = AmongVersions::of(request.prefix.as_str()) {
            // All of them are listed anew, and one of them as all of them were.
            let versions = match rest {
                "" => self.list(key).await?,
                _ => self.known(key).await?,
            };
            return Ok(page(&versions, &request));
        }
        let mut page = self.inner.list_page(request).await?;
        let ListPage { objects, prefixes, unreachable, .. } = &mut page;
        let marked = objects.iter().map(|object| object.version.key.as_str());
        let marked = marked.chain(prefixes.iter().map(Prefix::as_str));
        let marked = marked.filter(|text| is_marked(text)).map(str::to_owned);
        unreachable.extend(marked);
        objects.retain(|object| !is_among(&object.version.key));
        prefixes.retain(|prefix| !is_marked(prefix.as_str()));
        Ok(page)
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        let key = self.real(key).await?;
        let outcome = self.inner.head(&key).await;
        self.hear(&key, &outcome);
        outcome
    }

    async fn head_part(&self, key: &ObjectKey, number: u32) -> Result<ObjectHead, StoreError> {
        self.inner.head_part(&self.real(key).await?, number).await
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        let key = self.real(&request.key).await?;
        let outcome = self.inner.get_range(GetRequest { key: key.clone(), ..request }).await;
        self.hear(&key, &outcome);
        outcome
    }

    async fn list_versions(&self, request: VersionsRequest) -> Result<VersionsPage, StoreError> {
        self.inner.list_versions(request).await
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        match is_among(&request.key) {
            true => read_only("PUT", &request.key),
            false => self.inner.put(request).await,
        }
    }

    async fn begin_upload(&self, request: BeginRequest) -> Result<Upload, StoreError> {
        match is_among(&request.key) {
            true => read_only("UPLOAD", &request.key),
            false => self.inner.begin_upload(request).await,
        }
    }

    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        self.inner.put_part(request).await
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<Part, StoreError> {
        match is_among(&request.from.key) {
            true => read_only("COPY", &request.from.key),
            false => self.inner.copy_part(request).await,
        }
    }

    async fn complete_upload(&self, request: CompleteRequest) -> Result<Written, StoreError> {
        self.inner.complete_upload(request).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.inner.abort_upload(upload).await
    }

    async fn copy(&self, request: CopyRequest) -> Result<Written, StoreError> {
        match is_among(&request.from.key) || is_among(&request.to) {
            true => read_only("COPY", &request.from.key),
            false => self.inner.copy(request).await,
        }
    }

    async fn delete(&self, key: &ObjectKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        match is_among(key) {
            true => read_only("DELETE", key),
            false => self.inner.delete(key, etag).await,
        }
    }

    fn kept_conditions(&self) -> KeptConditions {
        self.inner.kept_conditions()
    }

    fn key_order(&self, within: &Prefix) -> KeyOrder {
        match is_marked(within.as_str()) {
            true => KeyOrder::OfBytes,
            false => self.inner.key_order(within),
        }
    }

    fn spelling(&self) -> Spelling {
        self.inner.spelling()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::KeptContent;

    fn kept(id: &str, seconds: u64, is_file: bool) -> KeptVersion {
        let content = KeptContent { size: 1, etag: None, storage_class: None };
        KeptVersion {
            id: Some(id.into()),
            last_modified: UNIX_EPOCH + Duration::from_secs(1_777_627_800 + seconds),
            is_latest: false,
            content: is_file.then_some(content),
        }
    }

    fn shown(versions: &[Named]) -> Vec<String> {
        let folder = AmongVersions::folder("d/a.tif");
        let rest = |one: &Named| one.as_str()[folder.len()..].to_owned();
        versions.iter().map(rest).collect()
    }

    #[test]
    fn versions_are_named_by_their_times_and_numbered_from_the_oldest_on() {
        let newest_first =
            vec![kept("4", 9, true), kept("3", 0, false), kept("2", 0, true), kept("1", 0, true)];
        let all = named("d/a.tif", newest_first.clone());
        let names = [
            "2026-05-01T09:30:00Z-1/a.tif",
            "2026-05-01T09:30:00Z-2/a.tif",
            "2026-05-01T09:30:00Z-3-deleted/",
            "2026-05-01T09:30:09Z-1/a.tif",
        ];
        assert_eq!(shown(&all), names);
        let Named::Version(second) = &all[1] else { panic!("{:?}", all[1]) };
        assert_eq!(second.version.key.version_id(), Some("2"));
        // A version that comes later in the same second changes no name.
        let with_another = [vec![kept("5", 9, true)], newest_first].concat();
        assert_eq!(shown(&named("d/a.tif", with_another))[..4], names);
    }

    #[test]
    fn a_listing_shows_a_folder_for_each_version_and_its_file_in_there() {
        let all = named("a", vec![kept("2", 9, false), kept("1", 0, true)]);
        let folder = AmongVersions::folder("a");
        let list = |rest: &str| {
            let prefix = Prefix::new(format!("{folder}{rest}"));
            let (token, after) = (None, None);
            page(&all, &ListRequest { prefix, delimited: true, token, after, max_keys: 1000 })
        };
        let whole = list("");
        assert_eq!((whole.objects.len(), whole.prefixes.len()), (0, 2));
        assert_eq!(list("2026-05-01T09:30:00Z").prefixes.len(), 1);
        assert_eq!(list("2026-05-01T09:30:00Z-1/").objects.len(), 1);
        assert!(list("2026-05-01T09:30:09Z-1-deleted/").is_empty());
        assert!(list("2026-05-01T09:30:00Z-2/").is_empty());
    }
}
