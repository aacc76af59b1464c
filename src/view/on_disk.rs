//! Siblings in the cache on disk: units by the version of their image and all that decides how
//! they look.
//!
//! Units that took a whole image are written when they are made: previews, compressed PNGs, sums.
//! Of others those that were made a second time, since they had to go, and when the mount ends,
//! those that are still in memory. Siblings of files in memory are not written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::image::Image;
use super::layout::{UnitIndex, UnitInput};
use super::{Header, Opened, ViewConfig, ViewKind, Views, lock};
use crate::disk::{Name, Part};
use crate::mem::{Counted, Reservation, Use};

/// Another version of the program may make other bytes of the same pixels.
const RENDERING: &str = concat!(env!("CARGO_PKG_VERSION"), "-1");

/// Bytes of a sibling that wait to be written, counted meanwhile.
struct Waiting {
    bytes: Vec<u8>,
    _counted: Reservation,
}

impl AsRef<[u8]> for Waiting {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Those that are kept in memory.
struct OnShelf(Arc<Counted<Vec<u8>>>);

impl AsRef<[u8]> for OnShelf {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Views {
    /// The bytes of a unit, if the cache on disk has them.
    pub(super) async fn unit_on_disk(
        &self,
        image: &Image,
        kind: ViewKind,
        unit: UnitIndex,
    ) -> Option<Bytes> {
        let name = self.name_of_unit(image, kind, unit)?;
        self.cache.disk()?.load(&name).await
    }

    /// Notes that a unit was made, and has it written if that is worth it.
    pub(super) fn note_made(
        &self,
        image: &Image,
        kind: ViewKind,
        (unit, input): (UnitIndex, UnitInput),
        bytes: &[u8],
    ) {
        let is_worth_it = match input {
            // It costs less to make than to read.
            UnitInput::Nothing => return,
            UnitInput::Checksums { .. } => true,
            _ if kind == ViewKind::Preview => true,
            UnitInput::Pixels { .. } | UnitInput::Mask { .. } => {
                let mut made = lock(&self.kept.made);
                let what = (image.id, kind, unit);
                let is_again = made.take(&what);
                made.note(&what);
                is_again
            }
        };
        if is_worth_it {
            self.keep_unit(image, kind, unit, bytes);
        }
    }

    /// Has a unit written, unless too much waits for that already.
    pub(super) fn keep_unit(&self, image: &Image, kind: ViewKind, unit: UnitIndex, bytes: &[u8]) {
        let Some(disk) = self.cache.disk() else { return };
        let Some(name) = self.name_of_unit(image, kind, unit) else { return };
        let counted = self.budget.charge(bytes.len() as u64).of(Use::Images);
        disk.save(name, Arc::new(Waiting { bytes: bytes.to_vec(), _counted: counted }));
    }

    /// Has the units that are in memory written to the cache on disk, the latest first, until
    /// `end`: the mount is over.
    pub async fn put_down(&self, end: Instant) {
        let Some(disk) = self.cache.disk() else { return };
        let images = self.images();
        for ((id, kind, unit), bytes) in self.kept.units.kept() {
            let Some(image) = images.get(&id) else { continue };
            // Of a compressed file it is all, which is there already.
            let input = image.layout(kind).as_ref().ok().filter(|layout| unit < layout.units());
            let is_made =
                input.is_some_and(|layout| !matches!(layout.unit_input(unit), UnitInput::Nothing));
            let Some(name) = self.name_of_unit(image, kind, unit).filter(|_| is_made) else {
                continue;
            };
            let range = 0..bytes.len();
            let part = Part { start: 0, body: Arc::new(OnShelf(bytes)), range };
            if !disk.put(name, vec![part], true, end).await {
                return;
            }
        }
    }

    /// The images that are remembered, by their numbers.
    fn images(&self) -> HashMap<u64, Arc<Image>> {
        let image = |header: &Arc<Header>| match header.opened.get()? {
            Opened::Image(image) => Some((image.id, image.clone())),
            Opened::Nothing | Opened::Failed(_) => None,
        };
        let mut images: HashMap<u64, Arc<Image>> =
            self.lock().iter().filter_map(|(_, header)| image(header)).collect();
        images.extend(lock(&self.kept.pages).iter().filter_map(|(_, header)| image(header)));
        images
    }

    fn name_of_unit(&self, image: &Image, kind: ViewKind, unit: UnitIndex) -> Option<Name> {
        let disk = self.cache.disk()?;
        let (version, tag) = (image.original().version()?, image.original().tag()?);
        let page = image.info().extras.page.map_or(1, |page| page.number);
        let label = kind.label();
        let ViewConfig { preview_size, preview_bands, png_compression, .. } = &self.config;
        let options = match kind {
            ViewKind::Preview => format!("{preview_size} {preview_bands:?} {png_compression:?}"),
            ViewKind::Png => format!("{png_compression:?}"),
            _ => String::new(),
        };
        disk.name(version, &format!("{RENDERING} {label} {page} {unit} {tag} {options}"))
    }
}
