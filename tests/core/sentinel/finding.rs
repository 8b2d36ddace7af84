//! Finding the primary: of several Sentinels some are away, or wrong, or want a password.

use cache_core::{Cache, CoherenceMode, Error, RedisOptions, SentinelOptions, TlsOptions, seconds};
use cache_tests::ports::free_port;
use cache_tests::wait::eventually_some;
use cache_tests::{Certificates, RedisServer, SentinelSet, eventually};

use super::fake::FakeSentinel;
use super::{behind, holds};
use crate::coherence::in_mode;
use crate::recovery::healed;
use crate::setup::{PATIENCE, text};

const SECRET: &str = "p4ssw0rd";
const OTHER: &str = "0ther";

fn fake(hosts: &[String]) -> SentinelOptions {
    SentinelOptions::new("mymaster", hosts).unwrap()
}

async fn fault(cache: &Cache) -> String {
    let failed = eventually_some(PATIENCE, "an operation fails", async || {
        cache.set("users", "1", "v").await.err()
    });
    failed.await.to_string()
}

fn from_env(variables: &[(&str, &str)]) -> Result<Cache, Error> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let builder = Cache::builder().prefix("coldcopy").from_vars(variables.iter().map(owned))?;
    builder.operation_budget(seconds(10)).build()
}

#[tokio::test]
async fn with_passwords_for_both_and_while_one_sentinel_is_left() {
    let set = SentinelSet::builder().password(SECRET).sentinel_password(OTHER).start();
    let primary = set.servers()[0];
    let hosts = || SentinelOptions::new(set.master(), set.hosts()).unwrap();

    let without = fault(&behind(hosts()).build().unwrap()).await;
    assert!(without.contains("Sentinel 127.0.0.1:"), "{without}");
    let wrong = hosts().credentials(None, Some(SECRET));
    let wrong = fault(&behind(wrong).build().unwrap()).await;
    assert!(wrong.contains("Sentinel 127.0.0.1:") && !wrong.contains(SECRET), "{wrong}");

    let options = RedisOptions::sentinel(hosts().credentials(None, Some(OTHER))).unwrap();
    let options = options.credentials(None, Some(SECRET));
    let shown = format!("{options:?}");
    assert!(!shown.contains(SECRET) && !shown.contains(OTHER), "{shown}");
    let build = || Cache::builder().prefix("coldcopy").redis(options.clone());
    let cache = build().operation_budget(seconds(10)).build().unwrap();
    healed(&cache).await;
    cache.set("users", "1", "v").await.unwrap();
    assert!(holds(&set, primary, "1"));
    in_mode(&cache, CoherenceMode::Tracking).await;

    let hosts = set.hosts().join(" , ");
    let variables = [
        ("REDIS_USE_SENTINEL", "true"),
        ("REDIS_SENTINEL_HOSTS", &*hosts),
        ("REDIS_SENTINEL_PASSWORD", OTHER),
        ("REDIS_PASSWORD", SECRET),
    ];
    let cache = from_env(&variables).unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("v"));
    // Of the URL, all but the address counts.
    let url = format!("redis://:{SECRET}@nowhere.invalid:1");
    let cache = from_env(&[&variables[..3], &[("REDIS_URL", &url)]].concat()).unwrap();
    assert_eq!(text(&cache, "users", "1").await.as_deref(), Some("v"));

    // One dead, one hung: the third says it.
    set.kill(set.sentinels()[0]);
    set.freeze(set.sentinels()[1]);
    let late = build().operation_budget(seconds(10)).build().unwrap();
    assert_eq!(text(&late, "users", "1").await.as_deref(), Some("v"));
}

#[tokio::test]
async fn over_tls_sentinels_too() {
    let certificates = Certificates::generate();
    let set = SentinelSet::builder().tls(&certificates).start();
    let tls = || TlsOptions::new().ca_file(certificates.path("ca.pem")).unwrap();
    let options = RedisOptions::sentinel(super::sentinels(&set)).unwrap().tls(tls());
    let cache = Cache::builder().redis(options).operation_budget(seconds(10)).build().unwrap();
    healed(&cache).await;
    let hosts = set.hosts().join(",");
    let ca = certificates.path("ca.pem");
    let variables = [
        ("REDIS_USE_SENTINEL", "true"),
        ("REDIS_SENTINEL_HOSTS", &*hosts),
        ("REDIS_SENTINEL_MASTER", set.master()),
        ("REDIS_SSL_ENABLED", "true"),
        ("REDIS_SSL_CA_CERTS", ca.to_str().unwrap()),
    ];
    healed(&from_env(&variables).unwrap()).await;

    // Sentinels that speak TLS, asked in the clear.
    let plain = super::sentinels(&set).tls(false);
    let options = RedisOptions::sentinel(plain).unwrap().tls(tls());
    let cache = Cache::builder().redis(options).operation_budget(seconds(10)).build().unwrap();
    assert!(fault(&cache).await.contains("no Sentinel says"));
}

/// Pinned from the documentation of Sentinel: what it says may be late, so who answers is asked
/// whether it is the primary.
#[tokio::test]
async fn a_replica_is_not_taken_for_the_primary() {
    let primary = RedisServer::start();
    let replica = RedisServer::start();
    replica.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    let sentinel = FakeSentinel::start(replica.port(), 1).await;
    let cache = behind(fake(&[sentinel.host()])).build().unwrap();
    let refused = fault(&cache).await;
    assert!(refused.contains("names as the primary is none"), "{refused}");

    // A user without rights learns it too.
    let rules = ["on", ">pw", "~*", "&*", "+@read", "+@write", "+@connection", "-@dangerous"];
    replica.command(&[&["ACL", "SETUSER", "app"][..], &rules].concat());
    let options = RedisOptions::sentinel(fake(&[sentinel.host()])).unwrap();
    let options = options.credentials(Some("app"), Some("pw"));
    let builder = Cache::builder().redis(options).operation_budget(seconds(10));
    assert!(fault(&builder.build().unwrap()).await.contains("is none"));

    sentinel.say(primary.port(), 2);
    healed(&cache).await;
    cache.set("users", "2", "v").await.unwrap();
    assert!(primary.get("coldcopy:users:v1:2").is_some());
}

#[tokio::test]
async fn the_sentinel_with_the_newest_news_is_believed() {
    let (former, present) = (RedisServer::start(), RedisServer::start());
    let late =
        [FakeSentinel::start(former.port(), 3).await, FakeSentinel::start(former.port(), 3).await];
    let new = FakeSentinel::start(present.port(), 4).await;
    let hosts = [late[0].host(), late[1].host(), new.host()];
    let cache = behind(fake(&hosts)).l1(false).build().unwrap();
    cache.set("users", "1", "v").await.unwrap();
    assert!(former.keys("*").is_empty(), "the former one is not written to");
    assert!(present.get("coldcopy:users:v1:1").is_some());
    // They are asked on, without anybody's doing; until the cache goes.
    let asked = new.asked();
    eventually(PATIENCE, "it is asked again", || new.asked() > asked).await;
    cache.shutdown().await;
}

/// Pinned: while those who knew better were away, one that was late brought the former one back.
#[tokio::test]
async fn the_former_primary_does_not_come_back_with_an_older_epoch() {
    let (former, present) = (RedisServer::start(), RedisServer::start());
    let late = FakeSentinel::start(former.port(), 4).await;
    let new = [
        FakeSentinel::start(present.port(), 5).await,
        FakeSentinel::start(present.port(), 5).await,
    ];
    let hosts = [late.host(), new[0].host(), new[1].host()];
    let cache = behind(fake(&hosts)).l1(false).build().unwrap();
    cache.set("users", "1", "v").await.unwrap();
    for sentinel in &new {
        sentinel.say(0, 0);
    }
    let asked = late.asked();
    eventually(PATIENCE, "it alone is asked", || late.asked() > asked + 2).await;
    cache.set("users", "2", "v").await.unwrap();
    assert!(former.keys("*").is_empty(), "the former one is not written to");
    assert!(present.get("coldcopy:users:v1:2").is_some());
    cache.shutdown().await;
}

#[tokio::test]
async fn sentinels_that_know_nothing_or_are_away() {
    let sentinel = FakeSentinel::start(0, 0).await;
    let nobody = format!("127.0.0.1:{}", free_port());
    let unknown = fault(&behind(fake(&[sentinel.host()])).build().unwrap()).await;
    assert!(unknown.contains("knows no primary of that name"), "{unknown}");
    let away = fault(&behind(fake(std::slice::from_ref(&nobody))).build().unwrap()).await;
    assert!(away.contains("connection refused"), "{away}");

    let redis = RedisServer::start();
    sentinel.say(redis.port(), 0);
    healed(&behind(fake(&[nobody, sentinel.host()])).build().unwrap()).await;
}

#[test]
fn what_is_missing_or_invalid_is_an_error_that_names_the_variable() {
    let on = ("REDIS_USE_SENTINEL", "true");
    for (name, variables) in [
        ("REDIS_SENTINEL_HOSTS", vec![on]),
        ("REDIS_SENTINEL_HOSTS", vec![on, ("REDIS_SENTINEL_HOSTS", ",")]),
        ("REDIS_SENTINEL_HOSTS", vec![on, ("REDIS_SENTINEL_HOSTS", "p4ssw0rd@a:b")]),
        (
            "REDIS_SENTINEL_MASTER",
            vec![on, ("REDIS_SENTINEL_HOSTS", "a:1"), ("REDIS_SENTINEL_MASTER", "p4ssw0rd x")],
        ),
        ("REDIS_USE_SENTINEL", vec![("REDIS_USE_SENTINEL", "p4ssw0rd")]),
    ] {
        let error = from_env(&variables).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(name) && !text.contains(SECRET), "{text}");
    }
}
