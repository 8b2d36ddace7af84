//! A failover: the primary is killed, and its Sentinels put the replica in its place.

use std::sync::Arc;

use cache_core::store::BoxFuture;
use cache_core::{RedisOptions, SentinelOptions};
use cache_tests::SentinelSet;

use super::{Start, Trouble, aside};

#[derive(Debug)]
struct Failover {
    set: Arc<SentinelSet>,
    lost: u16,
}

/// The primary is killed, and stays away.
pub(crate) fn failover() -> Start {
    Arc::new(|| {
        Box::pin(async {
            let failover = aside(|| {
                let set = SentinelSet::start();
                let lost = set.primary();
                Failover { set: Arc::new(set), lost }
            });
            Box::new(failover.await) as Box<dyn Trouble>
        })
    })
}

impl Trouble for Failover {
    fn options(&self) -> RedisOptions {
        let sentinels = SentinelOptions::new(self.set.master(), self.set.hosts()).expect("valid");
        RedisOptions::sentinel(sentinels).expect("valid")
    }

    fn begin(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let set = Arc::clone(&self.set);
            // On a busy machine it may have handed over before.
            let killing = aside(move || {
                let lost = set.primary();
                set.kill(lost);
                lost
            });
            self.lost = killing.await;
        })
    }

    fn end(&mut self) -> BoxFuture<'_, ()> {
        let (set, lost) = (Arc::clone(&self.set), self.lost);
        Box::pin(aside(move || {
            set.failed_over(lost);
        }))
    }
}
