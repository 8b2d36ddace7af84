//! Step by step: what is there is read, then written over, and what has been overwritten is looked at.
//!
//! Where nothing is to be there, the write is one step (`SET … NX`). Else another may write between
//! the question and the answer, most of all a deletion its tombstone. The write tells what was there
//! at that moment (`SET … GET`), so what should not have been overwritten is put back; and a write
//! before which a sweep began is taken back. Until then, which is one round trip, readers may see
//! what should not be there; and if this process ends just then, they do so for as long as it lives.

use std::sync::Arc;

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{Cmd, Value, pipe};
use bytes::Bytes;

use super::repair::{Repair, repair};
use super::{Holds, ask, conditional, holds, is_guarded, strings};
use crate::codec::write_id;
use crate::error::{Error, ErrorKind};
use crate::store::redis::Inner;
use crate::store::redis::commands::{put_plainly, send_all, unlink};
use crate::store::redis::fault::{is_of_another_type, protocol_error, server_error};
use crate::store::redis::watch::Announcer;
use crate::store::{Put, WriteBatch};

/// Carries out what takes more than one step; for each put of that, whether it was written.
pub(super) async fn carry_out(
    mut connection: MultiplexedConnection,
    inner: &Inner,
    batch: &WriteBatch<'_>,
) -> Result<Vec<bool>, Error> {
    if !batch.tails.is_empty() {
        // What is put in behind the first bytes of a key that ends just then would make a new one.
        return Err(Error::new(ErrorKind::Denied, "neither scripts nor transactions are allowed"));
    }
    let mut questions = pipe();
    conditional(batch).for_each(|put| ask(&mut questions, put));
    let answers = send_all(&mut connection, &questions).await?;
    let spoilt = spoilt(batch, &answers);
    let mut answers = strings(answers);
    let puts = conditional(batch).map(|put| Ok((put, holds(put, &mut answers)?)));
    let puts = puts.collect::<Result<Vec<_>, Error>>()?;

    // Where nothing of ours is, `SET … NX` finds that.
    let makes_room =
        |(put, holds): &&(&Put, Holds)| *holds == Holds::OverNothing && spoilt.contains(&&*put.key);
    let in_the_way: Vec<&str> = puts.iter().filter(makes_room).map(|(put, _)| &*put.key).collect();
    unlink(&mut connection, &inner.announcer, &in_the_way).await?;

    let fitting = puts.iter().filter(|(_, holds)| *holds != Holds::No);
    let fitting: Vec<_> = fitting.map(|(put, holds)| ((*put).clone(), *holds)).collect();
    if fitting.is_empty() {
        return Ok(vec![false; puts.len()]);
    }
    let write = put_all(connection, Arc::clone(&inner.announcer), fitting);
    let mut stored = inner.repairs.see_through(write).await?.into_iter();
    let stored = puts.iter().map(|(_, holds)| *holds != Holds::No && stored.next() == Some(true));
    Ok(stored.collect())
}

/// The keys that hold no string, among those that were asked about.
fn spoilt<'b>(batch: &WriteBatch<'b>, answers: &[Value]) -> Vec<&'b str> {
    let asked = conditional(batch).flat_map(|put| {
        let guard = put.guard.as_ref().map(|guard| &*guard.key);
        put.expect.is_some().then_some(&*put.key).into_iter().chain(guard)
    });
    asked
        .zip(answers)
        .filter(|(_, answer)| is_of_another_type(answer))
        .map(|(key, _)| key)
        .collect()
}

/// Writes, and takes back what should not have been written; for each put, whether that stays.
async fn put_all(
    mut connection: MultiplexedConnection,
    announcer: Arc<Announcer>,
    puts: Vec<(Put, Holds)>,
) -> Result<Vec<bool>, Error> {
    let mut commands = pipe();
    for (put, holds) in &puts {
        commands.add_command(put_and_tell(put, *holds));
    }
    for guard in puts.iter().filter_map(|(put, _)| put.guard.as_ref()) {
        commands.cmd("GET").arg(&guard.key);
    }
    announcer.announce(&mut commands, &puts.iter().map(|(put, _)| &*put.key));
    let mut replies = send_all(&mut connection, &commands).await?;
    let mut guards = strings(replies.split_off(puts.len()));

    // What was refused keeps nobody from taking back the rest.
    let (mut stored, mut repairs, mut result) = (Vec::with_capacity(puts.len()), vec![], Ok(()));
    for ((put, holds), reply) in puts.iter().zip(replies) {
        let guarded = is_guarded(put, &mut guards);
        let (is_stored, undo) = match Overwritten::by(put, *holds, reply) {
            Ok(overwritten) => overwritten.settle(put, *guarded.as_ref().unwrap_or(&false)),
            Err(error) => {
                result = result.and(Err(error));
                (false, None)
            }
        };
        stored.push(is_stored);
        repairs.extend(undo);
        result = result.and(guarded.map(drop));
    }
    let repaired = repair(&mut connection, &announcer, repairs).await;
    result.and(repaired)?;
    Ok(stored)
}

/// Writes, and tells what was there.
fn put_and_tell(put: &Put, holds: Holds) -> Cmd {
    let mut command = put_plainly(put);
    if holds == Holds::OverNothing {
        command.arg("NX");
    } else if put.expect.is_some() {
        command.arg("GET");
    }
    command
}

/// What was there when a put was carried out.
enum Overwritten {
    /// What was expected, or nothing is known of it.
    Fine,
    /// Nothing was to be there, and something was: it still is.
    Kept,
    /// Something else.
    Other(Option<Bytes>),
}

impl Overwritten {
    fn by(put: &Put, holds: Holds, reply: Value) -> Result<Self, Error> {
        let found = match server_error(reply)? {
            Value::Okay => return Ok(Self::Fine),
            Value::SimpleString(text) if text == "OK" => return Ok(Self::Fine),
            Value::Nil => None,
            Value::BulkString(bytes) => Some(bytes.into()),
            _ => return Err(protocol_error()),
        };
        Ok(match &put.expect {
            _ if holds == Holds::OverNothing => Self::Kept,
            Some(expected) if write_id(found.as_ref())[..] == expected[..] => Self::Fine,
            _ => Self::Other(found),
        })
    }

    /// Whether it was written, and what undoes it.
    fn settle(self, put: &Put, guarded: bool) -> (bool, Option<Repair>) {
        match self {
            Self::Fine if guarded => (true, None),
            Self::Kept => (false, None),
            Self::Fine => (false, Some(Repair::of(put, None))),
            Self::Other(other) => (false, Some(Repair::of(put, other))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(expect: Option<&'static [u8]>) -> Put {
        let expect = expect.map(Bytes::from_static);
        Put { key: "p:a:v1:1".into(), keep_for: Some(1000), expect, ..Put::default() }
    }

    fn undone(put: &Put, reply: Value, guarded: bool) -> (bool, String) {
        let nothing = put.expect.as_ref().is_some_and(Bytes::is_empty);
        let holds = if nothing { Holds::OverNothing } else { Holds::OverSomething };
        let overwritten = Overwritten::by(put, holds, reply).unwrap();
        let (stored, repair) = overwritten.settle(put, guarded);
        let sent = repair.map(|repair| repair.command().get_packed_command()).unwrap_or_default();
        (stored, String::from_utf8(sent).unwrap())
    }

    #[test]
    fn what_should_not_have_been_overwritten_is_put_back() {
        let stale = || Value::BulkString(b"12345678-stale--rest".to_vec());
        let tombstone = || Value::BulkString(b"12345678-buried-rest".to_vec());
        let expecting = put(Some(b"-stale--"));
        assert_eq!(undone(&expecting, stale(), true), (true, String::new()));
        let (stored, sent) = undone(&expecting, tombstone(), true);
        assert!(!stored && sent.contains("12345678-buried-rest"), "{sent}");
        assert!(sent.contains("600000"), "a tombstone lives as long as it has to: {sent}");
        for (reply, guarded) in [(Value::Nil, true), (stale(), false)] {
            let (stored, sent) = undone(&expecting, reply, guarded);
            assert!(!stored && sent.contains("GETDEL"), "{sent}");
        }
    }

    #[test]
    fn where_nothing_is_expected_nothing_is_overwritten() {
        let new = put(Some(b""));
        assert_eq!(undone(&new, Value::Okay, true), (true, String::new()));
        assert_eq!(undone(&new, Value::Nil, true), (false, String::new()));
        assert!(undone(&new, Value::Okay, false).1.contains("GETDEL"), "a sweep has begun");
        let guarded = put(None);
        assert_eq!(undone(&guarded, Value::Okay, true), (true, String::new()));
        assert!(Overwritten::by(&new, Holds::OverNothing, Value::Int(1)).is_err());
    }
}
