//! Bodies on their way out: counted, paced, cut short, stalled.
//!
//! Contract: passes the service's body on unchanged but for what the request's
//! faults and the bandwidth caps ask for. Content-Length is not touched, so a
//! body that is cut breaks its promise, as a failing server does.

use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use socket2::SockRef;
use tokio::time::Instant;

use super::counts::InFlight;
use super::faults::{Cut, Plan};
use super::{BoxError, Shared};

/// The largest piece handed to the connection at once, so that caps and cuts
/// work on large bodies too.
const PIECE_BYTES: u64 = 256 * 1024;

/// With a bandwidth cap: small enough that a piece takes about a millisecond.
const PACED_PIECE_BYTES: u64 = 64 * 1024;

/// How long a connection lives on after a cut, so that the bytes before it are
/// flushed and received; a reset throws away what is still in the buffers.
const FLUSH: Duration = Duration::from_millis(30);

/// How far a late timer may be made up for by sending faster.
const SLACK: Duration = Duration::from_millis(5);

/// Bandwidth caps in bytes per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// For each connection.
    pub per_connection: Option<u64>,
    /// For all connections together.
    pub total: Option<u64>,
}

/// When the next byte may be sent.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// When `bytes` more that are sent now will have passed at `rate` bytes per second.
    fn reserve(&self, bytes: u64, rate: Option<u64>) -> Option<Instant> {
        let seconds = bytes as f64 / rate? as f64;
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = Instant::now().checked_sub(SLACK)?;
        let start = next.map_or(earliest, |next| next.max(earliest));
        *next = Some(start + Duration::from_secs_f64(seconds));
        *next
    }
}

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) socket: OwnedFd,
    pub(super) pace: Pace,
}

impl Link {
    /// The connection will end with RST instead of FIN.
    fn reset_on_close(&self) {
        // Fails only on a socket that is closed already, and then it has ended.
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A body on its way out.
pub(super) struct ShapedBody {
    inner: s3s::Body,
    /// The rest of the last piece that `inner` gave.
    rest: Bytes,
    sent_bytes: u64,
    cut: Option<Cut>,
    drip: Option<(u64, Duration)>,
    wait: Option<Wait>,
    /// The body is over, in error, once `wait` is.
    failing: bool,
    in_flight: InFlight,
    link: Arc<Link>,
    shared: Arc<Shared>,
}

impl ShapedBody {
    pub(super) fn new(
        inner: s3s::Body,
        plan: &Plan,
        in_flight: InFlight,
        link: Arc<Link>,
        shared: Arc<Shared>,
    ) -> Self {
        let (cut, drip) = (plan.cut, plan.drip);
        let (rest, wait) = (Bytes::new(), None);
        ShapedBody {
            inner,
            rest,
            sent_bytes: 0,
            cut,
            drip,
            wait,
            failing: false,
            in_flight,
            link,
            shared,
        }
    }

    /// Starts what the cut asks for if it is reached; otherwise the bytes left before it.
    fn approach_cut(&mut self) -> Option<u64> {
        let Some(cut) = self.cut else { return Some(u64::MAX) };
        let (Cut::Truncate(at) | Cut::Reset(at) | Cut::Stall(at)) = cut;
        if self.sent_bytes < at {
            return Some(at - self.sent_bytes);
        }
        self.cut = None;
        let link = Arc::clone(&self.link);
        self.failing = !matches!(cut, Cut::Stall(_));
        self.wait = Some(match cut {
            Cut::Stall(_) => Box::pin(self.shared.faults.released()),
            Cut::Truncate(_) => Box::pin(tokio::time::sleep(FLUSH)),
            Cut::Reset(_) => Box::pin(async move {
                tokio::time::sleep(FLUSH).await;
                link.reset_on_close();
            }),
        });
        None
    }

    /// Takes the next piece off `rest` and sets the wait that follows it.
    fn take_piece(&mut self, before_cut: u64) -> Bytes {
        let caps = self.shared.bandwidth();
        let paced = caps != Bandwidth::default();
        let drip_bytes = self.drip.map_or(u64::MAX, |(bytes, _)| bytes.max(1));
        let most = if paced { PACED_PIECE_BYTES } else { PIECE_BYTES };
        let length = (self.rest.len() as u64).min(most).min(drip_bytes).min(before_cut);
        let piece = self.rest.split_to(length as usize);
        self.sent_bytes += length;
        self.in_flight.sent(length);
        if let Some((_, pause)) = self.drip {
            self.wait = Some(Box::pin(tokio::time::sleep(pause)));
        } else if paced {
            let own = self.link.pace.reserve(length, caps.per_connection);
            let all = self.shared.pace.reserve(length, caps.total);
            let until = own.max(all).filter(|until| *until > Instant::now());
            self.wait = until.map(|until| Box::pin(tokio::time::sleep_until(until)) as Wait);
        }
        piece
    }
}

impl HttpBody for ShapedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            if let Some(wait) = &mut this.wait {
                ready!(wait.as_mut().poll(context));
                this.wait = None;
            }
            if this.failing {
                return Poll::Ready(Some(Err("cut on command".into())));
            }
            let Some(before_cut) = this.approach_cut() else { continue };
            if this.rest.is_empty() {
                match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => this.rest = data,
                        Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                    },
                    end => return Poll::Ready(end),
                }
            }
            if !this.rest.is_empty() {
                let piece = this.take_piece(before_cut);
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && !self.failing && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        match inner.exact() {
            Some(exact) => SizeHint::with_exact(exact + rest),
            None => SizeHint::default(),
        }
    }
}
