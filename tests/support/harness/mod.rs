//! What the integration tests alone need: mounts by the real program, a file system
//! without a kernel, models, and what tests do again and again.
//!
//! Contract: no test is in here, and nothing in here imports one.

pub(crate) mod backend;
pub(crate) mod cgroup;
pub(crate) mod cost;
pub(crate) mod dice;
pub(crate) mod files;
pub(crate) mod gate;
pub(crate) mod kernelless;
pub(crate) mod keys;
pub(crate) mod missing;
pub(crate) mod mounting;
pub(crate) mod plain_tree;
pub(crate) mod proxy;
pub(crate) mod shell;
pub(crate) mod stopped;
pub(crate) mod waiting;
