//! Where `s3mem serve` listens, and who may ask.

use std::net::{Ipv4Addr, SocketAddr};

use super::endpoint::is_host_and_port;
use super::{ConfigError, Environment};
use crate::cli::ListenArgs;
use crate::serve::ServeConfig;

const DEFAULT_PORT: u16 = 8337;
/// Nobody guesses so many characters.
const TOKEN_CHARS: usize = 16;

/// Checks where to listen; `title` is what is served, for people.
///
/// # Errors
/// What can't be used of it.
pub fn serve_config(
    args: &ListenArgs,
    environment: &Environment,
    title: String,
) -> Result<ServeConfig, ConfigError> {
    let listen = match &args.listen {
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
        Some(text) => parse(text).ok_or_else(|| ConfigError::Listen(text.clone()))?,
    };
    let token = match (&args.token, &environment.token) {
        (Some(token), _) => Some(("--token", token)),
        (None, Some(token)) => Some(("S3MEM_TOKEN", token)),
        (None, None) => None,
    };
    if let Some((from, _)) = token.filter(|(_, token)| !is_token(token)) {
        return Err(ConfigError::Token(from));
    }
    if !listen.ip().is_loopback() && token.is_none() && !args.allow_anyone {
        return Err(ConfigError::ListenToAll(listen.to_string()));
    }
    let hosts = args.allow_host.iter().map(|host| {
        let is_name = is_host_and_port(host) && !host.contains(':');
        let name = is_name.then(|| host.to_ascii_lowercase());
        name.ok_or_else(|| ConfigError::AllowHost(host.clone()))
    });
    let origins = args.cors.iter().map(|origin| {
        let rest = ["http://", "https://"].iter().find_map(|scheme| origin.strip_prefix(scheme));
        let is_origin = rest.is_some_and(is_host_and_port);
        let lower = is_origin.then(|| origin.to_ascii_lowercase());
        lower.ok_or_else(|| ConfigError::Cors(origin.clone()))
    });
    Ok(ServeConfig {
        listen,
        token: token.map(|(_, token)| token.clone()),
        hosts: hosts.collect::<Result<_, _>>()?,
        origins: origins.collect::<Result<_, _>>()?,
        title,
    })
}

/// An address and a port; `localhost` is the one in numbers that every program tries.
fn parse(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?))),
        None => text.parse().ok(),
    }
}

fn is_token(token: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    token.len() >= TOKEN_CHARS && token.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn config(change: impl FnOnce(&mut ListenArgs)) -> Result<ServeConfig, ConfigError> {
        let mut args = ListenArgs::default();
        change(&mut args);
        serve_config(&args, &Environment::default(), "s3://tiles".to_owned())
    }

    #[test]
    fn without_flags_this_machine_alone_may_ask() {
        let config = config(|_| {}).unwrap();
        assert!(config.listen.ip().is_loopback() && config.token.is_none());
        assert!(config.hosts.is_empty() && config.origins.is_empty());
    }

    #[test]
    fn an_address_of_the_network_needs_a_token_or_everybody_to_be_allowed() {
        let all = |args: &mut ListenArgs| args.listen = Some("0.0.0.0:80".to_owned());
        assert_eq!(config(all), Err(ConfigError::ListenToAll("0.0.0.0:80".to_owned())));
        for allow in
            [(|args: &mut ListenArgs| args.allow_anyone = true) as fn(&mut ListenArgs), |args| {
                args.token = Some(TOKEN.to_owned())
            }]
        {
            assert!(
                config(|args| {
                    all(args);
                    allow(args)
                })
                .is_ok()
            );
        }
        for loopback in ["127.0.0.2:80", "[::1]:0", "localhost:8000"] {
            assert!(config(|args| args.listen = Some(loopback.to_owned())).is_ok(), "{loopback}");
        }
        for bad in ["8000", "example.org:80", "127.0.0.1", "127.0.0.1:70000", ""] {
            let refused = config(|args| args.listen = Some(bad.to_owned()));
            assert_eq!(refused, Err(ConfigError::Listen(bad.to_owned())));
        }
    }

    #[test]
    fn what_is_no_token_no_name_and_no_origin_is_refused() {
        for bad in ["", "short", "0123456789abcde/", "0123456789 abcdef"] {
            let refused = config(|args| args.token = Some(bad.to_owned()));
            assert_eq!(refused, Err(ConfigError::Token("--token")), "{bad}");
        }
        for bad in ["", "a b", "http://a", "a:80", "*"] {
            assert!(config(|args| args.allow_host = vec![bad.to_owned()]).is_err(), "{bad}");
        }
        for bad in ["*", "example.org", "https://a/", "https://a/b", "null"] {
            assert!(config(|args| args.cors = vec![bad.to_owned()]).is_err(), "{bad}");
        }
        let good = config(|args| {
            args.allow_host = vec!["Hub.Example".to_owned()];
            args.cors = vec!["http://localhost:3000".to_owned()];
        });
        let good = good.unwrap();
        assert_eq!(
            (&good.hosts[..], &good.origins[..]),
            (&["hub.example".to_owned()][..], &["http://localhost:3000".to_owned()][..],)
        );
    }
}
