//! Which calls can't be given up any more.
//!
//! A call whose program gives up is dropped where it waits. From the moment that it changes
//! the bucket, or what a program sees of it, it has to be brought to its end instead, so that
//! its result is noted whenever it comes. A call says so itself, right before that moment.

use std::sync::{Arc, OnceLock};

use crate::names::Ino;
use crate::publish::process_of;

tokio::task_local! {
    static BEGUN: Begun;
}

/// Whether a call has begun to change something, and the directories in which nobody else
/// may change a name before it is done. Clones are of one call.
#[derive(Debug, Clone, Default)]
pub struct Begun {
    dirs: Arc<OnceLock<Vec<Ino>>>,
    /// The thread whose call it is; 0 if that is not known.
    thread: u32,
}

impl Begun {
    /// A call of this thread, which has not begun.
    pub fn by(thread: u32) -> Self {
        Begun { thread, ..Begun::default() }
    }

    /// A call that is brought to its end in any case, and changes no names.
    pub fn already() -> Self {
        Begun { dirs: Arc::new(OnceLock::from(Vec::new())), thread: 0 }
    }

    /// The directories, if the call has to be brought to its end.
    pub fn dirs(&self) -> Option<Vec<Ino>> {
        self.dirs.get().cloned()
    }

    /// The call, whose [`note`] is heard here.
    pub fn heard<F: Future>(&self, call: F) -> impl Future<Output = F::Output> + use<F> {
        BEGUN.scope(self.clone(), call)
    }
}

/// Notes that the call that runs begins to change something: names in these directories.
/// From here on nobody drops it.
pub(super) fn note(dirs: impl Into<Vec<Ino>>) {
    // Nobody listens where nobody gives up, as in tests without a kernel.
    let _ = BEGUN.try_with(|begun| begun.dirs.set(dirs.into()));
}

/// The process whose call runs; 0 if that is not known.
pub(super) fn caller() -> u32 {
    match BEGUN.try_with(|begun| begun.thread) {
        Ok(thread) if thread != 0 => process_of(thread),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_call_is_heard_by_its_own() {
        let (one, other) = (Begun::default(), Begun::default());
        one.heard(async { other.heard(async { note([7]) }).await }).await;
        assert_eq!((one.dirs(), other.dirs()), (None, Some(vec![7])));
        one.heard(async { note([1, 2]) }).await;
        assert_eq!((one.dirs(), Begun::already().dirs()), (Some(vec![1, 2]), Some(vec![])));
        note([3]);
    }
}
