//! Writes of several keys, which on one server are one step: what of that holds over several.
//!
//! - **Reads after writes.** All nodes have answered to the writes of a batch before any is read. So
//!   are the keys of [`create`](Store::create): each is told as it was after all were made.
//! - **Order.** Of two keys that are removed, the one behind is there no longer than the one before
//!   it: all are removed twice, the second time when the first has been answered by all. Tails are put
//!   in one after the other.
//! - **Guards.** A [`Guard`](crate::store::Guard) lies elsewhere than what it guards, so check and put
//!   are two steps. The guard is looked at before the put, and again after it; if it has changed, the
//!   put is taken back. What guards a put is a sweep's mark, and a sweep waits for
//!   [`GUARD_LAG`] after it has changed the mark, so that a put that had seen the old one has arrived
//!   when the walk begins. What remains: a put that reaches its node later than that stays until it
//!   is taken back, which takes a round trip; or, if the process dies just then, until it expires. One
//!   that was not answered, or could not be looked at again, is taken back in the background.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bb8_redis::redis::Value;
use bytes::Bytes;

use super::ClusterStore;
use super::order::Order;
use crate::clock::{Deadline, Millis};
use crate::codec::write_id;
use crate::error::{Error, ErrorKind};
use crate::store::redis::commands::{HEAD, is_value};
use crate::store::redis::fault::{is_of_another_type, protocol_error, server_error};
use crate::store::redis::{RedisStore, script};
use crate::store::{Fetched, Put, Store, WriteBatch, Written};

/// A put is sent so long after its guard was looked at, or not at all.
const GUARDED_FOR: Duration = Duration::from_millis(250);
/// How long after a guard has changed a put may arrive that has seen it unchanged.
pub(super) const GUARD_LAG: Duration = Duration::from_millis(500);

/// For so long at least what may be under a guard that has changed is taken back.
const TAKEN_BACK_FOR: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_millis(1600);
/// Of so many batches at once.
pub(super) const MAX_TAKEN_BACK: u32 = 64;

/// Puts under guards of which it is not known whether they are there, and whether they may be. What
/// is left of them when this is dropped, by an error or because nobody waits any more, is taken back
/// in the background.
struct Unsettled<'s> {
    cluster: &'s ClusterStore,
    puts: Vec<Put>,
}

impl<'s> Unsettled<'s> {
    fn new(cluster: &'s ClusterStore, puts: &[Put], stored: &[bool]) -> Self {
        let may = puts.iter().zip(stored).filter(|(put, may)| **may && put.guard.is_some());
        Self { cluster, puts: may.map(|(put, _)| gone(put)).collect() }
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if !self.puts.is_empty() {
            let (cluster, back) = (self.cluster.clone(), std::mem::take(&mut self.puts));
            if !self.cluster.shared.taking_back.try_spawn(cluster.keep_taking_back(back)) {
                tracing::debug!(
                    "no place to take back a put under a guard: it stays until it expires"
                );
            }
        }
    }
}

/// Put in place of another, this is gone as soon as it is there; where another's is, it does nothing.
fn gone(put: &Put) -> Put {
    Put {
        key: put.key.clone(),
        value: Bytes::new(),
        keep_for: Some(1),
        expect: Some(Bytes::copy_from_slice(&write_id(Some(&put.value)))),
        guard: None,
    }
}

impl ClusterStore {
    pub(super) async fn get_all(
        &self,
        keys: impl Iterator<Item = &str>,
        deadline: Deadline,
    ) -> Result<Vec<Option<Bytes>>, Error> {
        let orders: Vec<Order<'_>> = keys.map(Order::Get).collect();
        self.carry_out(&orders, deadline).await?.into_iter().map(string).collect()
    }

    /// As [`get_all`](Self::get_all), but a node that is away is the trouble of its own keys only.
    pub(super) async fn get_each(
        &self,
        keys: impl Iterator<Item = &str>,
        deadline: Deadline,
    ) -> Result<Vec<Fetched>, Error> {
        let orders: Vec<Order<'_>> = keys.map(Order::Get).collect();
        let answers = self.carry_out_each(&orders, deadline).await?;
        Ok(answers.into_iter().map(|answer| answer.and_then(string)).collect())
    }

    pub(super) async fn write_all(
        &self,
        batch: WriteBatch<'_>,
        deadline: Deadline,
    ) -> Result<Written, Error> {
        let any_guard = batch.puts.iter().any(|put| put.guard.is_some());
        // From before they are looked at.
        let soon = if any_guard { deadline.min(Deadline::after(GUARDED_FOR)) } else { deadline };
        let mut stored = self.are_guarded(batch.puts, soon).await?;
        let mut unsettled = Unsettled::new(self, batch.puts, &stored);
        self.change_all(&batch, &mut stored, soon).await?;
        for (key, tail) in batch.tails {
            let answers = self.carry_out(&[Order::Tail(key, tail)], deadline).await?;
            for answer in answers {
                self.or_by_its_node(key, answer, async |node| {
                    let batch = WriteBatch { tails: &[(key, tail)], ..WriteBatch::default() };
                    node.write(batch, deadline).await.map(|_| true)
                })
                .await?;
            }
        }
        if batch.remove.len() > 1 {
            self.remove_all(batch.remove, deadline).await?;
        }
        let is_guarded = |(put, stored): &(&Put, &bool)| **stored && put.guard.is_some();
        let guarded: Vec<&Put> =
            batch.puts.iter().zip(&stored).filter(is_guarded).map(|(put, _)| put).collect();
        let guards = guarded.iter().filter_map(|put| put.guard.as_ref());
        let keys: Vec<&str> =
            guards.map(|guard| &*guard.key).chain(batch.read.iter().copied()).collect();
        if keys.is_empty() {
            unsettled.puts.clear();
            return Ok(Written { stored, read: Vec::new() });
        }
        let found = self.get_all(keys.iter().copied(), deadline).await;
        let told = found.as_deref().unwrap_or_default();
        let (told, read) = told.split_at_checked(guarded.len()).unwrap_or_default();
        let holds = |put: &Put, found: Option<&Option<Bytes>>| {
            let found = found.and_then(Option::as_ref);
            put.guard.as_ref().is_some_and(|guard| found == Some(&guard.value))
        };
        let broken = guarded.iter().enumerate().filter(|(n, put)| !holds(put, told.get(*n)));
        let broken: Vec<&str> = broken.map(|(_, put)| put.key.as_str()).collect();
        let read = read.to_vec();
        if !broken.is_empty() {
            self.take_back(batch.puts, &mut stored, &broken, deadline).await?;
        }
        found?;
        unsettled.puts.clear();
        Ok(Written { stored, read })
    }

    /// Whether the guard of each put is as it is to be.
    async fn are_guarded(&self, puts: &[Put], deadline: Deadline) -> Result<Vec<bool>, Error> {
        let mut keys: Vec<&str> =
            puts.iter().filter_map(|put| put.guard.as_ref()).map(|guard| &*guard.key).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() {
            return Ok(vec![true; puts.len()]);
        }
        let found = self.get_all(keys.iter().copied(), deadline).await?;
        let holds = |put: &Put| {
            let Some(guard) = &put.guard else { return true };
            let index = keys.binary_search(&&*guard.key).ok();
            let found = index.and_then(|index| found.get(index)).and_then(Option::as_ref);
            found == Some(&guard.value)
        };
        Ok(puts.iter().map(holds).collect())
    }

    /// Puts those that may be stored, removes, extends. Of each put, whether it is stored then.
    async fn change_all(
        &self,
        batch: &WriteBatch<'_>,
        stored: &mut [bool],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let puts: Vec<&Put> =
            batch.puts.iter().zip(&*stored).filter(|(_, may)| **may).map(|(put, _)| put).collect();
        // Conditions that are met already, or that a script can't look at.
        let puts: Vec<Put> =
            puts.into_iter().map(|put| Put { guard: None, ..put.clone() }).collect();
        let mut orders: Vec<Order<'_>> = puts.iter().map(Order::Put).collect();
        orders.extend(batch.remove.iter().map(|key| Order::Remove(key)));
        orders.extend(batch.extend.iter().map(|(key, keep_for)| Order::Extend(key, *keep_for)));
        if orders.is_empty() {
            return Ok(());
        }
        let mut answers = self.carry_out(&orders, deadline).await?.into_iter();
        let mut outcomes = Vec::with_capacity(puts.len());
        for (put, answer) in puts.iter().zip(answers.by_ref()) {
            outcomes.push(
                self.or_by_its_node(&put.key, answer, async |node| {
                    let puts = std::slice::from_ref(put);
                    let batch = WriteBatch { puts, ..WriteBatch::default() };
                    Ok(node.write(batch, deadline).await?.stored.first() == Some(&true))
                })
                .await,
            );
        }
        for answer in answers.by_ref().take(batch.remove.len()) {
            server_error(answer)?;
        }
        for (extend, answer) in batch.extend.iter().zip(answers) {
            // Redis before 7 does not know how; the node's own store does without.
            if server_error(answer).is_err()
                && let Some(node) = self.node_of(extend.0)
            {
                let extend = std::slice::from_ref(extend);
                node.write(WriteBatch { extend, ..WriteBatch::default() }, deadline).await?;
            }
        }
        let mut outcomes = outcomes.into_iter();
        for stored in stored.iter_mut().filter(|may| **may) {
            *stored = outcomes.next().unwrap_or(Ok(false))?;
        }
        Ok(())
    }

    /// What a script was answered with; where it was refused, the node's own store knows what to do
    /// without.
    async fn or_by_its_node<F>(
        &self,
        key: &str,
        answer: Value,
        without: impl FnOnce(RedisStore) -> F,
    ) -> Result<bool, Error>
    where
        F: Future<Output = Result<bool, Error>>,
    {
        match script::stored(answer) {
            Err(error) if error.kind() == ErrorKind::Denied => {
                let Some(node) = self.node_of(key) else { return Err(error) };
                without(node).await
            }
            answer => answer,
        }
    }

    /// Takes back what was put under a guard that has changed, unless it is another's by now.
    async fn take_back(
        &self,
        puts: &[Put],
        stored: &mut [bool],
        keys: &[&str],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut back = Vec::new();
        for (put, stored) in puts.iter().zip(stored) {
            if *stored && put.guard.is_some() && keys.contains(&put.key.as_str()) {
                *stored = false;
                back.push(gone(put));
            }
        }
        self.put_each(&back, deadline).await
    }

    async fn put_each(&self, puts: &[Put], deadline: Deadline) -> Result<(), Error> {
        let batch = WriteBatch { puts, ..WriteBatch::default() };
        self.change_all(&batch, &mut vec![true; puts.len()], deadline).await
    }

    /// Takes back what may have been put, or may be yet: again and again for a while, since what was
    /// sent and not answered may arrive after the first that takes it back.
    async fn keep_taking_back(self, back: Vec<Put>) {
        let (until, mut pause) = (Deadline::after(TAKEN_BACK_FOR), FIRST_PAUSE);
        while !self.shared.ended.load(Ordering::Relaxed) {
            for put in back.chunks(1) {
                // One for which it can't be done yet is no trouble of the others.
                let _ = self.put_each(put, Deadline::after(GUARD_LAG)).await;
            }
            if until.has_passed() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Removes keys; how many there were.
    pub(super) async fn remove_all(&self, keys: &[&str], deadline: Deadline) -> Result<u64, Error> {
        let orders: Vec<Order<'_>> = keys.iter().map(|key| Order::Remove(key)).collect();
        let mut removed = 0;
        for answer in self.carry_out(&orders, deadline).await? {
            match server_error(answer)? {
                Value::Int(one) => removed += u64::try_from(one).unwrap_or(0),
                _ => return Err(protocol_error()),
            }
        }
        Ok(removed)
    }

    /// As they are once all have been made: what has changed in between is not told.
    pub(super) async fn create_all(
        &self,
        entries: &[(&str, String)],
        keep_for: Millis,
        deadline: Deadline,
    ) -> Result<Vec<Option<Bytes>>, Error> {
        let mut orders = Vec::with_capacity(entries.len() * 2);
        for (key, value) in entries {
            orders.extend([Order::Create(key, value, keep_for), Order::Get(key)]);
        }
        let mut answers = self.carry_out(&orders, deadline).await?.into_iter();
        let mut found = Vec::with_capacity(entries.len());
        for entry in entries {
            let (made, there) = (answers.next(), answers.next().unwrap_or_default());
            // A refused write leaves the key absent, and the caller told.
            made.map(server_error).transpose()?;
            found.push(if is_of_another_type(&there) {
                // What its node does about that, its own store knows.
                let node = self.node_of(entry.0);
                let node = node.ok_or_else(protocol_error)?;
                let made = node.create(std::slice::from_ref(entry), keep_for, deadline).await?;
                made.into_iter().next().flatten()
            } else {
                string(there)?
            });
        }
        if entries.len() > 1 {
            let again = self.get_all(entries.iter().map(|(key, _)| *key), deadline).await?;
            for (found, again) in found.iter_mut().zip(again) {
                if *found != again {
                    *found = None;
                }
            }
        }
        Ok(found)
    }

    /// Those of the keys that hold values, not tombstones; with `only_there`, those that hold
    /// anything.
    pub(super) async fn values_of<'k>(
        &self,
        keys: &[&'k str],
        only_there: bool,
        deadline: Deadline,
    ) -> Result<Vec<&'k str>, Error> {
        let head = |key: &&'k str| Order::Range(key, HEAD.0, HEAD.1);
        let orders: Vec<Order<'_>> = keys.iter().map(head).collect();
        let heads = self.carry_out(&orders, deadline).await?;
        let mut values = Vec::with_capacity(keys.len());
        for (key, head) in keys.iter().zip(heads) {
            if is_value(&head, only_there) {
                values.push(*key);
            }
            // What a node refuses to tell is not known.
            string(head)?;
        }
        Ok(values)
    }
}

/// What is under a key; what is not a string counts as absent, as `MGET` has it.
pub(super) fn string(answer: Value) -> Result<Option<Bytes>, Error> {
    match answer {
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        Value::Nil => Ok(None),
        other if is_of_another_type(&other) => Ok(None),
        other => {
            server_error(other)?;
            Err(protocol_error())
        }
    }
}
