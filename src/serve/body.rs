//! Bodies of answers: a text, or pieces of a file as they are taken.
//!
//! A piece is read when the connection has room for it, and not before. A body that fails breaks
//! off: the client sees that it has got less than it was told.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::body::{Body, Frame, SizeHint};

use super::counts::Counts;
use super::recent::Lent;
use crate::fs::FsError;

/// Read at once: what the kernel reads at once, so a file costs the same requests.
pub(super) const READ_BYTES: u64 = 128 << 10;

/// The body of an answer.
pub(super) enum AnswerBody {
    /// All of it, which is short.
    Text(Option<Bytes>),
    /// From a file.
    File(FileBody),
}

/// What a body consists of, piece by piece.
#[derive(Debug)]
pub(super) enum Piece {
    /// These bytes.
    Bytes(Bytes),
    /// This range of the file.
    Range(Range<u64>),
}

type Reading = BoxFuture<'static, Result<Bytes, FsError>>;

/// Pieces of an open file, with what stands between them.
pub(super) struct FileBody {
    file: Arc<Lent>,
    pieces: VecDeque<Piece>,
    reading: Option<Reading>,
    left: u64,
    counts: Arc<Counts>,
}

impl FileBody {
    pub(super) fn new(file: Arc<Lent>, pieces: Vec<Piece>, counts: Arc<Counts>) -> Self {
        let left = pieces.iter().map(Piece::bytes).sum();
        FileBody { file, pieces: pieces.into(), reading: None, left, counts }
    }

    /// The size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.left
    }

    /// Begins to read what comes next.
    fn go_on(&mut self) -> Option<Reading> {
        match self.pieces.pop_front()? {
            Piece::Bytes(bytes) => Some(Box::pin(std::future::ready(Ok(bytes)))),
            Piece::Range(range) => {
                let end = range.end.min(range.start + READ_BYTES);
                if end < range.end {
                    self.pieces.push_front(Piece::Range(end..range.end));
                }
                let (file, length) = (self.file.clone(), (end - range.start) as usize);
                Some(Box::pin(async move { file.read(range.start, length).await }))
            }
        }
    }
}

impl Piece {
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Range(range) => range.end - range.start,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = FsError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FsError>>> {
        let body = match self.get_mut() {
            AnswerBody::Text(text) => return Poll::Ready(text.take().map(Frame::data).map(Ok)),
            AnswerBody::File(body) => body,
        };
        if body.reading.is_none() {
            body.reading = body.go_on();
        }
        let Some(reading) = &mut body.reading else { return Poll::Ready(None) };
        let read = ready!(reading.as_mut().poll(context));
        body.reading = None;
        Poll::Ready(Some(match read {
            Ok(bytes) => {
                body.left -= bytes.len() as u64;
                body.counts.sent(bytes.len() as u64);
                Ok(Frame::data(bytes))
            }
            Err(error) => {
                error.report();
                body.pieces.clear();
                Err(error)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Text(text) => text.is_none(),
            AnswerBody::File(body) => body.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            AnswerBody::Text(text) => text.as_ref().map_or(0, |text| text.len() as u64),
            AnswerBody::File(body) => body.left,
        })
    }
}
