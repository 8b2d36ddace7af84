//! What the integration tests stand on: real servers, scripted origins and faults.
//!
//! Everything listens on 127.0.0.1 on a free port and ends with the value that started it, also
//! when a test panics or the whole test binary is killed. Nothing here knows the cache crates.
//!
//! | module | gives |
//! |---|---|
//! | [`redis_server`], [`resp`] | a real `redis-server`, and a small client to look into it |
//! | [`sentinel_set`] | a primary, its replica and their Sentinels |
//! | [`certificates`] | certificates for TLS |
//! | [`redis_cluster`] | a real Redis Cluster of six nodes |
//! | [`nginx`] | a real nginx over a document root |
//! | [`browser`] | a real Chromium, driven by pointer and keyboard |
//! | [`prometheus`] | a real Prometheus, and what it has scraped |
//! | [`command_filter`] | a proxy before Redis that answers some commands itself |
//! | [`fault_proxy`] | a TCP proxy that delays, swallows, refuses, cuts, corrupts, and miscounts replies of Redis |
//! | [`fake_redis`], [`resp_frame`] | a Redis that answers as the test says, alone or before a real one |
//! | [`origin`], [`body`], [`raw_origin`], [`gate`] | scripted HTTP origins, and what makes them wait |
//! | [`http_client`], [`message`] | an HTTP/1.1 client that shows every chunk as it comes |
//! | [`example`] | an example binary of this workspace as a process |
//! | [`twin`] | the running test binary as one more process |
//! | [`clock`], [`wait`], [`ports`] | deadlines, polling, free ports |
//!
//! ```
//! use cache_tests::{body, http_client, origin::Origin};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let origin = Origin::start(|_request| async { body::fixed(200, &[("etag", "\"1\"")], "hello") }).await;
//! let response = http_client::get(origin.addr(), "/greeting", &[]).await;
//! assert_eq!(response.text(), "hello");
//! assert_eq!(origin.requests()[0].uri.path(), "/greeting");
//! # });
//! ```
#![allow(
    clippy::missing_panics_doc,
    reason = "in a test every helper panics when what it drives misbehaves; the message says why"
)]

mod acceptor;
pub mod body;
pub mod browser;
pub mod certificates;
pub mod clock;
mod cluster_moves;
mod cluster_nodes;
pub mod command_filter;
pub mod example;
pub mod fake_redis;
pub mod fault_proxy;
pub mod gate;
pub mod http_client;
pub mod message;
pub mod nginx;
pub mod origin;
pub mod ports;
mod process;
pub mod prometheus;
mod proxy_link;
pub mod raw_origin;
mod reaper;
pub mod redis_cluster;
pub mod redis_server;
pub mod resp;
pub mod resp_frame;
pub mod sentinel_set;
pub mod twin;
pub mod wait;
mod webdriver;

pub use browser::Browser;
pub use certificates::Certificates;
pub use command_filter::CommandFilter;
pub use example::Example;
pub use fake_redis::{Answer, FakeRedis};
pub use fault_proxy::{FaultProxy, Mode};
pub use gate::Gate;
pub use nginx::Nginx;
pub use origin::Origin;
pub use prometheus::Prometheus;
pub use raw_origin::{RawOrigin, RawStep};
pub use redis_cluster::RedisCluster;
pub use redis_server::RedisServer;
pub use resp::Reply;
pub use sentinel_set::SentinelSet;
pub use twin::Twin;
pub use wait::eventually;
