//! An origin that writes bytes as told: the faults that an HTTP library would hide.
//!
//! ```
//! use cache_tests::{RawOrigin, RawStep, http_client};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let origin = RawOrigin::start(|_request, _connection| {
//!     vec![RawStep::write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), RawStep::Close]
//! })
//! .await;
//! assert!(http_client::try_get(origin.addr(), "/", &[]).await.is_err());
//! # });
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::acceptor::Acceptor;
use crate::gate::Gate;
use crate::message;

const MAX_REQUEST: usize = 16 << 20;

/// One step of an answer.
#[derive(Debug, Clone)]
pub enum RawStep {
    /// Writes bytes.
    Write(Vec<u8>),
    /// Waits until the gate lets it through.
    WaitGate(Gate),
    /// Closes the connection in order (FIN).
    Close,
    /// Resets the connection (RST).
    Reset,
    /// Does nothing for ever, with the connection open.
    Hang,
}

impl RawStep {
    /// [`Write`](Self::Write) of anything made of bytes.
    pub fn write(bytes: impl AsRef<[u8]>) -> Self {
        Self::Write(bytes.as_ref().to_vec())
    }
}

/// A running raw origin; dropping it closes its port and every connection.
#[derive(Debug)]
pub struct RawOrigin {
    acceptor: Acceptor,
    count: Arc<AtomicUsize>,
}

impl RawOrigin {
    /// Starts an origin that performs what `script` says for each request.
    ///
    /// `script` gets the request's bytes (head, and body by Content-Length) and the number of its
    /// connection, from 0. After the last step the connection waits for the next request.
    pub async fn start<F>(script: F) -> Self
    where
        F: Fn(&[u8], usize) -> Vec<RawStep> + Send + Sync + 'static,
    {
        let count = Arc::new(AtomicUsize::new(0));
        let shared = (Arc::new(script), Arc::clone(&count));
        let acceptor = Acceptor::start(move |mut stream, number| {
            let (script, count) = shared.clone();
            async move {
                let mut buffer = Vec::new();
                while let Ok(Some(request)) = read_request(&mut stream, &mut buffer).await {
                    count.fetch_add(1, Ordering::AcqRel);
                    let steps = script(&request, number);
                    if !matches!(perform(&mut stream, steps).await, Ok(true)) {
                        return;
                    }
                }
            }
        })
        .await;
        Self { acceptor, count }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.acceptor.addr()
    }

    /// How many requests arrived.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.acceptor.accepted()
    }
}

/// Whether the connection goes on.
async fn perform(stream: &mut TcpStream, steps: Vec<RawStep>) -> io::Result<bool> {
    for step in steps {
        match step {
            RawStep::Write(bytes) => stream.write_all(&bytes).await?,
            RawStep::WaitGate(gate) => gate.pass().await,
            RawStep::Close => {
                stream.shutdown().await?;
                return Ok(false);
            }
            RawStep::Reset => {
                set_socket_linger(&*stream, Some(Duration::ZERO))?;
                return Ok(false);
            }
            RawStep::Hang => std::future::pending().await,
        }
    }
    Ok(true)
}

/// The next request on a connection; `None` when the client closed it in order.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(length) = message::request_length(buffer) {
            let rest = buffer.split_off(length);
            return Ok(Some(std::mem::replace(buffer, rest)));
        }
        if stream.read_buf(buffer).await? == 0 || buffer.len() > MAX_REQUEST {
            return Ok(None);
        }
    }
}
