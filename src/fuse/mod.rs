//! The kernel's side: the only folder that names `fuser`.
//!
//! Contract: decodes what the kernel asks, lets `fs` answer, and replies; at once
//! on the thread that asked if no request is needed, otherwise from a task that
//! owns the reply. A reply that is dropped (a panic) answers EIO. A program that wants to
//! end is not kept waiting: `attend`.

mod adapter;
mod attend;
mod caller;
mod calls;
mod decode;
mod passthrough;
mod reply;
mod session;
mod unfinished;

pub use session::{MountConfig, Mounted, mount, serve_device};
