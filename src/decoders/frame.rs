//! How messages go through a socket: their lengths, the message, the bytes behind it,
//! and descriptors with the first of them.

use std::io::{self, Error, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream as AsyncUnixStream;

/// The longest message: a header with its georeference.
const MESSAGE_BYTES: usize = 4 << 20;
/// The most bytes behind a message: all pieces of a header.
const BEHIND_BYTES: usize = 64 << 20;
/// A file and its pixels.
const DESCRIPTORS: usize = 2;
const LENGTHS_BYTES: usize = 8;

type Lengths = [u8; LENGTHS_BYTES];

fn lengths(message: usize, behind: usize) -> io::Result<Lengths> {
    if message > MESSAGE_BYTES || behind > BEHIND_BYTES {
        return Err(Error::new(ErrorKind::InvalidInput, "a message is too long"));
    }
    let mut lengths = [0; LENGTHS_BYTES];
    lengths[..4].copy_from_slice(&(message as u32).to_le_bytes());
    lengths[4..].copy_from_slice(&(behind as u32).to_le_bytes());
    Ok(lengths)
}

fn read_lengths(lengths: Lengths) -> io::Result<(usize, usize)> {
    let [a, b, c, d, e, f, g, h] = lengths;
    let message = u32::from_le_bytes([a, b, c, d]) as usize;
    let behind = u32::from_le_bytes([e, f, g, h]) as usize;
    if message > MESSAGE_BYTES || behind > BEHIND_BYTES {
        return Err(nonsense("a message is too long"));
    }
    Ok((message, behind))
}

fn nonsense(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// Sends a request, with `behind` behind it and descriptors for whoever gets it.
///
/// # Errors
/// That of the socket; the worker is of no more use then.
pub(super) async fn send(
    link: &mut AsyncUnixStream,
    message: &impl Serialize,
    behind: &[&[u8]],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let message = postcard::to_allocvec(message).map_err(Error::other)?;
    let lengths = lengths(message.len(), behind.iter().map(|part| part.len()).sum())?;
    let start = |link: &AsyncUnixStream| {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(Error::other("too many descriptors"));
        }
        let sent = sendmsg(link, &[IoSlice::new(&lengths)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(sent)
    };
    let sent = link.async_io(Interest::WRITABLE, || start(link)).await?;
    link.write_all(&lengths[sent..]).await?;
    link.write_all(&message).await?;
    for part in behind {
        link.write_all(part).await?;
    }
    Ok(())
}

/// Receives an answer. Whatever comes, no more than a message's bytes are held.
///
/// # Errors
/// That of the socket, [`ErrorKind::UnexpectedEof`] if the worker has ended, and
/// [`ErrorKind::InvalidData`] if what came is no answer.
pub(super) async fn receive<T: DeserializeOwned>(link: &mut AsyncUnixStream) -> io::Result<T> {
    let mut lengths = [0; LENGTHS_BYTES];
    link.read_exact(&mut lengths).await?;
    let (message, behind) = read_lengths(lengths)?;
    if behind > 0 {
        return Err(nonsense("an answer has nothing behind it"));
    }
    let mut bytes = vec![0; message];
    link.read_exact(&mut bytes).await?;
    postcard::from_bytes(&bytes).map_err(|_| nonsense("this is no answer"))
}

/// A request, as a worker gets it.
pub(super) struct Received<T> {
    pub(super) message: T,
    pub(super) behind: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// Waits for a request; `None` once nobody is there to send one.
///
/// # Errors
/// That of the socket.
pub(super) fn wait<T: DeserializeOwned>(link: &mut UnixStream) -> io::Result<Option<Received<T>>> {
    let mut lengths = [0; LENGTHS_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut lengths)];
    let got = recvmsg(link.as_fd(), &mut parts, &mut control, RecvFlags::empty())?.bytes;
    if got == 0 {
        return Ok(None);
    }
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(files) = message {
            descriptors.extend(files);
        }
    }
    link.read_exact(&mut lengths[got..])?;
    let (message, behind) = read_lengths(lengths)?;
    let (mut bytes, mut rest) = (vec![0; message], vec![0; behind]);
    link.read_exact(&mut bytes)?;
    link.read_exact(&mut rest)?;
    let message = postcard::from_bytes(&bytes).map_err(|_| nonsense("this is no request"))?;
    Ok(Some(Received { message, behind: rest, descriptors }))
}

/// Sends an answer.
///
/// # Errors
/// That of the socket.
pub(super) fn answer(link: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let message = postcard::to_allocvec(message).map_err(Error::other)?;
    link.write_all(&lengths(message.len(), 0)?)?;
    link.write_all(&message)
}
