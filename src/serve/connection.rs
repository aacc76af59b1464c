//! One connection, until either end has had enough.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::route;
use super::shared::Shared;
use super::stall::Patient;

/// How long a client may take for the head of a request, and be silent between two.
const SILENCE: Duration = Duration::from_secs(60);
/// What waits in a connection to be taken, in bytes; beside what is read next.
const BUFFER_BYTES: usize = 64 << 10;

/// Serves a connection. When `closing` says so, the present answer is its last.
pub(super) async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    mut closing: watch::Receiver<bool>,
) {
    let _counted = shared.counts.connection();
    // Fails for a connection that is broken already.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let shared = shared.clone();
        // A body that comes with it is of no use, and never read.
        let (asked, _) = request.into_parts();
        async move { Ok::<_, Infallible>(route::answer(shared, asked).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(Patient::new(stream)), answer);
    tokio::pin!(connection);
    // What it failed with is of the client, which is gone, or was told already.
    tokio::select! {
        _ = &mut connection => return,
        _ = closing.wait_for(|is_closing| *is_closing) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
