//! What was made for siblings, in the cache on disk: decoded tiles, and files that took a whole
//! image.
//!
//! Previews, compressed PNGs and sums over all pixels are written when they are made. Tiles are
//! written when they are decoded a second time, since they had to go, and when the mount ends, if
//! they are still in memory. What is made of files in memory is not written.

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
const RENDERING: &str = concat!(env!("CARGO_PKG_VERSION"), "-2");
/// The order of the bytes of a sample, which is that of the machine.
const ORDER: &str = if cfg!(target_endian = "little") { "le" } else { "be" };

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
    /// The pixels of a tile, if the cache on disk has them.
    pub(super) async fn tile_on_disk(&self, image: &Image, place: Place) -> Option<Pixels> {
        let name = self.name_of_tile(image, place)?;
        let samples = self.cache.disk()?.load(&name).await?;
        let pixels = Pixels { rect: image.info().tile(place.0, place.1, place.2), samples };
        is_whole(image, place, &pixels).then_some(pixels)
    }

    /// Those of some tiles of a level that the cache on disk does not have.
    pub(super) async fn not_on_disk(
        &self,
        image: &Image,
        level: u8,
        tiles: Vec<(u32, u32)>,
    ) -> Vec<(u32, u32)> {
        let Some(disk) = self.cache.disk() else { return tiles };
        let name = |&(column, row): &(u32, u32)| self.name_of_tile(image, (level, column, row));
        let Some(names) = tiles.iter().map(name).collect::<Option<Vec<Name>>>() else {
            return tiles;
        };
        let mut found = disk.ranges(names).await.into_iter();
        let is_missing = |_: &(u32, u32)| found.next().is_none_or(|ranges| ranges.is_empty());
        tiles.into_iter().filter(is_missing).collect()
    }

    /// Notes that a tile was decoded, and has it written if that is worth it.
    pub(super) fn note_tile(&self, image: &Image, place: Place, pixels: &Pixels) {
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
            self.save(self.name_of_tile(image, place), pixels.samples.clone());
        }
    }

    /// The bytes of a unit that takes a whole image, if the cache on disk has them.
    pub(super) async fn unit_on_disk(
        &self,
        image: &Image,
        kind: ViewKind,
        unit: UnitIndex,
    ) -> Option<Vec<u8>> {
        let name = self.name_of_unit(image, kind, unit)?;
        self.cache.disk()?.load(&name).await.map(Vec::from)
    }

    /// Has such a unit written.
    pub(super) fn keep_unit(&self, image: &Image, kind: ViewKind, unit: UnitIndex, bytes: &[u8]) {
        if self.cache.disk().is_some() {
            let name = self.name_of_unit(image, kind, unit);
            self.save(name, Bytes::copy_from_slice(bytes));
        }
    }

    fn save(&self, name: Option<Name>, bytes: Bytes) {
        if let Some((disk, name)) = self.cache.disk().zip(name) {
            let counted = self.budget.charge(bytes.len() as u64).of(Use::Images);
            disk.save(name, Arc::new(Waiting { bytes, _counted: counted }));
        }
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
            let name = self.name_of_tile(image, place).filter(|_| is_whole(image, place, &tile));
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

    fn name_of_tile(&self, image: &Image, (level, column, row): Place) -> Option<Name> {
        // Also where it lies: how an image is cut into tiles may change.
        let Rect { x, y, width, height } = image.info().tile(level, column, row);
        let place = format!("{x} {y} {width} {height}");
        self.name_of(image, &format!("{ORDER} tile {level} {column} {row} {place}"))
    }

    fn name_of_unit(&self, image: &Image, kind: ViewKind, unit: UnitIndex) -> Option<Name> {
        let ViewConfig { preview_size, preview_bands, png_compression, .. } = &self.config;
        let options = match kind {
            ViewKind::Preview => format!("{preview_size} {preview_bands:?} {png_compression:?}"),
            _ => format!("{png_compression:?}"),
        };
        self.name_of(image, &format!("{} {unit} {options}", kind.label()))
    }

    /// The name of something that was made of an image, and of nothing else.
    fn name_of(&self, image: &Image, what: &str) -> Option<Name> {
        let disk = self.cache.disk()?;
        let (version, tag) = (image.original().version()?, image.original().tag()?);
        let page = image.info().extras.page.map_or(1, |page| page.number);
        let which = if image.is_mask { "mask" } else { "image" };
        disk.name(version, &format!("{RENDERING} {which} {page} {tag} {what}"))
    }
}

/// Whether a unit takes a whole image, so that it is worth being written at once.
pub(super) fn takes_all(kind: ViewKind, input: UnitInput) -> bool {
    match input {
        UnitInput::Nothing => false,
        UnitInput::Checksums { .. } => true,
        UnitInput::Pixels { .. } | UnitInput::Mask { .. } => kind == ViewKind::Preview,
    }
}

/// Whether these are all pixels of a tile.
fn is_whole(image: &Image, (level, column, row): Place, pixels: &Pixels) -> bool {
    let bytes = pixels.rect.width as usize * pixels.rect.height as usize;
    pixels.rect == image.info().tile(level, column, row)
        && pixels.samples.len() == bytes * image.info().pixel_bytes()
}
