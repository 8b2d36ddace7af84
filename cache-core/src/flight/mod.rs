//! Flights: one fill in progress, and those who wait for it (single-flight, request collapsing).
//!
//! - `local`: within one process.

mod local;

pub use local::{Flights, Follower, Joined, Landing, Leader};
