//! Warnings, of each kind one in ten seconds: what they are about may come with every request.

use std::fmt::Debug;

use cache_core::{Error, LogLimit};

/// An unsafe request was answered, and what it has changed is not invalidated everywhere.
pub(crate) fn not_invalidated(error: &Error) {
    static LIMIT: LogLimit = LogLimit::new();
    if let Some(left_out) = LIMIT.take() {
        tracing::warn!(
            target: "cache_tower",
            %error,
            left_out,
            "an unsafe request could not invalidate everywhere"
        );
    }
}

/// As [`not_invalidated`], of one that nobody waited for to its end.
pub(crate) fn not_invalidated_when_cut_short(error: &Error) {
    static LIMIT: LogLimit = LogLimit::new();
    if let Some(left_out) = LIMIT.take() {
        tracing::warn!(
            target: "cache_tower",
            %error,
            left_out,
            "an unsafe request that was cut short could not invalidate"
        );
    }
}

/// A pattern can't be filled in for a request.
pub(crate) fn no_value(template: &dyn Debug) {
    static LIMIT: LogLimit = LogLimit::new();
    if let Some(left_out) = LIMIT.take() {
        tracing::warn!(
            target: "cache_tower",
            ?template,
            left_out,
            "a hole has no value (is the workspace missing?): nothing is invalidated"
        );
    }
}

/// A request whose client has left is not carried to its end.
pub(crate) fn no_place() {
    static LIMIT: LogLimit = LogLimit::new();
    if let Some(left_out) = LIMIT.take() {
        tracing::warn!(
            target: "cache_tower",
            left_out,
            "no place in the background: a request ends with its client"
        );
    }
}
