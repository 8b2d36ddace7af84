//! Writes under conditions, for users who may run no scripts.
//!
//! - `transaction`: `WATCH`, `MULTI` and `EXEC` on a connection that nobody else uses: in two round
//!   trips, as sure as a script;
//! - `checked`: where those are refused, too: what is there is read, then written over, and what
//!   another has written in between is put back;
//! - `repair`: which is done even if nobody waits for it any more.

mod checked;
mod repair;
mod transaction;

use std::sync::OnceLock;

use bb8_redis::redis::{Pipeline, Value};
use bytes::Bytes;

use super::RedisStore;
use super::commands::range_command;
use super::fault::{is_of_another_type, server_error};
use super::write::Outcome;
use crate::clock::Deadline;
use crate::codec::write_id;
use crate::error::Error;
use crate::store::{Put, Store, WriteBatch, Written};

pub(super) use repair::Repairs;

/// Whether something in it takes more than one step.
pub(super) fn concerns(batch: &WriteBatch<'_>) -> bool {
    !batch.tails.is_empty() || batch.puts.iter().any(is_conditional)
}

fn is_conditional(put: &Put) -> bool {
    put.expect.is_some() || put.guard.is_some()
}

fn conditional<'a>(batch: &WriteBatch<'a>) -> impl Iterator<Item = &'a Put> + Clone {
    batch.puts.iter().filter(|put| is_conditional(put))
}

/// The keys that are changed, if all conditions hold.
fn touched<'a>(batch: &WriteBatch<'a>) -> impl Iterator<Item = &'a str> + Clone {
    let puts = conditional(batch).map(|put| &*put.key);
    puts.chain(batch.tails.iter().map(|(key, _)| *key))
}

/// What is known of a put with conditions before it is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// They do not hold.
    No,
    /// Nothing is to be there, and nothing is.
    OverNothing,
    /// Something is there, or may be.
    OverSomething,
}

/// Asks for what the conditions of a put are about.
fn ask(questions: &mut Pipeline, put: &Put) {
    if put.expect.is_some() {
        questions.add_command(range_command(&put.key, 0, 15));
    }
    if let Some(guard) = &put.guard {
        questions.cmd("GET").arg(&guard.key);
    }
}

/// Whether they hold, by the answers to that.
fn holds(
    put: &Put,
    answers: &mut impl FnMut() -> Result<Option<Bytes>, Error>,
) -> Result<Holds, Error> {
    let mut holds = Holds::OverSomething;
    if let Some(expected) = &put.expect {
        let found = answers()?.unwrap_or_default();
        if write_id(Some(&found))[..] != expected[..] {
            holds = Holds::No;
        } else if found.is_empty() {
            holds = Holds::OverNothing;
        }
    }
    Ok(if is_guarded(put, answers)? { holds } else { Holds::No })
}

fn is_guarded(
    put: &Put,
    answers: &mut impl FnMut() -> Result<Option<Bytes>, Error>,
) -> Result<bool, Error> {
    match &put.guard {
        Some(guard) => Ok(answers()?.as_ref() == Some(&guard.value)),
        None => Ok(true),
    }
}

/// The answers one by one, as strings.
fn strings(replies: Vec<Value>) -> impl FnMut() -> Result<Option<Bytes>, Error> {
    let mut replies = replies.into_iter();
    move || match replies.next() {
        Some(Value::BulkString(bytes)) => Ok(Some(bytes.into())),
        // Put there by somebody else, it is none of ours: as if nothing were there.
        Some(reply) if is_of_another_type(&reply) => Ok(None),
        Some(reply) => server_error(reply).map(|_| None),
        None => Ok(None),
    }
}

impl RedisStore {
    /// What came of a write by scripts; what of it was refused is written without.
    pub(super) async fn or_unscripted(
        &self,
        write: impl Future<Output = Result<Outcome, Error>> + Send,
        batch: WriteBatch<'_>,
        deadline: Deadline,
    ) -> Result<Written, Error> {
        let (conditional, rights) = (concerns(&batch), self.inner.connections.rights());
        let Outcome { stored, tails, read } = write.await?;
        if tails.is_ok() && stored.iter().all(Result::is_ok) {
            if conditional {
                rights.learn_scripts(true);
            }
            return Ok(Written { stored: stored.into_iter().flatten().collect(), read });
        }
        // What was written would be found to be another's if it were written again.
        let refused = batch.puts.iter().zip(&stored).filter(|(_, stored)| stored.is_err());
        let puts: Vec<Put> = refused.map(|(put, _)| put.clone()).collect();
        let tails = if tails.is_err() { batch.tails } else { &[] };
        let rest = WriteBatch { puts: &puts, tails, ..batch };
        let was_script = concerns(&rest);
        // What is refused now, too, is not refused for being a script.
        let Written { stored: again, read } = self.write_unscripted(rest, deadline).await?;
        if was_script {
            rights.learn_scripts(false);
        }
        let mut again = again.into_iter();
        let stored =
            stored.into_iter().map(|stored| stored.unwrap_or_else(|_| again.next() == Some(true)));
        Ok(Written { stored: stored.collect(), read })
    }

    /// As `write`, in its order.
    pub(super) async fn write_unscripted(
        &self,
        batch: WriteBatch<'_>,
        deadline: Deadline,
    ) -> Result<Written, Error> {
        let mut stored = Vec::with_capacity(batch.puts.len());
        for puts in batch.puts.chunk_by(|one, next| is_conditional(one) == is_conditional(next)) {
            let batch = WriteBatch { puts, ..WriteBatch::default() };
            stored.extend(if concerns(&batch) {
                self.carry_out(&batch, deadline).await?
            } else {
                self.write(batch, deadline).await?.stored
            });
        }
        if !batch.tails.is_empty() {
            self.carry_out(&WriteBatch { puts: &[], ..batch }, deadline).await?;
        }
        let rest = WriteBatch { puts: &[], tails: &[], ..batch };
        let Written { read, .. } = self.write(rest, deadline).await?;
        Ok(Written { stored, read })
    }

    /// For each put with a condition, whether it was written.
    async fn carry_out(
        &self,
        batch: &WriteBatch<'_>,
        deadline: Deadline,
    ) -> Result<Vec<bool>, Error> {
        let (inner, rights) = (&self.inner, self.inner.connections.rights());
        let lane = inner.lanes.of_values(batch.puts);
        let try_it = rights.transactions.is_worth_trying();
        if try_it {
            let place = inner.exclusive.place(deadline).await?;
            let used = OnceLock::new();
            let transaction = transaction::carry_out(inner, &place, batch, &used);
            let done = self.attempt(lane, deadline, &used, transaction).await;
            if done.as_ref().is_err_and(Error::is_outage) {
                inner.exclusive.clear();
            }
            if let Some(stored) = done? {
                rights.learn_transactions(true);
                return Ok(stored);
            }
        }
        let checked = async move |connection| checked::carry_out(connection, inner, batch).await;
        let stored = self.run_in(lane, deadline, checked).await?;
        if try_it {
            // What is refused here, too, is not refused for being a transaction.
            rights.learn_transactions(false);
        }
        Ok(stored)
    }
}
