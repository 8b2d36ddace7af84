//! A client that sees when bytes come.

use std::net::SocketAddr;
use std::time::Duration;

use cache_core::Stopwatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::origin::{FIRST, LAST};

/// One connection, its requests one after the other.
pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::with_capacity(16 * 1024) }
    }

    pub(crate) async fn several(address: SocketAddr, count: usize) -> Vec<Self> {
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(Self::open(address).await);
        }
        clients
    }

    /// Asks; when the first piece of the body has come, by this watch.
    pub(crate) async fn first(&mut self, path: &str, watch: Stopwatch) -> Duration {
        self.read.clear();
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench.example\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.until(FIRST).await;
        watch.elapsed()
    }

    /// Reads the rest; what the cache said of it.
    pub(crate) async fn rest(&mut self) -> String {
        self.until(LAST).await;
        let text = String::from_utf8_lossy(&self.read);
        // The last chunk of a body without a length: the next answer begins after it.
        if text.contains("transfer-encoding: chunked") {
            self.until(b"\r\n0\r\n\r\n").await;
        }
        let text = String::from_utf8_lossy(&self.read);
        let status = text.lines().find_map(|line| line.strip_prefix("cache-status: cache-tower; "));
        status.unwrap_or_default().to_owned()
    }

    async fn until(&mut self, mark: &[u8]) {
        while !self.read.windows(mark.len()).any(|part| part == mark) {
            let read = timeout(Duration::from_secs(10), self.stream.read_buf(&mut self.read)).await;
            let count = read.expect("bytes are held back").unwrap();
            assert!(count > 0, "the server has closed");
        }
    }
}

/// They all ask at once; when the first byte of each came.
pub(crate) async fn wave(clients: &mut Vec<Client>, path: &str) -> Vec<Duration> {
    let watch = Stopwatch::start();
    let tasks: Vec<_> = clients
        .drain(..)
        .map(|mut client| {
            let path = path.to_owned();
            tokio::spawn(async move {
                let first = client.first(&path, watch).await;
                (client, first)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        let (client, first) = task.await.unwrap();
        clients.push(client);
        times.push(first);
    }
    times
}

/// Reads what is left of all answers; what the cache said of each.
pub(crate) async fn rests(clients: &mut [Client]) -> Vec<String> {
    let mut said = Vec::new();
    for client in clients {
        said.push(client.rest().await);
    }
    said
}
