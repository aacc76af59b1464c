//! Who may ask, and under which name of this server.
//!
//! A page of anybody can send requests to `localhost`, and a name of anybody can be made to lead
//! there. So a server answers to the names that it was given alone, whatever it is asked; to pages
//! of other origins only where they lead here, or are named; and lets those read answers that are
//! named.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, AUTHORIZATION, COOKIE, HOST,
    HeaderValue, ORIGIN, SET_COOKIE, VARY, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Version};
use subtle::ConstantTimeEq;

use super::answer::{Answer, empty, redirect, refusal, set};
use super::config::ServeConfig;
use super::target::Target;

/// What scripts of named origins may read beside the body.
const EXPOSED: &str = "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified";
/// What they may send.
const TAKEN: &str = "Authorization, If-Match, If-Modified-Since, If-None-Match, If-Range, \
    If-Unmodified-Since, Range";
const TOKEN: &str = "token";

/// The answer to what may not be asked, or has nothing to do with files; `None` if files are
/// to answer.
pub(super) fn check(config: &ServeConfig, asked: &Parts, target: &Target) -> Option<Answer> {
    if !is_ours(config, asked) {
        return Some(refusal(
            StatusCode::MISDIRECTED_REQUEST,
            "This server does not answer to that name. Start it with --allow-host NAME, if the \
             name is right.",
        ));
    }
    let origin = origin(config, asked);
    if asked.method == Method::OPTIONS {
        return Some(preflight(origin.is_some()));
    }
    if asked.method != Method::GET && asked.method != Method::HEAD {
        let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, "Nothing can be changed here.");
        set(&mut answer, hyper::header::ALLOW, "GET, HEAD, OPTIONS");
        return Some(answer);
    }
    if origin.is_none() && is_of_another_site(asked) {
        return Some(refusal(
            StatusCode::FORBIDDEN,
            "Pages of other origins may not use this. Start it with --cors ORIGIN to allow one.",
        ));
    }
    let token = config.token.as_ref()?;
    check_token(token, config.listen.port(), asked, target)
}

/// Adds what tells browsers who may read an answer, and what it may do.
pub(super) fn finish(config: &ServeConfig, asked: &Parts, answer: &mut Answer) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if config.origins.is_empty() {
        return;
    }
    answer.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin(config, asked) {
        set(answer, ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        set(answer, ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// Whether it was asked by a name of its own.
fn is_ours(config: &ServeConfig, asked: &Parts) -> bool {
    let host = asked.headers.get(HOST).map(|host| host.to_str().unwrap_or("?"));
    let of_url = asked.uri.authority().map(|authority| authority.as_str());
    let is_old = asked.version == Version::HTTP_10;
    let is_right = |host: &str| is_name_of(config, host);
    host.map_or(is_old, is_right) && of_url.is_none_or(is_right)
}

/// Whether this server has that name. An address in numbers is nobody's to give away.
fn is_name_of(config: &ServeConfig, authority: &str) -> bool {
    let name = match authority.strip_prefix('[') {
        Some(rest) => {
            let address = rest.split(']').next().unwrap_or_default();
            return address.parse::<std::net::Ipv6Addr>().is_ok();
        }
        None => authority.split(':').next().unwrap_or_default(),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::Ipv4Addr>().is_ok()
        || config.hosts.contains(&name)
}

/// The origin of the page that asks, if it is one of those that may.
fn origin<'a>(config: &ServeConfig, asked: &'a Parts) -> Option<&'a str> {
    let origin = asked.headers.get(ORIGIN)?.to_str().ok()?;
    config.origins.iter().any(|known| known == origin).then_some(origin)
}

/// Whether a page of somebody else has a browser ask, other than by leading here.
fn is_of_another_site(asked: &Parts) -> bool {
    let of = |name| asked.headers.get(name).and_then(|value| value.to_str().ok());
    let is_other = matches!(of("sec-fetch-site"), Some("cross-site" | "same-site"));
    is_other && of("sec-fetch-mode") != Some("navigate")
}

fn preflight(is_named: bool) -> Answer {
    let mut answer = empty(StatusCode::NO_CONTENT);
    set(&mut answer, hyper::header::ALLOW, "GET, HEAD, OPTIONS");
    if is_named {
        set(&mut answer, ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD");
        set(&mut answer, ACCESS_CONTROL_ALLOW_HEADERS, TAKEN);
        set(&mut answer, ACCESS_CONTROL_MAX_AGE, "600");
    }
    answer
}

/// The answer to who does not know the token; `None` lets through who does: from a header, as a password, in the URL or in a cookie.
fn check_token(token: &str, port: u16, asked: &Parts, target: &Target) -> Option<Answer> {
    let is_it = |given: &[u8]| bool::from(given.ct_eq(token.as_bytes()));
    if let Some(given) = target.word(TOKEN) {
        if !is_it(given.as_bytes()) {
            return Some(unknown());
        }
        // Who looks keeps it in a cookie, so that it does not stay in the address.
        let accept = asked.headers.get(hyper::header::ACCEPT).and_then(|a| a.to_str().ok());
        if accept.is_some_and(|accept| accept.contains("text/html")) {
            let query = target.query_without(TOKEN);
            let here = match target.names.last() {
                Some(name) if !target.ends_in_slash => super::escape::link(&name.to_string_lossy()),
                _ => "./".to_owned(),
            };
            let link = here + &query.map_or_else(String::new, |query| format!("?{query}"));
            let mut answer = redirect(StatusCode::SEE_OTHER, &link);
            let cookie = format!("{}={token}; HttpOnly; SameSite=Lax", cookie_name(port));
            set(&mut answer, SET_COOKIE, &cookie);
            return Some(answer);
        }
        return None;
    }
    let header = asked.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let known = header.is_some_and(|value| match value.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => is_it(rest.as_bytes()),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("basic") => {
            let decoded = from_base64(rest.trim()).unwrap_or_default();
            let at = decoded.iter().position(|byte| *byte == b':');
            at.is_some_and(|at| is_it(&decoded[at + 1..]))
        }
        _ => false,
    });
    let name = cookie_name(port);
    let mut cookies = asked.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let in_cookie = cookies.any(|list| {
        let mut pairs = list.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(known, value)| known == name && is_it(value.as_bytes()))
    });
    if known || in_cookie { None } else { Some(unknown()) }
}

/// Cookies are of a host, not of a port.
fn cookie_name(port: u16) -> String {
    format!("s3mem-{port}")
}

fn unknown() -> Answer {
    let sentence = "This needs the token that the server was started with: as a password, or as \
        ?token=TOKEN.";
    let mut answer = refusal(StatusCode::UNAUTHORIZED, sentence);
    set(&mut answer, WWW_AUTHENTICATE, "Basic realm=\"s3mem\", charset=\"UTF-8\"");
    answer
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0_u32);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(hosts: &[&str]) -> ServeConfig {
        ServeConfig {
            listen: ([127, 0, 0, 1], 80).into(),
            token: None,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            origins: Vec::new(),
            title: String::new(),
        }
    }

    #[test]
    fn a_name_that_anybody_could_have_made_lead_here_is_not_ours() {
        for ours in
            ["localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]:80", "10.0.0.7", "a.localhost"]
        {
            assert!(is_name_of(&config(&[]), ours), "{ours}");
        }
        for other in
            ["evil.example", "localhost.evil.example:80", "", "127.0.0.1.evil.example", "[x]"]
        {
            assert!(!is_name_of(&config(&[]), other), "{other}");
        }
        assert!(is_name_of(&config(&["hub.example"]), "Hub.Example:443"));
    }

    #[test]
    fn passwords_are_read_as_they_are_sent() {
        assert_eq!(from_base64("YTpiw7w=").unwrap(), "a:bü".as_bytes());
        assert_eq!(from_base64("").unwrap(), b"");
        assert_eq!(from_base64("a b"), None);
    }
}
