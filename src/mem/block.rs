//! A run of bytes that one writer fills from front to back while readers read
//! what is already there, without a lock and without a copy.
#![expect(
    unsafe_code,
    reason = "an append-only buffer shared by one writer and many readers can't be had from safe parts without a copy"
)]

use std::slice;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::slab::{BlockPool, Memory};

/// A fixed number of bytes, of which the first [`Block::filled`] are here.
///
/// Generic over why a fill can fail (`E`), which everyone who waits is told.
#[derive(Debug)]
pub struct Block<E> {
    memory: Memory,
    len: usize,
    filled: AtomicUsize,
    failed: OnceLock<E>,
    progress: Notify,
}

// SAFETY: `memory` is plain bytes owned by this block alone. Bytes below
// `filled` never change again (the only writer is the one `BlockWriter`, which
// writes at and above `filled`), and `filled` is published with Release after
// the bytes were written.
unsafe impl<E: Send> Send for Block<E> {}
// SAFETY: as above; readers see only bytes below an Acquire load of `filled`.
unsafe impl<E: Send + Sync> Sync for Block<E> {}

impl BlockPool {
    /// An empty block of `len` bytes (1 to [`BLOCK_BYTES`](super::BLOCK_BYTES)) and the
    /// only right to fill it, or `None` when neither a recycled run nor the budget has
    /// room for it.
    pub fn allocate<E: Clone>(
        self: &Arc<Self>,
        len: usize,
    ) -> Option<(Arc<Block<E>>, BlockWriter<E>)> {
        let memory = self.memory(len)?;
        debug_assert!(len <= memory.capacity());
        let block = Arc::new(Block {
            memory,
            len,
            filled: AtomicUsize::new(0),
            failed: OnceLock::new(),
            progress: Notify::new(),
        });
        Some((block.clone(), BlockWriter { block }))
    }
}

impl<E: Clone> Block<E> {
    /// How many bytes the block will hold.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the block is one of no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes the memory behind it takes in the budget.
    pub fn weight_bytes(&self) -> usize {
        self.memory.capacity()
    }

    /// How many bytes are here, from the front.
    pub fn filled(&self) -> usize {
        self.filled.load(Ordering::Acquire)
    }

    /// Whether all bytes are here.
    pub fn is_complete(&self) -> bool {
        self.filled() == self.len
    }

    /// Why no more bytes will come, if that is so.
    pub fn failure(&self) -> Option<&E> {
        self.failed.get()
    }

    /// The bytes that are here.
    pub fn bytes(&self) -> &[u8] {
        let filled = self.filled();
        // SAFETY: the first `filled` bytes were written before `filled` was
        // published, are initialised, and are never written again while the
        // block lives; `filled <= len <= capacity`.
        unsafe { slice::from_raw_parts(self.memory.as_ptr(), filled) }
    }

    /// Waits until the first `end` bytes are here; the failure, if they will never be.
    pub async fn wait_filled(&self, end: usize) -> Result<(), E> {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if self.filled() >= end {
                return Ok(());
            }
            if let Some(failure) = self.failure() {
                return Err(failure.clone());
            }
            progress.await;
        }
    }
}

/// The only right to fill a [`Block`]. Dropped before the block is complete
/// without a word, it leaves nobody waiting only if [`BlockWriter::fail`] was called.
#[derive(Debug)]
pub struct BlockWriter<E> {
    block: Arc<Block<E>>,
}

impl<E: Clone> BlockWriter<E> {
    /// The block that is filled.
    pub fn block(&self) -> &Arc<Block<E>> {
        &self.block
    }

    /// How many bytes are still to come.
    pub fn missing(&self) -> usize {
        self.block.len - self.block.filled.load(Ordering::Relaxed)
    }

    /// Appends as much of `data` as the block has room for and returns the rest.
    pub fn append<'d>(&mut self, data: &'d [u8]) -> &'d [u8] {
        let filled = self.block.filled.load(Ordering::Relaxed);
        let (now, rest) = data.split_at(data.len().min(self.block.len - filled));
        // SAFETY: `filled + now.len() <= len <= capacity`, so the target lies in
        // the block's own memory; readers look only below `filled`; `&mut self`
        // on the only writer excludes a second write.
        unsafe {
            let target = self.block.memory.as_ptr().add(filled);
            std::ptr::copy_nonoverlapping(now.as_ptr(), target, now.len());
        }
        self.block.filled.store(filled + now.len(), Ordering::Release);
        self.block.progress.notify_waiters();
        rest
    }

    /// Says that no more bytes will come, and why, to all who wait.
    pub fn fail(self, failure: E) {
        // A block fails at most once: `fail` consumes its only writer.
        let _ = self.block.failed.set(failure);
        self.block.progress.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BlockPool, Budget};
    use super::*;

    fn block(len: usize) -> (Arc<Block<&'static str>>, BlockWriter<&'static str>) {
        BlockPool::new(Budget::new(8 << 20)).allocate(len).unwrap()
    }

    #[test]
    fn bytes_are_readable_as_soon_as_they_are_appended() {
        let (block, mut writer) = block(10);
        assert_eq!(block.bytes(), b"");
        assert_eq!(writer.append(b"hello"), b"");
        assert_eq!(block.bytes(), b"hello");
        assert_eq!(writer.append(b" world!!"), b"d!!");
        assert_eq!(block.bytes(), b"hello worl");
        assert_eq!(block.bytes().len(), 10);
        assert!(block.is_complete());
    }

    #[tokio::test]
    async fn a_waiter_is_woken_by_its_own_bytes_and_by_failure() {
        let (block, mut writer) = block(10);
        let near = tokio::spawn({
            let block = block.clone();
            async move { block.wait_filled(4).await }
        });
        let far = tokio::spawn({
            let block = block.clone();
            async move { block.wait_filled(10).await }
        });
        tokio::task::yield_now().await;
        writer.append(b"12345");
        assert_eq!(near.await.unwrap(), Ok(()));
        writer.fail("cut");
        assert_eq!(far.await.unwrap(), Err("cut"));
        assert_eq!(block.wait_filled(5).await, Ok(()), "what is here stays here");
    }
}
