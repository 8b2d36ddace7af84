//! A cluster whose nodes speak TLS, to each other, too.

use cache_core::{Cache, CoherenceMode, RedisOptions, Tag, TlsOptions, seconds};
use cache_tests::wait::eventually_some;
use cache_tests::{Certificates, RedisCluster};

use super::{names, rendered};
use crate::coherence::in_mode;
use crate::setup::{PATIENCE, text};

fn trusting(certificates: &Certificates, cluster: &RedisCluster) -> Cache {
    let tls = TlsOptions::new().ca_file(certificates.path("ca.pem")).unwrap();
    // Two of them; the others are learnt.
    let nodes = RedisOptions::cluster(&cluster.tls_nodes()[..2]).unwrap().tls(tls);
    let builder = Cache::builder().prefix("coldcopy").redis(nodes);
    builder.operation_budget(seconds(10)).build().unwrap()
}

async fn eventually_reads(cache: &Cache, name: &str, value: Option<&str>) {
    eventually_some(PATIENCE, "it is read so", async || {
        (text(cache, "users", name).await.as_deref() == value).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_are_used_over_tls_and_so_is_where_a_slot_moves_to() {
    let certificates = Certificates::generate();
    let cluster = RedisCluster::builder().tls(&certificates).start();
    let caches = [trusting(&certificates, &cluster), trusting(&certificates, &cluster)];
    let [here, there] = &caches;
    for cache in &caches {
        text(cache, "users", "1").await;
        in_mode(cache, CoherenceMode::Tracking).await;
    }
    for name in names(30) {
        here.set("users", name.as_str(), "old").await.unwrap();
        eventually_reads(there, &name, Some("old")).await;
        here.set("users", name.as_str(), "new").await.unwrap();
    }
    for name in names(30) {
        // On whichever primary it lies, the other hears of it.
        eventually_reads(there, &name, Some("new")).await;
    }

    let name = "to be moved";
    let key = rendered(name);
    let from = cluster.owner(&key);
    let to = cluster.primaries().into_iter().find(|port| *port != from).unwrap();
    cluster.move_slot(RedisCluster::slot(&key), to);
    here.set("users", name, "there").await.unwrap();
    assert_eq!(text(there, "users", name).await.as_deref(), Some("there"));

    assert!(here.invalidate(Tag::new("t")).await.unwrap().is_complete());
    assert!(here.delete("users", name).await.unwrap().is_complete());
    eventually_reads(there, name, None).await;
    // What they ask each other they ask over TLS, too.
    assert_eq!(cluster.command(to, &["CONFIG", "GET", "tls-cluster"]).items()[1].text(), "yes");
    assert_eq!(here.health().await.store_changes, 0);
}

#[tokio::test]
async fn nodes_that_nobody_trusts_are_not_used() {
    let certificates = Certificates::generate();
    let cluster = RedisCluster::builder().tls(&certificates).start();
    let cache = trusting(&Certificates::generate(), &cluster);
    let failed = eventually_some(PATIENCE, "an operation fails", async || {
        cache.set("users", "1", "v").await.err()
    });
    let error = failed.await.to_string();
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(cluster.keys("*"), Vec::<String>::new());
}
