//! The same tree by HTTP, for whoever has no FUSE and whoever would rather look.
//!
//! Contract: beside `fuse`, another caller of `fs`, and no second way to the bytes. Answers GET
//! and HEAD only; a file with its ranges and conditions, a directory as a page or as JSON. No
//! body is held whole: a file is read as fast as its reader takes it, and what is short or fails
//! on the way breaks the connection off, so that nobody takes it for the end. Names are looked up
//! one by one, as they come, and what could lead elsewhere is refused before that. Who may ask,
//! and under which names, is decided in `access`, before anything else is looked at.
//!
//! Never: a URL that begins with `/` (a proxy may serve all of this under a prefix), a request to
//! anybody else, a change of anything.

mod access;
mod answer;
mod body;
mod conditions;
mod config;
mod connection;
mod counts;
mod cursors;
mod dir;
mod escape;
mod file;
mod gallery;
mod open;
mod picture;
mod ranges;
mod recent;
mod route;
mod server;
mod shared;
mod stall;
mod target;

pub use config::ServeConfig;
pub use server::Server;
pub use shared::Figures;
