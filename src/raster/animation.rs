//! The frames of an animation, each composed with those before it: GIF and WebP.
//!
//! Contract: a frame is shown as browsers show it. Who reads frames in order has each of them
//! fetched and decoded once: what is seen between two frames stays, for the next one. Who goes
//! back begins again.
//!
//! Mechanism: each frame becomes a file of its own, which is decoded where decoders run, and is
//! put on the canvas here. The canvases that stay are counted, and no more of them stay than
//! [`KEPT_BYTES`] hold: the one that was used least recently goes first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

use super::decoders::{self, Counted, Decoders};
use super::error::corrupt;
use super::held::Held;
use super::{Codec, Header, Limits, RasterError, Source, cores, gif_frames, webp_frames};

/// What all canvases together may hold between two frames.
const KEPT_BYTES: u64 = 64 << 20;
/// What is read of a file to find a frame, and four times as much where that does not suffice.
const FIRST_BYTES: u64 = 64 << 10;

/// The canvases that are kept, the one used last behind all others.
static KEPT: Mutex<VecDeque<(Weak<Slot>, u64)>> = Mutex::new(VecDeque::new());

/// An animation that is played.
#[derive(Debug, Default)]
pub(super) struct Animation {
    /// One plays at a time; who comes after may go on from there.
    turn: tokio::sync::Mutex<()>,
    slot: Arc<Slot>,
}

/// Where it stands.
#[derive(Debug, Default)]
struct Slot(Mutex<Option<Reel>>);

/// A canvas, and where the next frame is.
#[derive(Debug)]
struct Reel {
    player: Player,
    /// How many frames were put on it.
    frames: u32,
    /// Where to look for the next one.
    next: u64,
    bytes: u64,
    _counted: Box<dyn Counted>,
}

#[derive(Debug)]
enum Player {
    /// With what the file has in front of its frames.
    Gif(gif_frames::Player, Bytes),
    Webp(webp_frames::Player),
}

/// What is played, and by whom it is decoded.
#[derive(Debug)]
pub(super) struct Projector<'a> {
    pub(super) codec: Codec,
    pub(super) source: &'a Arc<dyn Source>,
    /// Of the first frame.
    pub(super) header: &'a Header,
    pub(super) limits: &'a Limits,
    pub(super) decoders: &'a Arc<dyn Decoders>,
}

impl Animation {
    /// A frame, from 1 on, with those under it: RGBA.
    ///
    /// # Errors
    /// It or one before it is damaged or missing; that of the source.
    pub(super) async fn shown(
        &self,
        projector: &Projector<'_>,
        number: u32,
    ) -> Result<Vec<u8>, RasterError> {
        let _turn = self.turn.lock().await;
        let mut reel = match self.slot.take().filter(|reel| reel.frames < number) {
            Some(reel) => reel,
            None => projector.begin().await?,
        };
        loop {
            let is_last = reel.frames + 1 >= number;
            let (after, shown) = projector.step(reel, is_last).await?;
            if let Some(shown) = shown {
                keep(&self.slot, after);
                return Ok(shown);
            }
            reel = after;
        }
    }
}

impl Slot {
    fn take(self: &Arc<Self>) -> Option<Reel> {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(slot, _)| !std::ptr::eq(slot.as_ptr(), Arc::as_ptr(self)));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Keeps a canvas, in the place of others if there are too many.
fn keep(slot: &Arc<Slot>, reel: Reel) {
    let mut dropped = Vec::new();
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.retain(|(slot, _)| slot.strong_count() > 0);
    kept.push_back((Arc::downgrade(slot), reel.bytes));
    *slot.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reel);
    let mut all: u64 = kept.iter().map(|(_, bytes)| bytes).sum();
    while all > KEPT_BYTES
        && let Some((slot, bytes)) = kept.pop_front()
    {
        all -= bytes;
        if let Some(slot) = slot.upgrade() {
            dropped.push(slot.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

impl Projector<'_> {
    fn size(&self) -> (usize, usize) {
        (self.header.width as usize, self.header.height as usize)
    }

    async fn read(&self, from: u64, bytes: u64) -> Result<Bytes, RasterError> {
        let size = self.source.size();
        let end = from.saturating_add(bytes).min(size);
        if from >= end {
            return Ok(Bytes::new());
        }
        self.source.read_kept(from..end).await.map_err(RasterError::Source)
    }

    /// Before the first frame.
    async fn begin(&self) -> Result<Reel, RasterError> {
        let bytes = u64::from(self.header.width) * u64::from(self.header.height) * 4;
        let counted = self.decoders.count(bytes);
        let (player, next) = match self.codec {
            Codec::Gif => {
                let start = self.read(0, gif_frames::HEAD_BYTES as u64).await?;
                let head = gif_frames::head(&start).ok_or_else(|| corrupt("it ends early"))?;
                let mut head = head.to_vec();
                let next = head.len() as u64;
                // The screen may be smaller than its first frame.
                let sides = [self.header.width as u16, self.header.height as u16];
                for (place, side) in head[6..10].as_chunks_mut::<2>().0.iter_mut().zip(sides) {
                    *place = side.to_le_bytes();
                }
                let head = Bytes::from(head);
                (Player::Gif(gif_frames::Player::new(self.size()), head), next)
            }
            // Behind the signature the first chunk.
            _ => (Player::Webp(webp_frames::Player::new(self.size())), 12),
        };
        Ok(Reel { player, frames: 0, next, bytes, _counted: counted })
    }

    /// Puts the next frame on the canvas; what is shown then, if it is wanted.
    async fn step(
        &self,
        mut reel: Reel,
        is_wanted: bool,
    ) -> Result<(Reel, Option<Vec<u8>>), RasterError> {
        let (bytes, consumed) = self.next_frame(&reel).await?;
        reel.next = reel.next.saturating_add(consumed);
        reel.frames += 1;
        match reel.player {
            Player::Gif(player, head) => {
                let gif_frames::Next::Frame(frame) = gif_frames::next(&bytes) else {
                    return Err(corrupt("it ends early"));
                };
                let (file, leaves) = (frame.alone(&head), frame.leaves());
                let pixels = self.decoded(file, Some(self.header)).await?.1;
                let put = move || {
                    let (mut player, mut shown) = (player, rgba(pixels));
                    if shown.len() != player.bytes() {
                        return Err(corrupt("a frame of it has another size than its header says"));
                    }
                    player.put(&mut shown, leaves);
                    Ok((player, shown))
                };
                let (player, shown) = in_the_background(put).await?;
                reel.player = Player::Gif(player, head);
                Ok((reel, is_wanted.then_some(shown)))
            }
            Player::Webp(player) => {
                let frame = webp_frames::frame(&bytes)?;
                let (placed, file) = (frame.placed(), frame.alone()?);
                let (header, pixels) = self.decoded(file, None).await?;
                if (header.width as usize, header.height as usize) != placed.size() {
                    return Err(corrupt("a frame of it has another size than its chunk says"));
                }
                let has_opacity = header.bands == 4;
                let put = move || {
                    let mut player = player;
                    player.put(&placed, &rgba(pixels), has_opacity)?;
                    let shown = is_wanted.then(|| player.shown().to_vec());
                    Ok((player, shown))
                };
                let (player, shown) = in_the_background(put).await?;
                reel.player = Player::Webp(player);
                Ok((reel, shown))
            }
        }
    }

    /// The bytes of the next frame, and how many lead to the one behind it.
    async fn next_frame(&self, reel: &Reel) -> Result<(Bytes, u64), RasterError> {
        let ends_early = || corrupt("it ends early");
        let (mut at, mut step) = (reel.next, FIRST_BYTES);
        loop {
            let bytes = self.read(at, step).await?;
            let is_all = at.saturating_add(bytes.len() as u64) >= self.source.size();
            let found = match &reel.player {
                Player::Gif(..) => match gif_frames::next(&bytes) {
                    gif_frames::Next::Frame(frame) => Some((frame.consumed, frame.consumed as u64)),
                    gif_frames::Next::Cut => None,
                    gif_frames::Next::End => return Err(ends_early()),
                },
                Player::Webp(_) => match webp_frames::next(&bytes) {
                    // A chunk of something else: the next one is behind it.
                    webp_frames::Next::Other(length) => {
                        at = at.saturating_add(length);
                        continue;
                    }
                    webp_frames::Next::Frame(length, all) => Some((length, all)),
                    webp_frames::Next::Cut => None,
                },
            };
            match found {
                Some((length, all)) => {
                    return Ok((bytes.slice(..length), all.saturating_add(at - reel.next)));
                }
                None if is_all => return Err(ends_early()),
                None => step = step.saturating_mul(4),
            }
        }
    }

    /// The pixels of a file of one frame, whose header is known or is to be read.
    async fn decoded(
        &self,
        file: Vec<u8>,
        header: Option<&Header>,
    ) -> Result<(Header, Pixels), RasterError> {
        let file = Bytes::from(file);
        let source: Arc<dyn Source> = Arc::new(Held(file.clone()));
        let header = match header {
            Some(header) => Header { frame: 1, ..header.clone() },
            None => {
                decoders::header(&**self.decoders, self.codec, &*source, file, self.limits).await?.0
            }
        };
        let within = u64::from(header.width) * u64::from(header.height);
        if within > u64::from(self.header.width) * u64::from(self.header.height) {
            return Err(corrupt("a frame of it lies outside"));
        }
        let samples = self.decoders.pixels(self.codec, &source, &header, self.limits).await?;
        let bands = usize::from(header.bands);
        Ok((header, (samples, bands)))
    }
}

/// Samples of three bands or four.
type Pixels = (Bytes, usize);

/// With opacity, which is full where there is none.
fn rgba((samples, bands): Pixels) -> Vec<u8> {
    match bands {
        3 => samples.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect(),
        _ => samples.to_vec(),
    }
}

async fn in_the_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RasterError> + Send + 'static,
) -> Result<T, RasterError> {
    let permit = cores::permit().await;
    let work = move || {
        let _permit = permit;
        work()
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(corrupt("it could not be decoded")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::raster::foreign::{Parsed, Pieces};
    use crate::raster::{InProcess, Raster, open};

    /// Decoders in this process, and what was asked of them.
    #[derive(Debug, Default)]
    struct Counting {
        decoded: AtomicUsize,
        kept: Arc<AtomicU64>,
    }

    #[derive(Debug)]
    struct Guard(u64, Arc<AtomicU64>);

    impl Drop for Guard {
        fn drop(&mut self) {
            self.1.fetch_sub(self.0, Ordering::Relaxed);
        }
    }

    #[async_trait]
    impl Decoders for Counting {
        fn count(&self, bytes: u64) -> Box<dyn Counted> {
            self.kept.fetch_add(bytes, Ordering::Relaxed);
            Box::new(Guard(bytes, self.kept.clone()))
        }

        async fn header(
            &self,
            codec: Codec,
            file: &Pieces,
            limits: &Limits,
        ) -> Result<Parsed, RasterError> {
            InProcess.header(codec, file, limits).await
        }

        async fn pixels(
            &self,
            codec: Codec,
            source: &Arc<dyn Source>,
            header: &Header,
            limits: &Limits,
        ) -> Result<Bytes, RasterError> {
            self.decoded.fetch_add(1, Ordering::Relaxed);
            InProcess.pixels(codec, source, header, limits).await
        }

        async fn to_srgb(
            &self,
            profile: &[u8],
            bands: usize,
            samples: Bytes,
            limits: &Limits,
        ) -> Result<Bytes, RasterError> {
            InProcess.to_srgb(profile, bands, samples, limits).await
        }
    }

    #[tokio::test]
    async fn frames_in_order_are_decoded_once_each_and_few_canvases_are_kept() {
        const CANVAS_BYTES: u64 = 19 * 13 * 4;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/images");
        for name in ["frames.gif", "frames.webp"] {
            let counting = Arc::new(Counting::default());
            let decoders: Arc<dyn Decoders> = counting.clone();
            let file = Bytes::from(std::fs::read(folder.join(name)).unwrap());
            let source: Arc<dyn Source> = Arc::new(Held(file));
            let first = open(source, &Limits::default(), &decoders).await.unwrap();
            let read = async |first: &Arc<dyn Raster>, number| {
                let page = first.page(number).await.unwrap().unwrap();
                page.decode_tile(0, 0, 0).await.unwrap().samples
            };
            let decoded = || counting.decoded.swap(0, Ordering::Relaxed);
            let second = read(&first, 2).await;
            assert_eq!(decoded(), 2, "{name}: the first one is under it");
            for number in 3..=5 {
                read(&first, number).await;
                assert_eq!(decoded(), 1, "{name} {number}");
            }
            assert_eq!(counting.kept.load(Ordering::Relaxed), CANVAS_BYTES);
            // Who goes back begins again.
            assert_eq!(read(&first, 2).await, second);
            assert_eq!(decoded(), 2, "{name}");
            assert_eq!(counting.kept.load(Ordering::Relaxed), CANVAS_BYTES);
            // More canvases than are kept: this one is gone, and its frames begin anew.
            let others: Vec<Arc<Slot>> = (0..3).map(|_| Arc::default()).collect();
            for slot in &others {
                let player = Player::Webp(webp_frames::Player::new((1, 1)));
                let (bytes, counted) = (KEPT_BYTES / 2, decoders.count(0));
                keep(slot, Reel { player, frames: 1, next: 12, bytes, _counted: counted });
            }
            assert_eq!(counting.kept.load(Ordering::Relaxed), 0, "{name}");
            let is_kept = |slot: &Arc<Slot>| slot.0.lock().unwrap().is_some();
            assert_eq!(others.iter().map(is_kept).collect::<Vec<_>>(), [false, true, true]);
            read(&first, 3).await;
            assert_eq!(decoded(), 3, "{name}");
            drop(first);
            assert_eq!(counting.kept.load(Ordering::Relaxed), 0, "{name}");
        }
    }
}
