//! Who may ask, and who may read the answers.

use super::{BUCKET, Served, server};

const TOKEN: &str = "0123456789abcdef";

#[test]
fn it_answers_to_its_own_names_alone() {
    let server = server();
    server.put(BUCKET, "a", "yes");
    let served = Served::start(&server, &["--allow-host", "hub.example"]);
    for (host, status) in [
        ("localhost", 200),
        ("localhost:99", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("hub.example", 200),
        ("HUB.example:443", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
    ] {
        assert_eq!(served.ask("GET", "/a", &[("Host", host)]).status, status, "{host}");
    }
    // Without a name, and with another one in the URL.
    assert_eq!(served.raw("GET /a HTTP/1.1\r\nConnection: close\r\n\r\n").status, 421);
    assert_eq!(served.raw("GET /a HTTP/1.0\r\n\r\n").text(), "yes");
    let absolute =
        "GET http://evil.example/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(served.raw(absolute).status, 421);
    assert_eq!(served.raw(&absolute.replace("evil.example", "localhost")).text(), "yes");
}

#[test]
fn nothing_can_be_changed() {
    let server = server();
    server.put(BUCKET, "a", "yes");
    let served = Served::start(&server, &[]);
    for method in ["PUT", "POST", "DELETE", "PATCH", "MKCOL", "TRACE", "CONNECT"] {
        let path = if method == "CONNECT" { "localhost:80" } else { "/a" };
        let reply = served.ask(method, path, &[]);
        assert!(matches!(reply.status, 400 | 405), "{method}: {}", reply.status);
    }
    assert_eq!(served.ask("PUT", "/a", &[]).header("allow"), "GET, HEAD, OPTIONS");
    assert_eq!(served.get("/a").text(), "yes");
    let counts = server.counts();
    assert_eq!((counts.put, counts.other), (0, 0), "{counts:?}");
}

#[test]
fn pages_of_named_origins_alone_read_answers() {
    let server = server();
    server.put(BUCKET, "a", "yes");
    let ours = "https://app.example";
    let served = Served::start(&server, &["--cors", ours, "--cors", "http://localhost:3000"]);
    let of = |origin: &str| served.ask("GET", "/a", &[("Origin", origin)]);
    assert_eq!(of(ours).header("access-control-allow-origin"), ours);
    assert!(of(ours).header("access-control-expose-headers").contains("Content-Range"));
    assert_eq!(of(ours).header("vary"), "Origin");
    for other in ["https://evil.example", "null", "https://app.example.evil.example"] {
        assert_eq!(of(other).find("access-control-allow-origin"), None, "{other}");
    }
    let preflight = |origin: &str| {
        let headers = [("Origin", origin), ("Access-Control-Request-Method", "GET")];
        served.ask("OPTIONS", "/a", &headers)
    };
    assert_eq!(preflight(ours).status, 204);
    assert!(preflight(ours).header("access-control-allow-headers").contains("Range"));
    assert_eq!(preflight("https://evil.example").find("access-control-allow-methods"), None);
    // What a browser is made to ask by somebody else's page costs nothing.
    server.reset_counts();
    for mode in ["no-cors", "cors"] {
        let headers = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", mode)];
        assert_eq!(served.ask("GET", "/a", &headers).status, 403);
        let named = [&headers[..], &[("Origin", ours)]].concat();
        assert_eq!(served.ask("GET", "/a", &named).status, 200);
    }
    let link = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
    assert_eq!(served.ask("GET", "/a", &link).status, 200);
}

#[test]
fn who_does_not_know_the_token_is_told_nothing() {
    let server = server();
    server.put(BUCKET, "d/a", "yes");
    let served = Served::start(&server, &["--token", TOKEN]);
    server.reset_counts();
    for path in ["/", "/d/a", "/nothing", "/?figures", "/..", "/d/a?token=0123456789abcdeX"] {
        let reply = served.get(path);
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.header("www-authenticate").starts_with("Basic"));
    }
    assert_eq!(server.counts().requests(), 0);
    let with = |value: &str| served.ask("GET", "/d/a", &[("Authorization", value)]).status;
    assert_eq!(with(&format!("Bearer {TOKEN}")), 200);
    // anybody:0123456789abcdef
    assert_eq!(with("Basic YW55Ym9keTowMTIzNDU2Nzg5YWJjZGVm"), 200);
    assert_eq!(with("Basic YW55Ym9keTp3cm9uZw=="), 401);
    assert_eq!(with("Bearer "), 401);
    assert_eq!(served.get(&format!("/d/a?token={TOKEN}")).text(), "yes");
    // A browser keeps it in a cookie, and out of its address.
    let page = [("Accept", "text/html,*/*")];
    let moved = served.ask("GET", &format!("/?token={TOKEN}&format=html"), &page);
    assert_eq!((moved.status, moved.header("location")), (303, "./?format=html"));
    let cookie = moved.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(moved.header("set-cookie").contains("HttpOnly"));
    assert_eq!(served.ask("GET", "/d/a", &[("Cookie", &format!("x=y; {cookie}"))]).text(), "yes");
    assert_eq!(served.ask("GET", "/d/a", &[("Cookie", "s3mem-1=x")]).status, 401);
}
