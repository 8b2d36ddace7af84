//! Which server answers: a restart, a restored snapshot or a failover makes it another one.
//!
//! A server is known by what `INFO` calls `run_id` and `master_replid`. Where that is refused,
//! every loss of a connection may mean another server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bb8_redis::redis::Value;
use tokio::sync::watch;

use super::fault::server_error;
use crate::error::Error;

/// The server as last met.
#[derive(Debug, Default)]
pub(super) struct Identity {
    met: Mutex<Met>,
    incarnation: AtomicU64,
    /// Whether a connection was lost since the last one was made.
    lost: AtomicBool,
    /// How often somebody has said that another server is in its place.
    successors: watch::Sender<u64>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Met {
    #[default]
    Nobody,
    /// It does not say who it is.
    Stranger,
    Named(String),
}

impl Identity {
    /// Counts how often the server was another than before, or may have been.
    pub(super) fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    /// Takes note of who answers on a new connection; the incarnation that it belongs to.
    pub(super) fn meet(&self, name: Option<String>) -> u64 {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = self.lost.swap(false, Ordering::AcqRel);
        let now = name.map_or(Met::Stranger, Met::Named);
        let another = match (&*met, &now) {
            (Met::Nobody, _) => false,
            (Met::Named(before), Met::Named(now)) => before != now,
            _ => lost,
        };
        *met = now;
        if another {
            // Under the lock, so that the last one met is the one that counts.
            self.incarnation.fetch_add(1, Ordering::AcqRel);
        }
        self.incarnation()
    }

    /// It is no longer known what the server has said: as if it were another one.
    pub(super) fn doubt(&self) {
        let _met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        self.incarnation.fetch_add(1, Ordering::AcqRel);
    }

    /// Another server has taken the place of the one last met, whoever it is.
    pub(super) fn replaced(&self) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        *met = Met::Nobody;
        self.incarnation.fetch_add(1, Ordering::AcqRel);
        self.successors.send_modify(|count| *count += 1);
    }

    /// Told each time that another server is [said](Self::replaced) to be in the place of this one.
    pub(super) fn successors(&self) -> watch::Receiver<u64> {
        self.successors.subscribe()
    }

    /// The name of the server that was met last, if it has one.
    pub(super) fn last_met(&self) -> Option<String> {
        match &*self.met.lock().unwrap_or_else(PoisonError::into_inner) {
            Met::Named(name) => Some(name.clone()),
            Met::Nobody | Met::Stranger => None,
        }
    }

    /// A connection has been lost.
    pub(super) fn note_loss(&self) {
        self.lost.store(true, Ordering::Release);
    }
}

/// The name of a server, from what it answered to `INFO server` and `INFO replication`.
pub(super) fn name(server: &Value, replication: &Value) -> Option<String> {
    let run = field(server, "run_id:")?;
    let history = field(replication, "master_replid:").unwrap_or_default();
    Some(format!("{run} {history}"))
}

/// An error if the server says that it answers nothing for now: who is loading, or busy with a script,
/// is not one that does not say who it is.
pub(super) fn refuse_if_busy(reply: &Value) -> Result<(), Error> {
    match reply {
        Value::ServerError(_) => match server_error(reply.clone()) {
            Err(error) if error.is_passing() => Err(error),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

pub(super) fn field<'v>(info: &'v Value, name: &str) -> Option<&'v str> {
    let text = match info {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => text,
        _ => return None,
    };
    text.lines().find_map(|line| line.strip_prefix(name)).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use bb8_redis::redis::parse_redis_value;

    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "as a server gives it")]
    fn named(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn a_server_with_a_name_is_another_if_its_name_is() {
        let identity = Identity::default();
        assert_eq!(identity.meet(named("a")), 0);
        identity.note_loss();
        assert_eq!(identity.meet(named("a")), 0);
        assert_eq!(identity.meet(named("b")), 1);
        assert_eq!(identity.meet(named("b")), 1);
        assert_eq!(identity.meet(named("a")), 2);
        assert_eq!(identity.last_met(), named("a"));
    }

    #[test]
    fn one_without_may_be_another_after_each_loss_of_a_connection() {
        let identity = Identity::default();
        // Nothing can have been forgotten before the first.
        identity.note_loss();
        assert_eq!(identity.meet(None), 0);
        assert_eq!(identity.meet(None), 0, "the pool grows");
        identity.note_loss();
        identity.note_loss();
        assert_eq!(identity.meet(None), 1);
        assert_eq!(identity.meet(None), 1);
        identity.note_loss();
        assert_eq!(identity.meet(named("a")), 2, "it may be told now");
        identity.note_loss();
        assert_eq!(identity.meet(None), 3, "or no more");
    }

    #[test]
    fn one_that_was_replaced_is_another_at_once_and_only_once() {
        let identity = Identity::default();
        assert_eq!(identity.meet(named("a")), 0);
        identity.replaced();
        assert_eq!(identity.incarnation(), 1);
        assert_eq!(identity.meet(named("b")), 1);
        identity.note_loss();
        identity.replaced();
        assert_eq!(identity.meet(None), 2);
    }

    #[test]
    fn all_who_wait_hear_of_a_successor_and_of_nothing_else() {
        let identity = Identity::default();
        let heard = [identity.successors(), identity.successors()];
        identity.meet(named("a"));
        identity.meet(named("b"));
        identity.doubt();
        assert!(heard.iter().all(|heard| !heard.has_changed().unwrap()), "nobody has said so");
        identity.replaced();
        assert!(heard.iter().all(|heard| heard.has_changed().unwrap()));
        assert!(!identity.successors().has_changed().unwrap(), "what was before");
    }

    #[test]
    fn who_is_busy_is_not_met_and_who_may_not_tell_is() {
        let reply = |text: &str| parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap();
        for busy in
            ["BUSY Redis is busy running a script.", "LOADING Redis is loading", "NOAUTH no"]
        {
            assert!(refuse_if_busy(&reply(busy)).is_err(), "{busy}");
        }
        for refused in ["NOPERM no permissions", "ERR unknown command 'INFO'", "ERR unsupported"] {
            assert!(refuse_if_busy(&reply(refused)).is_ok(), "{refused}");
        }
        assert!(refuse_if_busy(&Value::Nil).is_ok());
    }

    #[test]
    fn a_name_is_made_of_both_and_of_nothing_else() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let server = text("# Server\r\nredis_version:7\r\nrun_id:abc\r\n");
        let replication = text("role:master\r\nmaster_replid:def\r\nmaster_replid2:0\r\n");
        assert_eq!(name(&server, &replication).as_deref(), Some("abc def"));
        assert_eq!(name(&server, &Value::Nil).as_deref(), Some("abc "));
        for bad in [Value::Nil, text(""), text("run_id:\r\n"), Value::Int(1)] {
            assert_eq!(name(&bad, &replication), None);
        }
        assert_eq!(name(&Value::BulkString(vec![0xFF]), &replication), None);
    }
}
