//! A proxy as networks have them, which counts what passes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Heads of requests are shorter.
const MOST_BYTES: usize = 64 << 10;

/// A proxy that runs as long as the process.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    passed: Arc<Mutex<Vec<Passed>>>,
}

/// What was asked of a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The method: `CONNECT` for a tunnel.
    pub(crate) method: String,
    /// Where to: `HOST:PORT`.
    pub(crate) to: String,
    /// What it gave in `Proxy-Authorization`.
    pub(crate) authorization: Option<String>,
    /// The first byte that came through a tunnel.
    pub(crate) first: Option<u8>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let passed = Arc::<Mutex<Vec<Passed>>>::default();
        let noted = passed.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let noted = noted.clone();
                // Whoever hangs up ends its own connection.
                thread::spawn(move || drop(serve(client, &noted)));
            }
        });
        Proxy { port, passed }
    }

    /// Its address, for whoever has these credentials (`USER:PASSWORD@`) or none.
    pub(crate) fn url(&self, credentials: &str) -> String {
        format!("http://{credentials}127.0.0.1:{}", self.port)
    }

    /// What was asked of it so far.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        lock(&self.passed).clone()
    }
}

fn lock(passed: &Mutex<Vec<Passed>>) -> std::sync::MutexGuard<'_, Vec<Passed>> {
    passed.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut client: TcpStream, noted: &Mutex<Vec<Passed>>) -> io::Result<()> {
    let (head, body) = head_of(&mut client)?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_of_proxy = |line: &&str| line.to_ascii_lowercase().starts_with("proxy-");
    let authorization = head.split("\r\n").find(is_of_proxy);
    let authorization = authorization.and_then(|line| line.split_once(": "));
    let authorization = authorization.map(|(_, value)| value.to_owned());
    let is_tunnel = method == "CONNECT";
    let (to, path) = match target.strip_prefix("http://") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => (target, ""),
    };
    let mut passed =
        Passed { method: method.to_owned(), to: to.to_owned(), authorization, first: None };
    let Ok(mut server) = TcpStream::connect(to) else {
        lock(noted).push(passed);
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    };
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let mut first = [0];
        client.read_exact(&mut first)?;
        passed.first = Some(first[0]);
        lock(noted).push(passed);
        server.write_all(&first)?;
    } else {
        lock(noted).push(passed);
        // One request for each connection.
        let kept = lines.filter(|line| !is_of_proxy(line) && !line.starts_with("connection:"));
        let kept: String = kept.map(|line| format!("{line}\r\n")).collect();
        let kept = kept.trim_end();
        write!(server, "{method} {path} HTTP/1.1\r\n{kept}\r\nConnection: close\r\n\r\n")?;
        server.write_all(&body)?;
    }
    let (mut up, mut down) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut up, &mut down);
        let _ = down.shutdown(Shutdown::Write);
    });
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}

/// The head of a request, and what came of its body with it.
fn head_of(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), body));
        }
        let count = client.read(&mut piece)?;
        if count == 0 || bytes.len() > MOST_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        bytes.extend_from_slice(&piece[..count]);
    }
}
