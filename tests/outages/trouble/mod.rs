//! What can be wrong with Redis, or with the way to it.

mod classes;
mod cluster;
mod network;
mod refuser;
mod resp;
mod sentinel;
mod server;

use std::sync::Arc;

use cache_core::RedisOptions;
use cache_core::store::BoxFuture;

pub(crate) use self::classes::CLASSES;
pub(crate) use self::cluster::Cluster;
pub(crate) use self::network::Network;
pub(crate) use self::sentinel::failover;
pub(crate) use self::server::Server;

/// Trouble that comes and goes. Whatever servers it needs end with it.
pub(crate) trait Trouble: Send {
    /// How a service reaches Redis.
    fn options(&self) -> RedisOptions;

    /// Makes it come; it is there when this ends.
    fn begin(&mut self) -> BoxFuture<'_, ()>;

    /// Makes it go, or waits until it has; when this ends, Redis takes commands again.
    fn end(&mut self) -> BoxFuture<'_, ()>;

    /// How many commands were refused for its sake, where that is what it does.
    fn refused(&self) -> u64 {
        0
    }
}

/// Starts whatever servers some trouble needs, in good health.
pub(crate) type Start = Arc<dyn Fn() -> BoxFuture<'static, Box<dyn Trouble>> + Send + Sync>;

/// Does what would hold up others on its thread.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it does not panic")
}
