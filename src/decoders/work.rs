//! What a worker does, from its first moment to its last.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use bytes::Bytes;

use super::confine::{allow, confine};
use super::frame::{Received, answer, wait};
use super::wire::{Reply, Request};
use crate::mem::SharedFile;
use crate::raster::foreign::{self, Parsed, Pieces};
use crate::raster::{Codec, Header, Limits, RasterError};
use crate::sys;

/// The first argument of a program that is to be a worker; the second is how much memory
/// a decoder may take.
pub const ARGUMENT: &str = "decode-worker";

/// What a parser may take besides the pieces that it is given.
const HEADER_BYTES: u64 = 96 << 20;
/// What a decoder may take besides what its header says.
const SLACK_BYTES: u64 = 48 << 20;

/// Answers requests that come through standard input until nobody sends any. Only
/// children of a daemon call this; `decode_bytes` is the most that a decoder may take.
pub fn work(decode_bytes: u64) -> ExitCode {
    // A panic is an answer; where it happened is of no use to anybody who gets it.
    std::panic::set_hook(Box::new(|_| {}));
    sys::keep_heap_small();
    match serve(decode_bytes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(decode_bytes: u64) -> io::Result<()> {
    sys::close_all_but_streams();
    let mut link = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    sys::name_process(c"s3mem-decoder");
    let before = address_space()?;
    let most = decode_bytes.max(HEADER_BYTES).saturating_add(before).saturating_add(SLACK_BYTES);
    answer(&mut link, &Reply::Ready(confine(most)))?;
    while let Some(request) = wait(&mut link)? {
        let reply = reply(request, before)?;
        answer(&mut link, &reply)?;
    }
    Ok(())
}

/// What this process has of the address space, in bytes.
fn address_space() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib: Option<u64> = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
    let kib = kib.ok_or_else(|| io::Error::other("/proc/self/status does not say VmSize"))?;
    Ok(kib.saturating_mul(1024))
}

fn reply(request: Received<Request>, before: u64) -> io::Result<Reply> {
    let Received { message, behind, descriptors } = request;
    Ok(match message {
        Request::Header { codec, limits, size, pieces } => {
            allow(before + behind.len() as u64 + HEADER_BYTES, limits.decode_time.as_secs() + 1)?;
            let mut rest = Bytes::from(behind);
            let mut file = Pieces { size, pieces: Vec::new() };
            for (start, length) in pieces {
                let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
                file.pieces.push((start, rest.split_to(length)));
            }
            match foreign::header(codec, file, &limits) {
                Ok(Parsed::Header(header, picture)) => Reply::Header(header, picture),
                Ok(Parsed::Missing(at)) => Reply::Missing(at),
                Err(error) => Reply::failure(error),
            }
        }
        Request::Pixels { codec, limits, header } => {
            match decode(codec, &header, &limits, descriptors, before)? {
                Ok(()) => Reply::Done,
                Err(error) => Reply::failure(error),
            }
        }
        Request::ToSrgb { profile, bands, limits } => {
            let Ok([samples]) = <[OwnedFd; 1]>::try_from(descriptors) else {
                return Err(io::Error::other("the samples are missing"));
            };
            let samples = SharedFile::received(samples)?;
            let bytes = samples.size().saturating_add(HEADER_BYTES);
            allow(before.saturating_add(bytes), limits.decode_time.as_secs() + 1)?;
            match foreign::to_srgb(&profile, bands.into(), &mut samples.map()?) {
                Ok(()) => Reply::Done,
                Err(error) => Reply::failure(error),
            }
        }
    })
}

fn decode(
    codec: Codec,
    header: &Header,
    limits: &Limits,
    descriptors: Vec<OwnedFd>,
    before: u64,
) -> io::Result<Result<(), RasterError>> {
    let Ok([file, pixels]) = <[OwnedFd; 2]>::try_from(descriptors) else {
        return Err(io::Error::other("a file and its pixels are missing"));
    };
    let file = SharedFile::received(file)?;
    let bytes = header.decode_bytes(file.size()).saturating_add(SLACK_BYTES);
    allow(before.saturating_add(bytes), limits.decode_time.as_secs() + 1)?;
    let file = file.seal()?;
    let mut pixels = SharedFile::received(pixels)?.map()?;
    Ok(foreign::decode(codec, file.as_ref(), header, limits, &mut pixels))
}
