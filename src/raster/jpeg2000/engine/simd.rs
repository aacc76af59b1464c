//! Loops compiled twice: for the instruction set that the program is compiled for, and for AVX2.
//!
//! [`Simd::run`] takes a closure whose loops the compiler vectorises by itself, and runs the AVX2 copy if the
//! machine has that. Both copies do the same arithmetic in the same order (nothing is contracted into fused
//! operations), so that every machine gives the same bytes.

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use fearless_simd::{Avx2, Level, Simd as _};

/// The instruction set to run on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Simd {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    avx2: Option<Avx2>,
}

impl Default for Simd {
    fn default() -> Self {
        Self::detect()
    }
}

impl Simd {
    /// The machine's best instruction set.
    #[must_use]
    pub(crate) fn detect() -> Self {
        Self {
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            avx2: Level::new().as_avx2(),
        }
    }

    /// The instruction set that the program was compiled for.
    #[cfg(test)]
    pub(crate) const fn baseline() -> Self {
        Self {
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            avx2: None,
        }
    }

    /// Runs `f`, which must be inlined, in a function compiled for the instruction set.
    #[inline(always)]
    // what is not inlined is compiled for the baseline
    pub(crate) fn run<R>(self, f: impl FnOnce() -> R) -> R {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        if let Some(avx2) = self.avx2 {
            return avx2.vectorize(f);
        }
        f()
    }
}
