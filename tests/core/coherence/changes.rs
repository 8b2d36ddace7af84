//! What one instance changes, the others learn, whatever it is.

use cache_core::{Cache, Key, Pattern, Scope, Tag, Template, minutes};
use cache_tests::wait::eventually_some;

use super::{Nodes, proven, remembered, sees};
use crate::setup::{PATIENCE, settled, text};

fn key() -> Key {
    Key::workspace("ws1").segment("campaigns").segment("1")
}

async fn get(cache: &Cache) -> Option<String> {
    cache.get("api", key()).await.unwrap()
}

#[tokio::test]
async fn scopes_that_are_invalidated_elsewhere() {
    let nodes = Nodes::start();
    let (here, there) = (nodes.node().await, nodes.node().await);
    let template = Template::parse("{workspace_id}:campaigns:*").unwrap();
    for cache in [&here, &there] {
        cache.namespace("api").declare(&template).unwrap();
    }
    let scopes = [
        Scope::namespace("api"),
        Scope::workspace("ws1"),
        Scope::everything(),
        Tag::new("tag").into(),
        Scope::pattern("api", Pattern::new("ws1:campaigns:*")),
        Scope::pattern("api", Pattern::new("ws1:*:1")),
    ];
    for scope in scopes {
        here.set("api", key(), "v").tag("tag").await.unwrap();
        eventually_some(PATIENCE, "it is in memory there", async || {
            get(&there).await?;
            let before = super::l1_hits(&there);
            get(&there).await?;
            (super::l1_hits(&there) > before).then_some(())
        })
        .await;
        here.invalidate(scope.clone()).await.unwrap();
        assert_eq!(get(&here).await, None, "{scope:?}");
        eventually_some(PATIENCE, &format!("{scope:?}"), async || {
            get(&there).await.is_none().then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn keys_that_are_changed_elsewhere() {
    let nodes = Nodes::start();
    let (here, there) = (nodes.node().await, nodes.node().await);
    for round in 0..3 {
        here.set("users", "1", "old").await.unwrap();
        sees(&there, "1", Some("old")).await;
        remembered(&there, "1").await;
        here.set("users", "1", "new").await.unwrap();
        sees(&there, "1", Some("new")).await;
        remembered(&there, "1").await;
        here.delete("users", "1").await.unwrap();
        sees(&there, "1", None).await;

        here.set("users", "2", "old").await.unwrap();
        sees(&there, "2", Some("old")).await;
        assert_eq!(here.delete_pattern("users", "2*").await.unwrap(), 1, "{round}");
        sees(&there, "2", None).await;
        here.set_many("users", [("3", "old")]).await.unwrap();
        sees(&there, "3", Some("old")).await;
        here.clear("users").await.unwrap();
        sees(&there, "3", None).await;
    }
}

#[tokio::test]
async fn what_is_filled_elsewhere_takes_the_place_of_what_was_stale() {
    let nodes = Nodes::start();
    let (here, there) = (nodes.node().await, nodes.node().await);
    here.set("users", "1", "old").ttl(minutes(1)).await.unwrap();
    sees(&there, "1", Some("old")).await;
    here.touch("users", "1", minutes(5)).await.unwrap();
    nodes.clock.advance(minutes(2));
    sees(&there, "1", Some("old")).await;
}

#[tokio::test]
async fn memory_answers_for_as_long_as_nothing_changes_and_the_entry_lives() {
    let nodes = Nodes::start();
    let (here, there) = (nodes.node().await, nodes.node().await);
    here.set("users", "1", "v").await.unwrap();
    settled(&here).await;
    sees(&there, "1", Some("v")).await;
    nodes.clock.advance(minutes(30));
    for cache in [&here, &there] {
        remembered(cache, "1").await;
        let asked = nodes.redis.calls("mget");
        assert_eq!(text(cache, "users", "1").await.as_deref(), Some("v"));
        assert_eq!(nodes.redis.calls("mget"), asked);
    }
    nodes.clock.advance(minutes(30));
    for cache in [&here, &there] {
        assert_eq!(text(cache, "users", "1").await, None, "its TTL is over");
    }
}

#[tokio::test]
async fn a_chosen_l1_ttl_holds_though_nothing_changes() {
    let nodes = Nodes::start();
    let namespace = cache_core::Namespace::new("users").l1_ttl(minutes(2));
    let cache = nodes.builder().namespace(namespace).build().unwrap();
    proven(&cache).await;
    cache.set("users", "1", "v").await.unwrap();
    sees(&cache, "1", Some("v")).await;
    settled(&cache).await;
    remembered(&cache, "1").await;
    nodes.clock.advance(minutes(2));
    assert!(!super::from_memory(&cache, "1").await);
}

#[tokio::test]
async fn everything_is_flushed() {
    let nodes = Nodes::start();
    let (here, there) = (nodes.node().await, nodes.node().await);
    here.set("users", "1", "v").tag("t").await.unwrap();
    sees(&there, "1", Some("v")).await;
    remembered(&there, "1").await;
    nodes.redis.flushall();
    for cache in [&here, &there] {
        sees(cache, "1", None).await;
    }
    // And what is known of scopes from before counts no more.
    there.set("users", "2", "v").tag("t").await.unwrap();
    sees(&here, "2", Some("v")).await;
    here.invalidate(Tag::new("t")).await.unwrap();
    sees(&there, "2", None).await;
}
