//! Watches how a program reads an image's own file, and has in memory what it looks for next.
//!
//! An image whose file is a row of parts, each with its length in front, is
//! stepped through by every decoder that wants one of them: a hundred small reads, each a
//! request that waits for the one before it. A program that does that is recognised by its
//! second step: a read that jumps to where the next part starts. Then all parts are found at
//! once, and the front of each is in memory before the program comes to it. Not a byte of the
//! file is changed by it.
//!
//! Once the parts are known, by that or since the file lists them itself, a program that reads
//! in one of them gets all of it with one GET, and one that goes through them in order the next
//! ones too. Whoever reads the file from its start to its end is left to the readahead of every
//! object.
//!
//! All this is seen from where reads are and from what is in memory by then, so watching costs
//! nothing: no request, and for a read in order no more than a comparison.

mod steps;

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use tokio::task::JoinHandle;

use self::steps::{Plan, Steps};
use super::{Opened, Original, Views};
use crate::raster::{Raster, jpeg2000};
use crate::reader::{Answer, Reader};

/// Objects up to this size are read whole as quickly.
const LEAST_BYTES: u64 = 2 << 20;
/// The first bytes, by which an image is known.
const SIGNATURE_BYTES: u64 = 12;
/// A read this near to the end of the last one goes on from there.
const NEAR_BYTES: u64 = 128 << 10;

/// An open object whose reads are watched.
#[derive(Debug)]
pub struct Watched {
    reader: Reader,
    views: Arc<Views>,
    watch: Mutex<Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    /// Where the last read ended.
    end: u64,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing is known yet.
    #[default]
    New,
    /// The header is being looked at.
    Opening { found: Arc<OnceLock<Option<Arc<dyn Raster>>>>, _task: Task },
    /// An image in parts, and whoever looks for all of them.
    Parts(Arc<dyn Raster>, Steps, Option<Task>),
    /// There is nothing to gain.
    Off,
}

/// A task that ends when nobody needs it any more.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Views {
    /// An open object whose reads are watched.
    pub fn watch(self: &Arc<Self>, reader: Reader) -> Watched {
        Watched { reader, views: self.clone(), watch: Mutex::default() }
    }

    /// An open object that is this image, whose reads are watched.
    pub(super) fn watch_image(
        self: &Arc<Self>,
        reader: Reader,
        raster: Arc<dyn Raster>,
    ) -> Watched {
        let watch = Watch { end: 0, state: parts_of(Some(raster)) };
        Watched { reader, views: self.clone(), watch: Mutex::new(watch) }
    }

    /// The image that an object is, if it is one.
    async fn raster(self: &Arc<Self>, original: &Original) -> Option<Arc<dyn Raster>> {
        let header = self.header(original);
        match header.opened.get_or_try_init(|| self.open_image(original)).await.ok()? {
            Opened::Image(image) => Some(image.raster.clone()),
            Opened::Nothing | Opened::Failed(_) => None,
        }
    }
}

impl Watched {
    /// Reads `length` bytes from `offset`; fewer only where the object ends.
    pub fn read(&self, offset: u64, length: usize) -> Answer {
        let size = self.reader.version().size;
        let range = offset.min(size)..offset.saturating_add(length as u64).min(size);
        if size <= LEAST_BYTES || range.is_empty() {
            return self.reader.read(offset, length);
        }
        let plan = self.watch.lock().unwrap_or_else(PoisonError::into_inner).see(self, &range);
        let Some(around) = plan.around else { return self.reader.read(offset, length) };
        // One GET for both, as far as they are not here.
        self.reader.fetch_ahead(around);
        let answer = self.reader.read_exactly(range);
        for range in plan.ahead {
            self.reader.fetch_ahead(range);
        }
        answer
    }
}

impl Watch {
    /// Sees a read, and says how it is best answered.
    fn see(&mut self, file: &Watched, read: &Range<u64>) -> Plan {
        let is_near = read.start.abs_diff(self.end) <= NEAR_BYTES;
        self.end = read.end;
        if let (State::New, false) = (&self.state, is_near)
            && let Some(front) = file.reader.peek(0..SIGNATURE_BYTES)
        {
            self.state = match jpeg2000::is_jpeg2000(&front) {
                true => open(file),
                false => State::Off,
            };
        }
        if let State::Opening { found, .. } = &self.state
            && let Some(raster) = found.get().cloned()
        {
            self.state = parts_of(raster);
        }
        let State::Parts(raster, steps, finding) = &mut self.state else { return Plan::default() };
        let Some(parts) = raster.parts() else { return Plan::default() };
        if parts.are_known() {
            // Needs no request, and nothing is waited for.
            let _ = parts.find().now_or_never();
        }
        let peek = |range| file.reader.peek(range);
        let plan = steps.see(parts, peek, read, is_near);
        if plan.finds && finding.is_none() {
            *finding = Some(find(file, raster));
        }
        plan
    }
}

/// An image that is in parts.
fn parts_of(raster: Option<Arc<dyn Raster>>) -> State {
    let Some(raster) = raster else { return State::Off };
    match raster.parts().map(Steps::new) {
        Some(steps) => State::Parts(raster, steps, None),
        None => State::Off,
    }
}

/// Looks at the header. It is in memory, most likely, and then this needs no task.
fn open(file: &Watched) -> State {
    let (views, version) = (file.views.clone(), file.reader.version().clone());
    let mut opening = Box::pin(async move { views.raster(&Original::object(version)).await });
    if let Poll::Ready(raster) = opening.poll_unpin(&mut Context::from_waker(Waker::noop())) {
        return parts_of(raster);
    }
    let found = Arc::new(OnceLock::new());
    let place = found.clone();
    let task = file.views.runtime.spawn(async move {
        let _ = place.set(opening.await);
    });
    State::Opening { found, _task: Task(task) }
}

fn find(file: &Watched, raster: &Arc<dyn Raster>) -> Task {
    let raster = raster.clone();
    Task(file.views.runtime.spawn(async move {
        if let Some(parts) = raster.parts()
            && let Err(error) = parts.find().await
        {
            // The program will come to the same place.
            tracing::debug!("the parts of an image were not found: {error}");
        }
    }))
}
