//! Which proxy stands between us and a server: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
//! `NO_PROXY`, as the HTTP client under the AWS SDK takes them.

use std::env;

use aws_smithy_http_client::proxy::ProxyConfig;
use hyper_util::client::proxy::matcher::Matcher;

/// How requests to a server leave this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WayOut {
    /// No variable names a proxy for it.
    Direct,
    /// Through a proxy.
    Proxy {
        /// The variable that names it.
        variable: &'static str,
        /// Its host, without the user and the password that may be in its address.
        host: String,
        /// Its port.
        port: u16,
    },
    /// A variable names a proxy, but `NO_PROXY` excepts this server.
    Excepted {
        /// The variable that names the proxy.
        variable: &'static str,
    },
    /// What a variable says is no address of a proxy, and is passed over.
    Misspelled {
        /// The variable.
        variable: &'static str,
    },
}

impl WayOut {
    /// The way to a server, by the environment of this process.
    pub fn to(url: &str) -> WayOut {
        WayOut::by(url, &|name| env::var(name).ok())
    }

    /// The way to a server; `get` gives the value of a variable.
    fn by(url: &str, get: &dyn Fn(&str) -> Option<String>) -> WayOut {
        let is_https = url.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("https:"));
        let own: [&'static str; 2] = match is_https {
            true => ["HTTPS_PROXY", "https_proxy"],
            false => ["HTTP_PROXY", "http_proxy"],
        };
        let Ok(server) = url.parse() else { return WayOut::Direct };
        let no = ["NO_PROXY", "no_proxy"].into_iter().find_map(get).unwrap_or_default();
        let mut misspelled = None;
        // Of each pair the first that is there holds, empty or not.
        for pair in [own, ["ALL_PROXY", "all_proxy"]] {
            let set = pair.into_iter().find_map(|name| Some((name, get(name)?)));
            let Some((variable, value)) = set.filter(|(_, value)| !value.is_empty()) else {
                continue;
            };
            let Some(found) = Matcher::builder().all(value).build().intercept(&server) else {
                misspelled.get_or_insert(variable);
                continue;
            };
            let excepted = Matcher::builder().all("http://proxy").no(no.as_str()).build();
            if excepts_all(&no) || excepted.intercept(&server).is_none() {
                return WayOut::Excepted { variable };
            }
            let uri = found.uri();
            let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
            return WayOut::Proxy {
                variable,
                host: uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
                port: uri.port_u16().unwrap_or(default),
            };
        }
        misspelled.map_or(WayOut::Direct, |variable| WayOut::Misspelled { variable })
    }
}

/// The proxies that the environment names.
pub(super) fn of_environment() -> ProxyConfig {
    let lists = ["NO_PROXY", "no_proxy"].into_iter().filter_map(|name| env::var(name).ok());
    match lists.into_iter().any(|list| excepts_all(&list)) {
        true => ProxyConfig::disabled(),
        false => ProxyConfig::from_env(),
    }
}

/// Whether a list is meant to except all servers: of addresses that are numbers the SDK does
/// not see that `*` means them.
fn excepts_all(list: &str) -> bool {
    list.split(',').any(|entry| entry.trim() == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(url: &str, set: &[(&str, &str)]) -> WayOut {
        let value = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        WayOut::by(url, &value)
    }

    fn proxy(variable: &'static str, host: &str, port: u16) -> WayOut {
        WayOut::Proxy { variable, host: host.to_owned(), port }
    }

    const AWS: &str = "https://s3.eu-central-1.amazonaws.com";

    #[test]
    fn each_scheme_has_its_variable_and_one_is_for_both() {
        assert_eq!(way(AWS, &[]), WayOut::Direct);
        let both = [("HTTP_PROXY", "http://a:1"), ("https_proxy", "u:secret@b:2")];
        assert_eq!(way(AWS, &both), proxy("https_proxy", "b", 2));
        assert_eq!(way("http://10.0.0.1:9000", &both), proxy("HTTP_PROXY", "a", 1));
        assert_eq!(way(AWS, &[("HTTP_PROXY", "http://a:1")]), WayOut::Direct);
        let all = [("ALL_PROXY", "http://c"), ("HTTPS_PROXY", "")];
        assert_eq!(way(AWS, &all), proxy("ALL_PROXY", "c", 80));
        assert_eq!(
            way(AWS, &[("HTTPS_PROXY", "http://[::1]:3128")]),
            proxy("HTTPS_PROXY", "::1", 3128)
        );
    }

    #[test]
    fn servers_are_excepted_by_name_network_or_all_at_once() {
        for (url, no) in [
            (AWS, ".amazonaws.com"),
            (AWS, "x, amazonaws.com"),
            ("https://10.1.2.3:9000", "10.0.0.0/8"),
            ("https://10.1.2.3:9000", "*"),
        ] {
            let set = [("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", no)];
            assert_eq!(way(url, &set), WayOut::Excepted { variable: "HTTPS_PROXY" }, "{no}");
        }
        let set = [("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", "example.org")];
        assert_eq!(way(AWS, &set), proxy("HTTPS_PROXY", "a", 1));
    }

    #[test]
    fn what_is_no_address_is_passed_over() {
        for wrong in ["ftp://a:1", "http://", "a b"] {
            let found = way(AWS, &[("HTTPS_PROXY", wrong)]);
            assert_eq!(found, WayOut::Misspelled { variable: "HTTPS_PROXY" }, "{wrong}");
        }
        let next = [("HTTPS_PROXY", "ftp://a:1"), ("ALL_PROXY", "http://c:3")];
        assert_eq!(way(AWS, &next), proxy("ALL_PROXY", "c", 3));
    }
}
