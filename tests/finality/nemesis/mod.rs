//! What goes wrong in a run, round after round; every round begins and ends with all well.
//!
//! | file | breaks |
//! |---|---|
//! | `servers` | Redis itself: killed, frozen, restarted |
//! | `network` | what lies between the processes and Redis |
//! | `memory` | what Redis has room for |
//! | `rollback` | what Redis remembers |

mod memory;
mod network;
mod rollback;
mod servers;

use std::time::Duration;

use cache_tests::RedisServer;
use cache_tests::redis_server::Builder;

use crate::crew::Crew;
use crate::place::Place;
use crate::worker::Skew;

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nemesis {
    /// None: the processes alone.
    Calm,
    /// None, but patterns are invalidated that were not declared.
    Globs,
    /// Redis is killed, and comes back empty.
    Kill,
    /// Redis is killed, and comes back with all it had acknowledged.
    KillDurable,
    /// Redis is frozen for a while.
    Freeze,
    /// A worker is frozen for a while.
    FreezeWorker,
    /// All connections are killed by the server.
    ClientKill,
    /// The connections that track keys are killed by the server.
    ClientKillTracking,
    /// Answers are late.
    Delay,
    /// Bytes vanish.
    Blackhole,
    /// Connections are reset, cut in the middle of an answer, refused.
    Drop,
    /// Generations are removed, as an eviction would.
    EvictGenerations,
    /// Redis has too little memory, and evicts what it likes.
    Evict,
    /// Redis has too little memory, and refuses writes.
    Full,
    /// The processes' clocks are 15 minutes apart, until Redis has told them the time.
    Clocks,
    /// The processes' clocks are 15 minutes apart, whatever Redis says.
    ClocksWrong,
    /// The processes' clocks are 15 minutes apart, and Redis can't be reached at first.
    ClocksFirstWrong,
    /// An older snapshot is restored.
    Snapshot,
    /// A replica that lags takes over.
    Failover,
}

/// What a round may touch.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) crew: Crew,
    /// The primary.
    pub(crate) redis: RedisServer,
    pub(crate) random: fastrand::Rng,
}

/// Operations during a round, at least.
const OPERATIONS: u64 = 400;
/// Operations between two rounds: enough for every process to find that all is well again.
const REST: u64 = 2_000;

impl Nemesis {
    pub(crate) const ALL: [Self; 19] = [
        Self::Calm,
        Self::Globs,
        Self::Kill,
        Self::KillDurable,
        Self::Freeze,
        Self::FreezeWorker,
        Self::ClientKill,
        Self::ClientKillTracking,
        Self::Delay,
        Self::Blackhole,
        Self::Drop,
        Self::EvictGenerations,
        Self::Evict,
        Self::Full,
        Self::Clocks,
        Self::ClocksWrong,
        Self::ClocksFirstWrong,
        Self::Snapshot,
        Self::Failover,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Globs => "globs",
            Self::Kill => "kill",
            Self::KillDurable => "kill-durable",
            Self::Freeze => "freeze",
            Self::FreezeWorker => "freeze-worker",
            Self::ClientKill => "client-kill",
            Self::ClientKillTracking => "client-kill-tracking",
            Self::Delay => "delay",
            Self::Blackhole => "blackhole",
            Self::Drop => "drop",
            Self::EvictGenerations => "evict-generations",
            Self::Evict => "evict",
            Self::Full => "full",
            Self::Clocks => "clocks",
            Self::ClocksWrong => "clocks-wrong",
            Self::ClocksFirstWrong => "clocks-first-wrong",
            Self::Snapshot => "snapshot",
            Self::Failover => "failover",
        }
    }

    /// Whether it is run there: where it can do harm, and by way of HTTP where the most happens.
    pub(crate) fn fits(self, place: Place) -> bool {
        match place {
            Place::Memory => matches!(self, Self::Calm | Self::FreezeWorker | Self::ClocksWrong),
            Place::Redis | Place::Tiered => true,
            Place::Http => matches!(
                self,
                Self::Calm
                    | Self::Kill
                    | Self::Freeze
                    | Self::Blackhole
                    | Self::Snapshot
                    | Self::Failover
            ),
        }
    }

    /// Whether there are times at which nothing tells a process that what it has begun to compute
    /// was overtaken elsewhere: Redis can't be asked, or has no room for generations.
    pub(crate) fn leaves_no_trace(self) -> bool {
        self == Self::Full || self.cuts_off()
    }

    /// Whether there are times at which Redis can't be asked, or tell.
    pub(crate) fn cuts_off(self) -> bool {
        matches!(
            self,
            Self::Kill
                | Self::KillDurable
                | Self::Freeze
                | Self::ClientKill
                | Self::ClientKillTracking
                | Self::Delay
                | Self::Blackhole
                | Self::Drop
                | Self::Snapshot
                | Self::Failover
        )
    }

    /// The server it needs.
    pub(crate) fn server(self) -> Builder {
        match self {
            // What was acknowledged is on disk, so that nothing but the kill happens.
            Self::KillDurable => RedisServer::builder()
                .arg("--appendonly")
                .arg("yes")
                .arg("--appendfsync")
                .arg("always"),
            _ => RedisServer::builder(),
        }
    }

    /// The clock of each worker in turn.
    pub(crate) fn clocks(self) -> [Skew; 3] {
        let apart = [900, 0, -900];
        match self {
            Self::Clocks | Self::ClocksFirstWrong => apart.map(Skew::Correctable),
            Self::ClocksWrong => apart.map(Skew::ForGood),
            _ => [Skew::Correctable(0); 3],
        }
    }

    /// Whether Redis can be reached from the beginning.
    pub(crate) fn connected(self) -> bool {
        self != Self::ClocksFirstWrong
    }

    /// Breaks something, and makes it whole again.
    pub(crate) async fn round(self, field: &mut Field) {
        match self {
            Self::Calm | Self::Globs | Self::Clocks | Self::ClocksWrong => {
                field.crew.operate(OPERATIONS).await;
            }
            Self::ClocksFirstWrong => {
                network::heal(field).await;
                field.crew.operate(OPERATIONS).await;
            }
            Self::Kill | Self::KillDurable => servers::kill(field).await,
            Self::Freeze => servers::freeze(field).await,
            Self::FreezeWorker => servers::freeze_worker(field).await,
            Self::ClientKill => network::kill_clients(field, network::Clients::All).await,
            Self::ClientKillTracking => {
                network::kill_clients(field, network::Clients::Tracking).await;
            }
            Self::Delay => network::delay(field).await,
            Self::Blackhole => network::swallow(field).await,
            Self::Drop => network::cut(field).await,
            Self::EvictGenerations => memory::evict_generations(field).await,
            Self::Evict => memory::evict(field).await,
            Self::Full => memory::fill(field).await,
            Self::Snapshot => rollback::restore_snapshot(field).await,
            Self::Failover => rollback::fail_over(field).await,
        }
    }
}

impl Field {
    /// Lets the trouble last: for some time, and for some operations.
    async fn endure(&mut self, longest: Duration) {
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let lasts = Duration::from_millis(self.random.u64(longest / 10..=longest));
        tokio::join!(tokio::time::sleep(lasts), self.crew.operate(OPERATIONS));
    }

    /// Lets all be well for a while.
    pub(crate) async fn rest(&self) {
        self.crew.operate(REST).await;
    }

    /// The numbers of the workers that something befalls: one, or all.
    fn victims(&mut self) -> std::ops::Range<usize> {
        let all = self.crew.workers().len();
        if self.random.bool() {
            return 0..all;
        }
        let one = self.random.usize(..all);
        one..one + 1
    }
}
