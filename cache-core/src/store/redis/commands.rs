//! The commands of the store, and what their replies have to look like.

use bb8_redis::redis::{Cmd, Pipeline, Value, aio::MultiplexedConnection, cmd, pipe};
use bytes::Bytes;

use super::fault::{protocol_error, server_error};
use super::script;
use super::watch::Announcer;
use crate::clock::Millis;
use crate::codec::is_tombstone;
use crate::error::Error;
use crate::store::{Put, WriteBatch};

pub(super) fn put_command(put: &Put) -> Cmd {
    if put.expect.is_some() || put.guard.is_some() {
        return script::command(put);
    }
    put_plainly(put)
}

/// Whatever is there.
pub(super) fn put_plainly(put: &Put) -> Cmd {
    set_command(&put.key, &put.value, put.keep_for)
}

/// Puts a value under a key, for so long or until it is removed.
pub(super) fn set_command(key: &str, value: &[u8], keep_for: Option<Millis>) -> Cmd {
    let mut command = cmd("SET");
    command.arg(key).arg(value);
    if let Some(keep_for) = keep_for {
        command.arg("PX").arg(longest(keep_for));
    }
    command
}

/// Gives a key a value unless it has one.
pub(super) fn create_command(key: &str, value: &str, keep_for: Millis) -> Cmd {
    let mut command = set_command(key, value.as_bytes(), Some(keep_for));
    command.arg("NX");
    command
}

/// Asks for a part of what is under a key, from the first byte to the last.
pub(super) fn range_command(key: &str, from: isize, to: isize) -> Cmd {
    let mut command = cmd("GETRANGE");
    command.arg(key).arg(from).arg(to);
    command
}

/// Keeps a key for longer.
pub(super) fn extend_command(key: &str, keep_for: Millis) -> Cmd {
    let mut command = cmd("PEXPIRE");
    // GT: never shorten. Redis before 7 refuses the word; then the key keeps its time.
    command.arg(key).arg(longest(keep_for)).arg("GT");
    command
}

/// What has an answer of its own: puts, then tails.
pub(super) fn changes(batch: &WriteBatch<'_>) -> impl Iterator<Item = Cmd> {
    let tails = batch.tails.iter().map(|(key, tail)| script::tail_command(key, tail));
    batch.puts.iter().map(put_command).chain(tails)
}

/// The keys that are changed by that.
pub(super) fn changed<'a>(batch: &WriteBatch<'a>) -> impl Iterator<Item = &'a str> + Clone {
    let puts = batch.puts.iter().map(|put| &*put.key);
    puts.chain(batch.tails.iter().map(|(key, _)| *key))
}

/// Tails are put in in their order: if one has to be repeated, so have all.
pub(super) fn repeat_together(tails: &mut [Value]) {
    if let Some(missing) = tails.iter().find(|reply| script::is_missing(reply)).cloned() {
        tails.fill(missing);
    }
}

/// Carries out those changes for which the server lacked the script, and reads anew.
pub(super) async fn write_again(
    connection: &mut MultiplexedConnection,
    announcer: &Announcer,
    batch: WriteBatch<'_>,
    replies: &mut [Value],
) -> Result<Option<Value>, Error> {
    script::load(connection).await?;
    let mut commands = pipe();
    for (change, _) in changes(&batch).zip(&*replies).filter(|(_, reply)| script::is_missing(reply))
    {
        commands.add_command(change);
    }
    if !batch.read.is_empty() {
        commands.cmd("MGET").arg(batch.read);
    }
    let added = announcer.announce(&mut commands, &changed(&batch));
    let mut again = send_all(connection, &commands).await?;
    again.truncate(again.len().saturating_sub(added));
    let read = if batch.read.is_empty() { None } else { again.pop() };
    let missing = replies.iter_mut().filter(|reply| script::is_missing(reply));
    for (reply, again) in missing.zip(again) {
        *reply = again;
    }
    Ok(read)
}

/// A time that Redis takes: above zero, and not so long that its clock would overflow.
pub(super) fn longest(keep_for: Millis) -> Millis {
    const CENTURIES: Millis = 1000 * 365 * 24 * 60 * 60 * 1000;
    keep_for.clamp(1, CENTURIES)
}

pub(super) async fn mget(
    mut connection: MultiplexedConnection,
    command: &Cmd,
    keys: usize,
) -> Result<Vec<Option<Bytes>>, Error> {
    strings(send(&mut connection, command).await?, keys)
}

pub(super) async fn send(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
) -> Result<Value, Error> {
    server_error(connection.send_packed_command(command).await?)
}

pub(super) async fn send_all(
    connection: &mut MultiplexedConnection,
    commands: &Pipeline,
) -> Result<Vec<Value>, Error> {
    let expected = commands.len();
    if expected == 0 {
        // Nothing was left of them, which the client takes for a mistake.
        return Ok(Vec::new());
    }
    let replies = connection.send_packed_commands(commands, 0, expected).await?;
    if replies.len() == expected { Ok(replies) } else { Err(protocol_error()) }
}

/// Removes keys; how many there were.
pub(super) async fn unlink(
    connection: &mut MultiplexedConnection,
    announcer: &Announcer,
    keys: &[&str],
) -> Result<u64, Error> {
    if keys.is_empty() {
        return Ok(0);
    }
    let mut commands = pipe();
    commands.cmd("UNLINK").arg(keys);
    announcer.announce(&mut commands, &keys.iter().copied());
    let removed = send_all(connection, &commands).await?.into_iter().next();
    match server_error(removed.unwrap_or(Value::Nil))? {
        Value::Int(removed) => Ok(u64::try_from(removed).unwrap_or(0)),
        _ => Err(protocol_error()),
    }
}

/// Those of the keys that hold values, not tombstones; with `only_there`, those that hold anything.
pub(super) async fn values_among<'k>(
    connection: &mut MultiplexedConnection,
    keys: &[&'k str],
    only_there: bool,
) -> Result<Vec<&'k str>, Error> {
    let mut heads = pipe();
    for key in keys {
        heads.add_command(range_command(key, HEAD.0, HEAD.1));
    }
    let heads = send_all(connection, &heads).await?;
    let values = keys.iter().zip(&heads).filter(|(_, head)| is_value(head, only_there));
    Ok(values.map(|(key, _)| *key).collect())
}

/// The bytes by which [`is_value`] goes: the first and the last.
pub(super) const HEAD: (isize, isize) = (0, 5);

/// Whether what begins so is a value, not a tombstone; with `only_there`, whether it is anything. What
/// is no string can't be a tombstone.
pub(super) fn is_value(head: &Value, only_there: bool) -> bool {
    match head {
        Value::BulkString(head) if only_there && head.is_empty() => false,
        Value::BulkString(head) => !is_tombstone(head),
        _ => true,
    }
}

/// The strings of an `MGET` reply; what is not a string counts as absent.
pub(super) fn strings(reply: Value, expected: usize) -> Result<Vec<Option<Bytes>>, Error> {
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

#[cfg(test)]
mod tests {
    use bb8_redis::redis::parse_redis_value;

    use super::*;

    /// Pinned: where another client had taught the server the script in between, a family's tail was
    /// put in after that of its tag.
    #[test]
    fn tails_are_repeated_all_or_none() {
        let missing = || parse_redis_value(b"-NOSCRIPT No matching script.\r\n").unwrap();
        let mut replies = [missing(), Value::Int(1), Value::Int(0)];
        repeat_together(&mut replies);
        assert!(replies.iter().all(script::is_missing));
        let mut replies = [Value::Int(1), Value::Int(0)];
        repeat_together(&mut replies);
        assert_eq!(replies, [Value::Int(1), Value::Int(0)]);
        repeat_together(&mut []);
    }
}
