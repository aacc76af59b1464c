//! The command as it is typed, where something is to be mounted: what it prints, what
//! it leaves behind, and what it says when the server or the machine is not as it should be.

mod credentials;
mod doctor;
mod handed;
mod life;
pub(super) mod machine;
mod metrics;
mod pending;
mod proxies;
mod rootless;
pub(super) mod run;
mod server_errors;
mod settings;
mod status;
mod trace;
mod warm;
mod watch;

use crate::harness::missing::{can_mount, has_file, has_root, not_run};
use crate::harness::shell::{Ran, S3MEM, Shell, assert_lists, signal, wait_until};
