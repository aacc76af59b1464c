//! How a server takes an ETag in If-Match.
//!
//! Most take it with its quotes. Some want it without, and some refuse the very ETag that
//! they tell: a proxy has changed it on its way. What a server does is learned from the
//! first answers that come anyway; only a refusal that a HEAD does not confirm leads to
//! another try.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::key::ETag;

/// The ways to name a version, the strongest and most usual first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With its quotes.
    Quoted,
    /// Without.
    Bare,
    /// Not at all: the ETag of the answer has to tell.
    None,
}

impl Form {
    /// The tag as If-Match takes it; `None` where there is no If-Match.
    pub(super) fn of(self, etag: &ETag) -> Option<ETag> {
        match self {
            Form::Quoted => Some(etag.clone()),
            Form::Bare => Some(etag.bare()),
            Form::None => None,
        }
    }
}

const NOBODY_KNOWS: u8 = 0;
const QUOTED: u8 = 1;
const BARE: u8 = 2;
const NONE: u8 = 3;

/// What is known of a server. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct IfMatch {
    known: Arc<AtomicU8>,
}

impl IfMatch {
    /// The form to begin with.
    pub(super) fn form(&self) -> Form {
        match self.known.load(Ordering::Relaxed) {
            BARE => Form::Bare,
            NONE => Form::None,
            _ => Form::Quoted,
        }
    }

    /// The forms to try next when `refused` was refused for a version that is still there.
    pub(super) fn others(&self, refused: Form) -> &'static [Form] {
        match (refused, self.is_proven()) {
            (Form::Quoted, false) => &[Form::Bare, Form::None],
            (Form::Quoted, true) | (Form::Bare, _) => &[Form::None],
            (Form::None, _) => &[],
        }
    }

    /// Whether a condition in the form that is used has been kept.
    pub(super) fn is_proven(&self) -> bool {
        self.known.load(Ordering::Relaxed) != NOBODY_KNOWS
    }

    /// Notes that the server has taken a condition in this form. What one object needs says
    /// nothing of the others once another form has been taken.
    pub(super) fn learn(&self, form: Form) {
        let known = match form {
            Form::Quoted => QUOTED,
            Form::Bare => BARE,
            Form::None => NONE,
        };
        let relaxed = Ordering::Relaxed;
        let is_new = self.known.compare_exchange(NOBODY_KNOWS, known, relaxed, relaxed).is_ok();
        match form {
            Form::Bare if is_new => {
                tracing::info!("the server takes ETags in If-Match only without their quotes");
            }
            Form::None if is_new => tracing::warn!(
                "the server refuses the ETags that it tells itself, perhaps since a proxy changes \
                 them: files can be read, and the ETag of each answer tells its version; objects \
                 can't be replaced or renamed, and between the look at an object and its deletion \
                 somebody else's version may be lost"
            ),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_is_taken_is_used_from_then_on() {
        let server = IfMatch::default();
        assert_eq!((server.form(), server.is_proven()), (Form::Quoted, false));
        assert_eq!(server.others(Form::Quoted), [Form::Bare, Form::None]);
        server.learn(Form::Bare);
        server.learn(Form::Quoted);
        assert_eq!((server.clone().form(), server.is_proven()), (Form::Bare, true));
        assert_eq!(server.others(Form::Bare), [Form::None]);
        let etag = ETag::new("abc");
        assert_eq!(Form::Bare.of(&etag).unwrap().condition(), "abc");
        assert_eq!(Form::Bare.of(&etag), Some(etag));
    }
}
