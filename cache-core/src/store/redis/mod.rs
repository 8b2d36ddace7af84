//! The Redis store: a standalone server, shared multiplexed connections, one budget around all.
//!
//! - `options`: where the server is and how to reach it;
//! - `commands`: what is sent;
//! - `connect`: the pool of connections;
//! - `identity`: which server it is;
//! - `fetch`, `gather`: reads, of which those that come at the same moment go out as one;
//! - `budget`: the deadline and the breaker around every operation;
//! - `pace`: how long a step of a walk may be;
//! - `script`: compare-and-set;
//! - `rights`: what the user may do; `unscripted`, `exclusive`, `lengthen`: what takes the place of
//!   what is refused;
//! - `count`: uses, against a limit;
//! - `server_stats`: what the server says of itself;
//! - `watch`: a connection on which Redis tells what changes;
//! - `fault`: what each error means.

mod budget;
mod commands;
mod connect;
mod count;
mod exclusive;
mod fault;
mod fetch;
mod gather;
mod identity;
mod lengthen;
mod options;
mod pace;
mod rights;
mod script;
mod server_stats;
mod unscripted;
mod wanted_keys;
mod watch;
mod wording;

use std::sync::Arc;
use std::time::Duration;

use bb8_redis::redis::{Value, aio::MultiplexedConnection, cmd, pipe};
use bytes::Bytes;

use self::budget::Breaker;
use self::commands::{
    changed, changes, longest, repeat_together, send, send_all, strings, unlink, values_among,
    write_again,
};
use self::connect::Connections;
use self::count::Counting;
use self::exclusive::Exclusive;
use self::fault::{protocol_error, server_error};
use self::gather::{Gatherer, Joined};
use self::pace::Pace;
use self::watch::Announcer;
use super::{
    BoxFuture, ChangeSink, MissingAbility, PoolState, ScanStep, Store, WriteBatch, Written,
};
use crate::admin::ServerStats;
use crate::clock::{Clock, Deadline, Millis, Stopwatch};
use crate::error::{Error, ErrorKind};
use crate::happenings::{BreakerState, EventBus};
use crate::rate::{Counted, Quota};

pub use options::RedisOptions;

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
    breaker: Breaker,
    gatherer: Arc<Gatherer>,
    announcer: Arc<Announcer>,
    pace: Pace,
    counting: Counting,
    exclusive: Exclusive,
}

impl RedisStore {
    /// A store at the server that the options name. Does not connect yet.
    pub fn new(options: &RedisOptions, clock: Clock) -> Result<Self, Error> {
        let connections = Connections::new(options, clock)?;
        let (breaker, gatherer, announcer) = (Breaker::default(), Arc::default(), Arc::default());
        let (pace, counting, exclusive) = Default::default();
        let inner = Inner { connections, breaker, gatherer, announcer, pace, counting, exclusive };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs one operation on a shared connection, within its deadline and under the breaker.
    async fn run<T, F>(
        &self,
        deadline: Deadline,
        operation: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let inner = &self.inner;
        if !inner.breaker.is_closed() {
            budget::ensure_probe(inner);
            return Err(inner.breaker.refusal());
        }
        if deadline.has_passed() {
            // Which says nothing about Redis.
            return Err(Error::new(ErrorKind::Timeout, "no time was left to ask Redis"));
        }
        let mut used = None;
        let attempt = async {
            let (connection, state) = inner.connections.get().await?;
            used = Some(state);
            operation(connection).await
        };
        let result = match tokio::time::timeout_at(deadline.instant(), attempt).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(ErrorKind::Timeout, NO_ANSWER)),
        };
        let mut superseded = false;
        if let Some(state) = used {
            state.report(result.as_ref().err());
            superseded = !state.is_of_the_present();
        }
        match &result {
            Err(error) if error.is_outage() => budget::count_failure(inner, error),
            _ => inner.breaker.succeeded(),
        }
        if superseded && result.is_ok() {
            // What it has confirmed, and what it remembers, is not what the other one does.
            return Err(Error::new(ErrorKind::Unavailable, "another server has taken its place"));
        }
        result
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
                Joined::Alone => Box::pin(self.fetch_alone(keys, deadline)).await,
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
        let write = self.run(deadline, async move |mut connection| {
            let mut extend = extend;
            if !rights.can_lengthen() {
                lengthen::in_two_steps(&mut connection, std::mem::take(&mut extend)).await?;
            }
            let mut commands = pipe();
            for change in changes(&batch) {
                commands.add_command(change);
            }
            if !batch.remove.is_empty() {
                commands.cmd("UNLINK").arg(batch.remove);
            }
            for (key, keep_for) in extend {
                // GT: never shorten.
                commands.cmd("PEXPIRE").arg(key).arg(longest(*keep_for)).arg("GT");
            }
            if !batch.read.is_empty() {
                commands.cmd("MGET").arg(batch.read);
            }
            let names = changed(&batch).chain(batch.remove.iter().copied());
            let added = self.inner.announcer.announce(&mut commands, &names);
            let mut replies = send_all(&mut connection, &commands).await?;
            replies.truncate(replies.len().saturating_sub(added));
            let mut read = if batch.read.is_empty() { None } else { replies.pop() };
            replies.truncate(puts.len() + tails.len() + usize::from(!batch.remove.is_empty()));
            if !batch.remove.is_empty() {
                replies.pop().map(server_error).transpose()?;
            }
            let tail_replies = replies.get_mut(puts.len()..puts.len() + tails.len());
            repeat_together(tail_replies.unwrap_or_default());
            if replies.iter().any(script::is_missing) {
                let announcer = &self.inner.announcer;
                read = write_again(&mut connection, announcer, batch, &mut replies).await?.or(read);
            }
            for tail in replies.drain(puts.len()..) {
                script::stored(tail)?;
            }
            Ok(Written {
                stored: replies.into_iter().map(script::stored).collect::<Result<_, _>>()?,
                read: match read {
                    Some(read) => strings(read, batch.read.len())?,
                    None => Vec::new(),
                },
            })
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
        Box::pin(self.run(deadline, async move |mut connection| {
            let mut commands = pipe();
            for (key, value) in entries {
                let set = commands.cmd("SET").arg(key).arg(value);
                set.arg("NX").arg("PX").arg(longest(keep_for));
            }
            let keys: Vec<&str> = entries.iter().map(|(key, _)| *key).collect();
            commands.cmd("MGET").arg(&keys);
            let added = self.inner.announcer.announce(&mut commands, &keys.iter().copied());
            let mut replies = send_all(&mut connection, &commands).await?;
            replies.truncate(replies.len().saturating_sub(added));
            let found = replies.pop().unwrap_or(Value::Nil);
            for reply in replies {
                // A refused write (full, read-only) leaves the key absent, and the caller told.
                server_error(reply)?;
            }
            strings(found, keys.len())
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
                ids.cmd("GETRANGE").arg(key).arg(8).arg(15);
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

    fn is_available(&self) -> bool {
        let closed = self.inner.breaker.is_closed();
        if !closed {
            budget::ensure_probe(&self.inner);
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
        Some(self.inner.connections.pool_state())
    }

    fn name(&self) -> &'static str {
        "redis"
    }

    fn close(&self) {
        self.inner.breaker.close_for_good();
        self.inner.connections.close();
        self.inner.exclusive.clear();
    }
}

/// The answer to a question about nothing.
fn nothing<'a, T: Default + Send + 'a>() -> BoxFuture<'a, Result<T, Error>> {
    Box::pin(std::future::ready(Ok(T::default())))
}

/// How long a connection attempt and a single reply may take at most; callers wait less.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
