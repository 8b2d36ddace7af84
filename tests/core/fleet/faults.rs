//! Redis is away, or refuses things: then each process computes, and nobody has an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::{FLEET_LEASE, Options};
use cache_tests::resp::Reply;
use cache_tests::{Answer, FakeRedis, RedisServer, eventually};

use super::{Work, missed, value};
use crate::setup::{PATIENCE, Setup, at, join, on, settled, text};

#[tokio::test]
async fn who_waits_while_redis_is_killed_computes() {
    let redis = RedisServer::start();
    let (holder, other) = (on(&redis).build().unwrap(), on(&redis).build().unwrap());
    let work = Work::default();
    let holding = work.ask(&holder, value("value"));
    work.have_begun(1).await;
    let waiting = work.ask(&other, value("value"));
    missed(&other, 1).await;
    redis.kill();
    work.have_begun(2).await;
    work.gate.open_for_good();
    assert_eq!(join(holding).await.unwrap(), "value");
    assert_eq!(join(waiting).await.unwrap(), "value");
    // And so does each process while it is away.
    for cache in [&holder, &other] {
        let again = work.ask_for("2".to_owned(), cache, value("again"));
        assert_eq!(join(again).await.unwrap(), "again");
    }
    assert_eq!(work.begun(), 4);
}

/// However many wait in each.
#[tokio::test]
async fn when_redis_is_killed_one_computes_in_each_process() {
    let redis = RedisServer::start();
    let (holder, other) = (on(&redis).build().unwrap(), on(&redis).build().unwrap());
    let work = Work::default();
    let ask = |cache| (0..100).map(|_| work.ask(cache, value("value"))).collect::<Vec<_>>();
    let mut callers = ask(&holder);
    work.have_begun(1).await;
    callers.extend(ask(&other));
    for cache in [&holder, &other] {
        missed(cache, 100).await;
    }
    assert_eq!(work.begun(), 1);
    redis.kill();
    work.have_begun(2).await;
    work.gate.open_for_good();
    for caller in callers {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
    assert_eq!(work.begun(), 2);
}

/// There is nobody to take a lease from.
#[tokio::test]
async fn in_memory_only_one_computes_for_all_callers() {
    let cache = Setup::memory().cache();
    let work = Work::default();
    let callers: Vec<_> = (0..100).map(|_| work.ask(&cache, value("value"))).collect();
    missed(&cache, 100).await;
    work.gate.open_for_good();
    for caller in callers {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
    assert_eq!(work.begun(), 1);
}

#[tokio::test]
async fn who_may_not_take_a_lease_computes() {
    let redis = RedisServer::start();
    redis.command(&["ACL", "SETUSER", "app", "on", ">pw", "~coldcopy:reports:*", "&*", "+@all"]);
    redis.command(&["ACL", "SETUSER", "app", "~coldcopy:gen:p", "~coldcopy:gen:n:*"]);
    redis.command(&["ACL", "SETUSER", "app", "~coldcopy:gen:s:*", "~coldcopy:gen:b:*"]);
    redis.command(&["ACL", "SETUSER", "app", "~coldcopy:gen:f*"]);
    let url = format!("redis://app:pw@127.0.0.1:{}", redis.port());
    let caches = [at(&url).build().unwrap(), at(&url).build().unwrap()];
    let work = Work::default();
    let callers: Vec<_> = caches.iter().map(|cache| work.ask(cache, value("value"))).collect();
    work.have_begun(2).await;
    work.gate.open_for_good();
    for caller in callers {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
    for cache in &caches {
        settled(cache).await;
        assert_eq!(text(cache, "reports", "1").await.unwrap(), "value");
    }
}

#[tokio::test]
async fn redis_is_full() {
    let redis = RedisServer::start();
    let caches = [on(&redis).build().unwrap(), on(&redis).build().unwrap()];
    redis.config_set("maxmemory", "1");
    let work = Work::default();
    let callers: Vec<_> = caches.iter().map(|cache| work.ask(cache, value("value"))).collect();
    work.have_begun(2).await;
    work.gate.open_for_good();
    for caller in callers {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
}

#[tokio::test]
async fn without_scripts_a_lease_is_held_renewed_and_released() {
    is_held_renewed_and_released(&["+@all", "-@scripting"]).await;
}

#[tokio::test]
async fn with_the_least_rights_a_lease_is_held_renewed_and_released() {
    is_held_renewed_and_released(&["+@read", "+@write", "+@connection"]).await;
}

async fn is_held_renewed_and_released(rights: &[&str]) {
    let redis = RedisServer::start();
    let user = ["ACL", "SETUSER", "app", "on", ">pw", "~*", "&*"];
    redis.command(&[&user, rights].concat());
    let url = format!("redis://app:pw@127.0.0.1:{}", redis.port());
    let caches = [at(&url), at(&url), at(&url)].map(|builder| builder.build().unwrap());
    let work = Work::default();
    let holding = work.ask(&caches[0], value("value"));
    work.have_begun(1).await;
    let name = redis.keys("coldcopy:gen:l:*").pop().unwrap();
    let waiting: Vec<_> = caches[1..].iter().map(|cache| work.ask(cache, value("value"))).collect();
    for cache in &caches[1..] {
        missed(cache, 1).await;
    }
    let left = || redis.command(&["PTTL", &name]).int().unwrap();
    let whole = i64::try_from(FLEET_LEASE.as_millis()).unwrap();
    for _ in 0..2 {
        eventually(PATIENCE, "time passes", || left() < whole * 3 / 4).await;
        eventually(PATIENCE, "it is renewed", || left() > whole * 3 / 4).await;
    }
    assert_eq!(work.begun(), 1);
    work.gate.open(1);
    assert_eq!(join(holding).await.unwrap(), "value");
    for caller in waiting {
        assert_eq!(join(caller).await.unwrap(), "value");
    }
    assert_eq!(work.begun(), 1);
    work.gate.open_for_good();
    let failing = work.ask_for("2".to_owned(), &caches[0], super::failure);
    assert!(join(failing).await.is_err());
    eventually(PATIENCE, "no lease is left", || redis.keys("coldcopy:gen:l:*").is_empty()).await;
}

/// What lies under the key is damaged, or of another schema: one computes for all.
#[tokio::test]
async fn what_is_there_is_of_no_use() {
    let redis = RedisServer::start();
    for damaged in [true, false] {
        let caches = [on(&redis).build().unwrap(), on(&redis).build().unwrap()];
        caches[0].set("reports", "1", &7u32).await.unwrap();
        settled(&caches[0]).await;
        if damaged {
            redis.command(&["SETRANGE", "coldcopy:reports:v1:1", "3", "damage"]);
        }
        let work = Work::default();
        let ask = |cache| work.ask(cache, value("value"));
        let callers: Vec<_> = caches.iter().flat_map(|cache| [ask(cache), ask(cache)]).collect();
        for cache in &caches {
            missed(cache, 2).await;
        }
        work.have_begun(1).await;
        work.gate.open_for_good();
        for caller in callers {
            assert_eq!(join(caller).await.unwrap(), "value");
        }
        assert_eq!(work.begun(), 1, "damaged: {damaged}");
        settled(&caches[0]).await;
        caches[0].delete("reports", "1").await.unwrap();
    }
}

/// As a whole cache is told.
#[tokio::test]
async fn by_the_options_of_a_cache() {
    let redis = RedisServer::start();
    let cache = || on(&redis).options(Options::new().once_per_fleet(true)).build().unwrap();
    let (holder, other) = (cache(), cache());
    let work = Work::default();
    let ask = |cache: &cache_core::Cache| {
        let (work, cache) = (work.clone(), cache.clone());
        tokio::spawn(async move {
            let compute = async || {
                drop(work.run(value("value")()).await?);
                Ok::<_, std::io::Error>("value".to_owned())
            };
            cache.get_or_compute("reports", "1", compute).await
        })
    };
    let holding = ask(&holder);
    work.have_begun(1).await;
    let waiting = ask(&other);
    missed(&other, 1).await;
    work.gate.open_for_good();
    assert_eq!(join(holding).await.unwrap(), "value");
    assert_eq!(join(waiting).await.unwrap(), "value");
    assert_eq!(work.begun(), 1);
}

/// Pinned: a lease that ended between the two questions was waited for, for as long as anybody waits,
/// and nobody had it.
#[tokio::test]
async fn a_lease_that_ends_while_it_is_asked_for_is_taken() {
    let redis = RedisServer::start();
    let tried = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&tried);
    let fake = FakeRedis::before(&redis, move |call| {
        let is_lease = call.name() == "SET" && call.word(1).contains(":gen:l:");
        // Somebody has it; but not any more when it is read.
        let is_first = is_lease && counted.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first { Answer::Reply(Reply::Bulk(None)) } else { Answer::Pass }
    })
    .await;
    let cache = at(&fake.url()).build().unwrap();
    let work = Work::default();
    let asking = work.ask(&cache, value("value"));
    let begun = work.have_begun(1);
    tokio::time::timeout(FLEET_LEASE * 2, begun).await.expect("nobody is waited for");
    assert_eq!(tried.load(Ordering::SeqCst), 2);
    assert_eq!(redis.keys("coldcopy:gen:l:*").len(), 1, "it is held for the fleet");
    work.gate.open_for_good();
    assert_eq!(join(asking).await.unwrap(), "value");
}
