//! All of a directory at once, from a server that lists in any order.

use std::sync::Arc;

use super::page::PageRequest;
use crate::mem::{Budget, Use};
use crate::store::{ListPage, ObjectStore, StoreError, Trail};

/// About what an entry takes while all of a directory is listed.
const ENTRY_BYTES: u64 = 250;

/// All pages of a directory, one after the other, counted in `budget` as they come.
pub(super) async fn list_all(
    store: &dyn ObjectStore,
    budget: &Arc<Budget>,
    request: &PageRequest,
) -> Result<ListPage, StoreError> {
    let (mut all, mut trail) = (ListPage::default(), Trail::default());
    let mut counted = budget.charge(0).of(Use::Listings);
    let mut asked = request.to_store();
    loop {
        let page = store.list_page(asked.clone()).await?;
        let entries = page.objects.len() + page.prefixes.len();
        if let Some(token) = &page.next {
            trail.follow(&request.dir, page.ends(), token)?;
        }
        all.objects.extend(page.objects);
        all.prefixes.extend(page.prefixes);
        all.unreachable.extend(page.unreachable);
        counted.resize(counted.bytes() + entries as u64 * ENTRY_BYTES);
        let Some(token) = page.next else { return Ok(all) };
        asked.token = Some(token);
    }
}
