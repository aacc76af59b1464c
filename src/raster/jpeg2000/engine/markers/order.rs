//! The orders that a header can name (Table A.16), and what a change of the order covers (Table A.32).

use std::ops::Range;

use crate::raster::jpeg2000::engine::error::{Error, Result};

/// A progression order (Table A.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Layer, resolution, component, position.
    Lrcp,
    /// Resolution, layer, component, position.
    Rlcp,
    /// Resolution, position, component, layer.
    Rpcl,
    /// Position, component, resolution, layer.
    Pcrl,
    /// Component, position, resolution, layer.
    Cprl,
}

impl Order {
    /// Reads the order's code.
    ///
    /// # Errors
    /// If there is no such order.
    pub(crate) fn from_byte(byte: u8) -> Result<Self> {
        Ok(match byte {
            0 => Self::Lrcp,
            1 => Self::Rlcp,
            2 => Self::Rpcl,
            3 => Self::Pcrl,
            4 => Self::Cprl,
            other => return Err(Error::corrupt(format!("progression order {other}"))),
        })
    }
}

/// The packets that one progression covers: the parameters of a progression order change (Table A.32).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Their order.
    pub order: Order,
    /// Resolutions.
    pub resolutions: Range<u8>,
    /// Components.
    pub components: Range<u16>,
    /// The first layer behind those covered.
    pub layers: u16,
}
