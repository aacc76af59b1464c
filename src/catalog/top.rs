//! The top of a mount of several buckets, where each is a folder.
//!
//! Where all buckets are shown, more exist than are listed: those of others. Such a name costs
//! one LIST, of the bucket itself, which is kept as its first page; that there is none is
//! remembered as long as a listing is believed.

use std::sync::Arc;
use std::time::Instant;

use super::dir::{Dir, Node, Wanted};
use super::page::PageRequest;
use super::{Catalog, Lookup, Resolved};
use crate::key::Bucket;
use crate::store::{Folders, StoreError, StoreErrorKind};

impl Catalog {
    /// Whether `dir` is where the folders of several buckets are, so that nothing else can be.
    pub fn is_top(&self, dir: &Dir) -> bool {
        self.top.is_some() && dir.prefix().as_str().is_empty()
    }

    /// The bucket that a directory is in, where there are several; `None` for the top and
    /// where there is one.
    pub fn bucket_of<'d>(&self, dir: &'d Dir) -> Option<&'d str> {
        self.top.as_ref()?;
        dir.prefix().as_str().split_once('/').map(|(name, _)| name)
    }

    /// Says once of a name that nothing can be made or taken away at the top.
    pub fn warn_top(&self, name: &str) {
        if self.first_warning(&format!("top/{name}")) {
            tracing::warn!(
                "\"{}\": nothing can be made, renamed or deleted at the top of the mount, where \
                 each folder is a bucket",
                name.escape_debug()
            );
        }
    }

    /// Whether names in `dir` may be there although its listing does not show them.
    pub(super) fn has_unlisted(&self, dir: &Dir) -> bool {
        self.top == Some(Folders::All) && self.is_top(dir)
    }

    /// What a name is at the top, if that is known.
    pub(super) fn bucket_known(
        &self,
        top: &Dir,
        wanted: &Wanted,
        oldest: Instant,
    ) -> Option<Resolved> {
        let nothing = |fetched| Some(Resolved { node: None, fetched });
        let name = match wanted {
            Wanted::Either(name) if name.parse::<Bucket>().is_ok() => name,
            Wanted::Either(_) | Wanted::Hidden(_) | Wanted::Versions(_) | Wanted::LongPart(_) => {
                return nothing(Instant::now());
            }
        };
        let listed = self.resolve(top, wanted, oldest);
        if !Bucket::is_usual_name(name) {
            return listed.or_else(|| self.absent.since(name, oldest).and_then(nothing));
        }
        if let Some(listed) = listed.filter(|listed| listed.node.is_some()) {
            return Some(listed);
        }
        let bucket = top.child(name);
        if let Some(page) = self.listings.cached(&PageRequest::first(bucket.prefix()), oldest) {
            return Some(Resolved { node: Some(Node::Dir(bucket)), fetched: page.fetched });
        }
        self.absent.since(name, oldest).and_then(nothing)
    }

    /// What a name is at the top, after one LIST of the bucket; of all buckets, if the name is
    /// one that programs look for in every folder (`README`, `Thumbs.db`), as old buckets may
    /// have it.
    pub(super) async fn bucket(
        &self,
        top: &Dir,
        wanted: &Wanted,
        oldest: Instant,
    ) -> Result<Lookup, Arc<StoreError>> {
        if let Some(known) = self.bucket_known(top, wanted, oldest) {
            self.stats.here_looked_up_names.add(1);
            return Ok(self.lookup_of(known));
        }
        // All others are known.
        let Wanted::Either(name) = wanted else { return Ok(Lookup { node: None, ttl: self.ttl }) };
        let (bucket, fetched) = (top.child(name), Instant::now());
        if !Bucket::is_usual_name(name) {
            // Who may not list them has none of these.
            let listed = self.listings.page(PageRequest::first(top.prefix()), oldest).await;
            let listed = listed.ok().and_then(|_| self.resolve(top, wanted, oldest.min(fetched)));
            let Some(listed) = listed else {
                self.absent.note(name, fetched);
                return Ok(self.lookup_of(Resolved { node: None, fetched }));
            };
            return Ok(self.lookup_of(listed));
        }
        match self.listings.first_page(bucket.prefix()).await {
            Ok(_) => Ok(self.lookup_of(Resolved { node: Some(Node::Dir(bucket)), fetched })),
            Err(error) if is_absent(&error) => {
                self.absent.note(name, fetched);
                Ok(self.lookup_of(Resolved { node: None, fetched }))
            }
            Err(error) => Err(error),
        }
    }
}

fn is_absent(error: &StoreError) -> bool {
    matches!(error.kind, StoreErrorKind::NoSuchBucket | StoreErrorKind::NotFound)
}
