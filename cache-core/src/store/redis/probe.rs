//! Asking whether Redis answers: when the breaker is open, one probe now and then; and when somebody has
//! had no answer, whether anybody has.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::cmd;

use super::commands::send;
use super::fault::is_failure;
use super::{Inner, budget};
use crate::clock::spread;
use crate::error::{Error, ErrorKind};

/// A probe wants an answer in this time; a server that is slower than that is of no use.
const PROBE_BUDGET: Duration = Duration::from_millis(500);
/// Where operations are few, those that had no answer are few, too: after the first of them it is
/// asked at once whether Redis answers at all. With the budget of that one it is a quarter of a second
/// until the breaker opens, however little is asked. But whoever has waited longer than this in vain is
/// no reason to give the question less time than that.
const SUSPICION_BUDGET: Duration = Duration::from_millis(180);

/// Asks whether Redis answers at all, unless that is being asked; if not, and nobody has had an answer
/// meanwhile, the breaker opens.
pub(super) fn suspect(inner: &Arc<Inner>, waited: Duration) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let Some(number) = inner.breaker.suspecting.begin() else { return };
    let (suspected, openings) = (Arc::downgrade(inner), inner.breaker.openings());
    runtime.spawn(async move {
        let next = || suspected.upgrade().and_then(|inner| inner.breaker.next_suspicion());
        while let Some(from) = next() {
            tokio::time::sleep_until(from.instant()).await;
        }
        let Some(inner) = suspected.upgrade() else { return };
        let is_in_doubt = || openings == inner.breaker.openings() && inner.breaker.is_in_doubt();
        if is_in_doubt()
            && let Err(error) = ask_twice(&inner, SUSPICION_BUDGET.max(waited)).await
            && is_in_doubt()
        {
            budget::open(&inner, &error);
        }
        inner.breaker.suspecting.end(number);
    });
}

/// Asks over a connection that there is and over a new one; either answer will do. The one that there
/// is may lead nowhere while Redis is well. But a new one takes several round trips, for which a busy
/// process may have no time, and Sentinels that say where to: if those are away, their primary need
/// not be, and the connections to it are not given up.
async fn ask_twice(inner: &Inner, budget: Duration) -> Result<(), Error> {
    let asked = async {
        let (mut present, mut anew) = (pin!(ask_present(inner)), pin!(probe(inner, budget)));
        tokio::select! {
            answer = &mut present => match answer {
                Ok(()) => Ok(()),
                Err(_) => anew.await,
            },
            answer = &mut anew => match answer {
                Ok(()) => Ok(()),
                Err(error) => present.await.map_err(|_| error),
            },
        }
    };
    tokio::time::timeout(budget, asked).await.unwrap_or_else(|_| Err(unanswered()))
}

async fn ask_present(inner: &Inner) -> Result<(), Error> {
    let (mut connection, _) = inner.connections.get().await?;
    ask(&mut connection).await
}

/// Starts the one probe, unless it runs. (It ends with the runtime it was started on; another
/// operation then starts it anew; as it does if nobody drives that runtime any more.)
pub(super) fn ensure_probe(inner: &Arc<Inner>) {
    if inner.breaker.ended.load(Ordering::Relaxed) {
        return;
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    if let Some(number) = inner.breaker.probing.begin() {
        let running = Probe { inner: Arc::downgrade(inner), number };
        runtime.spawn(running.run());
    }
}

/// Clears the mark however the task ends.
struct Probe {
    inner: Weak<Inner>,
    number: u64,
}

impl Probe {
    async fn run(self) {
        let Some(mut successors) = self.inner.upgrade().map(|inner| inner.connections.successors())
        else {
            return;
        };
        loop {
            let Some(wait) = self.inner.upgrade().map(|inner| inner.breaker.next_wait()) else {
                return;
            };
            // Spread out, so that many instances do not knock at the same moment. Whether it is heard
            // of a successor or of the end of this: go on.
            let _ = tokio::time::timeout(spread(wait), successors.changed()).await;
            let Some(inner) = self.inner.upgrade() else { return };
            if inner.breaker.ended.load(Ordering::Relaxed)
                || !inner.breaker.probing.go_on(self.number)
            {
                return;
            }
            inner.breaker.try_it();
            let answer = tokio::select! {
                answer = probe(&inner, PROBE_BUDGET) => answer,
                // What may be waited for in vain is the server of before.
                Ok(()) = successors.changed() => probe(&inner, PROBE_BUDGET).await,
            };
            match answer {
                Ok(()) => {
                    inner.breaker.close_on_probation();
                    return;
                }
                Err(error) => inner.breaker.give_up_trying(Some(&error)),
            }
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade()
            && inner.breaker.probing.end(self.number)
        {
            inner.breaker.give_up_trying(None);
        }
    }
}

/// Over a connection of its own: those of before may lead nowhere.
async fn probe(inner: &Inner, budget: Duration) -> Result<(), Error> {
    let asked = async {
        let mut connection = inner.connections.connect_anew().await?;
        ask(connection.commands()).await?;
        inner.connections.adopt(connection);
        Ok(())
    };
    tokio::time::timeout(budget, asked).await.unwrap_or_else(|_| Err(unanswered()))
}

/// Whether who answers there is of use.
async fn ask(connection: &mut MultiplexedConnection) -> Result<(), Error> {
    match send(connection, &cmd("PING")).await {
        Err(error) if is_failure(&error) => Err(error),
        // Who refuses is there; and may refuse nothing else.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn unanswered() -> Error {
    Error::new(ErrorKind::Timeout, "Redis did not answer a probe")
}
