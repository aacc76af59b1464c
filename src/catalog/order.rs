//! Whether a server lists in key order.

use super::page::PageRequest;
use crate::key::Prefix;
use crate::store::ListPage;

/// Whether a page shows that the server does not list in key order. A page of which all
/// lies before the one that led to it shows that the listing has begun again, which is for
/// its [`Trail`] to say; a prefix may come again on the page behind its first one.
pub(super) fn is_out_of_order(request: &PageRequest, listed: &ListPage) -> bool {
    let base = request.dir.as_str().len();
    let objects = listed.objects.iter().map(|object| object.version.key.as_str());
    let prefixes = listed.prefixes.iter().map(Prefix::as_str);
    let (mut before, mut behind) = (false, false);
    // Some servers do not begin behind the name that they were told to.
    if let (Some(after), Some(_)) = (&request.after, &request.token) {
        for rest in objects.clone().chain(prefixes.clone()).filter_map(|key| key.get(base..)) {
            before |= rest < after.as_str();
            behind |= rest > after.as_str();
        }
    }
    !objects.is_sorted() || !prefixes.is_sorted() || (before && behind)
}
