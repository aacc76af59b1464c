//! Whether two objects have the same bytes, where nothing that the server tells says it.
//!
//! A copy of an object that came in parts gets an ETag of the whole in place of one of its
//! parts, and so does its checksum change: the two can't be told to be alike without reading
//! them. It is done only where the answer to a copy was lost and another object may be in its
//! place, so it costs what it costs: a GET of each.

use bytes::Bytes;
use futures_util::future::try_join;
use futures_util::stream::{BoxStream, StreamExt};

use super::{GetRequest, ObjectStore, StoreError};
use crate::key::ObjectVersion;

/// Larger objects are not read for it.
pub(super) const MAX_BYTES: u64 = 1 << 30;

/// Whether `one` and `other` have the same bytes. Both are read at once, up to the first byte
/// that differs, with no more of either in memory than came last.
///
/// # Errors
/// One of them can't be read, or is not that version any more.
pub(super) async fn have_same_bytes(
    store: &dyn ObjectStore,
    one: &ObjectVersion,
    other: &ObjectVersion,
) -> Result<bool, StoreError> {
    if one.size != other.size {
        return Ok(false);
    }
    if one.size == 0 {
        return Ok(true);
    }
    let (one, other) = try_join(open(store, one), open(store, other)).await?;
    are_same(one, other).await
}

type Body = BoxStream<'static, Result<Bytes, StoreError>>;

async fn open(store: &dyn ObjectStore, version: &ObjectVersion) -> Result<Body, StoreError> {
    let ObjectVersion { key, etag, size, .. } = version.clone();
    Ok(store.get_range(GetRequest { key, range: 0..size, etag }).await?.bytes)
}

async fn are_same(mut one: Body, mut other: Body) -> Result<bool, StoreError> {
    let (mut of_one, mut of_other) = (Bytes::new(), Bytes::new());
    loop {
        if of_one.is_empty() {
            of_one = next(&mut one).await?;
        }
        if of_other.is_empty() {
            of_other = next(&mut other).await?;
        }
        let length = of_one.len().min(of_other.len());
        if length == 0 {
            return Ok(of_one.len() == of_other.len());
        }
        if of_one.split_to(length) != of_other.split_to(length) {
            return Ok(false);
        }
    }
}

/// What comes next; nothing at the end.
async fn next(body: &mut Body) -> Result<Bytes, StoreError> {
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if !chunk.is_empty() {
            return Ok(chunk);
        }
    }
    Ok(Bytes::new())
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn body(chunks: &[&'static [u8]]) -> Body {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
        stream::iter(chunks).boxed()
    }

    #[tokio::test]
    async fn bytes_are_compared_however_they_come() {
        for (one, other, is_same) in [
            (&[b"abc" as &[u8], b"", b"de"][..], &[b"a" as &[u8], b"bcde"][..], true),
            (&[b"abcde"], &[b"abc", b"dX"], false),
            (&[b"abcde"], &[b"abcd"], false),
            (&[b"abcd"], &[b"abcd", b"e"], false),
            (&[], &[b""], true),
        ] {
            let same = are_same(body(one), body(other)).await.unwrap();
            assert_eq!(same, is_same, "{one:?} {other:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_fails_is_no_end() {
        let error = StoreError::new(crate::store::StoreErrorKind::ShortBody, "GET a", "cut");
        let failing = stream::iter([Ok(Bytes::from_static(b"ab")), Err(error)]).boxed();
        assert!(are_same(failing, body(&[b"ab"])).await.is_err());
    }
}
