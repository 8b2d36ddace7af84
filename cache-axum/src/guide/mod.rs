//! How to: pages to read, with examples that compile.
//!
//! - [`layers`]: the order of layers, and what each of axum's ways to put routers together means to a
//!   cache.

pub mod layers;
