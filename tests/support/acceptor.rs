//! Accepts connections and runs one task for each; all end with the value.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::ports::local;

#[derive(Debug)]
pub(crate) struct Acceptor {
    addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Acceptor {
    /// Listens on a free port; `serve` gets each connection and its number, from 0.
    pub(crate) async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream, usize) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(local(0)).await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let accepted = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(accept(listener, Arc::clone(&accepted), serve));
        Self { addr, accepted, task }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Acquire)
    }

    /// Closes the listener and every connection.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<F, Fut>(listener: TcpListener, accepted: Arc<AtomicUsize>, serve: F)
where
    F: Fn(TcpStream, usize) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            next = listener.accept() => if let Some(stream) = ready(next) {
                let number = accepted.fetch_add(1, Ordering::AcqRel);
                connections.spawn(serve(stream, number));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A connection that was gone before it was accepted is no reason to stop listening.
fn ready(next: io::Result<(TcpStream, SocketAddr)>) -> Option<TcpStream> {
    let (stream, _) = next.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}
