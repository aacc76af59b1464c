//! A web page of siblings, served from the mount by Python's own server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::harness::missing::has_program;

/// `python3 -m http.server`, ended with this.
struct Web {
    child: Child,
    address: String,
}

impl Web {
    /// A server of what is in a folder.
    fn of(folder: &Path) -> Web {
        let mut python = Command::new("python3");
        python.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]);
        let mut child =
            python.arg(folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        // "Serving HTTP on 127.0.0.1 port 40123 (http://127.0.0.1:40123/) ..."
        let port = line.split("port ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        Web { child, address: format!("127.0.0.1:{port}") }
    }

    /// The lines of the answer's head, and its body.
    fn get(&self, path: &str, headers: &str) -> (Vec<String>, Vec<u8>) {
        let mut link = TcpStream::connect(&self.address).unwrap();
        write!(link, "GET {path} HTTP/1.0\r\n{headers}\r\n").unwrap();
        let mut answer = Vec::new();
        link.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        (head.lines().map(str::to_owned).collect(), answer[end + 4..].to_vec())
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_web_server_gives_siblings_with_their_types_sizes_and_times() {
    if !has_program("python3") {
        return;
    }
    let Some(server) = server() else { return };
    server.put(BUCKET, "d/B01.jp2", B01_JP2);
    server.put(
        BUCKET,
        "d/photo.jpg",
        include_bytes!("../../../support/images/rotated.jpg").as_slice(),
    );
    let mount = mount(&server, &["--list-views=preview,json"]);
    let web = Web::of(mount.path());
    let (head, page) = web.get("/d/", "");
    let page = String::from_utf8(page).unwrap();
    assert!(head[0].contains("200"), "{head:?}");
    for name in ["B01.jp2.preview.png", "B01.jp2.json", "photo.jpg.preview.png"] {
        assert!(page.contains(&format!("href=\"{name}\"")), "{page}");
    }
    for (name, kind) in [
        ("B01.jp2.preview.png", "image/png"),
        ("photo.jpg.preview.png", "image/png"),
        ("B01.jp2.png", "image/png"),
        ("B01.jp2.json", "application/json"),
        ("B01.jp2.tif", "image/tiff"),
    ] {
        let bytes = fs::read(mount.join("d").join(name)).unwrap();
        let (head, body) = web.get(&format!("/d/{name}"), "");
        assert!(body == bytes, "{name}");
        assert!(head.contains(&format!("Content-type: {kind}")), "{name}: {head:?}");
        assert!(head.contains(&format!("Content-Length: {}", bytes.len())), "{name}: {head:?}");
        let time = head.iter().find_map(|line| line.strip_prefix("Last-Modified: ")).unwrap();
        // What a browser has is not sent again.
        let (head, body) =
            web.get(&format!("/d/{name}"), &format!("If-Modified-Since: {time}\r\n"));
        assert!(head[0].contains("304") && body.is_empty(), "{name}: {head:?}");
    }
    let (head, _) = web.get("/d/notes.txt.png", "");
    assert!(head[0].contains("404"), "{head:?}");
    drop(web);
    mount.end();
}

#[test]
fn a_range_of_a_sibling_is_the_range_that_a_web_server_would_send() {
    if !has_program("curl") {
        return;
    }
    let Some(server) = server() else { return };
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let mount = mount(&server, &[]);
    for ending in ENDINGS {
        let path = sibling(&mount, "B01.jp2", ending);
        let bytes = fs::read(&path).unwrap();
        let size = bytes.len();
        let last = format!("{}-", size - 7);
        for (range, wanted) in
            [("0-99", 0..100), ("100-299", 100..300), (last.as_str(), size - 7..size)]
        {
            let url = format!("file://{}", path.display());
            let curl = Command::new("curl").args(["-s", "-r", range, &url]).output().unwrap();
            assert!(curl.status.success(), "{ending} {range}");
            let wanted = wanted.start.min(size)..wanted.end.min(size);
            assert!(curl.stdout == bytes[wanted], "{ending} {range}");
        }
    }
    mount.end();
}
