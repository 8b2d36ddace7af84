//! Step by step: what is there is read, then written over, and what has been overwritten is looked at.
//!
//! Where nothing is to be there, the write is one step (`SET … NX`). Else another may write between
//! the question and the answer, most of all a deletion its tombstone. The write tells what was there
//! at that moment (`SET … GET`), so what should not have been overwritten is put back; and a write
//! before which a sweep began is taken back. Until then, which is one round trip, readers may see
//! what should not be there; and if this process ends just then, they do so for as long as it lives.

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{Cmd, Pipeline, Value, cmd, pipe};
use bytes::Bytes;

use super::{Holds, ask, conditional, holds, is_guarded, strings, touched};
use crate::clock::as_millis;
use crate::codec::write_id;
use crate::error::{Error, ErrorKind};
use crate::fill::TOMBSTONE;
use crate::store::redis::commands::{longest, put_plainly, send_all};
use crate::store::redis::fault::{protocol_error, server_error};
use crate::store::redis::watch::Announcer;
use crate::store::{Put, WriteBatch};

/// Carries out what takes more than one step; for each put of that, whether it was written.
pub(super) async fn carry_out(
    mut connection: MultiplexedConnection,
    announcer: &Announcer,
    batch: &WriteBatch<'_>,
) -> Result<Vec<bool>, Error> {
    if !batch.tails.is_empty() {
        // What is put in behind the first bytes of a key that ends just then would make a new one.
        return Err(Error::new(ErrorKind::Denied, "neither scripts nor transactions are allowed"));
    }
    let mut questions = pipe();
    conditional(batch).for_each(|put| ask(&mut questions, put));
    let mut answers = strings(send_all(&mut connection, &questions).await?);
    let puts = conditional(batch).map(|put| Ok((put, holds(put, &mut answers)?)));
    let puts = puts.collect::<Result<Vec<_>, Error>>()?;

    let mut commands = pipe();
    let fitting = || puts.iter().filter(|(_, holds)| *holds != Holds::No);
    for (put, holds) in fitting() {
        commands.add_command(put_and_tell(put, *holds));
    }
    for guard in fitting().filter_map(|(put, _)| put.guard.as_ref()) {
        commands.cmd("GET").arg(&guard.key);
    }
    if commands.is_empty() {
        return Ok(vec![false; puts.len()]);
    }
    announcer.announce(&mut commands, &touched(batch));
    let mut replies = send_all(&mut connection, &commands).await?;
    let mut guards = strings(replies.split_off(fitting().count()));
    let mut replies = replies.into_iter();

    let (mut stored, mut repairs) = (Vec::with_capacity(puts.len()), pipe());
    for (put, holds) in &puts {
        stored.push(if *holds == Holds::No {
            false
        } else {
            let overwritten = Overwritten::by(put, *holds, replies.next().unwrap_or(Value::Nil))?;
            let guarded = is_guarded(put, &mut guards)?;
            overwritten.settle(put, guarded, &mut repairs)
        });
    }
    if !repairs.is_empty() {
        let count = repairs.len();
        announcer.announce(&mut repairs, &touched(batch));
        let repaired = send_all(&mut connection, &repairs).await?;
        repaired.into_iter().take(count).try_for_each(|reply| server_error(reply).map(drop))?;
    }
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

    /// True if it was written; else what undoes it is added.
    fn settle(self, put: &Put, guarded: bool, repairs: &mut Pipeline) -> bool {
        match self {
            Self::Fine if guarded => return true,
            Self::Kept => {}
            Self::Other(Some(other)) => {
                repairs.add_command(put_back(put, &other));
            }
            Self::Fine | Self::Other(None) => {
                repairs.cmd("UNLINK").arg(&put.key);
            }
        }
        false
    }
}

/// For how long it was to live is not known: as long as a tombstone at least. What else it is says
/// itself until when it is good.
fn put_back(put: &Put, other: &Bytes) -> Cmd {
    let mut command = cmd("SET");
    command.arg(&put.key).arg(&other[..]);
    if let Some(keep_for) = put.keep_for {
        command.arg("PX").arg(longest(keep_for.max(as_millis(TOMBSTONE))));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(expect: Option<&'static [u8]>) -> Put {
        let expect = expect.map(Bytes::from_static);
        Put { key: "p:a:v1:1".into(), keep_for: Some(1000), expect, ..Put::default() }
    }

    fn undone(put: &Put, reply: Value, guarded: bool) -> (bool, String) {
        let mut repairs = pipe();
        let nothing = put.expect.as_ref().is_some_and(Bytes::is_empty);
        let holds = if nothing { Holds::OverNothing } else { Holds::OverSomething };
        let overwritten = Overwritten::by(put, holds, reply).unwrap();
        let stored = overwritten.settle(put, guarded, &mut repairs);
        let sent = String::from_utf8(repairs.get_packed_pipeline()).unwrap();
        (stored, sent)
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
            assert!(!stored && sent.contains("UNLINK"), "{sent}");
        }
    }

    #[test]
    fn where_nothing_is_expected_nothing_is_overwritten() {
        let new = put(Some(b""));
        assert_eq!(undone(&new, Value::Okay, true), (true, String::new()));
        assert_eq!(undone(&new, Value::Nil, true), (false, String::new()));
        assert!(undone(&new, Value::Okay, false).1.contains("UNLINK"), "a sweep has begun");
        let guarded = put(None);
        assert_eq!(undone(&guarded, Value::Okay, true), (true, String::new()));
        assert!(Overwritten::by(&new, Holds::OverNothing, Value::Int(1)).is_err());
    }
}
