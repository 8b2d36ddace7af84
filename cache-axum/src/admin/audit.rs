//! Who has changed what, and who was refused: events of `tracing`, target
//! `cache_axum::admin::audit`. No secrets, and nothing of what is refused but its path.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

use super::figures::micros;
use super::principal::Principal;
use super::rate::{Buckets, Limit};

/// Something was changed, or was to be.
pub(super) struct Change {
    who: String,
    by_operator: bool,
    action: &'static str,
    what: String,
}

impl Change {
    pub(super) fn new(who: &Principal, action: &'static str, what: String) -> Self {
        Self { who: who.shown(), by_operator: who.is_operator(), action, what }
    }

    pub(super) fn is_by_operator(&self) -> bool {
        self.by_operator
    }

    /// It has come to this.
    pub(super) fn ended(&self, outcome: &str, took: Duration) {
        tracing::info!(
            target: "cache_axum::admin::audit",
            principal = %self.who,
            action = self.action,
            what = %self.what,
            outcome,
            took_us = micros(took),
            "change"
        );
    }
}

/// So many refusals are told in a second, and a few more at once; the next that is told says how many
/// were not. Anybody can be refused as often as they like.
const TOLD: Limit = Limit { burst: 50.0, per_second: 5.0 };

/// Tells of what was refused.
#[derive(Debug)]
pub(super) struct Refusals {
    told: Buckets,
    left_out: AtomicU64,
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self { told: Buckets::new(TOLD), left_out: AtomicU64::new(0) }
    }

    /// A change was refused before it was looked at.
    pub(super) fn tell(&self, who: Option<&Principal>, path: &str, status: StatusCode) {
        if self.told.take("all").is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        refused(who, path, status, self.left_out.swap(0, Ordering::Relaxed));
    }
}

/// So much of a path is told: it may be as long as servers take.
const LONGEST_PATH: usize = 256;

fn refused(who: Option<&Principal>, path: &str, status: StatusCode, left_out: u64) {
    // Of ASCII, as it is sent.
    let path = path.get(..LONGEST_PATH).unwrap_or(path);
    tracing::warn!(
        target: "cache_axum::admin::audit",
        principal = who.map_or_else(|| "nobody".to_owned(), Principal::shown),
        path,
        status = status.as_u16(),
        left_out,
        "refused"
    );
}
