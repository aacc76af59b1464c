//! Tests of the whole: an encoder of codestreams, what it makes decoded again, and codestreams that lie.

mod bombs;
pub(crate) mod encoder;
pub(crate) mod order;
pub(crate) mod packets;
mod roundtrip;
mod transform;
