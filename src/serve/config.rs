//! Who may ask, and under which names.

use std::net::SocketAddr;

/// Settings of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeConfig {
    /// Where it listens; port 0 for any that is free.
    pub listen: SocketAddr,
    /// What everybody has to know who asks; `None` where anybody may.
    pub token: Option<String>,
    /// Names that it is reached by, beside `localhost` and addresses in numbers; in small letters.
    pub hosts: Vec<String>,
    /// Origins whose pages may read answers, as browsers write them: `https://example.org`.
    pub origins: Vec<String>,
    /// What is served, for people.
    pub title: String,
}
