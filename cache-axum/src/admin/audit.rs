//! Who has changed what, and who was refused: events of `tracing`, target
//! `cache_axum::admin::audit`. No secrets, and nothing of what is refused but its path.

use std::time::Duration;

use http::StatusCode;

use super::principal::Principal;

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
            took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "change"
        );
    }
}

/// A change was refused before it was looked at.
pub(super) fn refused(who: Option<&Principal>, path: &str, status: StatusCode) {
    tracing::warn!(
        target: "cache_axum::admin::audit",
        principal = who.map_or_else(|| "nobody".to_owned(), Principal::shown),
        path,
        status = status.as_u16(),
        "refused"
    );
}
