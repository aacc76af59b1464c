//! What some servers do not know of S3, and how they refuse it.

use s3s::{S3ErrorCode, S3Result, s3_error};

/// What a server refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lacks {
    /// Checksums of what is written, which it names, as Backblaze B2 does.
    pub checksums: bool,
    /// Conditions on what is written, copied and deleted, which it does not name.
    pub conditions: bool,
    /// Parts of an object that have not all the size of the first, as Cloudflare R2 does.
    pub uneven_parts: bool,
}

impl Lacks {
    /// Refuses a checksum if there is one.
    pub(super) fn checksum(self, is_there: bool) -> S3Result<()> {
        if !(self.checksums && is_there) {
            return Ok(());
        }
        let message = "Unsupported header 'x-amz-checksum-crc32c' received for this API call.";
        Err(s3_error!(InvalidArgument, "{message}"))
    }

    /// Refuses a condition if there is one.
    pub(super) fn condition(self, is_there: bool) -> S3Result<()> {
        if !(self.conditions && is_there) {
            return Ok(());
        }
        let message = "A header you provided implies functionality that is not implemented.";
        Err(s3_error!(NotImplemented, "{message}"))
    }

    /// Refuses parts of which one, but for the last, has not the size of the first.
    pub(super) fn parts(self, sizes: &[usize]) -> S3Result<()> {
        let Some((last, others)) = sizes.split_last() else { return Ok(()) };
        let is_even = others.iter().all(|size| *size == sizes[0]) && *last <= sizes[0];
        if !self.uneven_parts || is_even {
            return Ok(());
        }
        let code = S3ErrorCode::InvalidPart;
        let message = "All non-trailing parts must have the same length.";
        Err(s3s::S3Error::with_message(code, message))
    }
}
