//! A way to Redis that is slow, or leads nowhere.

use std::sync::Arc;

use cache_core::RedisOptions;
use cache_core::store::BoxFuture;
use cache_tests::{FaultProxy, Mode, RedisServer};

use super::{Start, Trouble, aside};

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network(pub(crate) Mode);

#[derive(Debug)]
struct Ill {
    mode: Mode,
    redis: RedisServer,
    proxy: FaultProxy,
}

impl Network {
    pub(crate) fn start(self) -> Start {
        let Self(mode) = self;
        Arc::new(move || {
            Box::pin(async move {
                let redis = aside(RedisServer::start).await;
                let proxy = FaultProxy::start(redis.port()).await;
                Box::new(Ill { mode, redis, proxy }) as Box<dyn Trouble>
            })
        })
    }
}

impl Trouble for Ill {
    fn options(&self) -> RedisOptions {
        RedisOptions::url(&self.redis.url_through(self.proxy.port())).expect("valid")
    }

    fn begin(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.proxy.set(self.mode))
    }

    fn end(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.proxy.set(Mode::Pass))
    }
}
