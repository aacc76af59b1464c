//! The command as it is typed, where nothing comes to be mounted: help, manual, and misuse.

mod config;
mod doctor;
mod doctor_looks;
mod errors;
mod help;
mod manual;

use crate::harness::shell::Shell;
