//! What is there only once: a value for a key that has none.

use bb8_redis::redis::{Pipeline, Value, aio::MultiplexedConnection, pipe};
use bytes::Bytes;

use super::commands::{create_command, send_all, strings, unlink};
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
        commands.add_command(create_command(key, value, keep_for));
    }
    let keys: Vec<&str> = entries.iter().map(|(key, _)| *key).collect();
    commands.cmd("MGET").arg(&keys);
    let added = announcer.announce(&mut commands, &keys.iter().copied());
    let (doubtful, found) = attempt(&mut connection, &commands, added, &keys).await?;
    if doubtful.is_empty() {
        return Ok(found);
    }
    let in_the_way = no_strings(&mut connection, &doubtful).await?;
    if in_the_way.is_empty() {
        return Ok(found);
    }
    unlink(&mut connection, announcer, &in_the_way).await?;
    Ok(attempt(&mut connection, &commands, added, &keys).await?.1)
}

/// Those that hold something else: not ours. (Others had a value that has gone since, such as a lease,
/// and may have one again.)
async fn no_strings<'k>(
    connection: &mut MultiplexedConnection,
    keys: &[&'k str],
) -> Result<Vec<&'k str>, Error> {
    let mut types = pipe();
    for key in keys {
        types.cmd("TYPE").arg(key);
    }
    let types = send_all(connection, &types).await?;
    let is_other = |kind: &Value| matches!(kind, Value::SimpleString(kind) if kind != "string" && kind != "none");
    let others = keys.iter().zip(&types).filter(|(_, kind)| is_other(kind));
    Ok(others.map(|(key, _)| *key).collect())
}

/// The keys that could not be set, and had no value a moment later; and the values that there are.
async fn attempt<'k>(
    connection: &mut MultiplexedConnection,
    commands: &Pipeline,
    added: usize,
    keys: &[&'k str],
) -> Result<(Vec<&'k str>, Vec<Option<Bytes>>), Error> {
    let mut replies = send_all(connection, commands).await?;
    replies.truncate(replies.len().saturating_sub(added));
    let found = strings(replies.pop().unwrap_or(Value::Nil), keys.len())?;
    let mut doubtful = Vec::new();
    for ((key, reply), value) in keys.iter().zip(replies).zip(&found) {
        // A refused write (full, read-only) leaves the key absent, and the caller told.
        if server_error(reply)? == Value::Nil && value.is_none() {
            doubtful.push(*key);
        }
    }
    Ok((doubtful, found))
}
