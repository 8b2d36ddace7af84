//! What Redis remembers: it comes back as it was some time ago.

use std::time::Duration;

use cache_tests::wait::eventually;
use cache_tests::{FaultProxy, Mode, RedisServer};

use super::Field;

const PATIENCE: Duration = Duration::from_secs(20);
const LONGEST: Duration = Duration::from_millis(800);

/// A snapshot is taken, much happens, Redis is killed, and starts from the snapshot.
pub(super) async fn restore_snapshot(field: &mut Field) {
    let reply = field.redis.command(&["SAVE"]);
    assert!(!reply.is_error(), "{}", reply.text());
    field.endure(LONGEST).await;
    field.redis.kill();
    if field.random.bool() {
        field.rest().await;
    }
    field.redis.restart();
    // Not the next time it is killed.
    std::fs::remove_file(field.redis.dir().join("dump.rdb")).expect("it was loaded");
}

/// A replica is cut off, much happens, the primary dies, and the replica takes its place.
pub(super) async fn fail_over(field: &mut Field) {
    field.redis.config_set("repl-diskless-sync-delay", "0");
    let replica = RedisServer::start();
    let link = FaultProxy::start(field.redis.port()).await;
    let port = link.port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    eventually(PATIENCE, "the replica follows", || {
        replica.info("replication", "master_link_status").as_deref() == Some("up")
    })
    .await;
    field.rest().await;
    link.set(Mode::Blackhole).await;
    field.endure(LONGEST).await;
    field.redis.kill();
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    for proxy in field.crew.proxies() {
        proxy.retarget(replica.port());
        proxy.cut_all().await;
    }
    field.redis = replica;
}
