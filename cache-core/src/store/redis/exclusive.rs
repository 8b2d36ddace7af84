//! Connections of which each is held by one task at a time: what is watched, and what is queued
//! between `MULTI` and `EXEC`, belongs to the connection.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::connect::Connections;
use super::connection::Connection;
use crate::clock::Deadline;
use crate::error::{Error, ErrorKind};

/// No more of them at once than this.
const MOST: usize = 4;

/// Connections that are lent, and those that wait to be.
pub(super) struct Exclusive {
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
}

/// The right to hold one.
pub(super) struct Place<'e> {
    exclusive: &'e Exclusive,
    _permit: SemaphorePermit<'e>,
}

impl Default for Exclusive {
    fn default() -> Self {
        Self { idle: Mutex::default(), places: Semaphore::new(MOST) }
    }
}

impl Exclusive {
    /// Waits until a connection may be held. That all are in use says nothing about Redis.
    pub(super) async fn place(&self, deadline: Deadline) -> Result<Place<'_>, Error> {
        let late = || Error::new(ErrorKind::Timeout, "all connections for transactions are in use");
        match tokio::time::timeout_at(deadline.instant(), self.places.acquire()).await {
            Ok(Ok(permit)) => Ok(Place { exclusive: self, _permit: permit }),
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }

    /// They may lead nowhere.
    pub(super) fn clear(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// One that nobody else holds. Unless it is given back it is closed: nobody knows what is
    /// watched or queued on one that was left in the middle.
    pub(super) async fn connection(&self, connections: &Connections) -> Result<Connection, Error> {
        loop {
            let Some(idle) = self.exclusive.idle().pop() else { break };
            if idle.state.is_usable() {
                return Ok(idle);
            }
        }
        connections.connect_anew().await
    }

    /// Nothing is watched on it, and nothing queued.
    pub(super) fn give_back(&self, connection: Connection) {
        self.exclusive.idle().push(connection);
    }
}

impl fmt::Debug for Exclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exclusive").field("idle", &self.idle().len()).finish()
    }
}
