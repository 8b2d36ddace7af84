//! What the routes of the admin API take and answer, as JSON.
//!
//! Times are unix milliseconds and end in `_at` or `_until`; durations are microseconds and end in
//! `_us`; sizes are bytes and end in `_bytes`. What can't be told, or not to this caller, is `null`.
//! All figures are of this process since it started, but for [`ServerFigures`].
//!
//! | route | takes | answers |
//! |---|---|---|
//! | `GET /` | | the page; needs no credentials |
//! | `GET /stats` | [`NamespaceQuery`] | [`StatsReport`] |
//! | `GET /workspace/{id}/stats` | | [`WorkspaceReport`] |
//! | `GET /health` | | [`HealthReport`]: 200 whatever it says |
//! | `GET /health/live`, `GET /health/ready` | | [`ProbeReport`]: 200, or 503 if not ready |
//! | `GET /keys/top` | [`TopKeysQuery`] | [`TopKeysReport`] |
//! | `GET /entry` | [`EntryQuery`] | [`EntryReport`] |
//! | `GET /routes` | | [`RoutesReport`] |
//! | `GET /events` | | `text/event-stream` of [`EventReport`]: the name of each is its `event` |
//! | `GET /openapi.json` | | the OpenAPI document |
//! | `POST /clear` | [`ClearQuery`] | [`ClearReport`] |
//! | `POST /invalidate` | [`InvalidateRequest`] | [`InvalidateReport`] |
//! | `POST /version/bump` | [`BumpQuery`] | [`BumpReport`] |
//!
//! Whatever is refused is answered with a [`Problem`]. Every POST has to say
//! `Content-Type: application/json`, also where it has no body.

mod changes;
mod entries;
mod events;
mod health;
mod stats;

pub use changes::{
    BumpQuery, BumpReport, ClearQuery, ClearReport, InvalidateOutcome, InvalidateReport,
    InvalidateRequest, ScopeKind, ScopeReport,
};
pub use entries::{
    BodyEncoding, EntryBody, EntryQuery, EntryReport, HeaderReport, ResponseReport, TagReport,
    TopKey, TopKeysQuery, TopKeysReport,
};
pub use events::{EventReport, EventScope, Problem, RouteReport, RoutesReport};
pub use health::{
    Coherence, HealthDetails, HealthReport, HealthStatus, MissingAbility, ProbeReport, ProbeStatus,
};
pub use stats::{
    BreakerState, Bucket, Figures, HttpFigures, InvalidationFigures, MemoryFigures, NamespaceQuery,
    OperationFigures, PoolFigures, ServerFigures, StatsReport, StoreFigures, Timed, Viewer,
    WorkspaceReport,
};
