//! A network in front of a server that goes away and comes back.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Leads to a server while it is open; closed, connections are refused and those that were
/// there are cut.
#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    server: SocketAddr,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// Both ends of each connection; nothing any more once it is closed.
    streams: Arc<Mutex<Option<Vec<TcpStream>>>>,
    listening: JoinHandle<()>,
}

impl Gate {
    /// A gate to the server at this endpoint.
    pub(crate) fn to(endpoint: &str) -> Self {
        let server = endpoint.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Some(serve(listener, server));
        Gate { address, server, open }
    }

    /// What leads through it.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts all connections and takes no other.
    pub(crate) fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let streams = lock(&open.streams).take();
        for stream in streams.into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the one that listens, which finds that it is closed.
        drop(TcpStream::connect(self.address));
        open.listening.join().unwrap();
    }

    /// Leads to the server again, at the same address.
    pub(crate) fn open(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.open = Some(serve(listener, self.server));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(listener: TcpListener, server: SocketAddr) -> Open {
    let streams = Arc::new(Mutex::new(Some(Vec::new())));
    let known = streams.clone();
    let listening = thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(behind) = TcpStream::connect(server) else { continue };
            match &mut *lock(&known) {
                Some(streams) => {
                    streams.extend([&client, &behind].map(|end| end.try_clone().unwrap()));
                }
                None => return,
            }
            for (from, to) in [(&client, &behind), (&behind, &client)] {
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                thread::spawn(move || pass(from, to));
            }
        }
    });
    Open { streams, listening }
}

/// Passes on what comes until either end is gone.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
