//! Where a worker's values come from: the database, now and then slowly.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_tests::clock::monotonic;

use super::database::Database;
use super::log::Log;
use crate::history::{Event, Nanos};
use crate::layout::Row;

/// So many computations of a hundred are slow: some longer than an unconfirmed flight is shared.
const SLOW: u8 = 5;
const SLOWEST_MS: u64 = 400;

/// One task's connection to the truth.
#[derive(Debug)]
pub(super) struct Source {
    database: Mutex<Database>,
    random: Mutex<fastrand::Rng>,
    log: Log,
}

impl Source {
    pub(super) fn new(database: &str, log: &Log, seed: u64) -> Self {
        let random = Mutex::new(fastrand::Rng::with_seed(seed));
        Self { database: Mutex::new(Database::open(database)), random, log: log.clone() }
    }

    /// The version now; with some luck it is old news when it is stored.
    pub(super) async fn version(&self, row: Row) -> u64 {
        // Readers wait for nobody: it takes microseconds.
        let version = lock(&self.database).version(row);
        let delay = {
            let mut random = lock(&self.random);
            (random.u8(..100) < SLOW).then(|| random.u64(1..=SLOWEST_MS))
        };
        if let Some(delay) = delay {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        version
    }

    /// Raises the versions of these rows, and writes that down; when it was done.
    pub(super) fn change(&self, rows: &[Row]) -> Nanos {
        // Writers that lock rows in different orders are no matter here, there is one lock.
        let versions = tokio::task::block_in_place(|| lock(&self.database).bump(rows));
        let at = monotonic();
        for (row, version) in rows.iter().zip(versions) {
            self.log.note(Event::Commit { at, row: *row, version });
        }
        at
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
