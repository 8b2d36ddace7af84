//! The pool of connections.
//!
//! A multiplexed connection carries the commands of any number of tasks, so an operation takes a
//! clone of one and gives its place in the pool back at once. What bb8's own manager can't do is
//! done here: knowing a broken connection, and learning at each new one who the server is and what
//! it allows.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bb8_redis::bb8::{ManageConnection, Pool};
use bb8_redis::redis::aio::{AsyncPushSender, MultiplexedConnection, PubSub};
use bb8_redis::redis::{
    AsyncConnectionConfig, ConnectionAddr, FromRedisValue, ProtocolVersion, RedisError, Value, pipe,
};
use tokio::sync::{Notify, watch};

use super::connection::{Connection, State};
use super::dial::{Dialer, Wire, carry};
use super::identity::{self, Identity};
use super::options::RedisOptions;
use super::rights::{self, Rights};
use super::target::Target;
use crate::clock::{Clock, system_millis};
use crate::error::{Error, ErrorKind};
use crate::store::PoolState;

/// Connections to one server.
#[derive(Debug)]
pub(super) struct Connections {
    settings: Arc<Settings>,
    /// Made at first use: bb8 starts tasks, and building a cache must not need a runtime.
    place: RwLock<Place>,
    max: u32,
    min: u32,
    /// How many operations are about to get one.
    waiting: AtomicU32,
}

#[derive(Debug)]
enum Place {
    Empty,
    Filled(Filled),
    Closed,
}

/// A pool, and what ends its attempts to connect when it is discarded.
#[derive(Debug)]
struct Filled {
    pool: Pool<Manager>,
    failures: Arc<Failures>,
    _attempts: watch::Sender<()>,
}

/// How to make a connection.
pub(super) struct Settings {
    target: Target,
    dialer: Dialer,
    clock: Clock,
    pub(super) connection_timeout: Duration,
    identity: Arc<Identity>,
    prefix: Option<String>,
    rights: Rights,
}

/// Makes the connections of one pool.
#[derive(Debug, Clone)]
struct Manager {
    settings: Arc<Settings>,
    attempts: watch::Receiver<()>,
    failures: Arc<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    /// Tells those who wait for a connection that an attempt has failed.
    seen: Notify,
    last: Mutex<Option<(ErrorKind, String)>>,
}

impl Connections {
    pub(super) fn new(options: &RedisOptions, clock: Clock) -> Result<Self, Error> {
        let connection_timeout = options.connection_timeout;
        let (identity, rights) = (Arc::default(), Rights::default());
        let target = Target::new(options, &identity)?;
        let login = options.connection.redis_settings();
        let dialer = Dialer::new(login, options.tls.as_ref(), connection_timeout)?;
        let prefix = options.prefix.clone();
        let settings =
            Settings { target, dialer, clock, connection_timeout, identity, prefix, rights };
        let settings = Arc::new(settings);
        let (max, min) = (options.max_connections, options.min_connections);
        let (place, waiting) = (RwLock::new(Place::Empty), AtomicU32::new(0));
        Ok(Self { settings, place, max, min: min.min(max), waiting })
    }

    /// Others to the same server, so many at most.
    pub(super) fn beside(&self, max: u32) -> Self {
        let (place, waiting) = (RwLock::new(Place::Empty), AtomicU32::new(0));
        Self { settings: self.settings(), place, max, min: 0, waiting }
    }

    /// Told when another server is said to be in the place of the one last met.
    pub(super) fn successors(&self) -> watch::Receiver<u64> {
        self.settings.identity.successors()
    }

    /// A clone of a connection that is not known to be broken, with its state. Fails as soon as
    /// an attempt to connect has failed; the caller bounds the wait.
    pub(super) async fn get(&self) -> Result<(MultiplexedConnection, Arc<State>), Error> {
        let (pool, failures) = self.pool()?;
        let _waiting = Waiting::begin(&self.waiting);
        loop {
            let failed = failures.seen.notified();
            let checked_out = tokio::select! {
                biased;
                checked_out = pool.get() => checked_out,
                () = failed => return Err(failures.last()),
            };
            let connection = checked_out.map_err(|_| failures.last())?;
            // A broken one is dropped by the pool when it is given back.
            if connection.state.is_usable() {
                return Ok((connection.multiplexed.clone(), Arc::clone(&connection.state)));
            }
        }
    }

    pub(super) fn pool_state(&self) -> PoolState {
        let place = self.place.read().unwrap_or_else(PoisonError::into_inner);
        let (connections, idle) = match &*place {
            Place::Filled(filled) => {
                let state = filled.pool.state();
                (state.connections, state.idle_connections)
            }
            Place::Empty | Place::Closed => (0, 0),
        };
        let waiting = self.waiting.load(Ordering::Relaxed);
        PoolState { connections, idle, max: self.max, waiting, ..PoolState::default() }
    }

    /// Counts how often the server was another than before, or may have been.
    pub(super) fn incarnation(&self) -> u64 {
        self.settings.identity.incarnation()
    }

    /// What the user may do.
    pub(super) fn rights(&self) -> &Rights {
        &self.settings.rights
    }

    pub(super) fn server_name(&self) -> Option<String> {
        self.settings.identity.last_met()
    }

    fn pool(&self) -> Result<(Pool<Manager>, Arc<Failures>), Error> {
        let known = |place: &Place| match place {
            Place::Filled(filled) => Some(Ok((filled.pool.clone(), Arc::clone(&filled.failures)))),
            Place::Closed => Some(Err(Error::new(ErrorKind::Closed, "the store is closed"))),
            Place::Empty => None,
        };
        let place = self.place.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = known(&place) {
            return pool;
        }
        drop(place);
        let mut place = self.place.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = known(&place) {
            return pool;
        }
        let (sender, attempts) = watch::channel(());
        let failures = Arc::<Failures>::default();
        let settings = Arc::clone(&self.settings);
        let pool = Pool::builder()
            .max_size(self.max)
            .min_idle(Some(self.min))
            .test_on_check_out(false)
            .retry_connection(false)
            .max_lifetime(None)
            .idle_timeout(None)
            .connection_timeout(self.settings.connection_timeout)
            .build_unchecked(Manager { settings, attempts, failures: Arc::clone(&failures) });
        *place = Place::Filled(Filled {
            pool: pool.clone(),
            failures: Arc::clone(&failures),
            _attempts: sender,
        });
        Ok((pool, failures))
    }

    /// For connections that do not belong to the pool.
    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
    }

    /// A connection outside the pool, for a probe.
    pub(super) async fn connect_anew(&self) -> Result<Connection, Error> {
        self.settings.connect().await
    }

    /// Puts a connection into the pool, if there is room.
    pub(super) fn adopt(&self, connection: Connection) {
        if let Ok((pool, _)) = self.pool() {
            // Without room it is dropped.
            drop(pool.add(connection));
        }
    }

    /// Uses none of the present connections any more, and waits for none of the attempts to make
    /// one: they may lead nowhere, or belong to a runtime that is no more.
    pub(super) fn discard_all(&self) {
        let mut place = self.place.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*place, Place::Filled(_)) {
            *place = Place::Empty;
            self.settings.identity.note_loss();
        }
    }

    /// Lets go of all connections, for good.
    pub(super) fn close(&self) {
        *self.place.write().unwrap_or_else(PoisonError::into_inner) = Place::Closed;
        self.settings.target.close();
    }
}

/// One that is to get a connection; however that ends. (bb8 itself never counts off who leaves.)
struct Waiting<'c>(&'c AtomicU32);

impl<'c> Waiting<'c> {
    fn begin(count: &'c AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Settings {
    async fn connect(&self) -> Result<Connection, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connection_timeout))
            .set_response_timeout(Some(self.connection_timeout));
        let connecting = async {
            let address = self.target.address().await?;
            let identity = Arc::clone(&self.identity);
            // Whoever connects anew meets whoever is there by then, and has to know of the loss.
            let at_end = move || identity.note_loss();
            let wire = self.dialer.multiplexed(&address, config, None, at_end).await?;
            let (mut multiplexed, driver) = wire.into_parts();
            self.target.confirm(&mut multiplexed).await?;
            let incarnation = self.introduce(&mut multiplexed).await?;
            // If it is replaced from now on, that is another incarnation.
            self.target.check(&address)?;
            let state = State::new(Arc::clone(&self.identity), incarnation, driver);
            Ok(Connection { multiplexed, state: Arc::new(state) })
        };
        let late = || Error::new(ErrorKind::Timeout, "connecting to Redis took too long");
        let connected = tokio::time::timeout(self.connection_timeout, connecting).await;
        connected.unwrap_or_else(|_| Err(late()))
    }

    /// Where to connect to right now.
    async fn address(&self) -> Result<ConnectionAddr, RedisError> {
        self.target.address().await.map_err(|error| carry(&error))
    }

    /// A connection to the same server as all others, or none.
    async fn connect_to_target(
        &self,
        config: AsyncConnectionConfig,
        protocol: Option<ProtocolVersion>,
    ) -> Result<(Wire, ConnectionAddr), RedisError> {
        let address = self.address().await?;
        let mut wire = self.dialer.multiplexed(&address, config, protocol, || {}).await?;
        self.target.confirm(&mut wire).await.map_err(|error| carry(&error))?;
        Ok((wire, address))
    }

    /// An error if what was connected to is not the server of the present any more.
    pub(super) fn check(&self, address: &ConnectionAddr) -> Result<(), Error> {
        self.target.check(address)
    }

    /// A connection on which Redis may push, and which wants each answer within `patience`; and where
    /// it leads to.
    pub(super) async fn connect_for_pushes(
        &self,
        pushed: impl AsyncPushSender,
        patience: Duration,
    ) -> Result<(Wire, ConnectionAddr), RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connection_timeout))
            .set_response_timeout(Some(patience))
            .set_push_sender(pushed);
        self.connect_to_target(config, Some(ProtocolVersion::RESP3)).await
    }

    /// A connection for a question or two.
    pub(super) async fn connect_plainly(&self) -> Result<Wire, RedisError> {
        Ok(self.connect_to_target(AsyncConnectionConfig::new(), None).await?.0)
    }

    /// A connection for what is published.
    pub(super) async fn connect_as_subscriber(&self) -> Result<PubSub, RedisError> {
        self.dialer.subscriber(&self.address().await?).await
    }

    /// Learns the server's time, by which nodes with skewed clocks agree, what we may do, and who it
    /// is: the incarnation. Where it refuses to tell, we do without; where it can't tell right now, it
    /// is not known who it is, and it is not met.
    async fn introduce(&self, connection: &mut MultiplexedConnection) -> Result<u64, Error> {
        let asked = system_millis();
        let mut questions = pipe();
        questions.cmd("TIME").cmd("INFO").arg("server").cmd("INFO").arg("replication");
        rights::questions(&mut questions);
        let count = questions.len();
        let mut answers = connection.send_packed_commands(&questions, 0, count).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Value::Nil);
        let (time, server, replication) = (next(), next(), next());
        for reply in [&server, &replication] {
            identity::refuse_if_busy(reply)?;
        }
        let (by, told) = ((&self.clock, self.prefix.as_deref()), (&time, &server));
        self.rights.learn(connection, by, told, answers).await?;
        if let Ok((seconds, micros)) = <(u64, u64)>::from_redis_value(time) {
            let server = seconds.saturating_mul(1000).saturating_add(micros / 1000);
            self.clock.synchronize(server, asked);
        }
        Ok(self.identity.meet(identity::name(&server, &replication)))
    }
}

impl Failures {
    fn note(&self, error: &Error) {
        // Whoever waits for a connection can't have one, whatever the reason.
        let kind = match error.kind() {
            ErrorKind::Timeout => ErrorKind::Timeout,
            _ => ErrorKind::Unavailable,
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((kind, error.to_string()));
        drop(last);
        self.seen.notify_waiters();
    }

    fn last(&self) -> Error {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((kind, why)) => Error::new(*kind, format!("no connection to Redis: {why}")),
            None => Error::new(ErrorKind::Unavailable, "no connection to Redis"),
        }
    }
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = Error;

    async fn connect(&self) -> Result<Connection, Error> {
        let mut attempts = self.attempts.clone();
        let result = tokio::select! {
            connected = self.settings.connect() => connected,
            // The sender goes with the pool.
            _ = attempts.changed() => {
                Err(Error::new(ErrorKind::Unavailable, "the attempt was given up"))
            }
        };
        if let Err(error) = &result {
            self.failures.note(error);
            tracing::debug!(%error, "connecting to Redis failed");
        }
        result
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Error> {
        if connection.state.is_usable() { Ok(()) } else { Err(self.failures.last()) }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        !connection.state.is_usable()
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The dialer knows the password.
        f.debug_struct("Settings")
            .field("connection_timeout", &self.connection_timeout)
            .finish_non_exhaustive()
    }
}
