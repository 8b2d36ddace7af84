//! The Redis store: a standalone server, shared multiplexed connections, one budget around all.
//!
//! - `options`: where the server is and how to reach it;
//! - `connect`: the pool of connections;
//! - `budget`: the deadline and the breaker around every operation;
//! - `script`: compare-and-set;
//! - `fault`: what each error means.

mod budget;
mod connect;
mod fault;
mod options;
mod script;

use std::sync::Arc;
use std::time::Duration;

use bb8_redis::redis::{Cmd, Pipeline, Value, aio::MultiplexedConnection, cmd, pipe};
use bytes::Bytes;

use self::budget::Breaker;
use self::connect::Connections;
use self::fault::{protocol_error, server_error};
use super::{BoxFuture, Put, ScanStep, Store, WriteBatch, Written};
use crate::clock::{Clock, Deadline, Millis};
use crate::error::{Error, ErrorKind};

pub use options::RedisOptions;

/// How many keys one `SCAN` step looks at: short enough not to hold others up.
const SCAN_COUNT: usize = 256;

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
}

impl RedisStore {
    /// A store at the server that the options name. Does not connect yet.
    pub fn new(options: &RedisOptions, clock: Clock) -> Result<Self, Error> {
        let connections = Connections::new(options, clock)?;
        Ok(Self { inner: Arc::new(Inner { connections, breaker: Breaker::default() }) })
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
            return Err(Error::new(ErrorKind::Unavailable, "Redis is away (breaker open)"));
        }
        let attempt = async {
            let connection = inner.connections.get().await?;
            let result = operation(connection.multiplexed()).await;
            if let Err(error) = &result {
                connection.report(error);
            }
            result
        };
        let result = match tokio::time::timeout_at(deadline.instant(), attempt).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(ErrorKind::Timeout, "Redis did not answer within the budget")),
        };
        match &result {
            Err(error) if error.is_outage() => budget::count_failure(inner),
            _ => inner.breaker.succeeded(),
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
        Box::pin(self.run(deadline, async move |mut connection| {
            let mut command = cmd("MGET");
            command.arg(keys);
            strings(send(&mut connection, &command).await?, keys.len())
        }))
    }

    fn write<'a>(
        &'a self,
        batch: WriteBatch<'a>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(self.run(deadline, async move |mut connection| {
            let mut commands = pipe();
            for put in batch.puts {
                commands.add_command(put_command(put));
            }
            for (key, keep_for) in batch.extend {
                // GT: never shorten. Redis before 7 refuses the word; then the key keeps its time.
                commands.cmd("PEXPIRE").arg(key).arg(keep_for).arg("GT");
            }
            if !batch.read.is_empty() {
                commands.cmd("MGET").arg(batch.read);
            }
            let mut replies = send_all(&mut connection, &commands).await?.into_iter();
            let mut stored = Vec::with_capacity(batch.puts.len());
            for put in batch.puts {
                let reply = replies.next().unwrap_or(Value::Nil);
                stored.push(if script::is_missing(&reply) {
                    script::load_and_run(&mut connection, put).await?
                } else {
                    script::stored(reply)?
                });
            }
            let mut replies = replies.skip(batch.extend.len());
            let read = match replies.next() {
                Some(reply) => strings(reply, batch.read.len())?,
                None => Vec::new(),
            };
            Ok(Written { stored, read })
        }))
    }

    fn create<'a>(
        &'a self,
        entries: &'a [(&'a str, String)],
        keep_for: Millis,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, Error>> {
        Box::pin(self.run(deadline, async move |mut connection| {
            let mut commands = pipe();
            for (key, value) in entries {
                commands.cmd("SET").arg(key).arg(value).arg("NX").arg("PX").arg(keep_for);
            }
            let keys: Vec<&str> = entries.iter().map(|(key, _)| *key).collect();
            commands.cmd("MGET").arg(&keys);
            let mut replies = send_all(&mut connection, &commands).await?;
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
            let mut command = cmd("UNLINK");
            command.arg(keys);
            match send(&mut connection, &command).await? {
                Value::Int(removed) => Ok(u64::try_from(removed).unwrap_or(0)),
                _ => Err(protocol_error()),
            }
        }))
    }

    fn scan<'a>(
        &'a self,
        glob: &'a str,
        cursor: u64,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<ScanStep, Error>> {
        Box::pin(self.run(deadline, async move |mut connection| {
            let mut command = cmd("SCAN");
            command.arg(cursor).arg("MATCH").arg(glob).arg("COUNT").arg(SCAN_COUNT);
            let reply = send(&mut connection, &command).await?;
            let (cursor, keys): (u64, Vec<String>) =
                bb8_redis::redis::from_redis_value(reply).map_err(|_| protocol_error())?;
            Ok(ScanStep { cursor, keys })
        }))
    }

    fn ping(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.run(deadline, async move |mut connection| {
            send(&mut connection, &cmd("PING")).await.map(drop)
        }))
    }

    fn is_available(&self) -> bool {
        let closed = self.inner.breaker.is_closed();
        if !closed {
            budget::ensure_probe(&self.inner);
        }
        closed
    }

    fn name(&self) -> &'static str {
        "redis"
    }

    fn close(&self) {
        self.inner.breaker.close_for_good();
        self.inner.connections.discard_all();
    }
}

fn put_command(put: &Put) -> Cmd {
    if put.expect.is_some() {
        return script::command(put);
    }
    let mut command = cmd("SET");
    command.arg(&put.key).arg(&put.value[..]);
    if let Some(keep_for) = put.keep_for {
        command.arg("PX").arg(keep_for.max(1));
    }
    command
}

async fn send(connection: &mut MultiplexedConnection, command: &Cmd) -> Result<Value, Error> {
    server_error(connection.send_packed_command(command).await?)
}

async fn send_all(
    connection: &mut MultiplexedConnection,
    commands: &Pipeline,
) -> Result<Vec<Value>, Error> {
    let expected = commands.len();
    let replies = connection.send_packed_commands(commands, 0, expected).await?;
    if replies.len() == expected { Ok(replies) } else { Err(protocol_error()) }
}

/// The strings of an `MGET` reply; what is not a string counts as absent.
fn strings(reply: Value, expected: usize) -> Result<Vec<Option<Bytes>>, Error> {
    let Value::Array(items) = server_error(reply)? else { return Err(protocol_error()) };
    if items.len() != expected {
        return Err(protocol_error());
    }
    let string = |item| match item {
        Value::BulkString(bytes) => Some(Bytes::from(bytes)),
        _ => None,
    };
    Ok(items.into_iter().map(string).collect())
}

/// How long a connection attempt and a single reply may take at most; callers wait less.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
