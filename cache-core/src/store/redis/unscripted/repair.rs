//! Taking back what should not have been written, also where nobody waits for the write any more.

use std::sync::Arc;
use std::time::Duration;

use bb8_redis::redis::{Cmd, Value, aio::MultiplexedConnection, cmd, pipe};
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::clock::as_millis;
use crate::codec::write_id;
use crate::error::{Error, ErrorKind};
use crate::fill::TOMBSTONE;
use crate::store::Put;
use crate::store::redis::NO_ANSWER;
use crate::store::redis::commands::{send_all, set_command};
use crate::store::redis::fault::{is_of_another_type, protocol_error, server_error};
use crate::store::redis::rights::is_refused;
use crate::store::redis::watch::Announcer;

/// So many writes are seen through by tasks of their own at once.
const MOST: usize = 32;
/// And each for no longer than this.
const LONGEST: Duration = Duration::from_secs(3);
/// What others write meanwhile is put back again, but not for ever.
const ATTEMPTS: usize = 4;

/// The places for writes that are seen through.
#[derive(Debug, Clone)]
pub(in crate::store::redis) struct Repairs(Arc<Semaphore>);

impl Default for Repairs {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Repairs {
    /// Does it to the end even if the caller has no time for that, as long as there is a place.
    pub(super) async fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let Ok(place) = Arc::clone(&self.0).try_acquire_owned() else { return work.await };
        let task = tokio::spawn(async move {
            let _place = place;
            tokio::time::timeout(LONGEST, work).await
        });
        match task.await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(Error::new(ErrorKind::Timeout, NO_ANSWER)),
            Err(_) => Err(Error::new(ErrorKind::Unavailable, "the write was cut short")),
        }
    }
}

/// What is there, and what should be instead; `None`: nothing.
#[derive(Debug)]
pub(super) struct Repair {
    key: String,
    keep_for: Option<u64>,
    placed: Option<Bytes>,
    wanted: Option<Bytes>,
    /// What was there can't be told while it is removed.
    is_blind: bool,
}

impl Repair {
    /// Of a put that was carried out, though this was to stay.
    pub(super) fn of(put: &Put, wanted: Option<Bytes>) -> Self {
        // For how long that was to live is not known: as long as a tombstone at least. What else it
        // is says itself until when it is good.
        let keep_for = put.keep_for.map(|keep_for| keep_for.max(as_millis(TOMBSTONE)));
        let (key, placed) = (put.key.clone(), Some(put.value.clone()));
        Self { key, keep_for, placed, wanted, is_blind: false }
    }

    /// Tells what it has taken the place of.
    pub(super) fn command(&self) -> Cmd {
        let Some(wanted) = &self.wanted else {
            let mut command = cmd(if self.is_blind { "UNLINK" } else { "GETDEL" });
            command.arg(&self.key);
            return command;
        };
        let mut command = set_command(&self.key, wanted, self.keep_for);
        command.arg("GET");
        command
    }

    /// What is left to do: somebody may have been there in between, who comes last then.
    fn after(mut self, reply: Value) -> Result<Option<Self>, Error> {
        if self.wanted.is_none() && !self.is_blind && is_refused(&reply) {
            self.is_blind = true;
            return Ok(Some(self));
        }
        let found = match reply {
            Value::Nil => None,
            Value::BulkString(bytes) => Some(bytes.into()),
            Value::Int(_) => return Ok(None),
            // Whoever put that there was later.
            reply if is_of_another_type(&reply) => return Ok(None),
            other => return Err(server_error(other).err().unwrap_or_else(protocol_error)),
        };
        if is_same(found.as_ref(), self.placed.as_ref())
            || is_same(found.as_ref(), self.wanted.as_ref())
        {
            return Ok(None);
        }
        self.placed = self.wanted;
        self.wanted = found;
        Ok(Some(self))
    }
}

fn is_same(one: Option<&Bytes>, other: Option<&Bytes>) -> bool {
    let id = write_id(one);
    one == other || (!id.is_empty() && id == write_id(other))
}

/// Carries them all out; the first error, if any.
pub(super) async fn repair(
    connection: &mut MultiplexedConnection,
    announcer: &Announcer,
    mut repairs: Vec<Repair>,
) -> Result<(), Error> {
    let mut result = Ok(());
    for _ in 0..ATTEMPTS {
        if repairs.is_empty() {
            break;
        }
        let mut commands = pipe();
        for repair in &repairs {
            commands.add_command(repair.command());
        }
        announcer.announce(&mut commands, &repairs.iter().map(|repair| &*repair.key));
        let replies = send_all(connection, &commands).await?;
        let mut left = Vec::new();
        for (repair, reply) in repairs.into_iter().zip(replies) {
            match repair.after(reply) {
                Ok(more) => left.extend(more),
                Err(error) => result = result.and(Err(error)),
            }
        }
        repairs = left;
    }
    result
}

#[cfg(test)]
mod tests {
    use bb8_redis::redis::parse_redis_value;

    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn found(text: &'static str) -> Value {
        Value::BulkString(text.into())
    }

    fn sent(repair: &Repair) -> String {
        String::from_utf8(repair.command().get_packed_command()).unwrap()
    }

    fn over(wanted: Option<&'static str>) -> Repair {
        let value = bytes("12345678-ours---rest");
        let put = Put { key: "p:a:v1:1".into(), value, keep_for: Some(1000), ..Put::default() };
        Repair::of(&put, wanted.map(bytes))
    }

    const BURIED: &str = "12345678-buried-rest";
    const LATER: &str = "12345678-later--rest";

    /// Pinned: it was put back whatever had come in between: what had been deleted then was there again.
    #[test]
    fn what_has_come_in_between_comes_last() {
        let again = || over(Some(BURIED));
        assert!(sent(&again()).contains("600000") && sent(&again()).contains("GET"));
        for done in [found("12345678-ours---rest"), found(BURIED)] {
            assert!(again().after(done).unwrap().is_none());
        }
        let later = again().after(found(LATER)).unwrap().unwrap();
        assert!(sent(&later).contains(LATER), "{}", sent(&later));
        assert!(later.after(found(BURIED)).unwrap().is_none());
        let removed = again().after(Value::Nil).unwrap().unwrap();
        assert!(sent(&removed).contains("GETDEL"), "{}", sent(&removed));
        assert!(removed.after(found(BURIED)).unwrap().is_none());
    }

    #[test]
    fn what_is_removed_is_known_where_that_is_allowed() {
        let later = over(None).after(found(LATER)).unwrap().unwrap();
        assert!(sent(&later).contains(LATER) && later.after(Value::Nil).unwrap().is_none());
        let refused = parse_redis_value(b"-ERR unknown command 'GETDEL'\r\n").unwrap();
        let blind = over(None).after(refused).unwrap().unwrap();
        assert!(sent(&blind).contains("UNLINK") && blind.after(Value::Int(1)).unwrap().is_none());
        let full = parse_redis_value(b"-OOM command not allowed\r\n").unwrap();
        assert!(over(Some(BURIED)).after(full).is_err());
    }
}
