//! Siblings that are cut from the image's own file, without decoding: `X.indexed.jp2` and
//! `X.r4.j2k`.
//!
//! What pieces such a file has is worked out once ([`Form`]) and kept while memory lasts. Its
//! bytes are those of the object, which whoever reads the object shares. A reader in order of
//! a file with many small pieces has the next ones fetched together, since no GET holds two of
//! them; of a file that is the original but for its header, the object's own readahead does.
//!
//! [`Form`]: crate::raster::Form

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::error::ViewError;
use super::image::Image;
use super::index_cache::IndexCache;
use super::layout::NoView;
use super::{Formed, Original, ViewKind, Views, Watched};
use crate::key::ObjectVersion;
use crate::mem::Counted;
use crate::raster::{Form, Piece, RasterError, Source, Spliced};
use crate::reader::{Answer, Reader};

/// How far pieces are fetched ahead of a reader in order: at first, and at most.
const FIRST_WINDOW_BYTES: u64 = 512 << 10;
const MAX_WINDOW_BYTES: u64 = 8 << 20;

/// One open handle on one of these siblings.
#[derive(Debug)]
pub struct FormFile {
    image: Arc<Image>,
    file: Arc<Counted<Formed>>,
    bytes: Bytes,
    /// Where the reader is.
    progress: Mutex<Progress>,
}

/// Where the bytes of the original are.
#[derive(Debug)]
enum Bytes {
    /// In an object, which is read in order where the file is.
    InOrder(Watched),
    /// In an object, in many pieces.
    InPieces(Reader),
    /// In memory.
    File(Arc<dyn Source>),
}

#[derive(Debug, Default)]
struct Progress {
    end: u64,
    window: u64,
}

/// The answer to a read.
pub enum FormAnswer {
    /// The bytes were here.
    Ready(Vec<u8>),
    /// They are on their way.
    Later(BoxFuture<'static, Result<Vec<u8>, ViewError>>),
}

impl Views {
    /// The pieces of a sibling; `None` if it does not exist.
    pub(super) async fn form(
        self: &Arc<Self>,
        image: &Arc<Image>,
        kind: ViewKind,
    ) -> Result<Option<FormRef>, ViewError> {
        let Some(form) = kind.form() else { return Ok(None) };
        let (views, work) = (self.clone(), image.clone());
        let made = self.kept.forms.get_or_make((image.id, kind), move || async move {
            let formed = match views.recalled(&work, kind).await {
                Some(file) => Ok(file),
                None => match work.raster.form(form).await {
                    Ok(file) => {
                        views.remember(&work, kind, &file);
                        Ok(file)
                    }
                    Err(RasterError::Unsupported(reason)) => Err(NoView::new(reason)),
                    Err(error) => return Err(work.error(error)),
                },
            };
            work.note_form(kind, formed.as_ref().map(Spliced::size).map_err(NoView::clone));
            let weight = formed.as_ref().map_or(0, Spliced::held_bytes);
            Ok((formed, weight))
        });
        let file = made.wait().await?;
        Ok(FormRef::new(file))
    }

    /// The pieces as an earlier mount has kept them, where finding them costs requests of its
    /// own: the index of an indexed file is kept as such.
    async fn recalled(&self, image: &Image, kind: ViewKind) -> Option<Spliced> {
        let (indexes, version) = self.place_of(image, kind)?;
        let kept = indexes.load(version, kind.label()).await?;
        Spliced::from_bytes(kept, version.size)
    }

    fn remember(&self, image: &Image, kind: ViewKind, file: &Spliced) {
        if let Some((indexes, version)) = self.place_of(image, kind) {
            indexes.save(version, kind.label(), &file.to_bytes());
        }
    }

    fn place_of<'a>(
        &'a self,
        image: &'a Image,
        kind: ViewKind,
    ) -> Option<(&'a Arc<IndexCache>, &'a ObjectVersion)> {
        match (image.original().version(), kind.form()) {
            (Some(version), Some(Form::ReducedJ2k(_))) => Some((self.indexes.as_ref()?, version)),
            _ => None,
        }
    }

    pub(super) async fn open_form(
        self: &Arc<Self>,
        image: &Arc<Image>,
        original: &Original,
        kind: ViewKind,
    ) -> Result<Option<FormFile>, ViewError> {
        let Some(FormRef(file)) = self.form(image, kind).await? else { return Ok(None) };
        let is_in_order = matches!(kind, ViewKind::IndexedJp2 | ViewKind::IndexedJ2k);
        let bytes = match original.version() {
            Some(version) if is_in_order => {
                let reader = self.objects.open(version);
                Bytes::InOrder(self.watch_image(reader, image.raster.clone()))
            }
            Some(version) => Bytes::InPieces(self.objects.open(version)),
            None => Bytes::File(self.source(original)),
        };
        Ok(Some(FormFile { image: image.clone(), file, bytes, progress: Mutex::default() }))
    }
}

/// The pieces of a file that exists.
pub(super) struct FormRef(Arc<Counted<Formed>>);

impl FormRef {
    fn new(file: Arc<Counted<Formed>>) -> Option<Self> {
        file.is_ok().then_some(FormRef(file))
    }

    /// The size of the file in bytes.
    pub(super) fn size(&self) -> u64 {
        self.0.as_ref().as_ref().map_or(0, Spliced::size)
    }
}

impl FormFile {
    /// The bytes of a range; shorter only where the file ends.
    pub fn read(&self, offset: u64, length: usize) -> FormAnswer {
        let Ok(file) = &**self.file else { return FormAnswer::Ready(Vec::new()) };
        let end = offset.saturating_add(length as u64).min(file.size());
        if offset >= end {
            return FormAnswer::Ready(Vec::new());
        }
        // All are asked for before any is waited for.
        let answers: Vec<PieceAnswer> =
            file.range(offset..end).map(|piece| self.piece(piece)).collect();
        if let Bytes::InPieces(reader) = &self.bytes {
            for piece in file.range(self.ahead(offset..end)) {
                if let Piece::Original(range) = piece {
                    reader.fetch_ahead(range);
                }
            }
        }
        let length = (end - offset) as usize;
        if answers.iter().all(|answer| matches!(answer, PieceAnswer::Here(_))) {
            let mut bytes = Vec::with_capacity(length);
            for answer in &answers {
                if let PieceAnswer::Here(piece) = answer {
                    bytes.extend_from_slice((**piece).as_ref());
                }
            }
            return FormAnswer::Ready(bytes);
        }
        FormAnswer::Later(Box::pin(async move {
            let mut bytes = Vec::with_capacity(length);
            for answer in answers {
                match answer {
                    PieceAnswer::Here(piece) => bytes.extend_from_slice((*piece).as_ref()),
                    PieceAnswer::Later(piece) => bytes.extend_from_slice((*piece.await?).as_ref()),
                }
            }
            Ok(bytes)
        }))
    }

    fn piece(&self, piece: Piece) -> PieceAnswer {
        let range = match piece {
            Piece::Made(bytes) => return PieceAnswer::Here(Box::new(bytes)),
            Piece::Original(range) => range,
        };
        let answer = match &self.bytes {
            Bytes::InOrder(reader) => reader.read(range.start, (range.end - range.start) as usize),
            Bytes::InPieces(reader) => reader.read_exactly(range),
            Bytes::File(source) => {
                let (source, image) = (source.clone(), self.image.clone());
                return PieceAnswer::Later(Box::pin(async move {
                    let bytes = source.read(range).await.map_err(RasterError::Source);
                    Ok(Box::new(bytes.map_err(|error| image.error(error))?) as PieceBytes)
                }));
            }
        };
        match answer {
            Answer::Ready(bytes) => PieceAnswer::Here(Box::new(bytes)),
            Answer::Later(answer) => PieceAnswer::Later(Box::pin(async move {
                let bytes = answer.await.map_err(ViewError::Store)?;
                Ok(Box::new(bytes) as PieceBytes)
            })),
        }
    }

    /// What to fetch ahead of whoever has read this range.
    fn ahead(&self, read: Range<u64>) -> Range<u64> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = read.start == progress.end && read.start > 0;
        progress.window = match goes_on {
            true => (progress.window * 2).clamp(FIRST_WINDOW_BYTES, MAX_WINDOW_BYTES),
            false => 0,
        };
        progress.end = read.end;
        read.end..read.end + progress.window
    }
}

/// Bytes of a piece.
type PieceBytes = Box<dyn AsRef<[u8]> + Send>;

/// The answer of one piece.
enum PieceAnswer {
    Here(PieceBytes),
    Later(BoxFuture<'static, Result<PieceBytes, ViewError>>),
}
