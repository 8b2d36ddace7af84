//! The Redis store: one server, or the primary that Sentinels name; shared multiplexed connections,
//! one budget around all.
//!
//! - `options`: where the server is and how to reach it;
//! - `commands`: what is sent;
//! - `connect`, `connection`: the pool of connections, and what is known of each;
//! - `target`, `sentinel`: which server they lead to;
//! - `dial`, `tls`: how one is made;
//! - `lanes`, `large_keys`: how much is asked at once, and large values out of the way of small ones;
//! - `identity`: which server it is;
//! - `fetch`, `gather`: reads, of which those that come at the same moment go out as one;
//! - `budget`: the breaker around every operation; `probe`: whether Redis answers;
//! - `run`: what every operation goes through; `write`: a batch in one round trip;
//! - `pace`: how long a step of a walk may be;
//! - `script`: compare-and-set;
//! - `create`: what is there only once;
//! - `rights`: what the user may do; `unscripted`, `exclusive`, `lengthen`: what takes the place of
//!   what is refused;
//! - `count`: uses, against a limit;
//! - `server_stats`: what the server says of itself;
//! - `watch`: a connection on which Redis tells what changes;
//! - `fault`: what each error means;
//! - `cluster`: Redis Cluster, over a store for each primary.

mod budget;
mod cluster;
mod commands;
mod connect;
mod connection;
mod count;
mod create;
mod dial;
mod exclusive;
mod fault;
mod fetch;
mod gather;
mod identity;
mod lanes;
mod large_keys;
mod lengthen;
mod options;
mod pace;
mod probe;
mod rights;
mod run;
mod script;
mod sentinel;
mod server_stats;
mod target;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls_off.rs"]
mod tls;
mod unscripted;
mod wanted_keys;
mod watch;
mod wording;
mod write;

use std::sync::Arc;
use std::time::Duration;

use bb8_redis::redis::{Value, cmd, pipe};
use bytes::Bytes;

use self::budget::Breaker;
use self::commands::{range_command, send, send_all, strings, unlink, values_among};
use self::connect::Connections;
use self::count::Counting;
use self::exclusive::Exclusive;
use self::fault::protocol_error;
use self::gather::{Gatherer, Joined};
use self::lanes::{Lane, Lanes};
use self::pace::Pace;
use self::unscripted::Repairs;
use self::watch::Announcer;
use super::{
    BoxFuture, ChangeSink, MissingAbility, PoolState, ScanStep, Store, WriteBatch, Written,
};
use crate::admin::ServerStats;
use crate::clock::{Clock, Deadline, Millis, Stopwatch};
use crate::error::Error;
use crate::happenings::{BreakerState, EventBus};
use crate::rate::{Counted, Quota};

pub use cluster::ClusterStore;
pub use options::RedisOptions;
pub use sentinel::SentinelOptions;
#[cfg(feature = "tls")]
pub use tls::TlsOptions;

const NO_ANSWER: &str = "Redis did not answer within the budget";

/// Keeps bytes in one Redis server.
///
/// Connecting is lazy: the store can be made while Redis is down. After a few failures in a row
/// the breaker opens, and operations fail at once until a probe in the background has succeeded.
#[derive(Debug, Clone)]
pub struct RedisStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connections: Connections,
    lanes: Lanes,
    breaker: Breaker,
    gatherer: Arc<Gatherer>,
    announcer: Arc<Announcer>,
    pace: Pace,
    counting: Counting,
    exclusive: Exclusive,
    repairs: Repairs,
}

impl RedisStore {
    /// A store at the server that the options name. Does not connect yet.
    pub fn new(options: &RedisOptions, clock: Clock) -> Result<Self, Error> {
        let connections = Connections::new(options, clock)?;
        let (breaker, gatherer, announcer) = (Breaker::default(), Arc::default(), Arc::default());
        let (pace, counting, exclusive, repairs) = Default::default();
        let lanes = Lanes::new(&connections, options.max_operations);
        let inner = Inner {
            connections,
            lanes,
            breaker,
            gatherer,
            announcer,
            pace,
            counting,
            exclusive,
            repairs,
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

impl Store for RedisStore {
    fn fetch<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        if keys.is_empty() {
            return nothing();
        }
        if self.inner.lanes.of_keys(keys) == Lane::Large {
            return Box::pin(self.fetch_alone(Lane::Large, keys, deadline));
        }
        Box::pin(async move {
            let _asking = self.inner.gatherer.enter();
            match self.inner.gatherer.join(keys, deadline) {
                Joined::Member(member, leader) => {
                    if let Some(leader) = leader {
                        tokio::spawn(self.clone().fetch_for_all(leader, deadline));
                    }
                    self.fetch_with_others(member, keys, deadline).await
                }
                // In a box of its own, so that those of the many are small.
                Joined::Alone => Box::pin(self.fetch_alone(Lane::Small, keys, deadline)).await,
            }
        })
    }

    fn write<'a>(
        &'a self,
        batch: WriteBatch<'a>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        let WriteBatch { puts, tails, remove, extend, read } = batch;
        let changes_nothing = puts.is_empty() && tails.is_empty() && remove.is_empty();
        if changes_nothing && extend.is_empty() && read.is_empty() {
            return nothing();
        }
        let rights = self.inner.connections.rights();
        if unscripted::concerns(&batch) && !rights.scripts.is_worth_trying() {
            return Box::pin(self.write_unscripted(batch, deadline));
        }
        let lane = self.inner.lanes.of_values(puts);
        let inner = &self.inner;
        let write = self.run_in(lane, deadline, async move |connection| {
            write::carry_out(connection, inner, batch).await
        });
        Box::pin(self.or_unscripted(write, batch, deadline))
    }

    fn create<'a>(
        &'a self,
        entries: &'a [(&'a str, String)],
        keep_for: Millis,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        if entries.is_empty() {
            return nothing();
        }
        Box::pin(self.run(deadline, async move |connection| {
            create::create(connection, &self.inner.announcer, entries, keep_for).await
        }))
    }

    fn remove<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(self.run(deadline, async move |mut connection| {
            unlink(&mut connection, &self.inner.announcer, keys).await
        }))
    }

    fn remove_values<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        if keys.is_empty() {
            return nothing();
        }
        Box::pin(self.run(deadline, async move |mut connection| {
            let values = values_among(&mut connection, keys, false).await?;
            unlink(&mut connection, &self.inner.announcer, &values).await
        }))
    }

    fn count_values<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        if keys.is_empty() {
            return nothing();
        }
        Box::pin(self.run(deadline, async move |mut connection| {
            Ok(values_among(&mut connection, keys, true).await?.len() as u64)
        }))
    }

    fn write_ids<'a>(
        &'a self,
        keys: &'a [&'a str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        if keys.is_empty() {
            return nothing();
        }
        Box::pin(self.run(deadline, async move |mut connection| {
            let mut ids = pipe();
            for key in keys {
                ids.add_command(range_command(key, 8, 15));
            }
            strings(Value::Array(send_all(&mut connection, &ids).await?), keys.len())
        }))
    }

    fn watch(&self, prefix: &str, sink: Arc<dyn ChangeSink>) -> Option<BoxFuture<'static, ()>> {
        let store = Arc::downgrade(&self.inner);
        Some(Box::pin(watch::watch(store, prefix.to_owned(), sink)))
    }

    fn scan<'a>(
        &'a self,
        glob: &'a str,
        cursor: u64,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<ScanStep, Error>> {
        Box::pin(self.run(deadline, async move |mut connection| {
            let mut command = cmd("SCAN");
            let pace = &self.inner.pace;
            command.arg(cursor).arg("MATCH").arg(glob).arg("COUNT").arg(pace.count());
            let took = Stopwatch::start();
            let reply = send(&mut connection, &command).await?;
            pace.note(took.elapsed());
            let (cursor, keys): (u64, Vec<Vec<u8>>) =
                bb8_redis::redis::from_redis_value(reply).map_err(|_| protocol_error())?;
            // A key that is not text is not one of ours.
            let keys = keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect();
            Ok(ScanStep { cursor, keys })
        }))
    }

    fn count<'a>(
        &'a self,
        key: &'a str,
        quota: &'a Quota,
        deadline: Deadline,
    ) -> Option<BoxFuture<'a, Result<Counted, Error>>> {
        let counting = &self.inner.counting;
        let rights = self.inner.connections.rights();
        let count = async move |connection| counting.count(connection, rights, key, quota).await;
        Some(Box::pin(self.run(deadline, count)))
    }

    fn ping(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.run(deadline, async move |mut connection| {
            send(&mut connection, &cmd("PING")).await.map(drop)
        }))
    }

    fn server_stats(
        &self,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Option<ServerStats>, Error>> {
        Box::pin(
            self.run(deadline, async move |mut connection| {
                server_stats::ask(&mut connection).await
            }),
        )
    }

    fn incarnation(&self) -> u64 {
        self.inner.connections.incarnation()
    }

    fn missing_abilities(&self) -> Vec<MissingAbility> {
        self.inner.connections.rights().missing()
    }

    fn server_name(&self) -> Option<String> {
        self.inner.connections.server_name()
    }

    fn is_available(&self) -> bool {
        let closed = self.inner.breaker.is_closed();
        if !closed {
            probe::ensure_probe(&self.inner);
        }
        closed
    }

    fn report_to(&self, bus: EventBus) {
        self.inner.breaker.report_to(bus);
    }

    fn breaker(&self) -> Option<BreakerState> {
        Some(self.inner.breaker.state())
    }

    fn pool(&self) -> Option<PoolState> {
        Some(self.inner.lanes.pool_state(self.inner.connections.pool_state()))
    }

    fn name(&self) -> &'static str {
        "redis"
    }

    fn close(&self) {
        self.inner.breaker.close_for_good();
        self.inner.connections.close();
        self.inner.lanes.large.close();
        self.inner.exclusive.clear();
    }
}

/// The answer to a question about nothing.
fn nothing<'a, T: Default + Send + 'a>() -> BoxFuture<'a, Result<T, Error>> {
    Box::pin(std::future::ready(Ok(T::default())))
}

/// How long a connection attempt and a single reply may take at most; callers wait less.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
