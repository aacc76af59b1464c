//! What a JPEG's frame is made of (T.81, A.1 and B.2.2), and where its samples lie.

/// How the samples are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// Blocks, each complete in one scan.
    Sequential,
    /// Blocks, refined scan by scan.
    Progressive,
    /// Differences to neighbours (T.81, annex H).
    Lossless,
    /// JPEG-LS (T.87).
    Ls,
    /// Hierarchical, or lossless and arithmetic, which nobody here decodes.
    Other,
}

impl Process {
    /// That of a start of frame, by its marker.
    pub(super) fn of(marker: u8) -> Option<Process> {
        match marker {
            0xc0 | 0xc1 | 0xc9 => Some(Process::Sequential),
            0xc2 | 0xca => Some(Process::Progressive),
            0xc3 => Some(Process::Lossless),
            0xf7 => Some(Process::Ls),
            0xc4 | 0xc8 | 0xcc => None,
            0xc5..=0xcf => Some(Process::Other),
            _ => None,
        }
    }

    /// Samples on each side of what is coded together.
    pub(super) fn unit(self) -> u32 {
        match self {
            Process::Lossless | Process::Ls => 1,
            Process::Sequential | Process::Progressive | Process::Other => 8,
        }
    }
}

/// A component of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    /// What scans call it.
    pub(super) id: u8,
    /// Sampling factor across.
    pub(super) h: u32,
    /// Sampling factor down.
    pub(super) v: u32,
    /// Its table of quantisation.
    pub(super) quantisation: u8,
}

/// A frame header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) process: Process,
    /// Whether it is coded in decisions instead of codes.
    pub(super) is_arithmetic: bool,
    /// Bits of a sample.
    pub(super) precision: u8,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: Vec<Component>,
}

impl Frame {
    /// The largest sampling factors, across and down.
    pub(super) fn largest(&self) -> (u32, u32) {
        let largest = |factor: fn(&Component) -> u32| self.components.iter().map(factor).max();
        (largest(|c| c.h).unwrap_or(1).max(1), largest(|c| c.v).unwrap_or(1).max(1))
    }

    /// Minimum coded units of an interleaved scan, across and down.
    pub(super) fn units(&self) -> (u32, u32) {
        let (h, v) = self.largest();
        let unit = self.process.unit();
        (self.width.div_ceil(h * unit), self.height.div_ceil(v * unit))
    }

    /// The samples of a component that count, across and down.
    pub(super) fn samples(&self, component: &Component) -> (u32, u32) {
        let (h, v) = self.largest();
        ((self.width * component.h).div_ceil(h), (self.height * component.v).div_ceil(v))
    }

    /// The units of a component that a scan of its own has.
    pub(super) fn own_units(&self, component: &Component) -> (u32, u32) {
        let (across, down) = self.samples(component);
        let unit = self.process.unit();
        (across.div_ceil(unit), down.div_ceil(unit))
    }

    /// The units of a component that an interleaved scan has.
    pub(super) fn all_units(&self, component: &Component) -> (u32, u32) {
        let (across, down) = self.units();
        (across * component.h, down * component.v)
    }

    /// Samples that are held of all components together.
    pub(super) fn held_samples(&self) -> u64 {
        let unit = u64::from(self.process.unit());
        let of = |component: &Component| {
            let (across, down) = self.all_units(component);
            u64::from(across) * u64::from(down) * unit * unit
        };
        self.components.iter().map(of).fold(0, u64::saturating_add)
    }
}

/// What a scan has of one component.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Which component of the frame.
    pub(super) component: usize,
    /// Its table of codes for the first coefficient; in JPEG-LS its mapping table.
    pub(super) dc: u8,
    /// Its table of codes for all other coefficients.
    pub(super) ac: u8,
}

/// A scan header.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub(super) parts: Vec<Part>,
    /// The first coefficient; the predictor in a lossless scan, NEAR in JPEG-LS.
    pub(super) first: u8,
    /// The last coefficient; how it is interleaved in JPEG-LS.
    pub(super) last: u8,
    /// Up to which bit the coefficients are here already; 0 in a first scan.
    pub(super) high: u8,
    /// Up to which bit they are in this scan; the point transform in a lossless scan.
    pub(super) low: u8,
}

/// The samples of one component, with those that fill its last units.
#[derive(Debug)]
pub(super) struct Plane<S> {
    pub(super) stride: usize,
    pub(super) samples: Vec<S>,
}

impl<S: Sample> Plane<S> {
    /// An empty one for a component.
    pub(super) fn new(frame: &Frame, component: &Component) -> Self {
        let (across, down) = frame.all_units(component);
        let unit = frame.process.unit() as usize;
        let (stride, rows) = (across as usize * unit, down as usize * unit);
        Plane { stride, samples: vec![S::of(0); stride * rows] }
    }

    /// One row.
    pub(super) fn row(&self, y: usize) -> &[S] {
        &self.samples[y * self.stride..(y + 1) * self.stride]
    }
}

/// The type that samples are held in.
pub(super) trait Sample: Copy + 'static {
    /// From a number that fits.
    fn of(value: i32) -> Self;
    /// As a number.
    fn value(self) -> i32;
    /// Writes samples in the byte order of the machine.
    fn store(samples: &[Self], to: &mut [u8]);
}

impl Sample for u8 {
    #[inline]
    fn of(value: i32) -> Self {
        value as u8
    }
    #[inline]
    fn value(self) -> i32 {
        self.into()
    }
    fn store(samples: &[Self], to: &mut [u8]) {
        to.copy_from_slice(samples);
    }
}

impl Sample for u16 {
    #[inline]
    fn of(value: i32) -> Self {
        value as u16
    }
    #[inline]
    fn value(self) -> i32 {
        self.into()
    }
    fn store(samples: &[Self], to: &mut [u8]) {
        for (sample, to) in samples.iter().zip(to.chunks_exact_mut(2)) {
            to.copy_from_slice(&sample.to_ne_bytes());
        }
    }
}
