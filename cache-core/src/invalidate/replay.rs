//! Tells the store what is queued, and the patterns declared that it may be about, without waiting for a read to do so.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::clock::spread;
use crate::error::ErrorKind;
use crate::state::Inner;

/// Between the first attempts; later ones are rarer.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Starts the one task that repeats what is queued until it is confirmed, unless it runs. (Without
/// a runtime there is none: then the next operation that asks the store does it.)
pub(crate) fn ensure(inner: &Arc<Inner>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    if let Some(number) = inner.replaying.begin() {
        runtime.spawn(Replay { inner: Arc::downgrade(inner), number }.run());
    }
}

/// Clears the mark however the task ends.
struct Replay {
    inner: Weak<Inner>,
    number: u64,
}

impl Replay {
    async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        while self.attempt().await {
            // Spread out, so that many instances do not come at the same moment.
            tokio::time::sleep(spread(wait)).await;
            wait = (wait * 2).min(LAST_WAIT);
        }
    }

    /// Whether there is to be another.
    async fn attempt(&mut self) -> bool {
        // Held for no longer than this, so that the cache can go.
        let Some(inner) = self.inner.upgrade() else { return false };
        let Some(store) = inner.shared_store() else { return false };
        if !inner.replaying.go_on(self.number) {
            return false;
        }
        match inner.tell_all(&**store, inner.deadline()).await {
            Err(error) if error.kind() == ErrorKind::Closed => false,
            Err(_) => true,
            Ok(()) => {
                inner.replaying.end(self.number);
                // What was added since has found this task running.
                let next = inner.unconfirmed.any().then(|| inner.replaying.begin()).flatten();
                self.number = next.unwrap_or(self.number);
                next.is_some()
            }
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.replaying.end(self.number);
        }
    }
}
