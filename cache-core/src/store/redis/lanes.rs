//! How much is asked of Redis at once, and large values out of the way of small ones.
//!
//! Answers on a connection come one after the other, so whoever asks behind a large value waits until
//! all of it has passed. Large values therefore have a lane of their own: another connection, and few
//! places. What is written says how large it is; of what is read it is remembered.

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::connect::Connections;
use super::large_keys::LargeKeys;
use crate::store::{PoolState, Put};

/// Enough for any server, and for its answers to come in order.
pub(super) const MAX_OPERATIONS: u32 = 256;
/// So many of the usual size pass a usual network within the usual budget.
const MAX_LARGE: u32 = 8;
const LARGE_CONNECTIONS: u32 = 1;
/// From here on a value is large: it takes half a millisecond on a network of 1 Gbit/s.
const LARGE: usize = 64 * 1024;

/// By which way an operation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Small,
    Large,
}

/// The places in each lane, and what is known to belong in which.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Those for large values.
    pub(super) large: Connections,
    places: Semaphore,
    large_places: Semaphore,
    max: u32,
    large_keys: LargeKeys,
}

impl Lanes {
    /// Beside these connections, which are for small ones.
    pub(super) fn new(connections: &Connections, max: u32) -> Self {
        Self {
            large: connections.beside(LARGE_CONNECTIONS),
            places: Semaphore::new(max as usize),
            large_places: Semaphore::new(MAX_LARGE as usize),
            max,
            large_keys: LargeKeys::default(),
        }
    }

    /// Waits for a place; to be held until the operation ends.
    pub(super) async fn enter(&self, lane: Lane) -> Option<SemaphorePermit<'_>> {
        let places = match lane {
            Lane::Small => &self.places,
            Lane::Large => &self.large_places,
        };
        // They are never closed.
        places.acquire().await.ok()
    }

    /// Where to read these keys.
    pub(super) fn of_keys(&self, keys: &[&str]) -> Lane {
        let any = !self.large_keys.is_empty() && keys.iter().any(|key| self.large_keys.has(key));
        if any { Lane::Large } else { Lane::Small }
    }

    /// Where to write these values; remembers which are large.
    pub(super) fn of_values(&self, puts: &[Put]) -> Lane {
        let mut bytes = 0;
        for put in puts {
            bytes += put.value.len();
            self.note(&put.key, put.value.len());
        }
        if bytes >= LARGE { Lane::Large } else { Lane::Small }
    }

    /// Remembers how large the value of a key is.
    pub(super) fn note(&self, key: &str, bytes: usize) {
        self.large_keys.note(key, bytes >= LARGE);
    }

    /// Remembers which of these keys hold large values.
    pub(super) fn learn<'k>(&self, keys: impl Iterator<Item = &'k str>, found: &[Option<Bytes>]) {
        for (key, value) in keys.zip(found) {
            if let Some(value) = value {
                self.note(key, value.len());
            }
        }
    }

    /// Of both lanes; `small` is that of the other connections.
    pub(super) fn pool_state(&self, small: PoolState) -> PoolState {
        let large = self.large.pool_state();
        let taken = |places: &Semaphore, max: u32| {
            max.saturating_sub(u32::try_from(places.available_permits()).unwrap_or(max))
        };
        PoolState {
            operations: taken(&self.places, self.max) + taken(&self.large_places, MAX_LARGE),
            max_operations: self.max + MAX_LARGE,
            ..small.and(large)
        }
    }
}
