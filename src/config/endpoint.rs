//! The address of the server, wherever it is written. The SDK reads variables and the profile by
//! itself; what it will find there is found here too, since prices, the names of what is cached
//! and all messages depend on it.

use super::{ConfigError, Environment, profile_file};
use crate::cli::MountArgs;

/// The endpoint that requests will go to; `None` for AWS.
pub(super) fn endpoint_url(
    args: &MountArgs,
    environment: &Environment,
) -> Result<Option<String>, ConfigError> {
    let configured = || {
        if environment.ignores_endpoints {
            return None;
        }
        if let Some(url) = &environment.endpoint_url {
            return Some(("AWS_ENDPOINT_URL", url.clone()));
        }
        let (text, profile) = profile_file::text(args, environment)?;
        let url = profile_file::endpoint_url(&text, profile)?;
        Some(("endpoint_url of the AWS profile", url.to_owned()))
    };
    let given = args.endpoint_url.clone().map(|url| ("--endpoint-url", url));
    let Some((from, url)) = given.or_else(configured) else { return Ok(None) };
    let authority = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))
        .map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match authority {
        Some(authority) if authority.contains('@') => Err(ConfigError::EndpointWithPassword(from)),
        Some(authority) if is_host_and_port(authority) => Ok(Some(url)),
        _ => Err(ConfigError::Endpoint { from, url }),
    }
}

/// Whether a text is a host, perhaps with a port.
pub(super) fn is_host_and_port(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        // An IPv6 address in brackets has colons of its own.
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (address, None),
            Some((address, port)) => (address, port.strip_prefix(':').or(Some("?"))),
            None => return false,
        },
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let host_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    !host.is_empty()
        && host.chars().all(host_char)
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}
