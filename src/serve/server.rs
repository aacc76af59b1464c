//! The server: takes connections until it is told to end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::config::ServeConfig;
use super::connection;
use super::counts::Counts;
use super::cursors::Cursors;
use super::shared::{Figures, Shared};
use crate::fs::FileSystem;

/// Connections that are served at once; others wait until they are taken.
const CONNECTIONS: usize = 4096;
/// How long to wait before a connection is taken again that could not be.
const PAUSE: Duration = Duration::from_millis(50);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    config: ServeConfig,
}

impl Server {
    /// Listens from now on, and answers once it is [run](Server::run).
    ///
    /// # Errors
    /// Somebody else listens there, or nobody may.
    pub fn bind(mut config: ServeConfig) -> io::Result<Server> {
        let listener = TcpListener::bind(config.listen)?;
        listener.set_nonblocking(true)?;
        config.listen = listener.local_addr()?;
        Ok(Server { listener, config })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.config.listen
    }

    /// Serves until `end`, and then what was begun, for as long as `grace`.
    ///
    /// # Errors
    /// The runtime can't take the listener.
    pub async fn run(
        self,
        fs: Arc<FileSystem>,
        figures: Figures,
        end: impl Future<Output = ()>,
        grace: Duration,
    ) -> io::Result<()> {
        // Nobody here remembers names, so nobody has to be told to forget them.
        drop(fs.outdated_names());
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let shared = Arc::new(Shared {
            fs,
            config: self.config,
            counts: Arc::new(Counts::default()),
            cursors: Cursors::default(),
            recent: Arc::default(),
            figures,
        });
        let (close, closing) = watch::channel(false);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                Some(_) = connections.join_next() => {}
                accepted = accept(&listener, &places) => {
                    let Some((stream, place)) = accepted else {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    };
                    let (shared, closing) = (shared.clone(), closing.clone());
                    connections.spawn(async move {
                        connection::serve(shared, stream, closing).await;
                        drop(place);
                    });
                }
            }
        }
        drop(listener);
        // Fails when there is no connection.
        let _ = close.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(grace, all).await;
        Ok(())
    }
}

/// The next connection and its place; `None` if there is no open file left for it, or it has
/// ended already.
async fn accept(
    listener: &tokio::net::TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    Some((stream, place))
}
