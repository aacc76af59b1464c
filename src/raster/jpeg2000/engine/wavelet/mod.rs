//! The inverse discrete wavelet transformation (ITU-T T.800, Annex F).
//!
//! [`Synthesis`] is the way in. It rebuilds a window of one resolution of a tile-component from
//! its sub-bands, row by row from top to bottom, through all decomposition levels at once. No
//! intermediate resolution is ever stored: each level holds [`RING`] rows. The sub-bands come from a
//! [`Source`], which is asked for each row just once and in order, so that they can lie in planes
//! ([`Planes`]) or be decoded code-block row by code-block row on demand.
//!
//! * [`support`] (room `support.rs`) tells what of each sub-band a window needs (F.3.7 and on).
//! * [`Reversible`] is the 5/3 filter on integers and [`Irreversible`] the 9/7 filter on `f32`
//!   (F.3.8, room `lifting.rs`).
//! * The 9/7 filter's scaling by K is not done here. The dequantiser does it for nothing, by the
//!   factor which [`gain`] names.

mod lifting;
mod plane;
mod planes;
mod support;
mod synthesis;
#[cfg(test)]
mod tests;

pub(crate) use lifting::{Irreversible, Lifting, RING, Reversible};
pub(crate) use plane::{Plane, Rect};
pub(crate) use planes::Planes;
pub(crate) use support::{Band, Kernel, Needs, Support, band_rect, gain, needs, support};
pub(crate) use synthesis::{Source, Synthesis};
