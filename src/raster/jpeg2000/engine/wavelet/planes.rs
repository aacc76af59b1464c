//! Sub-bands in planes, as a source of rows.

use super::plane::Plane;
use super::support::Needs;
use super::synthesis::Source;

/// A [`Source`] whose sub-bands lie in planes, which several threads may share.
///
/// Each plane must cover at least what [`needs`](super::needs) names for the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planes<'a, T> {
    /// The LL sub-band of resolution 0.
    pub ll: &'a Plane<T>,
    /// HL, LH and HH of resolutions 1, 2 and so on.
    pub details: &'a [[Plane<T>; 3]],
}

impl<T: Copy + Default> Planes<'_, T> {
    /// Whether the planes cover all that `needs` names.
    #[must_use]
    pub(crate) fn cover(&self, needs: &Needs) -> bool {
        self.ll.rect.contains(&needs.ll)
            && self.details.len() >= needs.details.len()
            && needs.details.iter().zip(self.details).all(|(need, [hl, lh, hh])| {
                hl.rect.contains(&need.hl)
                    && lh.rect.contains(&need.lh)
                    && hh.rect.contains(&need.hh)
            })
    }
}

/// The error of a plane that does not cover what the window needs.
const MISSING: &str = "a sub-band plane does not cover its support";

impl<T: Copy + Default> Source<T> for Planes<'_, T> {
    type Error = &'static str;

    fn low(&mut self, r: usize, y: u32, needs: &Needs) -> Result<(&[T], &[T]), Self::Error> {
        let ll = if r > 1 { Some(&[][..]) } else { self.ll.row(y, needs.ll.x0, needs.ll.x1) };
        let hl = match (r.checked_sub(1), self.details, &needs.details[..]) {
            (None, ..) => Some(&[][..]),
            (Some(r), details, needs) => match (details.get(r), needs.get(r)) {
                (Some([hl, ..]), Some(need)) => hl.row(y, need.hl.x0, need.hl.x1),
                _ => None,
            },
        };
        Ok((ll.ok_or(MISSING)?, hl.ok_or(MISSING)?))
    }

    fn high(&mut self, r: usize, y: u32, needs: &Needs) -> Result<(&[T], &[T]), Self::Error> {
        let r = r.wrapping_sub(1);
        let (Some([_, lh, hh]), Some(need)) = (self.details.get(r), needs.details.get(r)) else {
            return Err(MISSING);
        };
        let lh = lh.row(y, need.lh.x0, need.lh.x1).ok_or(MISSING)?;
        let hh = hh.row(y, need.hh.x0, need.hh.x1).ok_or(MISSING)?;
        Ok((lh, hh))
    }
}
