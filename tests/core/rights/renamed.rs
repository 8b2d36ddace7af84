//! Commands that are renamed away.

use cache_core::Ability::{Identity, Scripts, Transactions};
use cache_core::{Ability, CoherenceMode};
use cache_tests::RedisServer;

use super::{in_mode, missing, work};
use crate::setup::{fill, on, settled};

/// Starts a server without these commands, does everything on it, and looks what is missing.
async fn without(commands: &[&str], expected: &[Ability]) -> RedisServer {
    let redis = RedisServer::builder().rename_away(commands).start();
    work::everything(|| on(&redis)).await;
    let cache = on(&redis).build().unwrap();
    in_mode(&cache, CoherenceMode::Tracking).await;
    assert_eq!(missing(&cache).await, expected, "{commands:?}");
    redis
}

#[tokio::test]
async fn what_is_often_renamed_is_not_needed() {
    let commands = ["KEYS", "FLUSHDB", "FLUSHALL", "CONFIG", "INFO", "EVAL"];
    let redis = without(&commands, &[Identity]).await;
    assert!(redis.calls("evalsha") > 0 && redis.calls("script|load") > 0);
    // What the server has forgotten it is taught anew.
    redis.command(&["SCRIPT", "FLUSH"]);
    let cache = on(&redis).l1(false).build().unwrap();
    fill(&cache, "users", "again", "v").await;
    settled(&cache).await;
    assert!(redis.get("coldcopy:users:v2:again").is_some());
}

#[tokio::test]
async fn without_a_way_to_load_scripts_they_are_run_as_text_once() {
    let redis = without(&["SCRIPT"], &[]).await;
    assert!(redis.calls("evalsha") > redis.calls("eval"));
}

#[tokio::test]
async fn without_any_scripts() {
    let redis = without(&["EVAL", "EVALSHA", "SCRIPT"], &[Scripts]).await;
    assert!(redis.calls("exec") > 0 && redis.calls("watch") > 0);
}

#[tokio::test]
async fn without_scripts_and_transactions() {
    let commands = ["EVAL", "EVALSHA", "MULTI", "EXEC", "WATCH", "UNWATCH", "DISCARD"];
    without(&commands, &[Scripts, Transactions]).await;
    for one in ["WATCH", "MULTI", "EXEC"] {
        without(&["EVALSHA", one], &[Scripts, Transactions]).await;
    }
}
