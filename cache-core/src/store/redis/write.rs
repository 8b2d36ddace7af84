//! A batch in one round trip, and what came of each part of it.

use bb8_redis::redis::{aio::MultiplexedConnection, pipe};
use bytes::Bytes;

use super::commands::{
    changed, changes, extend_command, repeat_together, send_all, strings, write_again,
};
use super::fault::server_error;
use super::{Inner, lengthen, script, unscripted};
use crate::error::{Error, ErrorKind};
use crate::store::WriteBatch;

/// What came of a batch.
pub(super) struct Outcome {
    /// Whether each put was written; an error if that was refused.
    pub(super) stored: Vec<Result<bool, Error>>,
    /// Whether any new tail was refused.
    pub(super) tails: Result<(), Error>,
    pub(super) read: Vec<Option<Bytes>>,
}

/// Carries it out by scripts. What is refused in a batch that could be written without is told of
/// each part; any other error is one of the whole.
pub(super) async fn carry_out(
    mut connection: MultiplexedConnection,
    inner: &Inner,
    batch: WriteBatch<'_>,
) -> Result<Outcome, Error> {
    let WriteBatch { puts, tails, mut extend, .. } = batch;
    if !inner.connections.rights().can_lengthen() {
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
        commands.add_command(extend_command(key, *keep_for));
    }
    if !batch.read.is_empty() {
        commands.cmd("MGET").arg(batch.read);
    }
    let names = changed(&batch).chain(batch.remove.iter().copied());
    let added = inner.announcer.announce(&mut commands, &names);
    let mut replies = send_all(&mut connection, &commands).await?;
    replies.truncate(replies.len().saturating_sub(added));
    let mut read = if batch.read.is_empty() { None } else { replies.pop() };
    replies.truncate(puts.len() + tails.len() + usize::from(!batch.remove.is_empty()));
    if !batch.remove.is_empty() {
        replies.pop().map(server_error).transpose()?;
    }
    repeat_together(replies.get_mut(puts.len()..).unwrap_or_default());
    if replies.iter().any(script::is_missing) {
        match write_again(&mut connection, &inner.announcer, batch, &mut replies).await {
            Ok(again) => read = again.or(read),
            // They stay missing.
            Err(error) if error.kind() == ErrorKind::Denied => {}
            Err(error) => return Err(error),
        }
    }
    let could_do_without = unscripted::concerns(&batch);
    let part = |reply| match script::stored(reply) {
        Err(error) if !could_do_without || error.kind() != ErrorKind::Denied => Err(error),
        part => Ok(part),
    };
    let mut tails = Ok(());
    for tail in replies.drain(puts.len()..) {
        tails = tails.and(part(tail)?.map(drop));
    }
    let stored = replies.into_iter().map(part).collect::<Result<_, _>>()?;
    let read = match read {
        Some(read) => strings(read, batch.read.len())?,
        None => Vec::new(),
    };
    Ok(Outcome { stored, tails, read })
}
