//! The short form: each trouble for one round, and the proof that the checker would notice.

use tokio::sync::Semaphore;

use crate::nemesis::Nemesis;
use crate::place::Place;
use crate::run::Plan;

/// Runs at the same time; each has up to four processes of its own.
static TURNS: Semaphore = Semaphore::const_new(4);

async fn survives(nemesis: Nemesis, place: Place) {
    let _turn = TURNS.acquire().await.unwrap();
    let seed = fastrand::u64(..1_000_000);
    Plan::new(place, nemesis, seed).run().await.assert_final();
}

macro_rules! survive {
    ($($name:ident: $nemesis:ident on $($place:ident),+;)*) => { $(
        mod $name { $(
            #[allow(non_snake_case)]
            #[tokio::test]
            async fn $place() {
                use crate::{nemesis::Nemesis, place::Place};
                super::survives(Nemesis::$nemesis, Place::$place).await;
            }
        )+ }
    )* };
}

survive! {
    calm: Calm on Memory, Redis, Tiered, Http;
    undeclared_patterns_are_invalidated: Globs on Redis, Tiered;
    redis_is_killed: Kill on Redis, Tiered;
    redis_is_killed_and_remembers: KillDurable on Tiered;
    redis_is_frozen: Freeze on Tiered;
    a_worker_is_frozen: FreezeWorker on Memory, Tiered;
    connections_are_killed: ClientKill on Tiered;
    tracking_connections_are_killed: ClientKillTracking on Tiered;
    answers_are_late: Delay on Redis, Tiered;
    bytes_vanish: Blackhole on Redis, Tiered;
    connections_are_cut: Drop on Tiered;
    generations_are_evicted: EvictGenerations on Redis, Tiered;
    anything_is_evicted: Evict on Tiered;
    redis_is_full: Full on Redis;
    clocks_are_apart: Clocks on Redis, Tiered;
    clocks_are_wrong_at_first: ClocksFirstWrong on Redis, Tiered;
    clocks_are_wrong: ClocksWrong on Memory, Redis, Tiered;
}

/// The mutation check: with the checks of generations switched off, the checker finds stale reads.
#[tokio::test]
async fn without_generations_there_are_stale_reads() {
    for place in Place::ALL {
        let plan = Plan::new(place, Nemesis::Calm, 1);
        let plan = Plan { operations: 4_000, ignore_generations: true, ..plan };
        let outcome = plan.run().await;
        assert!(!outcome.verdict.stale.is_empty(), "{place:?}: nothing found");
        assert!(outcome.explained[0].contains("STALE"), "{}", outcome.explained[0]);
    }
}
