//! What is there only once: a value for a key that has none.

use bb8_redis::redis::{Pipeline, Value, aio::MultiplexedConnection, pipe};
use bytes::Bytes;

use super::commands::{longest, send_all, strings, unlink};
use super::fault::server_error;
use super::watch::Announcer;
use crate::clock::Millis;
use crate::error::Error;

/// Gives each key the value beside it unless it has one; the values the keys have then.
pub(super) async fn create(
    mut connection: MultiplexedConnection,
    announcer: &Announcer,
    entries: &[(&str, String)],
    keep_for: Millis,
) -> Result<Vec<Option<Bytes>>, Error> {
    let mut commands = pipe();
    for (key, value) in entries {
        let set = commands.cmd("SET").arg(key).arg(value);
        set.arg("NX").arg("PX").arg(longest(keep_for));
    }
    let keys: Vec<&str> = entries.iter().map(|(key, _)| *key).collect();
    commands.cmd("MGET").arg(&keys);
    let added = announcer.announce(&mut commands, &keys.iter().copied());
    let (in_the_way, found) = attempt(&mut connection, &commands, added, &keys).await?;
    if in_the_way.is_empty() {
        return Ok(found);
    }
    // Not ours. And if one is ours by now: nobody relies on its being there.
    unlink(&mut connection, announcer, &in_the_way).await?;
    Ok(attempt(&mut connection, &commands, added, &keys).await?.1)
}

/// The keys that hold something, but no string; and the values that there are.
async fn attempt<'k>(
    connection: &mut MultiplexedConnection,
    commands: &Pipeline,
    added: usize,
    keys: &[&'k str],
) -> Result<(Vec<&'k str>, Vec<Option<Bytes>>), Error> {
    let mut replies = send_all(connection, commands).await?;
    replies.truncate(replies.len().saturating_sub(added));
    let found = strings(replies.pop().unwrap_or(Value::Nil), keys.len())?;
    let mut in_the_way = Vec::new();
    for ((key, reply), value) in keys.iter().zip(replies).zip(&found) {
        // A refused write (full, read-only) leaves the key absent, and the caller told.
        if server_error(reply)? == Value::Nil && value.is_none() {
            in_the_way.push(*key);
        }
    }
    Ok((in_the_way, found))
}
