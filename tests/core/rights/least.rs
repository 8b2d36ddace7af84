//! Each set of rights: all works, and what is missing is said.

use cache_core::Ability::{
    self, Identity, Publishing, Scripts, ServerTime, Tracking, Transactions,
};
use cache_core::{Builder, CoherenceMode};
use cache_tests::RedisServer;
use cache_tests::wait::eventually_some;

use super::{LEAST_RIGHTS, add_user, as_user, in_mode, lacks, missing, refusals, work};
use crate::audit;
use crate::setup::{PATIENCE, on, text};

fn build_as(redis: &RedisServer, user: &str) -> Builder {
    on(redis).redis(as_user(redis, user).max_connections(1))
}

#[tokio::test]
async fn all_works_and_what_is_missing_is_said() {
    let redis = RedisServer::start();
    let sets: [(&[&str], &[Ability]); 7] = [
        (&["&*", "+@all"], &[]),
        (&["&*", "+@all", "-@dangerous"], &[Identity]),
        (&["&*", "+@all", "-@scripting"], &[Scripts]),
        (&["&*", "+@all", "-@scripting", "-@transaction"], &[Scripts, Transactions]),
        (&["&*", "+@all", "-time"], &[ServerTime]),
        (LEAST_RIGHTS, &[Scripts, Transactions, ServerTime, Identity]),
        (
            &["+@read", "+@write", "+ping"],
            &[Scripts, Transactions, Tracking, Publishing, ServerTime, Identity],
        ),
    ];
    for (n, (rights, expected)) in sets.into_iter().enumerate() {
        let user = format!("u{n}");
        add_user(&redis, &user, rights);
        work::everything(|| build_as(&redis, &user)).await;
        let cache = build_as(&redis, &user).l1(false).build().unwrap();
        assert_eq!(missing(&cache).await, expected, "{rights:?}");
        let shown = format!("{:?}", cache.health().await);
        assert!(!shown.contains("pw"), "{shown}");
        redis.flushall();
    }
}

/// Only what a connection begins with is refused.
#[tokio::test]
async fn what_is_known_to_be_refused_is_not_asked_for() {
    let redis = RedisServer::start();
    add_user(&redis, "least", LEAST_RIGHTS);
    let cache = build_as(&redis, "least").l1(false).build().unwrap();
    assert_eq!(missing(&cache).await.len(), 4);
    let before = refusals(&redis);
    assert!(before > 0);
    cache.set("users", "1", "v").await.unwrap();
    crate::setup::fill(&cache, "users", "2", "v").await;
    crate::setup::settled(&cache).await;
    cache.delete("users", "1").await.unwrap();
    cache.rate_limiter("a").check("k", 2, cache_core::minutes(1)).await;
    assert_eq!(refusals(&redis), before);
    assert!(redis.get("coldcopy:users:v1:2").is_some());
}

/// `CLIENT TRACKING` is among what `@connection` allows.
#[tokio::test]
async fn with_the_least_rights_changes_are_heard_of() {
    let redis = RedisServer::start();
    add_user(&redis, "least", LEAST_RIGHTS);
    let caches = [(); 2].map(|()| build_as(&redis, "least").build().unwrap());
    for cache in &caches {
        in_mode(cache, CoherenceMode::Tracking).await;
    }
    caches[0].set("users", "1", "old").await.unwrap();
    assert_eq!(text(&caches[1], "users", "1").await.as_deref(), Some("old"));
    caches[0].set("users", "1", "new").await.unwrap();
    eventually_some(PATIENCE, "it hears of it", async || {
        (text(&caches[1], "users", "1").await.as_deref() == Some("new")).then_some(())
    })
    .await;
}

const LINE: &str = "Redis refuses what can be done without";

#[tokio::test]
async fn one_line_of_the_log_for_each_change() {
    audit::listen();
    let redis = RedisServer::start();
    add_user(&redis, "app", LEAST_RIGHTS);
    let cache = build_as(&redis, "app").l1(false).build().unwrap();
    assert!(audit::said(LINE).is_empty(), "it connects when it is used");
    cache.health().await;
    let lines = audit::said(LINE);
    let [line] = &lines[..] else { panic!("not one line: {lines:?}") };
    let said = &line["missing"];
    for ability in [Scripts, Transactions, ServerTime, Identity] {
        assert!(said.contains(&format!("{ability}: ")), "{said}");
    }
    assert!(!said.contains("tracking") && !said.contains("pw"), "{said}");
    let reconnects = async || {
        redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        cache.health().await;
        crate::recovery::healed(&cache).await;
    };
    reconnects().await;
    assert!(audit::said(LINE).is_empty(), "nothing is new");
    add_user(&redis, "app", &["&*", "+@all"]);
    reconnects().await;
    assert_eq!(audit::said("Redis refuses nothing any more").len(), 1);
    lacks(&cache, &[]).await;
}

#[tokio::test]
async fn rights_that_are_taken_and_given_back() {
    let redis = RedisServer::start();
    add_user(&redis, "app", &["&*", "+@all"]);
    let cache = build_as(&redis, "app").l1(false).build().unwrap();
    let stores = async |key: &str| {
        crate::setup::fill(&cache, "users", key, "v").await;
        crate::setup::settled(&cache).await;
        redis.get(&format!("coldcopy:users:v1:{key}")).is_some()
    };
    assert!(stores("1").await);
    assert_eq!(missing(&cache).await, []);
    // The connection stays the same.
    redis.command(&["ACL", "SETUSER", "app", "-@scripting"]);
    assert!(stores("2").await);
    assert_eq!(missing(&cache).await, [Scripts]);
    redis.command(&["ACL", "SETUSER", "app", "-@transaction"]);
    assert!(stores("3").await);
    assert_eq!(missing(&cache).await, [Scripts, Transactions]);
    redis.command(&["ACL", "SETUSER", "app", "+@scripting"]);
    let again = async || {
        for n in 0..1_100 {
            let key = format!("again{n}");
            crate::setup::fill(&cache, "users", &key, "v").await;
        }
        crate::setup::settled(&cache).await;
    };
    again().await;
    assert_eq!(missing(&cache).await, []);
}

/// Who may not write at all is told so, and not for want of scripts.
#[tokio::test]
async fn who_may_only_read_lacks_no_scripts() {
    let redis = RedisServer::start();
    add_user(&redis, "reader", &["&*", "+@all", "-@write"]);
    let cache = build_as(&redis, "reader").l1(false).build().unwrap();
    crate::setup::fill(&cache, "users", "1", "v").await;
    crate::setup::settled(&cache).await;
    assert_eq!(missing(&cache).await, []);
}
