//! A restored snapshot, and a replica that lags and takes over.

use cache_core::store::{Put, Store, WriteBatch};
use cache_core::{Cache, Clock, Deadline, RedisStore, Scope, Tag};
use cache_tests::wait::eventually_some;
use cache_tests::{Answer, FakeRedis, FaultProxy, Mode, RedisServer, eventually};

use crate::recovery::{broken, healed};
use crate::setup::{PATIENCE, at, on, options, text};

const WAYS: usize = 4;

async fn act(cache: &Cache, how: usize) {
    let done = match how {
        0 => cache.invalidate(Tag::new("t")).await,
        1 => cache.invalidate(Scope::namespace("users")).await,
        2 => cache.delete("users", "1").await,
        _ => return cache.set("users", "1", "new").await.unwrap(),
    };
    assert!(done.unwrap().is_complete());
}

/// Reads by all until the store is read again: one of the entries under no scope of the others.
async fn nobody_reads_anything_old(caches: &[&Cache], how: usize) {
    for cache in caches {
        eventually_some(PATIENCE, "the store is read again", async || {
            let found: Option<String> = cache.get("users", "1").await.ok()?;
            assert_ne!(found.as_deref(), Some("old"), "{how}");
            cache.get::<String>("others", "1").await.ok()?
        })
        .await;
        assert_ne!(text(cache, "users", "1").await.as_deref(), Some("old"), "{how}");
    }
}

async fn prepare(redis: &RedisServer, caches: &[&Cache]) {
    // What the others set, they would remove.
    let writer = on(redis).build().unwrap();
    writer.set("others", "1", "v").await.unwrap();
    writer.namespace("users").set("1", "old").tag("t").await.unwrap();
    for cache in caches {
        healed(cache).await;
    }
    for cache in caches {
        assert_eq!(text(cache, "users", "1").await.as_deref(), Some("old"));
    }
}

#[tokio::test]
async fn a_snapshot_that_is_restored_brings_nothing_back() {
    for how in 0..WAYS {
        let redis = RedisServer::start();
        let build = || on(&redis).l1(false).build().unwrap();
        let (idle, here, there) = (build(), build(), build());
        prepare(&redis, &[&idle, &here, &there]).await;
        redis.command(&["SAVE"]);
        let file = redis.dir().join("dump.rdb");
        let copy = redis.dir().join("copy.rdb");
        std::fs::copy(&file, &copy).unwrap();
        act(&here, how).await;
        redis.kill();
        std::fs::copy(&copy, &file).unwrap();
        redis.restart();
        // First the one that knows nothing of it.
        nobody_reads_anything_old(&[&there, &here], how).await;
        let health = here.health().await;
        assert_eq!((health.store_changes, health.reads_held), (1, false));
        assert!(health.store_changed_at.is_some());
        nobody_reads_anything_old(&[&on(&redis).l1(false).build().unwrap(), &idle], how).await;
    }
}

/// The one that invalidated has nothing else to do.
#[tokio::test]
async fn an_idle_instance_notices_by_itself() {
    let redis = RedisServer::start();
    let build = || on(&redis).l1(false).build().unwrap();
    let (idle, there) = (build(), build());
    prepare(&redis, &[&idle, &there]).await;
    redis.command(&["SAVE"]);
    act(&idle, 0).await;
    redis.kill();
    redis.restart();
    nobody_reads_anything_old(&[&there], 0).await;
}

#[tokio::test]
async fn a_replica_that_lags_and_takes_over_brings_nothing_back() {
    let primary = RedisServer::start();
    primary.config_set("repl-diskless-sync-delay", "0");
    let way = FaultProxy::start(primary.port()).await;
    let url = primary.url_through(way.port());
    let build = || at(&url).l1(false).build().unwrap();
    let (here, there) = (build(), build());
    prepare(&primary, &[&here, &there]).await;
    let replica = RedisServer::start();
    let link = FaultProxy::start(primary.port()).await;
    replica.command(&["REPLICAOF", "127.0.0.1", &link.port().to_string()]);
    eventually(PATIENCE, "the replica follows", || {
        replica.info("replication", "master_link_status").as_deref() == Some("up")
    })
    .await;
    link.set(Mode::Blackhole).await;
    act(&here, 0).await;
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    // The primary lives on, and so do connections to it, until somebody meets the other.
    way.retarget(replica.port());
    way.cut_all().await;
    nobody_reads_anything_old(&[&there, &here], 0).await;
    assert_eq!(here.health().await.store_changes, 1);
}

/// Without `INFO` nobody knows that the server is the same.
#[tokio::test]
async fn where_the_server_does_not_say_who_it_is() {
    let redis = RedisServer::start();
    redis.command(&["CONFIG", "SET", "aclfile", ""]);
    let acl = ["ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-@dangerous"];
    redis.command(&acl);
    let way = FaultProxy::start(redis.port()).await;
    let url = redis.url_through(way.port());
    let build = || {
        let options = options(&url).credentials(Some("app"), Some("pw"));
        on(&redis).redis(options).l1(false).build().unwrap()
    };
    let (here, there) = (build(), build());
    prepare(&redis, &[&here, &there]).await;
    assert_eq!(here.health().await.store_changes, 0);
    redis.command(&["SAVE"]);
    act(&here, 0).await;
    redis.kill();
    redis.restart();
    redis.command(&acl);
    nobody_reads_anything_old(&[&there, &here], 0).await;
    assert!(here.health().await.store_changes > 0);
}

/// Pinned for what it costs: a server that is known to be the same is told nothing twice.
#[tokio::test]
async fn a_lost_connection_alone_costs_nothing() {
    let redis = RedisServer::start();
    let way = FaultProxy::start(redis.port()).await;
    let cache = at(&redis.url_through(way.port())).l1(false).build().unwrap();
    healed(&cache).await;
    cache.invalidate(Tag::new("t")).await.unwrap();
    redis.reset_stats();
    way.cut_all().await;
    healed(&cache).await;
    assert_eq!(redis.calls("unlink"), 0);
    assert_eq!(cache.health().await.store_changes, 0);
}

/// Pinned: a server that was busy when a connection asked who it is counted as another one: what was
/// confirmed was repeated, and nothing was read for a while.
#[tokio::test]
async fn a_server_that_is_busy_for_a_while_is_the_same_one_afterwards() {
    let redis = RedisServer::start();
    let fake = FakeRedis::before(&redis, |_| Answer::Pass).await;
    let cache = at(&fake.url()).l1(false).build().unwrap();
    for words in ["BUSY Redis is busy running a script.", "LOADING Redis is loading the dataset"] {
        healed(&cache).await;
        cache.invalidate(Tag::new("t")).await.unwrap();
        let asked = fake.calls("INFO");
        fake.script(move |call| match call.name() {
            "HELLO" | "AUTH" | "CLIENT" => Answer::Pass,
            _ => Answer::error(words),
        });
        broken(&cache).await;
        // Two for each connection.
        eventually(PATIENCE, "it is asked who it is", || fake.calls("INFO") >= asked + 4).await;
        fake.script(|_| Answer::Pass);
        healed(&cache).await;
        let health = cache.health().await;
        assert_eq!((health.store_changes, health.reads_held), (0, false), "{words}");
    }
}

/// Pinned: a server that does not say who it is was met again by a connection of another kind before
/// the loss of the idle ones was known, and passed for the same one.
#[tokio::test]
async fn who_connects_beside_idle_connections_that_were_cut_knows_of_the_loss() {
    let redis = RedisServer::start();
    let acl = ["ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-@dangerous"];
    redis.command(&acl);
    let options = options(&redis.url()).credentials(Some("app"), Some("pw"));
    let store = RedisStore::new(&options, Clock::system()).unwrap();
    store.ping(Deadline::after(PATIENCE)).await.unwrap();
    let before = store.incarnation();
    redis.kill();
    redis.restart();
    redis.command(&acl);
    // It goes by a way on which there was no connection yet.
    let large = Put {
        key: "large".to_owned(),
        value: vec![0; 256 * 1024].into(),
        keep_for: Some(60_000),
        expect: None,
        guard: None,
    };
    let batch = WriteBatch { puts: &[large], ..WriteBatch::default() };
    store.write(batch, Deadline::after(PATIENCE)).await.unwrap();
    assert!(store.incarnation() > before);
}
