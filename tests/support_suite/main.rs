//! The support crate's own tests, and checks on the workspace as a whole.

mod body;
mod browser;
mod example;
mod fake_redis;
mod fault_proxy;
mod http_client;
mod message;
mod msrv;
mod nginx;
mod origin;
mod prometheus;
mod purity;
mod raw_origin;
mod reaper;
mod redis_server;
mod requirements;
mod rust_tokens;
mod sentinel_set;
mod twin;
mod wait;

use std::time::Duration;

/// Generous, for a busy machine; nothing here takes long when it works.
const SOON: Duration = Duration::from_secs(20);
