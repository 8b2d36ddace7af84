//! Each class of error that Redis answers with: what reads, fills, writes and invalidations make of it,
//! whether it opens the breaker, and whether it costs the connection. `cache_core::guide::faults` has
//! the same as a table.

use cache_core::{BreakerState, Cache, ErrorKind, Invalidated, Tag};
use cache_tests::fake_redis::Call;
use cache_tests::{Answer, FakeRedis, RedisServer, Reply, eventually};

use crate::recovery::healed;
use crate::setup::{PATIENCE, at, fill, kind, on, settled, text};

/// A cache on a Redis that is about to refuse something.
pub(crate) struct Rig {
    pub(crate) fake: FakeRedis,
    pub(crate) cache: Cache,
    pub(crate) redis: RedisServer,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let redis = RedisServer::start();
        let fake = FakeRedis::before(&redis, |_| Answer::Pass).await;
        let cache = at(&fake.url()).l1(false).build().unwrap();
        cache.set("users", "1", "v").tag("t").await.unwrap();
        fill(&cache, "users", "0", "so that the script is known").await;
        settled(&cache).await;
        Self { fake, cache, redis }
    }

    /// These commands are refused from now on.
    fn refuse(&self, error: &'static str, which: impl Fn(&Call) -> bool + Send + Sync + 'static) {
        self.fake.script(move |call| if which(call) { Answer::error(error) } else { Answer::Pass });
    }

    fn breaker(&self) -> BreakerState {
        self.cache.gauges().breaker.unwrap()
    }

    /// All is well again, without anybody's doing.
    async fn heals(&self) {
        self.fake.script(|_| Answer::Pass);
        healed(&self.cache).await;
        eventually(PATIENCE, "it is closed", || self.breaker() == BreakerState::Closed).await;
        let other = on(&self.redis).l1(false).build().unwrap();
        eventually(PATIENCE, "what was queued is done", || {
            self.cache.gauges().queued_invalidations == 0
        })
        .await;
        assert_eq!(text(&other, "users", "1").await, None, "it was invalidated");
    }
}

fn is_command(call: &Call) -> bool {
    !call.is_greeting()
}

fn is_write(call: &Call) -> bool {
    matches!(call.name(), "SET" | "EVALSHA" | "EVAL" | "UNLINK" | "DEL" | "PEXPIRE")
}

/// What takes room.
fn is_deny_oom(call: &Call) -> bool {
    matches!(call.name(), "SET" | "EVALSHA" | "EVAL")
}

/// Redis is of no use: a miss, and nobody asks for long.
async fn is_away(error: &'static str) {
    let rig = Rig::start().await;
    rig.refuse(error, is_command);
    assert_eq!(text(&rig.cache, "users", "1").await, None);
    assert_eq!(fill(&rig.cache, "users", "2", "computed").await, "computed");
    let refused = rig.cache.set("users", "1", "new").await;
    assert_eq!(kind(refused), ErrorKind::Unavailable);
    assert_eq!(rig.cache.invalidate(Tag::new("t")).await.unwrap(), Invalidated::Queued);
    eventually(PATIENCE, "it opens", || rig.breaker() != BreakerState::Closed).await;
    let health = rig.cache.health().await;
    let code = error.split(' ').next().unwrap();
    assert!(!health.reachable && health.fault.unwrap().contains(code));
    rig.heals().await;
}

#[tokio::test]
async fn loading() {
    is_away("LOADING Redis is loading the dataset in memory").await;
}

#[tokio::test]
async fn busy_with_a_script() {
    is_away("BUSY Redis is busy running a script. You can only call SCRIPT KILL.").await;
}

#[tokio::test]
async fn a_replica_without_its_primary() {
    is_away("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")
        .await;
}

#[tokio::test]
async fn a_cluster_that_is_down() {
    is_away("CLUSTERDOWN The cluster is down").await;
}

#[tokio::test]
async fn a_login_that_is_wanted_all_of_a_sudden() {
    is_away("NOAUTH Authentication required.").await;
}

/// About one slot, so no reason to ask nobody any more.
#[tokio::test]
async fn a_slot_on_its_way() {
    let rig = Rig::start().await;
    rig.refuse("TRYAGAIN Multiple keys request during rehashing of slot", |call| {
        matches!(call.name(), "MGET" | "EVALSHA" | "UNLINK")
    });
    for _ in 0..5 {
        assert_eq!(text(&rig.cache, "users", "1").await, None);
        assert_eq!(fill(&rig.cache, "users", "2", "computed").await, "computed");
    }
    assert_eq!(rig.cache.invalidate(Tag::new("t")).await.unwrap(), Invalidated::Queued);
    settled(&rig.cache).await;
    assert_eq!(rig.breaker(), BreakerState::Closed);
    rig.heals().await;
}

/// Reads go on; what can't be written is not, and what can't be removed is put off.
async fn takes_no_writes(error: &'static str) -> (Rig, usize) {
    let rig = Rig::start().await;
    // So that no connection is too new to be given up.
    tokio::time::sleep(std::time::Duration::from_millis(1300)).await;
    rig.refuse(error, is_write);
    let before = rig.fake.connections();
    for _ in 0..5 {
        assert_eq!(text(&rig.cache, "users", "1").await.as_deref(), Some("v"));
        assert_eq!(kind(rig.cache.set("users", "2", "new").await), ErrorKind::ReadOnly);
        assert_eq!(fill(&rig.cache, "users", "3", "computed").await, "computed");
        settled(&rig.cache).await;
    }
    assert_eq!(rig.breaker(), BreakerState::Closed);
    assert!(rig.cache.health().await.reachable);
    let made = rig.fake.connections() - before;
    assert_eq!(rig.cache.invalidate(Tag::new("t")).await.unwrap(), Invalidated::Queued);
    assert_eq!(text(&rig.cache, "users", "1").await, None);
    (rig, made)
}

/// Another connection may lead to the one that is the primary now. But not with each refusal.
#[tokio::test]
async fn a_replica() {
    let error = "READONLY You can't write against a read only replica.";
    let (rig, made) = takes_no_writes(error).await;
    assert!((1..=3).contains(&made), "{made} connections for twenty refusals");
    rig.heals().await;
}

#[tokio::test]
async fn a_server_that_can_not_save() {
    let error = "MISCONF Redis is configured to save RDB snapshots, but it's unable to persist.";
    let (rig, made) = takes_no_writes(error).await;
    assert_eq!(made, 0);
    rig.heals().await;
}

#[tokio::test]
async fn a_server_with_too_few_replicas() {
    let (rig, made) = takes_no_writes("NOREPLICAS Not enough good replicas to write.").await;
    assert_eq!(made, 0);
    rig.heals().await;
}

#[tokio::test]
async fn a_server_without_memory() {
    let rig = Rig::start().await;
    let before = rig.fake.connections();
    rig.refuse("OOM command not allowed when used memory > 'maxmemory'.", is_deny_oom);
    assert_eq!(text(&rig.cache, "users", "1").await.as_deref(), Some("v"));
    assert_eq!(kind(rig.cache.set("users", "2", "new").await), ErrorKind::Full);
    assert_eq!(fill(&rig.cache, "users", "3", "computed").await, "computed");
    settled(&rig.cache).await;
    let done = rig.cache.invalidate(Tag::new("t")).await.unwrap();
    assert_eq!(done, Invalidated::Complete, "which needs no room");
    assert_eq!(rig.breaker(), BreakerState::Closed);
    assert_eq!(rig.fake.connections(), before);
    rig.heals().await;
}

/// A probe that is refused has met a server all the same. Pinned: where `PING` was refused, as it is
/// by a server that can't save, a breaker that was open stayed so.
#[tokio::test]
async fn whoever_refuses_a_probe_is_back() {
    let rig = Rig::start().await;
    rig.fake.script(|call| if is_command(call) { Answer::Close } else { Answer::Pass });
    crate::recovery::broken(&rig.cache).await;
    rig.refuse("MISCONF Redis can't save", |call| call.name() == "PING");
    healed(&rig.cache).await;
    let health = rig.cache.health().await;
    assert!(health.reachable && health.fault.unwrap().contains("MISCONF"));
}

#[tokio::test]
async fn a_user_who_may_do_nothing() {
    let rig = Rig::start().await;
    let before = rig.fake.connections();
    rig.refuse("NOPERM this user has no permissions to run the command", is_command);
    for _ in 0..5 {
        assert_eq!(text(&rig.cache, "users", "1").await, None);
        assert_eq!(kind(rig.cache.set("users", "2", "new").await), ErrorKind::Denied);
        assert_eq!(fill(&rig.cache, "users", "3", "computed").await, "computed");
        settled(&rig.cache).await;
    }
    assert_eq!(kind(rig.cache.invalidate(Tag::new("t")).await), ErrorKind::Denied);
    assert_eq!((rig.breaker(), rig.fake.connections()), (BreakerState::Closed, before));
    rig.heals().await;
}

/// Each write is tried twice, and no more; then in a transaction, whose connection asks, as each does,
/// whether there are scripts.
#[tokio::test]
async fn a_server_that_forgets_scripts_at_once() {
    let rig = Rig::start().await;
    rig.refuse("NOSCRIPT No matching script.", |call| call.name() == "EVALSHA");
    let before = rig.fake.calls("EVALSHA");
    assert_eq!(fill(&rig.cache, "users", "2", "computed").await, "computed");
    settled(&rig.cache).await;
    assert_eq!(rig.fake.calls("EVALSHA") - before, 2 + 1);
    assert_eq!(text(&rig.cache, "users", "2").await.as_deref(), Some("computed"));
    rig.cache.set("users", "2", "needs no script").await.unwrap();
    assert_eq!(rig.breaker(), BreakerState::Closed);
}

/// What a command never answers is no answer, and the connection it came on is not to be trusted.
#[tokio::test]
async fn replies_of_another_type() {
    let bulk = |text: &str| Reply::Bulk(Some(text.into()));
    for reply in [
        Reply::Simple("OK".into()),
        Reply::Int(7),
        bulk("text"),
        Reply::Array(Vec::new()),
        Reply::Array(vec![bulk("v"); 9]),
        Reply::Bulk(None),
    ] {
        let rig = Rig::start().await;
        let before = rig.fake.connections();
        let answer = Answer::Reply(reply.clone());
        rig.fake.script(move |call| match call.name() {
            "MGET" => answer.clone(),
            "SET" => Answer::Reply(Reply::Array(Vec::new())),
            "UNLINK" => Answer::ok(),
            _ => Answer::Pass,
        });
        assert_eq!(text(&rig.cache, "users", "1").await, None, "{reply:?}");
        assert_eq!(fill(&rig.cache, "users", "2", "computed").await, "computed");
        let set = kind(rig.cache.set("users", "1", "new").await);
        assert!(matches!(set, ErrorKind::Protocol | ErrorKind::Unavailable), "{set:?}");
        let invalidated = rig.cache.invalidate(Tag::new("t")).await.unwrap();
        assert_eq!(invalidated, Invalidated::Queued);
        assert!(rig.fake.connections() > before, "{reply:?}");
        rig.heals().await;
    }
}

/// Pinned: the connection on which Redis tells what changes was tried again half a minute later.
#[tokio::test]
async fn a_wrong_password_until_somebody_mends_it() {
    let redis = RedisServer::builder().password("first").start();
    let options = crate::setup::options(&redis.url()).credentials(None, Some("second"));
    let cache = on(&redis).redis(options).build().unwrap();
    assert_eq!(text(&cache, "users", "1").await, None);
    assert_eq!(fill(&cache, "users", "1", "computed").await, "computed");
    assert_eq!(kind(cache.set("users", "1", "v").await), ErrorKind::Unavailable);
    assert_eq!(cache.invalidate(Tag::new("t")).await.unwrap(), Invalidated::Queued);
    let health = cache.health().await;
    assert!(!health.reachable && health.fault.unwrap().contains("authentication failed"));
    // As a second password, so that the helpers' own goes on.
    redis.command(&["ACL", "SETUSER", "default", ">second"]);
    healed(&cache).await;
    eventually(PATIENCE, "what was queued is done", || cache.gauges().queued_invalidations == 0)
        .await;
    cache_tests::wait::eventually_some(PATIENCE, "it is told of changes", async || {
        cache.health().await.coherence.proven.then_some(())
    })
    .await;
}
