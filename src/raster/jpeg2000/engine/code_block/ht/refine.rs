//! The HT significance propagation and magnitude refinement passes: T.814 7.4 and 7.5.

use super::super::coded::Segment;
use super::super::groups::{AHEAD, GROUPS, Place, Shape, TOP};
use super::samples::Samples;
use super::streams::Stream;

/// The streams of both passes and the sets that they work on.
#[derive(Debug)]
pub(super) struct Refine {
    forward: Stream,
    backward: Stream,
    places: Vec<Place>,
    /// What the cleanup pass made significant.
    cleaned: Box<[u64; GROUPS]>,
    /// That and what significance propagation did.
    significant: Box<[u64; GROUPS]>,
}

impl Default for Refine {
    fn default() -> Self {
        Self {
            forward: Stream::default(),
            backward: Stream::default(),
            places: Vec::new(),
            cleaned: Box::new([0; GROUPS]),
            significant: Box::new([0; GROUPS]),
        }
    }
}

impl Refine {
    /// Decodes the one or two passes of a segment, which work on this bit-plane.
    pub(super) fn decode(
        &mut self,
        samples: &mut Samples,
        segment: &Segment<'_>,
        plane: u32,
        vertically_causal: bool,
    ) {
        let shape = Shape::new(samples.width, samples.height);
        shape.list(&mut self.places);
        self.significant.fill(0);
        for place in &self.places {
            let (x, y) = shape.corner(*place);
            let mut set = 0;
            for row in y..samples.height.min(y + 4) {
                let values = samples.values.get(row * samples.stride + x..).unwrap_or_default();
                let columns = samples.width.saturating_sub(x).min(16);
                for (value, column) in values[..columns.min(values.len())].iter().zip(0_u32..) {
                    set |= u64::from(*value != 0) << (4 * column + (row - y) as u32);
                }
            }
            self.significant[place.group & (GROUPS - 1)] = set;
        }
        self.cleaned.copy_from_slice(&self.significant[..]);
        // A stuffed bit that is one is not looked for: nothing depends on it.
        let _ = self.forward.forward(segment.data, 0);
        self.propagate(samples, shape, plane, if vertically_causal { 0 } else { TOP });
        if segment.passes > 1 {
            self.backward.backward(segment.data, (0, 0), true);
            self.refine(samples, shape, plane);
        }
    }

    /// The significance propagation pass: four columns of a stripe at a time, first what becomes
    /// significant, then the signs.
    fn propagate(&mut self, samples: &mut Samples, shape: Shape, plane: u32, below: u64) {
        let mut position = 0;
        for &place in &self.places {
            let (x, y) = shape.corner(place);
            let first = y * samples.stride + x;
            for columns in 0..4 {
                let window = 0xFFFF << (16 * columns) & place.there;
                if window == 0 {
                    break;
                }
                let of = |group: usize| self.significant[group & (GROUPS - 1)];
                let open = window & !of(place.group);
                let mut candidates = shape.neighbours(place.group, below, of) & open;
                let mut found = 0;
                while candidates != 0 {
                    let bit = candidates.trailing_zeros();
                    candidates &= candidates - 1;
                    if self.forward.peek(position) & 1 == 1 {
                        found |= 1 << bit;
                        candidates |= AHEAD[(bit & 3) as usize].wrapping_shl(bit) & open;
                    }
                    position += 1;
                }
                self.significant[place.group & (GROUPS - 1)] |= found;
                while found != 0 {
                    let bit = found.trailing_zeros();
                    found &= found - 1;
                    let negative = self.forward.peek(position) as u32 & 1;
                    position += 1;
                    if let Some(value) = samples.at(first, bit) {
                        *value = 3_u32.wrapping_shl(plane) | negative << 31;
                    }
                }
            }
        }
    }

    /// The magnitude refinement pass: what the cleanup pass made significant.
    fn refine(&mut self, samples: &mut Samples, shape: Shape, plane: u32) {
        let mut position = 0;
        for &place in &self.places {
            let (x, y) = shape.corner(place);
            let first = y * samples.stride + x;
            let mut set = self.cleaned[place.group & (GROUPS - 1)];
            while set != 0 {
                let bit = set.trailing_zeros();
                set &= set - 1;
                let one = self.backward.peek(position) as u32 & 1;
                position += 1;
                if let Some(value) = samples.at(first, bit) {
                    // The old midpoint was a one in this bit-plane; the new one is just below.
                    *value =
                        value.wrapping_sub(1 << plane).wrapping_add(one.wrapping_shl(plane + 1));
                }
            }
        }
    }
}

impl Samples {
    /// The sample of a bit in the set of a group, whose first sample is given.
    #[inline(always)]
    fn at(&mut self, first: usize, bit: u32) -> Option<&mut u32> {
        self.values.get_mut(first + (bit as usize & 3) * self.stride + (bit as usize >> 2))
    }
}
