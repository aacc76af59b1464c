//! Things that cost something to make, kept while memory lasts.
//!
//! Contract: whoever asks for a thing that is being made waits for that one
//! making; a failure is told to all who waited and not kept; when nobody waits
//! any more, the making is dropped. What is kept is counted in the budget until
//! its last user lets go of it, and the least recently used goes first.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use lru::LruCache;

use super::{Budget, Reservation, Use};

/// A thing that is counted in the budget while it exists.
#[derive(Debug)]
pub struct Counted<V> {
    value: V,
    counted: Reservation,
}

impl<V> Deref for Counted<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

/// What making a thing leads to.
type Made<V, E> = BoxFuture<'static, Result<Arc<Counted<V>>, E>>;
/// A thing that is being made, for all who wait for it.
pub type Making<V, E> = Shared<Made<V, E>>;

/// Things by their keys.
pub struct Shelf<K, V, E> {
    budget: Arc<Budget>,
    limit_bytes: u64,
    inner: Mutex<Inner<K, V, E>>,
}

struct Inner<K, V, E> {
    kept: LruCache<K, Arc<Counted<V>>>,
    kept_bytes: u64,
    making: HashMap<K, WeakShared<Made<V, E>>>,
}

/// What [`Shelf::get_or_make`] found.
pub enum OnShelf<V, E> {
    /// It was there.
    Kept(Arc<Counted<V>>),
    /// It is being made.
    Making(Making<V, E>),
}

impl<V: Send + Sync, E: Clone + Send + Sync> OnShelf<V, E> {
    /// The thing, once it is made.
    ///
    /// # Errors
    /// What making it failed with.
    pub async fn wait(self) -> Result<Arc<Counted<V>>, E> {
        match self {
            OnShelf::Kept(thing) => Ok(thing),
            OnShelf::Making(making) => making.await,
        }
    }
}

impl<K, V, E> Shelf<K, V, E>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// An empty shelf that keeps up to `limit_bytes`, counted in `budget`.
    pub fn new(budget: Arc<Budget>, limit_bytes: u64) -> Arc<Self> {
        let inner = Inner { kept: LruCache::unbounded(), kept_bytes: 0, making: HashMap::new() };
        Arc::new(Shelf { budget, limit_bytes, inner: Mutex::new(inner) })
    }

    /// How many bytes may be kept.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// The thing, if it is there.
    pub fn get(&self, key: &K) -> Option<Arc<Counted<V>>> {
        self.lock().kept.get(key).cloned()
    }

    /// Whether the thing is there or being made.
    pub fn has(&self, key: &K) -> bool {
        let inner = self.lock();
        let is_made = || inner.making.get(key).is_some_and(|making| making.upgrade().is_some());
        inner.kept.contains(key) || is_made()
    }

    /// All things that are there, the one used last first.
    pub fn kept(&self) -> Vec<(K, Arc<Counted<V>>)> {
        let inner = self.lock();
        inner.kept.iter().map(|(key, thing)| (key.clone(), thing.clone())).collect()
    }

    /// The thing, or its making: the one under way, or else what `make` returns,
    /// which gives the thing and its size in bytes.
    pub fn get_or_make<F>(self: &Arc<Self>, key: K, make: impl FnOnce() -> F) -> OnShelf<V, E>
    where
        F: Future<Output = Result<(V, u64), E>> + Send + 'static,
    {
        let mut inner = self.lock();
        if let Some(thing) = inner.kept.get(&key) {
            return OnShelf::Kept(thing.clone());
        }
        if let Some(making) = inner.making.get(&key).and_then(WeakShared::upgrade) {
            return OnShelf::Making(making);
        }
        let (shelf, name, work) = (Arc::downgrade(self), key.clone(), make());
        let making = async move {
            let made = work.await;
            Self::made(&shelf, name, made)
        }
        .boxed()
        .shared();
        if let Some(weak) = making.downgrade() {
            inner.making.insert(key, weak);
        }
        OnShelf::Making(making)
    }

    fn made(shelf: &Weak<Self>, key: K, made: Result<(V, u64), E>) -> Result<Arc<Counted<V>>, E> {
        let (value, bytes) = match made {
            Ok(made) => made,
            Err(error) => {
                if let Some(shelf) = shelf.upgrade() {
                    shelf.lock().making.remove(&key);
                }
                return Err(error);
            }
        };
        let Some(shelf) = shelf.upgrade() else {
            let budget = Budget::new(bytes);
            return Ok(Arc::new(Counted { value, counted: budget.charge(bytes) }));
        };
        let counted = shelf.budget.charge(bytes).of(Use::Images);
        let thing = Arc::new(Counted { value, counted });
        let mut inner = shelf.lock();
        inner.making.remove(&key);
        inner.making.retain(|_, making| making.upgrade().is_some());
        inner.kept_bytes += bytes;
        if let Some(old) = inner.kept.put(key, thing.clone()) {
            inner.kept_bytes -= old.counted.bytes();
        }
        let mut gone = Vec::new();
        while inner.kept_bytes > shelf.limit_bytes && inner.kept.len() > 1 {
            let Some((_, old)) = inner.kept.pop_lru() else { break };
            inner.kept_bytes -= old.counted.bytes();
            gone.push(old);
        }
        // Large things are not freed under the lock.
        drop(inner);
        drop(gone);
        Ok(thing)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, V, E>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V, E> std::fmt::Debug for Shelf<K, V, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("limit_bytes", &self.limit_bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    type Numbers = Shelf<u32, u32, &'static str>;

    #[tokio::test]
    async fn a_thing_is_made_once_however_many_ask() {
        let shelf = Numbers::new(Budget::new(1000), 100);
        let made = Arc::new(AtomicUsize::new(0));
        let asks = (0..16).map(|_| {
            let made = made.clone();
            shelf
                .get_or_make(1, move || async move {
                    made.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Ok((7, 10))
                })
                .wait()
        });
        for thing in futures_util::future::join_all(asks.collect::<Vec<_>>()).await {
            assert_eq!(**thing.unwrap(), 7);
        }
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn the_least_recently_used_goes_and_is_counted_until_it_is_let_go() {
        let budget = Budget::new(1000);
        let shelf = Numbers::new(budget.clone(), 100);
        let put = |n: u32| shelf.get_or_make(n, move || async move { Ok((n, 60)) }).wait();
        let first = put(1).await.unwrap();
        let _ = put(2).await.unwrap();
        assert!(shelf.get(&1).is_none());
        assert_eq!(budget.used_bytes(), 120, "the first is still in somebody's hands");
        drop(first);
        assert_eq!(budget.used_bytes(), 60);
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let shelf = Numbers::new(Budget::new(1000), 100);
        let failed = shelf.get_or_make(1, || async { Err("no") }).wait().await;
        assert_eq!(failed.unwrap_err(), "no");
        assert_eq!(**shelf.get_or_make(1, || async { Ok((3, 1)) }).wait().await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_dropped() {
        let shelf = Numbers::new(Budget::new(1000), 100);
        let token = Arc::new(());
        let held = token.clone();
        let making = shelf.get_or_make(1, move || async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok((1, 1))
        });
        assert_eq!(Arc::strong_count(&token), 2);
        drop(making);
        assert_eq!(Arc::strong_count(&token), 1);
    }
}
