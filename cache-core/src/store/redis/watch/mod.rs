//! Watching: a connection of its own on which Redis tells what changes, by the best way it allows.
//!
//! - `tracking`: Redis' own tracking of all keys under the prefix, over RESP3;
//! - `pubsub`: where that is refused: those who change something publish it;
//! - `announce`: the publishing.
//!
//! Where both are refused nothing is heard, and it is tried again now and then.

mod announce;
mod pubsub;
mod tracking;

use std::sync::{Arc, Weak};
use std::time::Duration;

use bb8_redis::redis::{ErrorKind as RedisKind, RedisError};

use super::Inner;
use super::connect::Settings;
use super::fault::is_about_login;
use super::probe::ensure_probe;
use crate::clock::{Stopwatch, as_millis, spread};
use crate::coherence::CoherenceMode;
use crate::error::{Error, ErrorKind};
use crate::store::ChangeSink;

pub(super) use announce::{Announcer, channel};

pub(super) const FIRST_RETRY: Duration = Duration::from_millis(100);
pub(super) const LAST_RETRY: Duration = Duration::from_millis(500);
/// Whoever changes the rights of a user does so while the service runs.
const RETRY_REFUSED: Duration = Duration::from_secs(30);
/// How often it is looked whether Redis is back, while waiting for the next try.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long one step of a session may take, connecting among them: a way that leads nowhere is not to
/// be waited for when there is another.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Why a session came to its end, or never began.
enum Ended {
    /// Redis does not allow this way.
    Refused(Error),
    /// The connection is no more.
    Lost { error: Error, had_begun: bool },
}

/// What every session needs.
struct Session {
    settings: Arc<Settings>,
    announcer: Arc<Announcer>,
    prefix: String,
    sink: Arc<dyn ChangeSink>,
}

/// Tells the sink what changes under the prefix, until the store is closed or gone.
pub(super) async fn watch(store: Weak<Inner>, prefix: String, sink: Arc<dyn ChangeSink>) {
    let Some(session) = session(&store, prefix, sink) else { return };
    let mut retry = FIRST_RETRY;
    // The store may be dropped, or closed, while this sleeps.
    while store.upgrade().is_some_and(|inner| !inner.breaker.has_ended()) {
        let ended = match tracking::run(&session).await {
            Ended::Refused(refusal) => pubsub::run(&session, &refusal).await,
            lost @ Ended::Lost { .. } => lost,
        };
        let wait = match ended {
            Ended::Lost { error, had_begun } => {
                session.sink.lost(error.to_string());
                retry = if had_begun { FIRST_RETRY } else { retry.saturating_mul(2) };
                retry.min(LAST_RETRY)
            }
            Ended::Refused(error) => {
                let why = format!("tracking and pub/sub are refused: {error}");
                session.sink.began(CoherenceMode::Ttl, Some(why));
                RETRY_REFUSED
            }
        };
        // Spread out, so that many instances do not come back at the same moment.
        rest(&store, spread(wait)).await;
    }
}

/// Waits; and as long as Redis is away, which others look after, until it is back, and no longer.
async fn rest(store: &Weak<Inner>, wait: Duration) {
    let (began, mut was_away) = (Stopwatch::start(), false);
    loop {
        let left = wait.saturating_sub(began.elapsed());
        match store.upgrade().filter(|inner| !inner.breaker.has_ended()) {
            Some(inner) if !inner.breaker.is_closed() => {
                was_away = true;
                ensure_probe(&inner);
            }
            Some(_) if !was_away && !left.is_zero() => {}
            _ => return,
        }
        let pause = if was_away { LOOK_EVERY } else { left.min(LOOK_EVERY) };
        tokio::time::sleep(pause).await;
    }
}

fn session(store: &Weak<Inner>, prefix: String, sink: Arc<dyn ChangeSink>) -> Option<Session> {
    let inner = store.upgrade()?;
    let settings = inner.connections.settings();
    Some(Session { settings, announcer: Arc::clone(&inner.announcer), prefix, sink })
}

impl Ended {
    /// A session that had not begun.
    fn early(error: RedisError) -> Self {
        let too_old = error.kind() == RedisKind::RESP3NotSupported;
        match Error::from(error) {
            error if is_about_login(&error) => Self::Lost { error, had_begun: false },
            error if too_old || error.kind() == ErrorKind::Denied => Self::Refused(error),
            error => Self::Lost { error, had_begun: false },
        }
    }

    fn lost(error: impl Into<Error>) -> Self {
        Self::Lost { error: error.into(), had_begun: true }
    }
}

/// Within a time that a server in good health does not need.
async fn patiently<T>(
    step: impl Future<Output = Result<T, RedisError>>,
    patience: Duration,
) -> Result<T, Ended> {
    let patience = patience.min(PATIENCE);
    if let Ok(result) = tokio::time::timeout(patience, step).await {
        return result.map_err(Ended::early);
    }
    let text = format!("no answer within {} ms", as_millis(patience));
    Err(Ended::Lost { error: Error::new(ErrorKind::Timeout, text), had_begun: false })
}
