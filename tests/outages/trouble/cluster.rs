//! A Cluster whose slots move, or that loses a primary.

use std::sync::Arc;
use std::time::Duration;

use cache_core::RedisOptions;
use cache_core::store::BoxFuture;
use cache_tests::RedisCluster;
use tokio::task::JoinHandle;

use super::{Start, Trouble, aside};

/// What happens to the Cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cluster {
    /// So many slots move from one primary to another.
    Resharded(u16),
    /// A primary is killed, stays away, and its replica takes over.
    Bereft,
}

#[derive(Debug)]
struct Ill {
    what: Cluster,
    cluster: Arc<RedisCluster>,
    /// The primary that it happens to.
    from: u16,
    moving: Option<JoinHandle<()>>,
    /// How many commands by the time it began; when all slots have moved, how many since.
    refused: u64,
}

/// Most requests ask for it: with its slot moves, or is lost, what matters.
const GENERATION: &str = "drill:gen:n:shared";
/// So many slots of those that are in use are sure to move.
const IN_USE: u16 = 50;
/// So that a replica takes over soon.
const NODE_TIMEOUT: Duration = Duration::from_millis(1500);

impl Cluster {
    pub(crate) fn start(self) -> Start {
        Arc::new(move || {
            Box::pin(async move {
                let ill = aside(move || self.ill()).await;
                Box::new(ill) as Box<dyn Trouble>
            })
        })
    }

    fn ill(self) -> Ill {
        let builder = RedisCluster::builder();
        let cluster = match self {
            Self::Resharded(_) => builder.start(),
            Self::Bereft => builder.node_timeout(NODE_TIMEOUT).start(),
        };
        let from = cluster.owner(GENERATION);
        Ill { what: self, cluster: Arc::new(cluster), from, moving: None, refused: 0 }
    }
}

impl Ill {
    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&RedisCluster) -> T + Send + 'static,
    ) -> BoxFuture<'static, T> {
        let cluster = Arc::clone(&self.cluster);
        Box::pin(aside(move || work(&cluster)))
    }
}

impl Trouble for Ill {
    fn options(&self) -> RedisOptions {
        RedisOptions::cluster(self.cluster.nodes()).expect("valid")
    }

    fn begin(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            match self.what {
                Cluster::Resharded(slots) => {
                    self.refused = self.with(sent_elsewhere).await;
                    let from = self.from;
                    let moving = self.with(move |cluster| move_slots(cluster, slots, from));
                    self.moving = Some(tokio::spawn(moving));
                }
                Cluster::Bereft => {
                    let killing = self.with(|cluster| {
                        // On a busy machine its replica may have taken over before.
                        let lost = cluster.owner(GENERATION);
                        cluster.kill(lost);
                        lost
                    });
                    self.from = killing.await;
                }
            }
        })
    }

    fn end(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let lost = self.from;
            match self.moving.take() {
                Some(moving) => {
                    moving.await.expect("all slots move");
                    self.refused = self.with(sent_elsewhere).await - self.refused;
                }
                None => self.with(move |cluster| cluster.wait_for_failover_of(lost)).await,
            }
        })
    }

    fn refused(&self) -> u64 {
        self.refused
    }
}

/// Those of what is asked for most one by one, the others as `redis-cli` does it.
fn move_slots(cluster: &RedisCluster, slots: u16, from: u16) {
    let to = cluster.primaries().into_iter().find(|port| *port != from).expect("three primaries");
    let held = cluster.command(from, &["KEYS", "drill:*"]);
    let mut in_use = vec![RedisCluster::slot(GENERATION)];
    for key in held.items() {
        let key = key.text();
        let slot = RedisCluster::slot(&key);
        if in_use.len() < usize::from(slots.min(IN_USE)) && !key.contains('{') {
            in_use.extend((!in_use.contains(&slot)).then_some(slot));
        }
    }
    for slot in &in_use {
        cluster.move_slot(*slot, to);
    }
    let rest = slots.saturating_sub(u16::try_from(in_use.len()).expect("few"));
    if rest > 0 {
        cluster.reshard(rest, from, to);
    }
}

/// How often a command was refused because its key is elsewhere, or about to be.
fn sent_elsewhere(cluster: &RedisCluster) -> u64 {
    let mut count = 0;
    for port in cluster.ports() {
        let stats = cluster.command(*port, &["INFO", "errorstats"]).text();
        for word in ["MOVED", "ASK", "TRYAGAIN"] {
            let name = format!("errorstat_{word}:count=");
            let found =
                stats.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok());
            count += found.unwrap_or(0);
        }
    }
    count
}
