//! What a connection asks, beside who and what time it is, and what the answers say.

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{Pipeline, Value, pipe};

use super::{Refused, Rights, Time, is_refused};
use crate::clock::{Clock, Millis, system_millis};
use crate::error::Error;
use crate::store::redis::commands::send_all;
use crate::store::redis::identity::field;
use crate::store::redis::watch::channel;

/// The digest of no script: `NOSCRIPT` says that scripts may be run.
const NO_SCRIPT: &str = "ffffffffffffffffffffffffffffffffffffffff";
/// `PEXPIRE … GT` is from this version on.
const LENGTHENING_SINCE: u64 = 7;

/// Adds the questions. They change nothing, and take no key.
pub(in crate::store::redis) fn questions(commands: &mut Pipeline) {
    commands.cmd("EVALSHA").arg(NO_SCRIPT).arg(0);
    commands.cmd("HELLO");
    commands.cmd("CLIENT").arg("TRACKING").arg("OFF");
}

impl Rights {
    /// Takes in the answers to those, and asks what follows from them. `time` and `server` are what
    /// `TIME` and `INFO server` said; `prefix` is that of the keys, if it is known here.
    pub(in crate::store::redis) async fn learn(
        &self,
        connection: &mut MultiplexedConnection,
        (clock, prefix): (&Clock, Option<&str>),
        (time, server): (&Value, &Value),
        mut answers: impl Iterator<Item = Value>,
    ) -> Result<(), Error> {
        let mut next = || answers.next().unwrap_or(Value::Nil);
        let (script, hello, tracking) = (next(), next(), next());
        let mut refused = Refused {
            // Over RESP2 it would tell of nothing.
            tracking: is_refused(&tracking) || is_refused(&hello),
            publishing: false,
            time: is_refused(time).then_some(Time::Own),
            identity: is_refused(server) || is_silent(server),
        };
        self.scripts.set(!is_refused(&script));
        let major = major_version(server, &hello);
        let old = major.is_some_and(|major| major < LENGTHENING_SINCE);
        self.no_lengthening.store(old, std::sync::atomic::Ordering::Relaxed);

        let mut more = pipe();
        let asks_for_transactions = !self.scripts.is_granted();
        if asks_for_transactions {
            match prefix {
                Some(prefix) => more.cmd("WATCH").arg(clock_key(prefix)),
                None => more.cmd("UNWATCH"),
            };
            // Without `MULTI` that is an error, but another one than a refusal.
            more.cmd("EXEC");
        }
        let publishes = refused.tracking.then_some(prefix).flatten();
        if let Some(prefix) = publishes {
            more.cmd("PUBLISH").arg(channel(prefix)).arg("");
        }
        let streams = refused.time.and(prefix);
        if let Some(prefix) = streams {
            let key = clock_key(prefix);
            more.cmd("XADD").arg(&key).arg("MAXLEN").arg(1).arg("*").arg("t").arg(1);
            more.cmd("UNLINK").arg(&key);
        }
        if !more.is_empty() {
            let asked = system_millis();
            let mut answers = send_all(connection, &more).await?.into_iter();
            let mut next = || answers.next().unwrap_or(Value::Nil);
            let transactions = asks_for_transactions.then(|| [next(), next()]);
            if publishes.is_some() {
                refused.publishing = is_refused(&next());
            }
            if let Some(now) = streams.and_then(|_| time_of(&next())) {
                clock.synchronize(now, asked);
                refused.time = Some(Time::ByStream);
            }
            if let Some(watch_and_exec) = transactions {
                let refused = watch_and_exec.iter().any(is_refused);
                self.transactions.set(!refused && may_begin(connection).await?);
            }
        }
        self.known().refused = refused;
        self.tell();
        Ok(())
    }
}

/// The one key that these questions are about, if they are about any.
fn clock_key(prefix: &str) -> String {
    format!("{prefix}:clock")
}

/// Asked only of who may end a transaction, too.
async fn may_begin(connection: &mut MultiplexedConnection) -> Result<bool, Error> {
    let mut empty = pipe();
    empty.cmd("MULTI").cmd("EXEC");
    let replies = send_all(connection, &empty).await?;
    Ok(!replies.iter().any(is_refused))
}

/// Some services leave out who they are.
fn is_silent(server: &Value) -> bool {
    !matches!(server, Value::ServerError(_)) && field(server, "run_id:").is_none()
}

/// When a stream entry was made, by its id: `{milliseconds}-{number}`.
fn time_of(id: &Value) -> Option<Millis> {
    let Value::BulkString(id) = id else { return None };
    std::str::from_utf8(id).ok()?.split_once('-')?.0.parse().ok()
}

/// By what `INFO server` says, or `HELLO`.
fn major_version(server: &Value, hello: &Value) -> Option<u64> {
    let by_hello = || match hello {
        Value::Array(items) => {
            let (named, _) = items.as_chunks::<2>();
            named
                .iter()
                .find_map(|[name, value]| (text(name)? == "version").then(|| text(value))?)
        }
        Value::Map(items) => items
            .iter()
            .find_map(|(name, value)| (text(name)? == "version").then(|| text(value))?),
        _ => None,
    };
    let version = field(server, "redis_version:").or_else(by_hello)?;
    version.split('.').next()?.parse().ok()
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn the_version_is_told_by_either() {
        let info = string("# Server\r\nredis_version:6.2.14\r\nrun_id:a\r\n");
        let words = || ["server", "redis", "version", "8.0.1", "proto"].map(string);
        let flat = Value::Array([&words()[..], &[Value::Int(2)]].concat());
        let map = Value::Map(vec![(string("version"), string("7.2.4"))]);
        assert_eq!(major_version(&info, &flat), Some(6));
        assert_eq!(major_version(&Value::Nil, &flat), Some(8));
        assert_eq!(major_version(&Value::Nil, &map), Some(7));
        for unknown in [Value::Nil, string("no"), Value::Array(vec![string("version")])] {
            assert_eq!(major_version(&Value::Nil, &unknown), None);
        }
    }

    #[test]
    fn the_id_of_a_stream_entry_tells_the_time() {
        assert_eq!(time_of(&string("1700000000123-0")), Some(1_700_000_000_123));
        for bad in [string("-"), string("1700"), Value::Nil, Value::Int(1)] {
            assert_eq!(time_of(&bad), None);
        }
    }
}
