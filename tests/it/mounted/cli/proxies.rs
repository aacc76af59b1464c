//! Networks whose way out is a proxy.

use std::fs;

use super::{Shell, can_mount};
use crate::harness::proxy::Proxy;
use crate::support::server::TestServer;

/// A server with a file of some pages.
fn tiles() -> Option<TestServer> {
    can_mount().then(|| {
        let server = TestServer::start();
        server.put("tiles", "a.txt", "contents");
        server
    })
}

fn host(server: &TestServer) -> String {
    server.endpoint().trim_start_matches("http://").to_owned()
}

#[test]
fn requests_to_a_server_without_tls_go_through_the_proxy_of_http_proxy() {
    let Some(server) = tiles() else { return };
    for name in ["HTTP_PROXY", "http_proxy"] {
        let proxy = Proxy::start();
        let shell = Shell::on(&server).set(name, &proxy.url(""));
        server.reset_counts();
        shell.mount("tiles", &["--writes", "upload"]).succeeds();
        assert_eq!(fs::read(shell.mount_point.join("a.txt")).unwrap(), b"contents");
        fs::write(shell.mount_point.join(format!("{name}.txt")), name).unwrap();
        shell.umount().succeeds();
        let passed = proxy.passed();
        assert!(passed.iter().all(|one| one.to == host(&server)), "{passed:?}");
        assert_eq!(passed.len() as u64, server.counts().requests(), "{name}: {passed:?}");
        let of = |method: &str| passed.iter().filter(|one| one.method == method).count() as u64;
        assert_eq!((of("PUT"), of("CONNECT")), (1, 0), "{passed:?}");
        assert!(server.get("tiles", &format!("{name}.txt")).is_some());
    }
}

#[test]
fn a_proxy_that_asks_for_a_password_gets_the_one_in_its_address() {
    let Some(server) = tiles() else { return };
    let proxy = Proxy::start();
    let shell = Shell::on(&server).set("HTTP_PROXY", &proxy.url("user:secret@"));
    shell.mount("tiles", &[]).succeeds();
    shell.umount().succeeds();
    let passed = proxy.passed();
    assert!(!passed.is_empty());
    // user:secret
    let basic = Some("Basic dXNlcjpzZWNyZXQ=".to_owned());
    assert!(passed.iter().all(|one| one.authorization == basic), "{passed:?}");
}

#[test]
fn requests_with_tls_go_through_a_tunnel_of_the_proxy_of_https_proxy() {
    let Some(server) = tiles() else { return };
    let (proxy, other) = (Proxy::start(), Proxy::start());
    let shell = Shell::on(&server)
        .set("AWS_ENDPOINT_URL", &format!("https://{}", host(&server)))
        .set("HTTP_PROXY", &other.url(""))
        .set("HTTPS_PROXY", &proxy.url("user:secret@"));
    // The test server speaks no TLS: it is enough that the tunnel leads to it.
    let ran = shell.mount("tiles", &["--request-timeout", "3"]);
    ran.fails_with(&["does not speak HTTPS"]);
    let passed = proxy.passed();
    assert!(!passed.is_empty());
    for one in passed {
        assert_eq!((one.method.as_str(), one.to), ("CONNECT", host(&server)));
        assert_eq!(one.authorization.as_deref(), Some("Basic dXNlcjpzZWNyZXQ="));
        // How a handshake of TLS begins.
        assert_eq!(one.first, Some(0x16));
    }
    assert_eq!(other.passed(), []);
}

#[test]
fn servers_that_no_proxy_names_are_asked_without_one() {
    let Some(server) = tiles() else { return };
    for list in ["127.0.0.1", "example.com, 127.0.0.0/8", "*"] {
        let proxy = Proxy::start();
        let shell = Shell::on(&server).set("HTTP_PROXY", &proxy.url("")).set("NO_PROXY", list);
        shell.mount("tiles", &[]).succeeds();
        assert_eq!(fs::read(shell.mount_point.join("a.txt")).unwrap(), b"contents");
        shell.umount().succeeds();
        assert_eq!(proxy.passed(), [], "{list}");
    }
}
