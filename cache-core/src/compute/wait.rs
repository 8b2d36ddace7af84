//! Waiting for somebody else's computation, and for how long.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::timeout_at;

use super::ComputeError;
use super::lead::{Outcome, outcome};
use super::options::Options;
use super::run::Call;
use crate::clock::Deadline;
use crate::codec::from_bytes;
use crate::fill::{Fill, LONGEST_FILL};
use crate::flight::{Follower, Landing};
use crate::l1::Shared;

/// A computation that has lasted for this long is not waited for any more, and another is started;
/// or for as long as the [timeout](Options::timeout), if that is longer.
pub(super) const FOLLOW_FOR: Duration = Duration::from_secs(10);

/// What somebody's computation came to.
pub(super) enum Ended<V, E> {
    Done(Result<V, ComputeError<E>>),
    /// Whoever computed went away.
    Abandoned,
    /// The outcome is of no use to this caller.
    Alone,
    /// It takes too long for this caller.
    TooLong,
    /// It takes too long for anybody.
    Hung,
}

impl Call<'_> {
    /// Until when the caller waits; not for long if there is something to stand in.
    pub(super) fn until(&self, may_stand_in: bool, patience: Option<Deadline>) -> Option<Deadline> {
        let soft = self.options.soft_timeout.filter(|_| may_stand_in).map(Deadline::after);
        match (soft, patience) {
            (Some(soft), Some(patience)) => Some(soft.min(patience)),
            (soft, patience) => soft.or(patience),
        }
    }

    /// Waits for somebody else's computation.
    pub(super) fn follow<V: DeserializeOwned, E: Send + Sync + 'static>(
        &self,
        follower: &Follower<Shared>,
        may_stand_in: bool,
        patience: Option<Deadline>,
    ) -> impl Future<Output = Ended<V, E>> + Send {
        let longest = longest(&self.options);
        let until = self.until(may_stand_in, patience);
        async move {
            let landing = match until {
                None => follower.wait_within(longest).await.ok_or(Ended::Hung),
                // With a timer of its own, which the others need no room for.
                Some(until) => Box::pin(within(until, longest, follower)).await,
            };
            match landing {
                Ok(Landing::Landed(shared)) => given(shared),
                Ok(Landing::Abandoned) => Ended::Abandoned,
                Err(ended) => ended,
            }
        }
    }
}

/// No longer than until then, nor than it may last.
async fn within<V, E>(
    until: Deadline,
    longest: Duration,
    follower: &Follower<Shared>,
) -> Result<Landing<&Shared>, Ended<V, E>> {
    let hung = follower.end(longest);
    let end = until.min(hung);
    let in_time = timeout_at(end.instant(), follower.wait()).await;
    in_time.map_err(|_| if until > end { Ended::Hung } else { Ended::TooLong })
}

/// What an outcome is to one who has waited for it.
fn given<V: DeserializeOwned, E: Send + Sync + 'static>(shared: &Shared) -> Ended<V, E> {
    match outcome::<E>(shared) {
        Some(Outcome::Value(format, payload)) => match from_bytes(format, payload) {
            Some(value) => Ended::Done(Ok(value)),
            None => Ended::Alone,
        },
        Some(Outcome::Failed(error)) => Ended::Done(Err(ComputeError::Compute(error))),
        Some(Outcome::NotShared) | None => Ended::Alone,
    }
}

/// Why a call has looked again before it computes: once for each reason. A change that was heard of
/// need not be one of this key, so it must not be the only look.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Looks {
    filled: bool,
    heard: bool,
}

impl Looks {
    /// Whether the value may be there by now.
    pub(super) fn may_be_there(&mut self, fill: &Fill, is_there: impl FnOnce() -> bool) -> bool {
        if !self.filled && (fill.was_filled() || is_there()) {
            self.filled = true;
            return true;
        }
        let may_be = !self.heard && fill.is_overtaken();
        self.heard |= may_be;
        may_be
    }
}

/// How long a computation may last before another is started in its place.
pub(super) fn longest(options: &Options) -> Duration {
    match options.timeout {
        Some(timeout) if timeout != Duration::MAX => timeout.clamp(FOLLOW_FOR, LONGEST_FILL),
        _ => FOLLOW_FOR,
    }
}
