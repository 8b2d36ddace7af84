//! In a transaction: nothing is written unless all that was read is as it was.

use std::sync::{Arc, OnceLock};

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{Value, cmd, pipe};

use super::{Holds, ask, conditional, holds, strings, touched};
use crate::error::{Error, ErrorKind};
use crate::invalidate::generation::{SOFT_AT, SOFT_KEPT};
use crate::store::WriteBatch;
use crate::store::redis::Inner;
use crate::store::redis::commands::{put_plainly, send, send_all};
use crate::store::redis::connection;
use crate::store::redis::exclusive::Place;
use crate::store::redis::fault::{protocol_error, server_error};
use crate::store::redis::rights::is_refused;

/// What others write meanwhile is looked at again, but not for ever.
const ATTEMPTS: usize = 8;

/// What came of an attempt.
enum Attempt {
    /// For each put with a condition, whether it was written.
    Done(Vec<bool>),
    /// Something that was read has changed, and nothing was written.
    Overtaken,
    /// Transactions are refused.
    Refused,
}

/// Carries out what takes more than one step; for each put of that, whether it was written. One that
/// others are always faster than counts as overtaken. `None`: transactions are refused.
pub(super) async fn carry_out(
    inner: &Inner,
    place: &Place<'_>,
    batch: &WriteBatch<'_>,
    used: &OnceLock<Arc<connection::State>>,
) -> Result<Option<Vec<bool>>, Error> {
    let mut connection = place.connection(&inner.connections).await?;
    // What comes of it says something about this connection, and nothing about the shared ones.
    let _ = used.set(Arc::clone(&connection.state));
    let mut last = Ok(Attempt::Overtaken);
    for _ in 0..ATTEMPTS {
        last = attempt(connection.commands(), inner, batch).await;
        if !matches!(last, Ok(Attempt::Overtaken)) {
            break;
        }
    }
    if !connection.state.is_usable() {
        return Err(Error::new(ErrorKind::Unavailable, "another server has taken its place"));
    }
    let is_clean = match &last {
        // It may wait for an `EXEC` for ever.
        Ok(Attempt::Refused) => false,
        Ok(_) => true,
        Err(error) if error.is_outage() || error.kind() == ErrorKind::Protocol => false,
        // Keys may be watched, and it says so if commands are queued.
        Err(_) => matches!(send(connection.commands(), &cmd("UNWATCH")).await, Ok(Value::Okay)),
    };
    if is_clean {
        place.give_back(connection);
    }
    match last? {
        Attempt::Done(stored) => Ok(Some(stored)),
        Attempt::Refused => Ok(None),
        // A generation that changes all the time: it is removed instead.
        Attempt::Overtaken if !batch.tails.is_empty() => {
            Err(Error::new(ErrorKind::Denied, "others have changed it each time"))
        }
        Attempt::Overtaken => Ok(Some(vec![false; conditional(batch).count()])),
    }
}

async fn attempt(
    connection: &mut MultiplexedConnection,
    inner: &Inner,
    batch: &WriteBatch<'_>,
) -> Result<Attempt, Error> {
    let State { fits, tails } = match look(connection, batch).await {
        Ok(Some(state)) => state,
        Ok(None) => return Ok(Attempt::Refused),
        Err(error) => {
            // It has begun, most likely, and nothing is in it.
            let _ = send(connection, &cmd("EXEC")).await;
            return Err(error);
        }
    };
    let mut commands = pipe();
    for (put, _) in conditional(batch).zip(&fits).filter(|(_, fits)| **fits) {
        commands.add_command(put_plainly(put));
    }
    for (key, tail) in &tails {
        commands.cmd("SETRANGE").arg(key).arg(SOFT_AT).arg(&tail[..]);
    }
    let queued = commands.len();
    commands.cmd("EXEC");
    if queued > 0 {
        inner.announcer.announce(&mut commands, &touched(batch));
    }
    let mut replies = send_all(connection, &commands).await?.into_iter();
    let mut next = || replies.next().unwrap_or(Value::Nil);
    // What could not be queued says more than what came of it.
    let refusals = (0..queued).map(|_| server_error(next())).filter_map(Result::err);
    let refusal = refusals.fold(None, |first: Option<Error>, refusal| first.or(Some(refusal)));
    let executed = next();
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    match executed {
        refused if is_refused(&refused) => Ok(Attempt::Refused),
        // Where nothing fits, nothing else fits for having changed since.
        Value::Nil if queued == 0 => Ok(Attempt::Done(fits)),
        Value::Nil => Ok(Attempt::Overtaken),
        Value::Array(done) => {
            done.into_iter().try_for_each(|reply| server_error(reply).map(drop))?;
            Ok(Attempt::Done(fits))
        }
        other => Err(server_error(other).err().unwrap_or_else(protocol_error)),
    }
}

/// What is there, as far as anything depends on it.
struct State<'b> {
    /// Of each put with a condition, whether that holds.
    fits: Vec<bool>,
    /// What is to be put in behind the first bytes of which keys.
    tails: Vec<(&'b str, Vec<u8>)>,
}

/// Watches it from here on, and begins the transaction: what is put into one that was refused would be
/// carried out at once. `None`: that is refused.
async fn look<'b>(
    connection: &mut MultiplexedConnection,
    batch: &WriteBatch<'b>,
) -> Result<Option<State<'b>>, Error> {
    let mut questions = pipe();
    let watch = questions.cmd("WATCH");
    let guards = conditional(batch).filter_map(|put| Some(&*put.guard.as_ref()?.key));
    for key in touched(batch).chain(guards) {
        watch.arg(key);
    }
    conditional(batch).for_each(|put| ask(&mut questions, put));
    for (key, _) in batch.tails {
        questions.cmd("GETRANGE").arg(key).arg(0).arg(SOFT_AT + SOFT_KEPT - 1);
    }
    questions.cmd("MULTI");
    let mut answers = send_all(connection, &questions).await?;
    let begun = answers.pop().unwrap_or(Value::Nil);
    if is_refused(&begun) || answers.first().is_some_and(is_refused) {
        return Ok(None);
    }
    server_error(begun)?;
    let mut answers = strings(answers);
    answers()?;
    let fits = conditional(batch).map(|put| Ok(holds(put, &mut answers)? != Holds::No));
    let fits = fits.collect::<Result<_, Error>>()?;
    let mut tails = Vec::new();
    for (key, tail) in batch.tails {
        let found = answers()?.unwrap_or_default();
        let Some((_, rest)) = found.split_at_checked(SOFT_AT) else { continue };
        if !rest.starts_with(tail.as_bytes()) {
            tails.push((*key, [tail.as_bytes(), rest].concat()));
        }
    }
    Ok(Some(State { fits, tails }))
}
