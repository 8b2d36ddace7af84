//! Drills: Redis is killed, stopped, slowed down, filled up, locked, refuses, fails over, or is
//! resharded, while a service answers requests at a steady rate. Nobody who asks notices.
//!
//! - `app`: the service, and what is asked of it;
//! - `load`: asks, at a steady rate, whatever comes of it;
//! - `trouble`: what can be wrong with Redis, or with the way to it;
//! - `drill`: which drills there are; a new one is a [`trouble::Trouble`] and a line there;
//! - `run`, `figures`, `judge`: one drill, what was measured, and whether that is good enough;
//! - `short`: each for about a second, and only what can be counted;
//! - `long`, `report`: the command `./tests/drills`, which writes `tests/DRILLS.md`;
//! - `material`: what lies in `examples/ops/redis`.

mod app;
mod drill;
mod figures;
mod judge;
mod load;
mod long;
mod material;
mod report;
mod run;
mod short;
mod trouble;
