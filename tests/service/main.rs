//! What a service built with axum touches: routes, extractors, rate limits, the admin API and its
//! page, metrics. Over real sockets.

mod admin;
mod limits;
mod log;
mod observe;
mod page;
mod routes;
mod setup;
