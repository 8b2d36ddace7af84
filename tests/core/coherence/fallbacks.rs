//! Where Redis refuses to track, those who change something publish it; where it refuses that, too,
//! entries in memory have short lives.

use cache_core::{Cache, CoherenceMode, Scope, Scopes, Tag};
use cache_tests::RedisServer;

use super::{Nodes, from_memory, in_mode, remembered, sees};
use crate::setup::{options, settled, text};

/// Caches of a user with these rules on top of all rights.
async fn restricted<const N: usize>(
    nodes: &Nodes,
    rules: &[&str],
    mode: CoherenceMode,
) -> [Cache; N] {
    let user = ["ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "&*", "+@all"];
    let reply = nodes.redis.command(&[&user, rules].concat());
    assert!(!reply.is_error(), "{}", reply.text());
    let caches = [(); N].map(|()| {
        let options = options(&nodes.redis.url()).credentials(Some("limited"), Some("pw"));
        nodes.builder().redis(options).build().unwrap()
    });
    for cache in &caches {
        in_mode(cache, mode).await;
    }
    caches
}

#[tokio::test]
async fn what_is_not_tracked_is_published() {
    let without_resp3 = RedisServer::builder().arg("--rename-command").arg("HELLO").arg("BYE");
    let servers = [(RedisServer::builder(), "-client|tracking"), (without_resp3, "-save")];
    for (server, refused) in servers {
        let nodes = Nodes::on(server.start());
        let [here, there] = restricted(&nodes, &[refused], CoherenceMode::PubSub).await;
        assert_eq!(nodes.trackers().len(), 0);
        here.set("users", "1", "old").tag("t").await.unwrap();
        sees(&there, "1", Some("old")).await;
        remembered(&there, "1").await;
        here.set("users", "1", "new").tag("t").await.unwrap();
        sees(&there, "1", Some("new")).await;
        // Pinned: of a call that is about keys, too, the scopes were not published.
        let [namespace, tag] = [Scope::namespace("users"), Tag::new("t").into()];
        let with_a_key = [tag.clone(), Scope::key("users", "2")];
        for (scopes, soft) in [
            (Scopes::from(namespace), false),
            (tag.clone().into(), false),
            (with_a_key.into(), false),
            (tag.into(), true),
        ] {
            here.set("users", "1", "new").tag("t").await.unwrap();
            sees(&there, "1", Some("new")).await;
            remembered(&there, "1").await;
            let invalidation = here.invalidate(scopes);
            let invalidation = if soft { invalidation.soft() } else { invalidation };
            invalidation.await.unwrap();
            sees(&there, "1", None).await;
        }
        crate::setup::fill(&here, "users", "2", "v").await;
        settled(&here).await;
        sees(&there, "2", Some("v")).await;
        remembered(&there, "2").await;
        assert_eq!(here.delete_pattern("users", "2").await.unwrap(), 1);
        sees(&there, "2", None).await;
        // Others may change something and not publish it: memory answers for a short time.
        here.set("users", "1", "v").await.unwrap();
        sees(&there, "1", Some("v")).await;
        remembered(&there, "1").await;
        nodes.age();
        assert!(!from_memory(&there, "1").await);
        let coherence = there.health().await.coherence;
        assert!(!coherence.proven && coherence.fault.is_some_and(|fault| fault.len() > 10));
    }
}

#[tokio::test]
async fn where_both_are_refused_lives_are_short() {
    for rules in [&["-client|tracking", "resetchannels"][..], &["-client|tracking", "-publish"]] {
        let nodes = Nodes::start();
        let [here, there] = restricted(&nodes, rules, CoherenceMode::Ttl).await;
        here.set("users", "1", "old").await.unwrap();
        assert_eq!(text(&there, "users", "1").await.as_deref(), Some("old"));
        here.set("users", "1", "new").await.unwrap();
        assert!(from_memory(&there, "1").await);
        nodes.age();
        for cache in [&here, &there] {
            assert!(!from_memory(cache, "1").await);
            assert_eq!(text(cache, "users", "1").await.as_deref(), Some("new"));
        }
        let fault = there.health().await.coherence.fault.unwrap();
        assert!(fault.contains("refused") && !fault.contains("pw"), "{fault}");
        assert_eq!(there.stats().total().errors, 0);
    }
}

#[tokio::test]
async fn one_who_may_track_and_one_who_may_not() {
    let nodes = Nodes::start();
    let tracking = nodes.node().await;
    let [limited] = restricted(&nodes, &["-client|tracking"], CoherenceMode::PubSub).await;
    limited.set("users", "1", "old").await.unwrap();
    sees(&tracking, "1", Some("old")).await;
    remembered(&tracking, "1").await;
    limited.set("users", "1", "new").await.unwrap();
    sees(&tracking, "1", Some("new")).await;
    // Nobody tells the other one; its short TTL does.
    sees(&limited, "1", Some("new")).await;
    tracking.set("users", "1", "newer").await.unwrap();
    nodes.age();
    assert_eq!(text(&limited, "users", "1").await.as_deref(), Some("newer"));
}
