//! Numbers in the byte order of a file.

/// The byte order of a TIFF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// An unsigned number of 1, 2, 4 or 8 bytes.
    pub(super) fn number(self, bytes: &[u8]) -> u64 {
        let push = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        match self {
            Order::Big => bytes.iter().fold(0, push),
            Order::Little => bytes.iter().rev().fold(0, push),
        }
    }

    /// Whether numbers of this machine are in another order.
    pub(super) fn is_foreign(self) -> bool {
        (self == Order::Big) != cfg!(target_endian = "big")
    }

    /// Puts samples into the order of this machine.
    pub(super) fn to_native(self, samples: &mut [u8], sample_bytes: usize) {
        if !self.is_foreign() || sample_bytes < 2 {
            return;
        }
        match sample_bytes {
            2 => samples.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1)),
            bytes => samples.chunks_exact_mut(bytes).for_each(<[u8]>::reverse),
        }
    }
}
