//! The versions of objects as directories (`--versions`): `NAME%%versions` beside `NAME`.
//!
//! No listing shows them. Of an object that is known to be there such a directory is there
//! without a request; whether one that is not there has left versions behind, the list of them
//! says, which is kept as the directory's first page.

use std::sync::Arc;
use std::time::Instant;

use super::dir::{Dir, Node, Wanted};
use super::page::{PageEntry, PageRequest};
use super::{Catalog, Lookup, Resolved};
use crate::key::{AmongVersions, Prefix, is_marked};
use crate::store::StoreError;

impl Catalog {
    /// Whether a name is the directory of an object's versions, or in one, so that nothing can
    /// be changed there.
    pub fn is_of_versions(&self, dir: &Dir, name: &str) -> bool {
        let is_asked_for = || matches!(dir.wanted(name), Some(Wanted::Versions(_)));
        self.versions && (dir.is_among_versions() || is_asked_for())
    }

    /// What a name asks for in this directory; `None` if it stands for nothing, ever.
    pub(super) fn wanted(&self, dir: &Dir, name: &str) -> Option<Wanted> {
        let wanted = dir.wanted(name)?;
        let can_be = match &wanted {
            Wanted::Versions(rest) => {
                let is_object = !rest.is_empty() || !dir.prefix().as_str().is_empty();
                self.versions && is_object && !self.is_top(dir) && !dir.is_among_versions()
            }
            Wanted::Either(rest) | Wanted::Hidden(rest) | Wanted::LongPart(rest) => {
                !self.versions || !is_marked(rest)
            }
        };
        can_be.then_some(wanted)
    }

    /// The directory of an object's versions, if it is known whether there is one.
    pub(super) fn versions_known(
        &self,
        dir: &Dir,
        rest: &str,
        oldest: Instant,
    ) -> Option<Resolved> {
        let folder = versions_of(dir, rest);
        let listed = PageRequest::first(folder.prefix());
        if let Some(page) = self.listings.cached(&listed, oldest) {
            let node = (!page.entries.is_empty()).then_some(Node::Dir(folder));
            return Some(Resolved { node, fetched: page.fetched });
        }
        match self.listings.find(dir.prefix(), rest, oldest)? {
            (Some(PageEntry::Object(_)), fetched) => {
                Some(Resolved { node: Some(Node::Dir(folder)), fetched })
            }
            (Some(PageEntry::Prefix(_)) | None, _) => None,
        }
    }

    /// The directory of an object's versions, after one request if nothing shows yet whether
    /// there is one.
    pub(super) async fn versions(
        &self,
        dir: &Dir,
        rest: &str,
        oldest: Instant,
    ) -> Result<Lookup, Arc<StoreError>> {
        if let Some(known) = self.versions_known(dir, rest, oldest) {
            self.stats.here_looked_up_names.add(1);
            return Ok(self.lookup_of(known));
        }
        let (folder, fetched) = (versions_of(dir, rest), Instant::now());
        let page = self.listings.first_page(folder.prefix()).await?;
        let node = (!page.entries.is_empty()).then_some(Node::Dir(folder));
        Ok(self.lookup_of(Resolved { node, fetched }))
    }
}

/// The directory of the versions of the object that `rest` names in `dir`.
fn versions_of(dir: &Dir, rest: &str) -> Dir {
    let key = format!("{}{rest}", dir.prefix());
    Dir::root(Prefix::new(AmongVersions::folder(&key)))
}
