//! The codestreams of a JPX file, which are its pages (T.801, M.2).
//!
//! The first is found with the headers. Where the others are nobody says: each box is stepped
//! over, so a codestream that is further on costs a small request for each on the way, once.
//! Codestream headers (M.11.6) and compositing layer headers (M.11.7) are counted with the
//! codestreams, the n-th is for the n-th; what they leave out, the file's header says. Layers that
//! put several codestreams together (M.11.7.7) are not composed: their codestreams are pages.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::boxes::{Container, Found, Step, step};
use super::window::Window;
use crate::raster::{RasterError, Source};

/// So many boxes of a file are looked at.
const MOST_BOXES: usize = 1 << 16;
/// And so many with one window, which is for headers: it keeps what it reads.
const BOXES_IN_A_WINDOW: usize = 16;

/// The codestreams that were found, and where to look for more.
#[derive(Debug)]
pub(super) struct Codestreams {
    source: Arc<dyn Source>,
    head: Bytes,
    found: Mutex<Found>,
}

impl Codestreams {
    /// Those of a file of which the first bytes are known.
    pub(super) fn new(source: Arc<dyn Source>, head: Bytes) -> Self {
        Codestreams { source, head, found: Mutex::default() }
    }

    /// What the file says of its codestream of a number, from 1 on, and the window that it was
    /// found with; `None` if there are not so many.
    ///
    /// # Errors
    /// A box on the way is broken; that of the source.
    pub(super) async fn get(
        &self,
        number: u32,
    ) -> Result<Option<(Container, Window)>, RasterError> {
        let mut found = self.found.lock().await;
        let mut window = self.window();
        let index = number.saturating_sub(1) as usize;
        for steps in 1..=MOST_BOXES {
            if found.has_all_of(index) {
                break;
            }
            if steps % BOXES_IN_A_WINDOW == 0 {
                window = self.window();
            }
            if let Step::End = step(&mut window, &mut found).await? {
                break;
            }
        }
        Ok(found.container(index).map(|container| (container, window)))
    }

    /// The first bytes of the file.
    pub(super) fn head(&self) -> Bytes {
        self.head.clone()
    }

    fn window(&self) -> Window {
        Window::new(self.source.clone(), self.head.clone())
    }
}
