//! An HTTP/1.1 client on a bare socket: it shows each piece when it comes and hides no fault.
//!
//! ```
//! use cache_tests::{Gate, Origin, body, http_client::Client};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let gate = Gate::new();
//! let held = gate.clone();
//! let origin = Origin::start(move |_| {
//!     let body = body::gated(&held, ["one", "two"]);
//!     async { body::respond(200, &[], body) }
//! })
//! .await;
//! let mut client = Client::connect(origin.addr()).await.unwrap();
//! client.send("GET", "/", &[], b"").await.unwrap();
//! assert_eq!(client.read_head().await.unwrap().status, 200); // before any chunk went
//! gate.open(1);
//! assert_eq!(client.read_chunk().await.unwrap().unwrap(), "one");
//! client.disconnect();
//! # });
//! ```

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::message::{self, Fields, Framing, Head, Response};

/// A read that takes longer fails the test rather than holding it up.
const LIMIT: Duration = Duration::from_secs(30);
const MAX_HEAD: usize = 1 << 20;

/// One GET on a connection of its own; panics when there is no whole response.
pub async fn get(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Response {
    let response = try_get(addr, path, headers).await;
    response.unwrap_or_else(|error| panic!("GET {path} from {addr}: {error}"))
}

/// [`get`] that gives the error back, such as `UnexpectedEof` for a body cut short.
pub async fn try_get(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
    request(addr, "GET", path, headers, b"").await
}

/// One request on a connection of its own.
pub async fn request(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    Client::connect(addr).await?.exchange(method, path, headers, body).await
}

/// A connection, kept alive over several requests.
#[derive(Debug)]
pub struct Client {
    addr: SocketAddr,
    stream: TcpStream,
    buffer: BytesMut,
    /// The methods of the requests whose responses are still to come.
    sent: VecDeque<String>,
    rest: Rest,
    trailers: Fields,
}

/// What is left of the body being read.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Nothing,
    Length(u64),
    /// Within a chunk, or before one.
    Chunk(u64),
    NextChunk {
        first: bool,
    },
    UntilClose,
}

impl Client {
    /// Connects.
    pub async fn connect(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (buffer, sent) = (BytesMut::new(), VecDeque::new());
        Ok(Self { addr, stream, buffer, sent, rest: Rest::Nothing, trailers: Vec::new() })
    }

    /// [`send`](Self::send), then the whole response.
    pub async fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        self.send(method, path, headers, body).await?;
        self.read_response().await
    }

    /// Sends a request; several may be sent before a response is read.
    ///
    /// `Host` is the address and `Content-Length` the body's length, unless `headers` have them
    /// (or `Transfer-Encoding`).
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<()> {
        let has = |name: &str| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !has("host") {
            let _ = write!(head, "Host: {}\r\n", self.addr);
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let framed = has("content-length") || has("transfer-encoding");
        if !framed && (!body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH")) {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        self.sent.push_back(method.to_owned());
        self.send_raw(&[head.as_bytes(), body].concat()).await
    }

    /// Sends bytes as they are. A response to them is read as one to GET.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The head of the next response; interim ones (1xx) are left out.
    ///
    /// What was not read of the body before is read and dropped.
    pub async fn read_head(&mut self) -> Result<Head> {
        while self.read_chunk().await?.is_some() {}
        loop {
            let head = message::parse_head(&self.head_bytes().await?)?;
            if matches!(head.status, 100 | 102..=199) {
                continue;
            }
            let method = self.sent.pop_front();
            self.trailers.clear();
            self.rest = match message::framing(method.as_deref().unwrap_or("GET"), &head)? {
                Framing::Length(length) => Rest::Length(length),
                Framing::Chunked => Rest::NextChunk { first: true },
                Framing::UntilClose => Rest::UntilClose,
            };
            return Ok(head);
        }
    }

    /// The next piece of the body, as soon as there is one; `None` at its end.
    ///
    /// A piece never spans two chunks, but a chunk may come in several pieces. `UnexpectedEof`
    /// when the connection ends within a body.
    pub async fn read_chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.rest {
                Rest::Nothing => return Ok(None),
                Rest::Length(0) => self.rest = Rest::Nothing,
                Rest::Length(left) => {
                    let piece = self.piece(left).await?;
                    self.rest = Rest::Length(left - piece.len() as u64);
                    return Ok(Some(piece));
                }
                Rest::Chunk(0) => self.rest = Rest::NextChunk { first: false },
                Rest::Chunk(left) => {
                    let piece = self.piece(left).await?;
                    self.rest = Rest::Chunk(left - piece.len() as u64);
                    return Ok(Some(piece));
                }
                Rest::NextChunk { first } => self.next_chunk(first).await?,
                Rest::UntilClose => {
                    return match self.piece(u64::MAX).await {
                        Ok(piece) => Ok(Some(piece)),
                        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                            self.rest = Rest::Nothing;
                            Ok(None)
                        }
                        Err(error) => Err(error),
                    };
                }
            }
        }
    }

    /// What is left of the body.
    pub async fn read_body(&mut self) -> Result<Bytes> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.read_chunk().await? {
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// The next response, whole.
    pub async fn read_response(&mut self) -> Result<Response> {
        let Head { status, headers } = self.read_head().await?;
        let body = self.read_body().await?;
        Ok(Response { status, headers, body, trailers: std::mem::take(&mut self.trailers) })
    }

    /// Whether the server has closed the connection, with nothing left to read. Waits for it.
    pub async fn closed(&mut self) -> Result<bool> {
        if !self.buffer.is_empty() {
            return Ok(false);
        }
        match self.fill().await {
            Ok(()) => Ok(false),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Leaves abruptly: the server sees a reset (RST).
    pub fn disconnect(self) {
        // closing without it is still leaving
        let _ = set_socket_linger(&self.stream, Some(Duration::ZERO));
    }

    async fn next_chunk(&mut self, first: bool) -> Result<()> {
        if !first && !self.line().await?.is_empty() {
            return Err(message::invalid("chunk", "longer than its size"));
        }
        let size = message::chunk_size(&self.line().await?)?;
        if size > 0 {
            self.rest = Rest::Chunk(size);
            return Ok(());
        }
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let line = message::latin1(&line);
            self.trailers.extend(message::fields(std::iter::once(line.as_str()))?);
        }
        self.rest = Rest::Nothing;
        Ok(())
    }

    async fn head_bytes(&mut self) -> Result<Bytes> {
        loop {
            if let Some(length) = message::head_length(&self.buffer) {
                return Ok(self.buffer.split_to(length).freeze());
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(message::invalid("head", "too long"));
            }
            self.fill().await?;
        }
    }

    async fn line(&mut self) -> Result<Bytes> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = self.buffer.split_to(at).freeze();
                self.buffer.advance(2);
                return Ok(line);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(message::invalid("line", "too long"));
            }
            self.fill().await?;
        }
    }

    async fn piece(&mut self, most: u64) -> Result<Bytes> {
        if self.buffer.is_empty() {
            self.fill().await?;
        }
        let length = usize::try_from(most).map_or(self.buffer.len(), |m| m.min(self.buffer.len()));
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn fill(&mut self) -> Result<()> {
        let read = tokio::time::timeout(LIMIT, self.stream.read_buf(&mut self.buffer)).await;
        match read {
            Ok(Ok(0)) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::new(ErrorKind::TimedOut, format!("nothing in {LIMIT:?}"))),
        }
    }
}
