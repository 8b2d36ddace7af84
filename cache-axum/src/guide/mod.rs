//! How to: pages to read, with examples that compile.
//!
//! - [`layers`]: the order of layers, and what each of axum's ways to put routers together means to a
//!   cache.
//! - `tutorial` (with the feature `admin`): from `cargo new` to a service that is cached, invalidated
//!   and observed.

pub mod layers;
#[cfg(feature = "admin")]
#[doc = include_str!("tutorial.md")]
pub mod tutorial {}
