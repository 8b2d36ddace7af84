//! Streaming, request collapsing, and clients that leave.

mod bodies;
mod herd;
mod large;
mod late;
mod leaving;
mod overtaken;
mod panics;
mod posts;
mod ranges;
mod readiness;
mod unconfirmed;
