//! Making a connection to an address: the socket, TLS where it is wanted, and the login.
//!
//! Every connection of the store is made here, also those to Sentinels and to the nodes of a
//! cluster, so that they have the same options of the socket, the same certificates, the same errors.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bb8_redis::redis::aio::{AsyncStream, ConnectionLike, MultiplexedConnection, PubSub};
use bb8_redis::redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use bb8_redis::redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ErrorKind as RedisKind, Pipeline, ProtocolVersion,
    RedisConnectionInfo, RedisError, RedisFuture, Value,
};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};

use super::tls::{Tls, TlsOptions};
use crate::error::{Error, ErrorKind};

/// Unacknowledged data ends a connection after this long, so that a host that vanished is noticed.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Of the addresses that a name leads to, so many are tried.
const ADDRESSES: usize = 8;

type Stream = Pin<Box<dyn AsyncStream + Send>>;

/// How to connect, to whatever address.
#[derive(Clone)]
pub(super) struct Dialer {
    login: RedisConnectionInfo,
    tls: Option<Tls>,
    timeout: Duration,
}

/// A multiplexed connection, and the task that drives it, which ends with it.
#[derive(Debug)]
pub(super) struct Wire {
    connection: MultiplexedConnection,
    driver: Driver,
}

/// Ends the task that drives a connection when it is dropped, whatever that task still waits for.
#[derive(Debug)]
pub(super) struct Driver {
    task: AbortHandle,
    /// Lest the task ends because nobody holds the connection: so its end is that of the connection.
    _connection: MultiplexedConnection,
}

impl Dialer {
    /// Logs in as `login` says; `timeout` is for an attempt.
    pub(super) fn new(
        login: &RedisConnectionInfo,
        tls: Option<&TlsOptions>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let tls = tls.map(TlsOptions::connector).transpose()?;
        Ok(Self { login: login.clone(), tls, timeout })
    }

    /// A connection for commands; with a protocol, in that one. The caller bounds the time. If it ends
    /// by itself, and not by being dropped, `at_end` is called before that can be told.
    pub(super) async fn multiplexed(
        &self,
        address: &ConnectionAddr,
        config: AsyncConnectionConfig,
        protocol: Option<ProtocolVersion>,
        at_end: impl FnOnce() + Send + 'static,
    ) -> Result<Wire, RedisError> {
        let mut login = self.login.clone();
        if let Some(protocol) = protocol {
            login = login.set_protocol(protocol);
        }
        let stream = self.stream(address).await?;
        let set_up = MultiplexedConnection::new_with_config(&login, stream, config).await;
        let (connection, driver) = set_up.map_err(|error| self.explained(error, address))?;
        let until_its_end = async move {
            driver.await;
            at_end();
        };
        let task = tokio::spawn(until_its_end).abort_handle();
        let driver = Driver { task, _connection: connection.clone() };
        Ok(Wire { connection, driver })
    }

    /// A connection for what is published.
    pub(super) async fn subscriber(&self, address: &ConnectionAddr) -> Result<PubSub, RedisError> {
        let stream = self.stream(address).await?;
        let set_up = PubSub::new(&self.login, stream).await;
        set_up.map_err(|error| self.explained(error, address))
    }

    async fn stream(&self, address: &ConnectionAddr) -> Result<Stream, RedisError> {
        match address {
            ConnectionAddr::Tcp(host, port) => {
                let socket = tcp(host, *port).await?;
                match &self.tls {
                    None => Ok(Box::pin(socket)),
                    Some(tls) => {
                        // The rest of the time is for the login.
                        let handshake = tls.handshake(host, socket);
                        let limit = self.timeout / 2;
                        let stream = tokio::time::timeout(limit, handshake).await;
                        let stream = stream.unwrap_or_else(|_| Err(unanswered()));
                        Ok(stream.map_err(|error| carry(&error))?)
                    }
                }
            }
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => {
                Ok(Box::pin(tokio::net::UnixStream::connect(path).await?))
            }
            _ => Err(carry(&Error::config("not a kind of address that is supported"))),
        }
    }

    /// Says more of an error during the login, where more is known.
    fn explained(&self, error: RedisError, address: &ConnectionAddr) -> RedisError {
        let unavailable = |text: String| carry(&Error::new(ErrorKind::Unavailable, text));
        match &self.tls {
            Some(tls) => {
                // In TLS 1.3 a server refuses a client's certificate after the handshake.
                if let Some(text) = tls.explain(&error, address) {
                    return unavailable(text);
                }
                if error.is_connection_dropped() && !tls.has_client_certificate() {
                    return unavailable(
                        "TLS: the server closed the connection after the handshake: does it want \
                         a client certificate?"
                            .to_owned(),
                    );
                }
                error
            }
            None if error.kind() == RedisKind::Parse => unavailable(
                "what answers does not speak the protocol of Redis; does that port want TLS \
                 (rediss://)?"
                    .to_owned(),
            ),
            None => error,
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The login knows the password.
        f.debug_struct("Dialer").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

fn unanswered() -> Error {
    let text = "TLS: the handshake had no answer in time: does the server speak TLS on that port?";
    Error::new(ErrorKind::Timeout, text)
}

/// A socket without Nagle's delay and with keepalive: to the first address that takes the call.
async fn tcp(host: &str, port: u16) -> Result<TcpStream, RedisError> {
    let resolved = tokio::net::lookup_host((host, port)).await.map_err(|_| {
        let text = format!("the host name of {host}:{port} can't be resolved");
        carry(&Error::new(ErrorKind::Unavailable, text))
    })?;
    let socket = first(resolved.take(ADDRESSES).collect()).await?;
    set_options(&socket)?;
    Ok(socket)
}

/// All are called at once: the first may be a black hole.
async fn first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    // The usual case, which shall not wait for a task's turn.
    if let [only] = addresses[..] {
        return TcpStream::connect(only).await;
    }
    let mut attempts = JoinSet::new();
    for address in addresses {
        attempts.spawn(TcpStream::connect(address));
    }
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => failure = error,
            Err(_) => {}
        }
    }
    Err(failure)
}

fn set_options(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

impl Wire {
    /// The connection, and what ends its task when it is dropped: not before the last clone.
    pub(super) fn into_parts(self) -> (MultiplexedConnection, Driver) {
        (self.connection, self.driver)
    }
}

impl Deref for Wire {
    type Target = MultiplexedConnection;

    fn deref(&self) -> &MultiplexedConnection {
        &self.connection
    }
}

impl DerefMut for Wire {
    fn deref_mut(&mut self) -> &mut MultiplexedConnection {
        &mut self.connection
    }
}

impl ConnectionLike for Wire {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.connection.req_packed_command(command)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(commands, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

impl Driver {
    /// Whether the connection has ended: it was closed, or its runtime is no more.
    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An error of ours on its way through an error of the library.
#[derive(Debug)]
struct Carried(ErrorKind, String);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

impl StdError for Carried {}

/// Puts an error of ours into one of the library's, out of which [`carried`] gets it.
pub(super) fn carry(error: &Error) -> RedisError {
    io::Error::other(Carried(error.kind(), error.to_string())).into()
}

/// The error of ours that is in one of the library's.
pub(super) fn carried(error: &RedisError) -> Option<Error> {
    find(error, |cause| {
        let Carried(kind, text) = cause.downcast_ref()?;
        Some(Error::new(*kind, text.clone()))
    })
}

/// What `look` finds in an error, or in what caused it.
pub(super) fn find<T>(
    error: &(dyn StdError + 'static),
    look: impl Fn(&(dyn StdError + 'static)) -> Option<T>,
) -> Option<T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = look(cause) {
            return Some(found);
        }
        // Both hide what they hold: their source is the source of that.
        next = if let Some(error) = cause.downcast_ref::<io::Error>() {
            error.get_ref().map(|inner| inner as _)
        } else if let Some(shared) = cause.downcast_ref::<Arc<dyn StdError + Send + Sync>>() {
            Some(&**shared as _)
        } else {
            cause.source()
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_ours_comes_out_as_it_went_in() {
        let error = carry(&Error::new(ErrorKind::Timeout, "why"));
        let found = carried(&error).unwrap();
        assert_eq!((found.kind(), found.to_string()), (ErrorKind::Timeout, "why".to_owned()));
        assert_eq!(Error::from(error).to_string(), "why");
        assert!(carried(&io::Error::from(io::ErrorKind::NotFound).into()).is_none());
        assert!(carried(&RedisError::from((RedisKind::Io, "other"))).is_none());
    }
}
