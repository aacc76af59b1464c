//! A code-block as it is coded: its place, its style, and its codeword segments.

/// The code-block style: the flags of `SPcod` (T.800 Table A.19) and of T.814.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the standard defines them as independent flags")]
pub(crate) struct Style {
    /// Selective arithmetic coding bypass: later passes hold raw bits.
    pub bypass: bool,
    /// The context states return to their initial values after each coding pass.
    pub reset: bool,
    /// The codeword ends after each coding pass.
    pub terminate_all: bool,
    /// Contexts do not look below the current stripe.
    pub vertically_causal: bool,
    /// The encoder terminated each codeword in the way of D.4.2, so that a decoder can check it.
    pub predictable_termination: bool,
    /// Each cleanup pass ends with the four symbols 1010.
    pub segmentation_symbols: bool,
    /// The block coder is that of T.814 (high throughput).
    pub ht: bool,
}

/// Which filters made a sub-band, horizontally then vertically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Orientation {
    /// Low-pass in both directions.
    Ll,
    /// High-pass horizontally.
    Hl,
    /// High-pass vertically.
    Lh,
    /// High-pass in both directions.
    Hh,
}

/// A codeword segment: consecutive coding passes that share one terminated codeword.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    /// How many coding passes the segment holds.
    pub passes: u8,
    /// The bytes of the codeword.
    pub data: &'a [u8],
}

/// The coded form of one code-block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coded<'a> {
    /// Columns of the code-block.
    pub width: u32,
    /// Rows of the code-block.
    pub height: u32,
    /// The sub-band that the code-block belongs to.
    pub orientation: Orientation,
    /// The code-block style.
    pub style: Style,
    /// The magnitude bit-planes that are coded: all of the sub-band's (region of interest shift
    /// included) less the missing ones.
    pub bit_planes: u8,
    /// The leading bit-planes that the packet header tells to be zero.
    pub missing_bit_planes: u8,
    /// The codeword segments, in order. With T.814's block coder the first has the cleanup pass, and
    /// the second, if there is one, the significance propagation and magnitude refinement passes.
    pub segments: &'a [Segment<'a>],
}

/// The most bit-planes that the decoder can hold: a coefficient has one fractional bit and a sign.
pub(crate) const MAX_BIT_PLANES: u8 = 30;

impl Coded<'_> {
    /// Checks the parameters against the limits of T.800 B.7 and of this decoder.
    pub(super) fn check(&self, out: usize) -> Result<(), &'static str> {
        let (width, height) = (self.width as usize, self.height as usize);
        if !(1..=1024).contains(&width)
            || !(1..=1024).contains(&height)
            || width.next_power_of_two() * height.next_power_of_two() > 4096
        {
            return Err("the code-block's size is not one that T.800 allows");
        }
        if out != width * height {
            return Err("the output does not have the code-block's size");
        }
        if self.bit_planes > MAX_BIT_PLANES {
            return Err("the code-block has more bit-planes than this decoder can hold");
        }
        if self.style.ht {
            let planes = self.bit_planes.saturating_add(self.missing_bit_planes);
            return if planes > MAX_BIT_PLANES {
                Err("the code-block has more bit-planes than this decoder can hold")
            } else {
                Ok(())
            };
        }
        let passes: usize = self.segments.iter().map(|segment| usize::from(segment.passes)).sum();
        if passes > (3 * usize::from(self.bit_planes)).saturating_sub(2) {
            return Err("the code-block has more coding passes than bit-planes");
        }
        Ok(())
    }
}

/// The three kinds of coding pass of T.800 D.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Significance propagation (D.3.1).
    Significance,
    /// Magnitude refinement (D.3.3).
    Refinement,
    /// Cleanup (D.3.4).
    Cleanup,
}

/// The kind of the coding pass with this number, and how far below the first coded bit-plane it
/// works. The first bit-plane has a cleanup pass only.
pub(super) const fn pass_at(number: usize) -> (Pass, usize) {
    let pass = match number % 3 {
        0 => Pass::Cleanup,
        1 => Pass::Significance,
        _ => Pass::Refinement,
    };
    (pass, number.div_ceil(3))
}

/// Whether selective bypass (T.800 D.6) makes the coding pass with this number raw.
pub(super) const fn is_raw(style: Style, number: usize) -> bool {
    style.bypass && number >= 10 && !number.is_multiple_of(3)
}

impl Coded<'_> {
    /// Whether the codeword certainly ends after the coding pass with this number (T.800 Tables D.8
    /// and D.9).
    pub(super) const fn ends_segment(&self, number: usize) -> bool {
        self.style.ends_segment(number) || number + 3 == 3 * self.bit_planes as usize
    }
}

impl Style {
    /// Whether the style ends the codeword after the coding pass with this number.
    pub(super) const fn ends_segment(self, number: usize) -> bool {
        self.terminate_all || (self.bypass && number >= 9 && number % 3 != 1)
    }
}
