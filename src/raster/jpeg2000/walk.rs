//! Finds the packets of a tile that does not list their lengths (PLT), or not all: from the
//! tile's start, packet header by packet header.
//!
//! Contract: what was found is right whatever window it was looked for; a walk goes on where
//! the last one ended, where the order of packets allows that. It reads what it passes over,
//! several pieces at once, or jumps where packets are large, and never more than `--max-walk` of
//! one tile.
//!
//! The walker itself works on a thread of its own and is given bytes as it asks for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::blocking::blocking;
use super::decode::{failed, plan};
use super::engine::markers::Order;
use super::engine::{self, Body, Options, Plan, Progress, Rect, Tile, Walker};
use super::index::Index;
use super::known::Known;
use super::reading::{Given, Wanted, serve};
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// What the walker reads at a time: more and more while it reads on, less where it jumps.
const FIRST_BYTES: u64 = 64 << 10;
const LEAST_BYTES: u64 = 16 << 10;
const MOST_BYTES: u64 = 4 << 20;
/// Who passes over no more than this reads on: a request costs as much.
const JUMP_BYTES: u64 = 256 << 10;
/// How many packets are walked before it is seen whether somebody still waits.
const PACKETS_AT_ONCE: u64 = 4096;

/// What a walk came to.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) known: Known,
    /// Whether it found all that was looked for, or what is wrong where it stopped.
    pub(super) is_done: Result<bool, RasterError>,
}

/// Looks for the packets of a window; at most `limit` bytes of the tile are read in all.
///
/// # Errors
/// What is wrong with the packets, or reading failed with.
pub(super) async fn walk(
    index: &Index,
    known: &Known,
    reduction: u8,
    window: Rect,
    limit: u64,
) -> Result<Walked, RasterError> {
    let (ask, asked) = mpsc::channel::<Wanted>(1);
    let (give, given) = mpsc::channel::<Given>(1);
    let (tile, window, fresh) = target(&known.tile, reduction, window);
    let walked = if fresh { 0 } else { known.walked };
    let pipe = Pipe { ask, given };
    let work = blocking({
        let known = Known { tile, walked, ..known.clone() };
        move |gone| find(known, window, limit, pipe, gone)
    });
    let serve = async {
        serve(index, known, limit.saturating_sub(walked), asked, give).await?;
        // The walker has ended.
        std::future::pending::<Result<Walked, RasterError>>().await
    };
    tokio::select! {
        biased;
        walked = work => walked,
        failed = serve => failed,
    }
}

/// What is to be walked: the tile with the lengths that may be used, reduction and window (all
/// where there is none), and whether the walk begins anew.
///
/// With several layers a packet's header can be read only by who has read those of the layers
/// below it. So a walk may stop only where no precinct has begun that goes on behind.
fn target(tile: &Arc<Tile>, reduction: u8, window: Rect) -> (Arc<Tile>, (u8, Option<Rect>), bool) {
    let coding = tile.coding();
    let is_in_order = coding.poc.is_empty();
    match coding.style.order {
        _ if coding.style.layers == 1 => (Arc::clone(tile), (reduction, Some(window)), false),
        Order::Rpcl | Order::Pcrl | Order::Cprl if is_in_order => {
            (Arc::clone(tile), (reduction, Some(window)), false)
        }
        Order::Rlcp if is_in_order => (Arc::clone(tile), (reduction, None), false),
        _ => {
            let mut fresh = Tile::clone(tile);
            fresh.forget_lengths();
            (Arc::new(fresh), (0, None), true)
        }
    }
}

/// How the walker asks for bytes.
#[derive(Debug)]
struct Pipe {
    ask: mpsc::Sender<Wanted>,
    given: mpsc::Receiver<Given>,
}

impl Pipe {
    fn read(&mut self, wanted: Wanted) -> Result<Given, RasterError> {
        let gone = || corrupt("nobody waits for it");
        self.ask.blocking_send(wanted).map_err(|_| gone())?;
        self.given.blocking_recv().ok_or_else(gone)
    }
}

fn find(
    mut known: Known,
    (reduction, window): (u8, Option<Rect>),
    limit: u64,
    mut pipe: Pipe,
    gone: &AtomicBool,
) -> Result<Walked, RasterError> {
    let is_gone = || gone.load(Ordering::Relaxed);
    let options = Options { cancel: Some(&is_gone), ..Options::default() };
    let plan: Plan = plan(&known.tile, reduction, window).map_err(failed)?;
    let tile = Arc::clone(&known.tile);
    let mut walker = Walker::new(&tile, &plan, &options);
    let mut piece: Option<(usize, u64, Bytes)> = None;
    let mut length = FIRST_BYTES;
    let is_done = loop {
        let mut body = Body::new();
        if let Some((part, offset, bytes)) = &piece {
            body.add(*part, *offset, bytes);
        }
        let (part, offset) = match walker.advance(&body, PACKETS_AT_ONCE) {
            Ok(Progress::Done) => break Ok(true),
            Ok(Progress::Paused) => continue,
            Ok(Progress::Wants { part, offset }) => (part, offset),
            // What is behind the last packet, or lacking, is seen by who decodes what it needs.
            Err(engine::Error::LeftOver { .. }) => break Ok(true),
            Err(error) => break Err(failed(error)),
        };
        let mut reads_on = false;
        length = match &piece {
            Some((of, start, bytes)) if *of == part => {
                let have = bytes.len() as u64;
                if *start == offset {
                    // A header that is longer than what was read.
                    length.max(have).saturating_mul(2)
                } else if offset > start + have + JUMP_BYTES {
                    (length / 4).max(LEAST_BYTES)
                } else {
                    reads_on = length == MOST_BYTES;
                    (length * 2).min(MOST_BYTES)
                }
            }
            _ => length,
        };
        let body = known.place(part, offset..u64::MAX);
        if body.is_empty() {
            let why = "packets are missing: a tile-part ends before its last one";
            break Err(corrupt(why));
        }
        let wanted = length.min(body.end - body.start).min(limit.saturating_sub(known.walked));
        if wanted == 0 {
            break Ok(false);
        }
        let Given { bytes, fetched } =
            pipe.read(Wanted { part, offset, length: wanted, reads_on })?;
        known.walked += fetched;
        if bytes.is_empty() {
            break Ok(false);
        }
        piece = Some((part, offset, bytes));
    };
    let mut found = Tile::clone(&known.tile);
    for (part, (lengths, is_all)) in walker.into_lengths().into_iter().enumerate() {
        let before = found.parts().get(part);
        let count = before.and_then(|known| known.lengths.as_ref()).map_or(0, |known| known.len());
        let was_all = before.is_some_and(|known| known.complete);
        // A walk that ended early may know less of a tile-part than was known. One that went on to the
        // next knows that it has no more packets.
        if count < lengths.len() || (count == lengths.len() && is_all && !was_all) {
            found.set_lengths(part, lengths, is_all);
        }
    }
    known.tile = Arc::new(found);
    Ok(Walked { known, is_done })
}
