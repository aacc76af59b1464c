//! What stands between this machine and the server: proxies and certificates.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::finding::Finding;
use crate::config::MountSettings;
use crate::store::{WayOut, certificates};

/// A proxy that takes longer to take a call is as good as none.
const PATIENCE: Duration = Duration::from_secs(5);

/// The address of the server, as far as it is known before anybody is asked.
fn server(settings: &MountSettings) -> String {
    if let Some(url) = &settings.endpoint_url {
        return url.clone();
    }
    match &settings.s3.region {
        Some(region) => format!("https://s3.{region}.amazonaws.com"),
        None => "https://s3.amazonaws.com".to_owned(),
    }
}

/// The name of a server in its address.
fn host(url: &str) -> &str {
    let behind = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = behind.split('/').next().unwrap_or(behind);
    match authority.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or(address),
        None => authority.split(':').next().unwrap_or(authority),
    }
}

/// Whether a server is this machine, or lies in a network that has no names for others.
fn is_near(host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(at)) => at.is_loopback() || at.is_private() || at.is_link_local(),
        Ok(std::net::IpAddr::V6(at)) => at.is_loopback() || at.is_unique_local(),
        Err(_) => host == "localhost" || !host.contains('.'),
    }
}

/// Which proxy there is, and whether somebody answers there.
pub(super) async fn proxy(settings: &MountSettings) -> Finding {
    let check = "proxy";
    let url = server(settings);
    let host = host(&url);
    match WayOut::to(&url) {
        WayOut::Direct => Finding::good(check, format!("none: {url} is asked directly")),
        WayOut::Excepted { variable } => Finding::good(
            check,
            format!("{url} is asked directly, since NO_PROXY excepts it from {variable}"),
        ),
        WayOut::Misspelled { variable } => Finding::warning(
            check,
            format!(
                "what {variable} says is no address of a proxy, so {url} is asked directly; it \
                 looks like http://proxy.example.org:3128"
            ),
        )
        .mended_by(format!("unset {variable}")),
        WayOut::Proxy { variable, host: proxy, port } => {
            let says = format!("{url} is asked through {proxy}:{port} ({variable})");
            let without = format!("export NO_PROXY=\"$NO_PROXY,{host}\"");
            match timeout(PATIENCE, TcpStream::connect((proxy.as_str(), port))).await {
                Err(_) => Finding::problem(check, format!("{says}, where nobody answers"))
                    .mended_by(without),
                Ok(Err(error)) => {
                    Finding::problem(check, format!("{says}, where nobody answers: {error}"))
                        .mended_by(without)
                }
                Ok(Ok(_)) if is_near(host) => Finding::warning(
                    check,
                    format!("{says}, although that server is near: a proxy may not reach it"),
                )
                .mended_by(without),
                Ok(Ok(_)) => Finding::good(check, says),
            }
        }
    }
}

/// Which certificates are trusted.
pub(super) fn ca(settings: &MountSettings) -> Finding {
    let check = "ca-bundle";
    let Some(path) = &settings.s3.ca_bundle else {
        return Finding::good(check, "none: the system's certificates are trusted");
    };
    let shown = path.display();
    match certificates(path) {
        Err(error) => Finding::problem(check, error.detail.to_string())
            .mended_by("s3mem doctor --ca-bundle /etc/ssl/certs/ca-certificates.crt ..."),
        Ok(_) if server(settings).starts_with("http://") => Finding::good(
            check,
            format!("{shown} is not needed: the server is asked without TLS (http://)"),
        ),
        Ok(1) => Finding::good(check, format!("1 certificate in {shown} is trusted, too")),
        Ok(count) => {
            Finding::good(check, format!("{count} certificates in {shown} are trusted, too"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_host_and_near_by_its_address() {
        for (url, name, near) in [
            ("https://s3.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com", false),
            ("http://127.0.0.1:9000/x", "127.0.0.1", true),
            ("http://[::1]:9000", "::1", true),
            ("http://[2001:db8::1]", "2001:db8::1", false),
            ("http://192.168.3.4", "192.168.3.4", true),
            ("http://8.8.8.8", "8.8.8.8", false),
            ("http://minio:9000", "minio", true),
        ] {
            assert_eq!((host(url), is_near(host(url))), (name, near), "{url}");
        }
    }
}
