//! The components of a codestream as the program decodes them for its siblings.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use s3mem::raster::{Limits, Raster, SampleType, Source, SourceError, jpeg2000};

use super::Result;
use super::pgx::Plane;

/// A file in memory.
#[derive(Debug)]
struct Memory(Bytes);

#[async_trait]
impl Source for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> std::result::Result<Bytes, SourceError> {
        Ok(self.0.slice(range.start as usize..range.end as usize))
    }
}

/// A raw codestream that was opened.
#[derive(Debug)]
pub(crate) struct Image {
    raster: Arc<dyn Raster>,
    /// Where the image starts on the reference grid.
    start: (u32, u32),
    /// Where it ends.
    end: (u32, u32),
    /// XRsiz and YRsiz of each component.
    steps: Vec<(u32, u32)>,
}

impl Image {
    /// Opens a raw codestream.
    ///
    /// # Errors
    /// As [`jpeg2000::open`].
    pub(crate) async fn open(bytes: Vec<u8>) -> Result<Image> {
        let number = |at: usize| -> Result<u32> {
            let bytes = bytes.get(at..at + 4).ok_or("it is cut short")?;
            Ok(u32::from_be_bytes(bytes.try_into()?))
        };
        // SIZ follows SOC (T.800 A.5.1).
        let (end, start) = ((number(8)?, number(12)?), (number(16)?, number(20)?));
        let components = usize::from(u16::try_from(number(38)? & 0xFFFF)?);
        let step = |component: usize| -> Result<(u32, u32)> {
            let at = 42 + 3 * component;
            let steps = bytes.get(at + 1..at + 3).ok_or("it is cut short")?;
            Ok((steps[0].into(), steps[1].into()))
        };
        let steps = (0..components).map(step).collect::<Result<_>>()?;
        let bytes = Bytes::from(bytes);
        let head = bytes.slice(..bytes.len().min(16 << 10));
        let raster = jpeg2000::open(Arc::new(Memory(bytes)), head, &Limits::default()).await?;
        Ok(Image { raster, start, end, steps })
    }

    /// The first components of the image, reduced.
    ///
    /// # Errors
    /// As [`Raster::decode_tile`].
    pub(crate) async fn planes(&self, reduction: u8, components: usize) -> Result<Vec<Plane>> {
        let info = self.raster.info();
        if let Some(why) = &info.unsupported {
            return Err(why.clone().into());
        }
        let whole = info.image(reduction);
        let (width, bands) = (whole.width as usize, usize::from(info.bands));
        let mut samples = vec![0; whole.pixels() as usize * bands];
        let (columns, rows) = info.tiles(reduction);
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)))
        {
            let pixels = self.raster.decode_tile(reduction, column, row).await?;
            let values = numbers(info.sample, &pixels.samples)?;
            let length = pixels.rect.width as usize * bands;
            for (y, line) in values.chunks_exact(length.max(1)).enumerate() {
                let at = ((pixels.rect.y as usize + y) * width + pixels.rect.x as usize) * bands;
                samples
                    .get_mut(at..at + length)
                    .ok_or("a tile is too large")?
                    .copy_from_slice(line);
            }
        }
        let plane = |component| self.plane(&samples, width, component, reduction);
        (0..components.min(bands)).map(plane).collect()
    }

    /// A component on its own grid. Where it has fewer samples than the image, they were repeated.
    fn plane(&self, all: &[i32], width: usize, component: usize, reduction: u8) -> Result<Plane> {
        let halved = |at: u32| u64::from(at).div_ceil(1 << reduction) as usize;
        let (dx, dy) = *self.steps.get(component).ok_or("a component is missing")?;
        let along = |start: u32, end: u32, step: u32| -> Vec<usize> {
            let own = halved(start.div_ceil(step))..halved(end.div_ceil(step));
            let (first, last) = (halved(start), halved(end));
            own.map(|at| (at * step as usize).clamp(first, last - 1) - first).collect()
        };
        let (columns, rows) =
            (along(self.start.0, self.end.0, dx), along(self.start.1, self.end.1, dy));
        let bands = usize::from(self.raster.info().bands);
        let sample = |y: usize, x: usize| all.get((y * width + x) * bands + component).copied();
        let samples = rows.iter().flat_map(|y| columns.iter().map(|x| sample(*y, *x)));
        let samples = samples.collect::<Option<_>>().ok_or("a component is too large")?;
        Ok(Plane { width: columns.len(), samples })
    }
}

fn numbers(sample: SampleType, bytes: &[u8]) -> Result<Vec<i32>> {
    macro_rules! numbers {
        ($number:ty) => {{
            let size = size_of::<$number>();
            let number =
                |bytes: &[u8]| <$number>::from_ne_bytes(bytes.try_into().unwrap_or_default());
            bytes.chunks_exact(size).map(|bytes| number(bytes) as i32).collect()
        }};
    }
    Ok(match sample {
        SampleType::U8 => numbers!(u8),
        SampleType::I8 => numbers!(i8),
        SampleType::U16 => numbers!(u16),
        SampleType::I16 => numbers!(i16),
        SampleType::U32 => numbers!(u32),
        SampleType::I32 => numbers!(i32),
        other => return Err(format!("samples are {}", other.name()).into()),
    })
}
