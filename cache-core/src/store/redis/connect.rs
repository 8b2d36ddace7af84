//! The pool of connections.
//!
//! A multiplexed connection carries the commands of any number of tasks, so an operation takes a
//! clone of one and gives its place in the pool back at once. What bb8's own manager can't do is
//! done here: sockets without Nagle's delay and with keepalive, and knowing a broken connection.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bb8_redis::bb8::{ManageConnection, Pool};
use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use bb8_redis::redis::{AsyncConnectionConfig, Client, cmd};
use tokio::sync::Notify;

use super::fault::breaks_connection;
use super::options::RedisOptions;
use crate::clock::{Clock, system_millis};
use crate::error::{Error, ErrorKind};

/// Unacknowledged data ends a connection after this long, so that a host that vanished is noticed.
const USER_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Connections to one server.
#[derive(Debug)]
pub(super) struct Connections {
    manager: Arc<Manager>,
    /// Made at first use: bb8 starts tasks, and building a cache must not need a runtime.
    pool: OnceLock<Pool<Shared>>,
    max: u32,
    min: u32,
}

/// The manager, shared between the pool and us.
#[derive(Debug, Clone)]
struct Shared(Arc<Manager>);

struct Manager {
    client: Client,
    clock: Clock,
    connection_timeout: Duration,
    /// Connections of an older round are not used any more.
    round: AtomicU64,
    /// Tells those who wait for a connection that an attempt has failed.
    failed: Notify,
    last_error: Mutex<Option<ErrorKind>>,
}

/// A connection and what is known of it.
#[derive(Clone)]
pub(super) struct Connection {
    multiplexed: MultiplexedConnection,
    round: u64,
    broken: Arc<AtomicBool>,
}

impl Connections {
    pub(super) fn new(options: &RedisOptions, clock: Clock) -> Result<Self, Error> {
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(USER_TIMEOUT);
        let info = options.connection.clone().set_tcp_settings(tcp);
        let client = Client::open(info).map_err(|_| Error::config("not a usable Redis address"))?;
        let manager = Arc::new(Manager {
            client,
            clock,
            connection_timeout: options.connection_timeout,
            round: AtomicU64::new(0),
            failed: Notify::new(),
            last_error: Mutex::new(None),
        });
        let max = options.max_connections;
        Ok(Self { manager, pool: OnceLock::new(), max, min: options.min_connections.min(max) })
    }

    fn pool(&self) -> &Pool<Shared> {
        self.pool.get_or_init(|| {
            Pool::builder()
                .max_size(self.max)
                .min_idle(Some(self.min))
                .test_on_check_out(false)
                .retry_connection(false)
                .max_lifetime(None)
                .idle_timeout(None)
                .connection_timeout(self.manager.connection_timeout)
                .build_unchecked(Shared(Arc::clone(&self.manager)))
        })
    }

    /// A clone of a connection that is not known to be broken. Fails as soon as an attempt to
    /// connect has failed; the caller bounds the wait.
    pub(super) async fn get(&self) -> Result<Connection, Error> {
        loop {
            let failed = self.manager.failed.notified();
            let checked_out = tokio::select! {
                biased;
                checked_out = self.pool().get() => checked_out,
                () = failed => return Err(self.manager.last_error()),
            };
            let connection = checked_out.map_err(|_| self.manager.last_error())?;
            // A broken one is dropped by the pool when it is given back.
            if !self.manager.is_broken(&connection) {
                return Ok(connection.clone());
            }
        }
    }

    /// A connection outside the pool, for a probe.
    pub(super) async fn connect_anew(&self) -> Result<MultiplexedConnection, Error> {
        self.manager.connect().await.map(|connection| connection.multiplexed)
    }

    /// Uses none of the present connections any more: they may lead nowhere.
    pub(super) fn discard_all(&self) {
        self.manager.round.fetch_add(1, Ordering::Relaxed);
    }
}

impl Connection {
    pub(super) fn multiplexed(&self) -> MultiplexedConnection {
        self.multiplexed.clone()
    }

    /// Takes note of an error that the connection gave.
    pub(super) fn report(&self, error: &Error) {
        if breaks_connection(error) {
            self.broken.store(true, Ordering::Relaxed);
        }
    }
}

impl Manager {
    async fn connect(&self) -> Result<Connection, Error> {
        let round = self.round.load(Ordering::Relaxed);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connection_timeout))
            .set_response_timeout(Some(self.connection_timeout));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut multiplexed = tokio::time::timeout(self.connection_timeout, connecting)
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, "connecting to Redis took too long"))??;
        self.read_server_time(&mut multiplexed).await;
        Ok(Connection { multiplexed, round, broken: Arc::default() })
    }

    /// Nodes with skewed clocks agree by the server's. Where `TIME` is refused they do without.
    async fn read_server_time(&self, connection: &mut MultiplexedConnection) {
        let asked = system_millis();
        if let Ok((seconds, micros)) = cmd("TIME").query_async::<(u64, u64)>(connection).await {
            self.clock.synchronize(seconds * 1000 + micros / 1000, asked);
        }
    }

    fn is_broken(&self, connection: &Connection) -> bool {
        connection.broken.load(Ordering::Relaxed)
            || connection.round != self.round.load(Ordering::Relaxed)
    }

    fn last_error(&self) -> Error {
        let kind = *self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kind.unwrap_or(ErrorKind::Unavailable);
        Error::new(kind, "no connection to Redis")
    }
}

impl ManageConnection for Shared {
    type Connection = Connection;
    type Error = Error;

    async fn connect(&self) -> Result<Connection, Error> {
        let result = self.0.connect().await;
        if let Err(error) = &result {
            let mut last = self.0.last_error.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever waits for a connection can't have one, whatever the reason.
            *last = Some(match error.kind() {
                ErrorKind::Timeout => ErrorKind::Timeout,
                _ => ErrorKind::Unavailable,
            });
            drop(last);
            self.0.failed.notify_waiters();
            tracing::debug!(%error, "connecting to Redis failed");
        }
        result
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Error> {
        if self.0.is_broken(connection) { Err(self.0.last_error()) } else { Ok(()) }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        self.0.is_broken(connection)
    }
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client knows the password.
        f.debug_struct("Manager").field("round", &self.round).finish_non_exhaustive()
    }
}
