//! The address at which a mount tells its metrics: the smallest HTTP server that Prometheus
//! is content with.
//!
//! Contract: GET and HEAD of `/metrics`, each on a connection of its own. Whoever is silent
//! or says too much is hung up on, and only so many are heard at once, so nobody who reaches
//! the address can do more than read.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle as Runtime;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// No head of a request is longer, in bytes.
const HEAD_BYTES: usize = 8 << 10;
/// How long a connection may last.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many are heard at once; others wait for their turn.
const CONNECTIONS: usize = 8;
/// How long to wait when no connection can be had, for want of open files.
const PAUSE: Duration = Duration::from_millis(100);
const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is told, as it is now.
pub(super) type Tell = Arc<dyn Fn() -> String + Send + Sync>;

/// An address that nobody else can have.
#[derive(Debug)]
pub(super) struct MetricsServer(TcpListener);

impl MetricsServer {
    /// Takes the address.
    ///
    /// # Errors
    /// Somebody else has it, or the machine does not.
    pub(super) fn bind(address: SocketAddr) -> io::Result<MetricsServer> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(MetricsServer(listener))
    }

    /// The address; its port is known where any was to be had.
    ///
    /// # Errors
    /// The system does not say it.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers from now on, as long as the runtime lasts.
    ///
    /// # Errors
    /// The runtime can't listen.
    pub(super) fn serve(self, runtime: &Runtime, tell: Tell) -> io::Result<()> {
        let _inside = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(self.0)?;
        runtime.spawn(async move {
            let places = Arc::new(Semaphore::new(CONNECTIONS));
            // Nobody closes the semaphore.
            while let Ok(place) = places.clone().acquire_owned().await {
                let Ok((stream, _)) = listener.accept().await else {
                    sleep(PAUSE).await;
                    continue;
                };
                let tell = tell.clone();
                tokio::spawn(async move {
                    // A failure means that the client is gone, or silent.
                    let _ = timeout(PATIENCE, talk(stream, &tell)).await;
                    drop(place);
                });
            }
        });
        Ok(())
    }
}

async fn talk(mut stream: TcpStream, tell: &Tell) -> io::Result<()> {
    let mut head = Vec::new();
    while !is_complete(&head) {
        if head.len() >= HEAD_BYTES || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    stream.write_all(answer(&head, tell).as_bytes()).await?;
    stream.shutdown().await
}

fn is_complete(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n")
}

/// The answer to a request, of which the first line counts.
fn answer(head: &[u8], tell: &Tell) -> String {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let plain = "text/plain; charset=utf-8";
    let (status, media_type, body) = match (method, path) {
        ("GET" | "HEAD", "/metrics") => ("200 OK", TYPE, tell()),
        ("GET" | "HEAD", _) => ("404 Not Found", plain, "the metrics are at /metrics\n".to_owned()),
        _ => {
            ("405 Method Not Allowed\r\nAllow: GET, HEAD", plain, "only GET is known\n".to_owned())
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    if method == "HEAD" { head } else { head + &body }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(head: &str) -> String {
        let tell: Tell = Arc::new(|| "x 1\n# EOF\n".to_owned());
        answer(head.as_bytes(), &tell)
    }

    #[test]
    fn the_metrics_are_at_one_path_and_only_read() {
        let told = answered("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{told}");
        assert!(
            told.contains("\r\nContent-Length: 10\r\n") && told.ends_with("\r\n\r\nx 1\n# EOF\n")
        );
        let told = answered("HEAD /metrics HTTP/1.1\r\n\r\n");
        assert!(told.contains("Content-Length: 10") && told.ends_with("\r\n\r\n"), "{told}");
        for (head, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "404 "),
            ("GET /metricsx HTTP/1.1\r\n\r\n", "404 "),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405 "),
            ("\r\n\r\n", "405 "),
            ("\u{0}\u{1} \n\n", "405 "),
        ] {
            let told = answered(head);
            assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{head:?}: {told}");
        }
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        assert!(is_complete(b"GET / HTTP/1.1\r\n\r\n") && is_complete(b"GET /\n\n"));
        assert!(!is_complete(b"GET / HTTP/1.1\r\nHost: a\r\n"));
    }
}
