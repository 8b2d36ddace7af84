//! What a response cache counts, for the [`metrics`](https://docs.rs/metrics) facade, and by it for
//! Prometheus and the like. (Feature `metrics`.)
//!
//! ```
//! use cache_core::{Cache, seconds};
//! use cache_tower::HttpCache;
//! use cache_tower::metrics::HttpExporter;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let http = HttpCache::builder(Cache::builder().build()?).build();
//! let exporter = HttpExporter::new(&http);
//!
//! // Where metrics are collected, just before they are: `/metrics` of Prometheus, say.
//! exporter.publish();
//!
//! // Or every few seconds, until the response cache is no more.
//! tokio::spawn(exporter.run(seconds(5)));
//! # Ok::<(), cache_core::Error>(()) }).unwrap();
//! ```
//!
//! Beside what [its cache counts](cache_core::metrics), there is
//!
//! | metric | labels | |
//! |---|---|---|
//! | `cache_http_requests_total` | `cache`, `result`, `decision`, `detail` | requests: their sums by `result` (`hit`, `miss`, `bypass`) are what [`HttpStats`](crate::HttpStats) counts |
//! | `cache_http_flights` | `cache` | fetches in progress that other requests may wait for |
//!
//! `cache` is the [name](crate::HttpCacheBuilder::name) of the response cache; `decision` and
//! `detail` are the words of `Cache-Status` (`fwd=uri-miss; stored`; `private`), of which there are
//! few: those that the table of [the crate](crate) shows.
//!
//! A request that is a miss is also one of `cache_requests_total`, which counts reads of namespaces;
//! that is why requests have a metric of their own.

mod decisions;
mod exporter;

pub(crate) use self::decisions::Decisions;
pub use self::exporter::HttpExporter;
