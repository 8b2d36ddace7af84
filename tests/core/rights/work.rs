//! All that a cache does, once: by one instance, and looked at by another.

use cache_core::rate::CountedBy;
use cache_core::{
    Builder, Cache, Clock, Computed, Key, Namespace, Pattern, Previous, Scope, Tag, Template,
    minutes,
};

use crate::setup::{START, delete, fill, settled, text, unique_prefix};

const PAGES: Namespace = Namespace::new("pages").by_workspace();

fn key(n: usize) -> Key {
    Key::workspace("ws1").segment("campaigns").segment(n.to_string())
}

async fn page(cache: &Cache) -> Option<String> {
    cache.get(&PAGES, key(1)).await.unwrap()
}

/// `builder` gives one for each instance.
pub(super) async fn everything(builder: impl Fn() -> Builder) {
    let clock = Clock::manual(START);
    let build = || builder().l1(false).clock(clock.clone()).namespace(PAGES).build().unwrap();
    let (here, there) = (build(), build());
    values(&here, &there).await;
    fills(&here, &there).await;
    scopes(&here, &there).await;
    limits(&here).await;
    here.set("users", "kept", "v").await.unwrap();
    assert!(here.bump_version("users").await.unwrap() > 1);
    assert_eq!(text(&build(), "users", "kept").await, None);
    assert!(here.health().await.reachable);
    assert_eq!(here.stats().total().errors + there.stats().total().errors, 0);
}

async fn values(here: &Cache, there: &Cache) {
    here.set("users", "1", "v").ttl(minutes(5)).tag("t").await.unwrap();
    assert_eq!(text(there, "users", "1").await.as_deref(), Some("v"));
    assert!(there.exists("users", "1").await.unwrap());
    assert!(there.touch("users", "1", minutes(5)).await.unwrap());
    delete(here, "users", "1").await;
    assert_eq!(text(there, "users", "1").await, None);
    here.set_many("users", (0..20).map(|n| (n.to_string(), n))).await.unwrap();
    let keys = (0..20).map(|n| n.to_string());
    let found = there.get_many::<usize, _>("users", keys).await.unwrap();
    assert!(found.into_iter().flatten().eq(0..20));
    assert_eq!(there.delete_pattern("users", "1?").await.unwrap(), 10);
    assert_eq!(here.clear("users").await.unwrap(), 10);
}

/// Where nothing is, where a deletion was, over what has expired; for a whole fleet.
async fn fills(here: &Cache, there: &Cache) {
    for value in ["first", "after a deletion"] {
        assert_eq!(fill(here, "users", "2", value).await, value);
        settled(here).await;
        assert_eq!(text(there, "users", "2").await.as_deref(), Some(value));
        delete(there, "users", "2").await;
    }
    here.set("users", "3", "old").ttl(minutes(1)).await.unwrap();
    here.clock().advance(minutes(2));
    assert_eq!(fill(here, "users", "3", "new").await, "new");
    settled(here).await;
    assert_eq!(text(there, "users", "3").await.as_deref(), Some("new"));
    let compute =
        async |_: Previous<String>| Ok::<_, std::io::Error>(Computed::new("for all".to_owned()));
    let reports = here.namespace("reports");
    reports.get_or_compute_with("1", compute).once_per_fleet().await.unwrap();
    settled(here).await;
    assert_eq!(text(there, "reports", "1").await.as_deref(), Some("for all"));
}

async fn scopes(here: &Cache, there: &Cache) {
    let template = Template::parse("{workspace_id}:campaigns:*").unwrap();
    for cache in [here, there] {
        assert!(cache.namespace(&PAGES).declare(&template).unwrap());
    }
    for soft in [false, true] {
        for scope in [
            Tag::new("t").into(),
            Scope::workspace("ws1"),
            Scope::namespace(&PAGES),
            Scope::pattern(&PAGES, Pattern::new("ws1:campaigns:*")),
            Scope::key(&PAGES, key(1)),
            Scope::everything(),
        ] {
            here.set(&PAGES, key(1), "v").tag("t").await.unwrap();
            assert_eq!(page(there).await.as_deref(), Some("v"), "{scope:?}");
            let invalidation = there.invalidate(scope.clone());
            let invalidation = if soft { invalidation.soft() } else { invalidation };
            assert!(invalidation.await.unwrap().is_complete(), "{scope:?}");
            assert_eq!(page(here).await, None, "{scope:?}");
        }
    }
    here.set(&PAGES, key(1), "v").await.unwrap();
    assert!(here.clear_all().await.unwrap() > 0);
    assert_eq!(page(there).await, None);
}

async fn limits(here: &Cache) {
    let key = unique_prefix();
    for limiter in [here.rate_limiter("a"), here.rate_limiter("b").gcra()] {
        for allowed in [true, true, false] {
            let verdict = limiter.check(&*key, 2, minutes(10)).await;
            assert_eq!((verdict.allowed, verdict.counted_by), (allowed, CountedBy::Store));
        }
    }
}
