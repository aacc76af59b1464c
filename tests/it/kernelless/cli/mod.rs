//! The command as it is typed, where nothing comes to be mounted: help, and misuse.

mod errors;
mod help;

use crate::harness::shell::Shell;
