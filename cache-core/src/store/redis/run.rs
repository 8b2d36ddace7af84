//! What every operation goes through: the breaker, a place, a connection, and all of it within the
//! deadline.

use std::sync::{Arc, OnceLock};

use bb8_redis::redis::aio::MultiplexedConnection;

use super::connect::Connections;
use super::connection::State;
use super::fault::is_failure;
use super::lanes::Lane;
use super::{Inner, NO_ANSWER, RedisStore, budget, probe};
use crate::clock::{Deadline, Stopwatch};
use crate::error::{Error, ErrorKind};

const NO_PLACE: &str = "too much is being asked of Redis at once";

impl RedisStore {
    /// Runs one operation on a shared connection, within its deadline and under the breaker.
    pub(super) fn run<T, F>(
        &self,
        deadline: Deadline,
        operation: impl FnOnce(MultiplexedConnection) -> F,
    ) -> impl Future<Output = Result<T, Error>>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.run_in(Lane::Small, deadline, operation)
    }

    /// As [`run`](Self::run), in the lane for large values if it is about some.
    pub(super) async fn run_in<T, F>(
        &self,
        lane: Lane,
        deadline: Deadline,
        operation: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let inner = &self.inner;
        let used = OnceLock::new();
        let attempt = async {
            let (connection, state) = inner.connections(lane).get().await?;
            let check = state.is_check_due().then(|| {
                let state = Arc::clone(&state);
                Box::pin(state.check(connection.clone()))
            });
            let _ = used.set(state);
            let checked = async move {
                if let Some(check) = check {
                    check.await;
                }
            };
            tokio::join!(operation(connection), checked).0
        };
        self.attempt(lane, deadline, &used, attempt).await
    }

    /// Runs one operation on a connection of its own, of which it says in `used` what is known.
    pub(super) async fn attempt<T>(
        &self,
        lane: Lane,
        deadline: Deadline,
        used: &OnceLock<Arc<State>>,
        operation: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let inner = &self.inner;
        let openings = inner.breaker.openings();
        if !inner.breaker.is_closed() {
            probe::ensure_probe(inner);
            return Err(inner.breaker.refusal());
        }
        if deadline.has_passed() {
            // Which says nothing about Redis.
            return Err(Error::new(ErrorKind::Timeout, "no time was left to ask Redis"));
        }
        let (mut has_begun, asked) = (false, Stopwatch::start());
        let attempt = async {
            let _place = inner.lanes.enter(lane).await;
            has_begun = true;
            if !inner.breaker.is_closed() {
                // Those who were before it had no answer.
                return Err(inner.breaker.refusal());
            }
            operation.await
        };
        let result = match tokio::time::timeout_at(deadline.instant(), attempt).await {
            Ok(result) => result,
            Err(_) if !has_begun => return Err(Error::new(ErrorKind::Timeout, NO_PLACE)),
            Err(_) => Err(Error::new(ErrorKind::Timeout, NO_ANSWER)),
        };
        let mut superseded = false;
        if let Some(state) = used.get() {
            state.report(result.as_ref().err());
            superseded = !state.is_of_the_present();
        }
        match &result {
            Err(error) if lane == Lane::Large && error.kind() == ErrorKind::Timeout => {
                budget::count_slow(inner, openings, asked.elapsed());
            }
            Err(error) if is_failure(error) => {
                budget::count_failure(inner, error, openings, asked.elapsed());
            }
            _ => inner.breaker.succeeded(),
        }
        if superseded && result.is_ok() {
            // What it has confirmed, and what it remembers, is not what the other one does.
            return Err(Error::new(ErrorKind::Unavailable, "another server has taken its place"));
        }
        result
    }
}

impl Inner {
    fn connections(&self, lane: Lane) -> &Connections {
        match lane {
            Lane::Small => &self.connections,
            Lane::Large => &self.lanes.large,
        }
    }

    /// Uses none of the present connections any more.
    pub(super) fn discard_connections(&self) {
        self.connections.discard_all();
        self.lanes.large.discard_all();
        self.exclusive.clear();
    }
}
