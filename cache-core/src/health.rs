//! Health: what works right now, within 100 ms whatever the store does.

use std::time::Duration;

use serde::Serialize;

use crate::clock::{Deadline, Millis, Stopwatch};
use crate::coherence::{CoherenceHealth, CoherenceMode};
use crate::happenings::BreakerState;
use crate::state::Inner;
use crate::store::MissingAbility;

/// Health answers within this time.
const BUDGET: Duration = Duration::from_millis(80);

/// What works right now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each says something else")]
pub struct Health {
    /// `memory` when there is no store, else the store's name.
    pub store: &'static str,
    /// Whether the store answered. Always true without a store.
    pub reachable: bool,
    /// How long the store's answer took, in microseconds.
    pub latency_us: Option<u64>,
    /// Why the store did not answer, or what it answered instead.
    pub fault: Option<String>,
    /// Whether the store is asked at all; `None`: there is none, or it is asked whatever happens.
    pub breaker: Option<BreakerState>,
    /// How true this process' memory is to the store.
    pub coherence: CoherenceHealth,
    /// What the store refuses, and what the cache does without it; empty until it is first used.
    pub missing_abilities: Vec<MissingAbility>,
    /// Entries in this process' memory.
    pub l1_entries: usize,
    /// What they weigh, in bytes.
    pub l1_bytes: u64,
    /// Scopes whose generation is known here.
    pub scopes: usize,
    /// Keys that reads and fills in flight are about to put into L1.
    pub in_flight: usize,
    /// Tasks in the background, such as writes to the store.
    pub background_tasks: usize,
    /// Invalidations that have taken effect in this process, and that the store is still to be
    /// told of. Until it is, this process reads nothing from it.
    pub queued_invalidations: usize,
    /// Since when the oldest of them waits, in unix milliseconds.
    pub queued_since: Option<Millis>,
    /// Removals (invalidations, deletions, and of what was set the keys) that this process would
    /// repeat if the store turned out to have forgotten them.
    pub journal: usize,
    /// Whether there were so many that it would invalidate everything under the prefix instead.
    pub journal_overflowed: bool,
    /// How often the store turned out to be another than before, or might have been: restarted,
    /// put back to a snapshot, or replaced by a replica.
    pub store_changes: u64,
    /// When it last did, in unix milliseconds.
    pub store_changed_at: Option<Millis>,
    /// Whether nothing is read from the store for now, since after such a change other processes
    /// may still have to repeat what it has forgotten (for 1.5 seconds).
    pub reads_held: bool,
    /// When the generations of scopes in use were last read to keep them alive, in unix
    /// milliseconds.
    pub kept_alive_at: Option<Millis>,
    /// How many they were.
    pub kept_alive: usize,
    /// False if `ENABLE_CACHING` is off: every operation passes through.
    pub enabled: bool,
}

pub(crate) async fn check(inner: &Inner) -> Health {
    let (queued_invalidations, queued_since) = inner.unconfirmed.waiting();
    let rollback = inner.rollback.state();
    let kept_alive = inner.keepalive.last();
    // Each holds on to its key.
    inner.failures.tidy();
    let mut health = Health {
        store: "memory",
        reachable: true,
        latency_us: None,
        fault: None,
        breaker: None,
        coherence: coherence(inner),
        missing_abilities: Vec::new(),
        l1_entries: inner.regions().map(|region| region.len()).sum(),
        l1_bytes: inner.regions().map(|region| region.bytes()).sum(),
        scopes: inner.generations.len(),
        in_flight: inner.fences.len(),
        background_tasks: inner.background.running(),
        queued_invalidations,
        queued_since,
        journal: rollback.journal,
        journal_overflowed: rollback.overflowed,
        store_changes: rollback.changes,
        store_changed_at: rollback.changed_at,
        reads_held: rollback.held,
        kept_alive_at: kept_alive.map(|round| round.at),
        kept_alive: kept_alive.map_or(0, |round| round.scopes),
        enabled: inner.enabled,
    };
    if let Some(store) = &inner.store {
        health.store = store.name();
        let asked = Stopwatch::start();
        match store.ping(Deadline::after(BUDGET)).await {
            Ok(()) => {
                health.latency_us = u64::try_from(asked.elapsed().as_micros()).ok();
            }
            Err(error) => {
                // Whoever refuses is there.
                health.reachable = error.code().is_some() && !error.is_outage();
                health.fault = Some(error.to_string());
            }
        }
        health.breaker = store.breaker();
        health.missing_abilities = store.missing_abilities();
    }
    health
}

fn coherence(inner: &Inner) -> CoherenceHealth {
    match (&inner.coherence, &inner.store) {
        (Some(coherence), _) => coherence.truth.health(),
        (None, Some(_)) => CoherenceHealth::of(CoherenceMode::Ttl),
        (None, None) => CoherenceHealth::of(CoherenceMode::Memory),
    }
}
