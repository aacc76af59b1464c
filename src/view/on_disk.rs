//! What was made for siblings, in the cache on disk and in the shared cache: decoded tiles, and
//! files that took a whole image.
//!
//! Previews, compressed PNGs and sums over all pixels are written when they are made. Tiles are
//! written to disk when they are decoded a second time, since they had to go, and when the mount
//! ends, if they are still in memory; to the shared cache when they are decoded, if it has tiles
//! at all. What is made of files in memory is not written, nor is anything small shared that is
//! made of the first bytes of an image, which everybody fetches.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::image::Image;
use super::layout::{UnitIndex, UnitInput};
use super::{Header, Opened, PixelsKey, ViewConfig, ViewKind, Views, lock};
use crate::disk::{Body, Name, Part};
use crate::mem::{Counted, Reservation, Use};
use crate::raster::{Pixels, Rect};

/// Another version of the program may make other bytes of the same image.
const RENDERING: &str = concat!(env!("CARGO_PKG_VERSION"), "-3");
/// The order of the bytes of a sample, which is that of the machine.
const ORDER: &str = if cfg!(target_endian = "little") { "le" } else { "be" };

/// An object up to this size is fetched whole when it is looked at.
const SMALL_BYTES: u64 = 64 << 10;

/// A tile of an image: its level, its column and its row.
type Place = (u8, u32, u32);

/// Bytes that wait to be written, counted meanwhile.
struct Waiting {
    bytes: Bytes,
    _counted: Reservation,
}

impl AsRef<[u8]> for Waiting {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A tile that is kept in memory.
struct Held(Arc<Counted<Pixels>>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0.samples
    }
}

impl Views {
    /// The pixels of a tile, if the cache on disk or the shared one has them.
    pub(super) async fn kept_tile(&self, image: &Image, place: Place) -> Option<Pixels> {
        let what = what_of_tile(image, place);
        let rect = image.info().tile(place.0, place.1, place.2);
        let on_disk = self.on_disk(image, &what).await;
        let known = on_disk.map(|samples| Pixels { rect, samples });
        if let Some(pixels) = known.filter(|pixels| is_whole(image, place, pixels)) {
            return Some(pixels);
        }
        self.shared.as_ref().filter(|shared| shared.has_tiles())?;
        let pixels = Pixels { rect, samples: self.shared(image, &what).await? };
        is_whole(image, place, &pixels).then_some(pixels)
    }

    async fn on_disk(&self, image: &Image, what: &str) -> Option<Bytes> {
        let name = self.name_on_disk(image, what)?;
        self.cache.disk()?.load(&name).await
    }

    /// What another mount has made; this machine's disk gets it, too.
    async fn shared(&self, image: &Image, what: &str) -> Option<Bytes> {
        let name = self.name_in_shared(image, what)?;
        let bytes = self.shared.as_ref()?.load(&name).await?;
        self.write_to_disk(image, what, &bytes);
        Some(bytes)
    }

    /// Those of some tiles of a level that the cache on disk does not have.
    pub(super) async fn not_on_disk(
        &self,
        image: &Image,
        level: u8,
        tiles: Vec<(u32, u32)>,
    ) -> Vec<(u32, u32)> {
        let Some(disk) = self.cache.disk() else { return tiles };
        let name = |&(column, row): &(u32, u32)| {
            self.name_on_disk(image, &what_of_tile(image, (level, column, row)))
        };
        let Some(names) = tiles.iter().map(name).collect::<Option<Vec<Name>>>() else {
            return tiles;
        };
        let mut found = disk.ranges(names).await.into_iter();
        let is_missing = |_: &(u32, u32)| found.next().is_none_or(|ranges| ranges.is_empty());
        tiles.into_iter().filter(is_missing).collect()
    }

    /// Notes that a tile was decoded, and has it written if that is worth it.
    pub(super) fn note_tile(&self, image: &Image, place: Place, pixels: &Pixels) {
        let what = what_of_tile(image, place);
        if self.shared.as_ref().is_some_and(|shared| shared.has_tiles())
            && is_whole(image, place, pixels)
        {
            self.share(image, &what, &pixels.samples);
        }
        if self.cache.disk().is_none() {
            return;
        }
        let is_again = {
            let mut made = lock(&self.kept.made);
            let what = (image.id, place);
            let is_again = made.take(&what);
            made.note(&what);
            is_again
        };
        if is_again && is_whole(image, place, pixels) {
            self.write_to_disk(image, &what, &pixels.samples);
        }
    }

    /// The bytes of a unit that takes a whole image, if the cache on disk or the shared one has
    /// them.
    pub(super) async fn kept_unit(
        &self,
        image: &Image,
        kind: ViewKind,
        unit: UnitIndex,
    ) -> Option<Vec<u8>> {
        let what = self.what_of_unit(kind, unit);
        let bytes = match self.on_disk(image, &what).await {
            Some(bytes) => bytes,
            None if kind == ViewKind::Preview => return None,
            None => self.shared(image, &what).await?,
        };
        Some(bytes.into())
    }

    /// The pixels of a preview, if the shared cache has them: one entry, where the units of its
    /// file are many.
    pub(super) async fn shared_preview(&self, image: &Image) -> Option<Pixels> {
        let name = self.name_in_shared(image, &self.what_of_preview())?;
        let samples = self.shared.as_ref()?.load(&name).await?;
        let rect = upright_rect(image);
        let pixels = rect.width as usize * rect.height as usize;
        let is_whole = samples.len() == pixels * image.preview.bands.all().len();
        is_whole.then_some(Pixels { rect, samples })
    }

    /// Has them put there.
    pub(super) fn share_preview(&self, image: &Image, pixels: &Pixels) {
        if pixels.rect == upright_rect(image) {
            self.share(image, &self.what_of_preview(), &pixels.samples);
        }
    }

    fn what_of_preview(&self) -> String {
        let ViewConfig { preview_size, preview_bands, .. } = &self.config;
        format!("pixels of preview {preview_size} {preview_bands:?}")
    }

    /// Has such a unit written.
    pub(super) fn keep_unit(&self, image: &Image, kind: ViewKind, unit: UnitIndex, bytes: &[u8]) {
        if self.cache.disk().is_some() || self.shared.is_some() {
            let (what, bytes) = (self.what_of_unit(kind, unit), Bytes::copy_from_slice(bytes));
            self.write_to_disk(image, &what, &bytes);
            if kind != ViewKind::Preview {
                self.share(image, &what, &bytes);
            }
        }
    }

    fn write_to_disk(&self, image: &Image, what: &str, bytes: &Bytes) {
        if let Some(name) = self.name_on_disk(image, what)
            && let Some(disk) = self.cache.disk()
        {
            disk.save(name, self.waiting(bytes));
        }
    }

    fn share(&self, image: &Image, what: &str, bytes: &Bytes) {
        if let Some(name) = self.name_in_shared(image, what)
            && let Some(shared) = &self.shared
        {
            shared.save(name, self.waiting(bytes));
        }
    }

    fn waiting(&self, bytes: &Bytes) -> Body {
        let counted = self.budget.charge(bytes.len() as u64).of(Use::Images);
        Arc::new(Waiting { bytes: bytes.clone(), _counted: counted })
    }

    /// Has the tiles that are in memory written to the cache on disk, the latest first, until
    /// `end`: the mount is over.
    pub async fn put_down(&self, end: Instant) {
        let Some(disk) = self.cache.disk() else { return };
        let images = self.images();
        for (key, tile) in self.kept.pixels.kept() {
            let PixelsKey::Tile { image, level, column, row } = key else { continue };
            let Some(image) = images.get(&image) else { continue };
            let place = (level, column, row);
            let name = self.name_on_disk(image, &what_of_tile(image, place));
            let name = name.filter(|_| is_whole(image, place, &tile));
            let Some(name) = name else { continue };
            let range = 0..tile.samples.len();
            let body: Body = Arc::new(Held(tile));
            if !disk.put(name, vec![Part { start: 0, body, range }], end).await {
                return;
            }
        }
    }

    /// The images that are remembered, by their numbers.
    fn images(&self) -> HashMap<u64, Arc<Image>> {
        let image = |header: &Arc<Header>| match header.opened.get()? {
            Opened::Image(image) => Some(image.clone()),
            Opened::Nothing | Opened::Failed(_) => None,
        };
        let mut images: Vec<Arc<Image>> =
            self.lock().iter().filter_map(|(_, header)| image(header)).collect();
        images.extend(lock(&self.kept.pages).iter().filter_map(|(_, header)| image(header)));
        let masks: Vec<Arc<Image>> = images.iter().filter_map(|image| image.mask.clone()).collect();
        images.into_iter().chain(masks).map(|image| (image.id, image)).collect()
    }

    fn what_of_unit(&self, kind: ViewKind, unit: UnitIndex) -> String {
        let ViewConfig { preview_size, preview_bands, png_compression, .. } = &self.config;
        let options = match kind {
            ViewKind::Preview => format!("{preview_size} {preview_bands:?} {png_compression:?}"),
            _ => format!("{png_compression:?}"),
        };
        format!("{} {unit} {options}", kind.label())
    }

    /// The name of something that was made of an image, and of nothing else.
    fn name_on_disk(&self, image: &Image, what: &str) -> Option<Name> {
        let disk = self.cache.disk()?;
        disk.name(image.original().version()?, &what_of(image, what)?)
    }

    fn name_in_shared(&self, image: &Image, what: &str) -> Option<Name> {
        let shared = self.shared.as_ref()?;
        let version = image.original().version().filter(|version| version.size > SMALL_BYTES)?;
        shared.name(version, &what_of(image, what)?)
    }
}

/// What something is, among all that is made of an image's object.
fn what_of(image: &Image, what: &str) -> Option<String> {
    let tag = image.original().tag()?;
    let page = image.info().extras.page.map_or(1, |page| page.number);
    let which = if image.is_mask { "mask" } else { "image" };
    Some(format!("{RENDERING} {which} {page} {tag} {what}"))
}

fn what_of_tile(image: &Image, (level, column, row): Place) -> String {
    // Also where it lies: how an image is cut into tiles may change.
    let Rect { x, y, width, height } = image.info().tile(level, column, row);
    format!("{ORDER} tile {level} {column} {row} {x} {y} {width} {height}")
}

/// Whether a unit takes a whole image, so that it is worth being written at once.
pub(super) fn takes_all(kind: ViewKind, input: UnitInput) -> bool {
    match input {
        UnitInput::Nothing => false,
        UnitInput::Checksums { .. } => true,
        UnitInput::Pixels { .. } | UnitInput::Mask { .. } => kind == ViewKind::Preview,
    }
}

/// The pixels of a preview as it is shown: those of its plan, or on their side.
fn upright_rect(image: &Image) -> Rect {
    let (width, height) = (image.preview.width, image.preview.height);
    let (width, height) = match image.orientation() {
        5..=8 => (height, width),
        _ => (width, height),
    };
    Rect { x: 0, y: 0, width, height }
}

/// Whether these are all pixels of a tile.
fn is_whole(image: &Image, (level, column, row): Place, pixels: &Pixels) -> bool {
    let bytes = pixels.rect.width as usize * pixels.rect.height as usize;
    pixels.rect == image.info().tile(level, column, row)
        && pixels.samples.len() == bytes * image.info().pixel_bytes()
}
