//! What follows from the address of a server: whether bodies have to be signed, and where
//! the bucket's name goes. Pure.

use std::net::{IpAddr, Ipv4Addr};

/// Whether somebody between us and this endpoint could change what is sent there:
/// neither where it is encrypted nor where it stays on this machine.
pub(super) fn can_be_changed_on_the_way(url: &str) -> bool {
    let Some((scheme, host)) = scheme_and_host(url) else { return true };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let stays_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    !scheme.eq_ignore_ascii_case("https") && !stays_here
}

/// The parts of `SCHEME://HOST:PORT/...`; an IPv6 address with its brackets.
fn scheme_and_host(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let end = authority.find(']').map_or_else(|| authority.find(':'), |at| Some(at + 1));
    Some((scheme, &authority[..end.unwrap_or(authority.len())]))
}

/// The address of a server that lives below a path, with a `/` at its end, if it has none:
/// the bucket follows it.
pub(super) fn with_slash(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    (rest.contains('/') && !rest.ends_with('/')).then(|| format!("{url}/"))
}

/// Whether a bucket can't be a part of this endpoint's host name.
pub(super) fn needs_path_style(url: &str) -> bool {
    scheme_and_host(url).is_some_and(|(_, host)| {
        host.starts_with('[') || host == "localhost" || host.parse::<Ipv4Addr>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_signed_unless_nobody_can_change_them() {
        for url in ["https://s3.example.org", "HTTPS://10.0.0.1:9000", "http://127.0.0.1:9000"] {
            assert!(!can_be_changed_on_the_way(url), "{url}");
        }
        for url in ["http://localhost/", "http://[::1]:9000"] {
            assert!(!can_be_changed_on_the_way(url), "{url}");
        }
        for url in ["http://10.0.0.1:9000", "http://localhost.example.org", "http://127.org"] {
            assert!(can_be_changed_on_the_way(url), "{url}");
        }
    }

    #[test]
    fn a_path_ends_in_a_slash() {
        let url = with_slash("https://x.supabase.co/storage/v1/s3");
        assert_eq!(url.as_deref(), Some("https://x.supabase.co/storage/v1/s3/"));
        for url in ["https://x", "https://x/", "https://x/s3/", "x"] {
            assert_eq!(with_slash(url), None, "{url}");
        }
    }

    #[test]
    fn an_address_without_names_gets_the_bucket_in_the_path() {
        for url in ["http://127.0.0.1:9000", "https://localhost/", "http://[::1]:9000"] {
            assert!(needs_path_style(url), "{url}");
        }
        assert!(!needs_path_style("https://s3.example.org"));
    }
}
