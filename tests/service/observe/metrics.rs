//! What Prometheus scrapes is what the caches have counted, exactly, and tells nothing of keys.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use cache_axum::{cache_endpoint, invalidate_cache};
use cache_core::metrics::{BUCKETS_SECONDS, Exporter};
use cache_core::{Cache, Key, Namespace, RedisOptions, Stats, minutes};
use cache_tests::http_client::{self, get as fetch};
use cache_tests::{FaultProxy, Mode, RedisServer};
use cache_tower::metrics::HttpExporter;
use cache_tower::{CacheLayer, HttpCache};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use super::{WS1, WS2, breaker_is_open, drained};
use crate::setup::{http, memory_cache, redis_cache, serve};

/// Of this test's thread only, where all of it runs: tests don't count each other's.
fn recorder() -> PrometheusRecorder {
    PrometheusBuilder::new().set_buckets(&BUCKETS_SECONDS).expect("some").build_recorder()
}

/// `/metrics`: published as it is scraped.
fn scraped(recorder: &PrometheusRecorder, publish: impl Fn() + Send + Sync + 'static) -> Router {
    let (handle, publish) = (recorder.handle(), Arc::new(publish));
    let scrape = move || {
        publish();
        std::future::ready(handle.render())
    };
    Router::new().route("/metrics", get(scrape))
}

/// Series with their values, as scraped.
#[derive(Debug)]
struct Scrape {
    text: String,
    series: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Scrape {
    async fn of(addr: SocketAddr) -> Self {
        let text = fetch(addr, "/metrics", &[]).await.text();
        let series = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let series = series.map(parsed).collect();
        Self { text, series }
    }

    /// The sum over all series of a name that have these labels.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let has = |of: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| of.get(*name).is_some_and(|found| found == value))
        };
        let series = self.series.iter().filter(|(found, of, _)| found == name && has(of));
        series.map(|(_, _, value)| *value as u64).sum()
    }

    fn has(&self, name: &str) -> bool {
        self.series.iter().any(|(found, ..)| found == name)
    }
}

fn parsed(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let value = value.parse().expect("a number");
    let Some((name, labels)) = series.split_once('{') else {
        return (series.to_owned(), BTreeMap::new(), value);
    };
    let labels = labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty());
    let label = |label: &str| {
        let (name, value) = label.split_once("=\"").expect("a label");
        (name.to_owned(), value.trim_end_matches('"').to_owned())
    };
    (name.to_owned(), labels.map(label).collect(), value)
}

/// A service that meets every kind of decision.
fn app(http: &HttpCache) -> Router {
    let stats = get(|Path(id): Path<u64>| async move { format!("campaign {id}") });
    let private = get(|| async { ([("cache-control", "private")], "yours") });
    Router::new()
        .route("/campaigns/{id}", stats.layer(cache_endpoint(http, minutes(5))))
        .route(
            "/campaigns/{id}/change",
            post(|| async { "done" }).layer(invalidate_cache(http, "{workspace_id}:campaigns:*")),
        )
        .route("/private", private)
        .layer(CacheLayer::new(http))
}

async fn load(addr: SocketAddr) {
    for lines in [&WS1[..], &WS2[..]] {
        for _ in 0..3 {
            for id in 0..4 {
                fetch(addr, &format!("/campaigns/{id}"), lines).await;
            }
            fetch(addr, "/private", lines).await;
        }
        // Past the cache: without a workspace, and as asked for.
        fetch(addr, "/campaigns/1", &[]).await;
        fetch(addr, "/campaigns/1", &[lines[0], ("cache-control", "no-store")]).await;
        let change = http_client::request(addr, "POST", "/campaigns/1/change", lines, b"").await;
        assert_eq!(change.expect("an answer").status, 200);
    }
}

/// What an application caches besides: computations that succeed and fail, writes, deletions.
async fn use_values(cache: &Cache) {
    let values = cache.namespace("reports");
    for n in 0..6 {
        let key = Key::from_segments([format!("secret-{}", n % 3)]);
        let compute = async || if n == 2 { Err("no") } else { Ok(n) };
        let _ = values.get_or_compute(key, compute).await;
    }
    cache.set("reports", "secret-9", "v").await.expect("stored");
    assert_eq!(
        cache.get::<String>("reports", "secret-9").await.expect("read").as_deref(),
        Some("v")
    );
    cache.delete("reports", "secret-9").await.expect("deleted");
    assert_eq!(cache.get::<String>("reports", "secret-9").await.expect("read"), None);
}

/// Every figure of every namespace, and of the whole.
fn agrees(scrape: &Scrape, stats: &Stats) {
    for (namespace, figures) in &stats.namespaces {
        let of = |name: &str, labels: &[(&str, &str)]| {
            scrape.sum(name, &[&[("cache", namespace.as_str())], labels].concat())
        };
        let reads = |labels: &[(&str, &str)]| of("cache_requests_total", labels);
        assert_eq!(reads(&[("result", "hit")]), figures.hits, "{namespace}");
        assert_eq!(reads(&[("layer", "l1"), ("result", "hit")]), figures.l1_hits, "{namespace}");
        assert_eq!(reads(&[("result", "miss")]), figures.misses, "{namespace}");
        assert_eq!(reads(&[]), figures.hits + figures.misses, "{namespace}");
        assert_eq!(of("cache_computes_total", &[]), figures.computes, "{namespace}");
        assert_eq!(of("cache_compute_seconds_count", &[]), figures.computes, "{namespace}");
        let failed = of("cache_compute_seconds_count", &[("result", "failure")]);
        assert_eq!(failed, figures.compute_failures, "{namespace}");
        for (name, count) in [
            ("cache_sets_total", figures.sets),
            ("cache_deletes_total", figures.deletes),
            ("cache_errors_total", figures.errors),
            ("cache_read_bytes_total", figures.bytes_read),
            ("cache_written_bytes_total", figures.bytes_written),
        ] {
            assert_eq!(of(name, &[]), count, "{namespace} {name}");
        }
    }
    let invalidations = stats.invalidations;
    for (outcome, count) in [("complete", invalidations.complete), ("queued", invalidations.queued)]
    {
        let labels = [("outcome", outcome)];
        assert_eq!(scrape.sum("cache_invalidations_total", &labels), count, "{outcome}");
    }
    for (operation, count) in [
        ("read", stats.operations.read.count()),
        ("write", stats.operations.write.count()),
        ("invalidate", stats.operations.invalidate.count()),
    ] {
        let labels = [("operation", operation)];
        let name = "cache_operation_duration_seconds_count";
        assert_eq!(scrape.sum(name, &labels), count, "{operation}");
    }
}

async fn what_is_scraped_is_what_was_counted(cache: Cache) {
    let recorder = recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let http = http(cache.clone());
    let exporter = HttpExporter::new(&http);
    let publish = move || assert!(exporter.publish());
    let served = serve(app(&http).merge(scraped(&recorder, publish))).await;
    load(served.addr).await;
    use_values(&cache).await;
    // Writes to the store go on when the client has its answer.
    drained(&cache).await;
    let (scrape, stats, requests) = (Scrape::of(served.addr).await, cache.stats(), http.stats());
    agrees(&scrape, &stats);
    for (result, count) in
        [("hit", requests.hits), ("miss", requests.misses), ("bypass", requests.bypasses)]
    {
        assert!(count > 0, "{result}");
        assert_eq!(scrape.sum("cache_http_requests_total", &[("result", result)]), count);
    }
    for (decision, detail, count) in [
        ("hit", "", requests.hits),
        ("fwd=uri-miss; stored", "", 8),
        ("fwd=uri-miss", "private", 6),
        ("fwd=bypass", "workspace", 2),
        ("fwd=bypass", "no-store", 2),
    ] {
        let labels = [("decision", decision), ("detail", detail)];
        assert_eq!(scrape.sum("cache_http_requests_total", &labels), count, "{labels:?}");
    }
    assert!(stats.operations.invalidate.count() >= 3);
    let on_store = stats.operations.read.count() > 0 && stats.operations.write.count() > 0;
    assert_eq!(on_store, cache.gauges().pool.is_some());
    assert_eq!(scrape.has("cache_breaker_state"), on_store);
    assert!(scrape.sum("cache_entries", &[("cache", "*")]) > 0);
    assert!(scrape.sum("cache_size_bytes", &[]) > 0);
    // Neither keys nor, unless it is asked for, workspaces.
    for secret in ["secret-", "ws1", "campaigns"] {
        assert!(!scrape.text.contains(secret), "{secret}");
    }
    for name in ["cache_requests_total", "cache_http_requests_total", "cache_compute_seconds"] {
        assert!(scrape.text.contains(&format!("# HELP {name} ")), "{name}");
    }
    assert_eq!(scrape.text.matches("# TYPE cache_compute_seconds histogram").count(), 1);
}

#[tokio::test]
async fn what_is_scraped_is_what_was_counted_in_memory() {
    what_is_scraped_is_what_was_counted(memory_cache()).await;
}

#[tokio::test]
async fn what_is_scraped_is_what_was_counted_on_redis() {
    what_is_scraped_is_what_was_counted(redis_cache()).await;
}

#[tokio::test]
async fn workspaces_are_told_where_it_is_asked_for_and_no_more_than_so_many() {
    let recorder = recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let (cache, own) = (memory_cache(), memory_cache());
    let exporter = Exporter::new(&cache).workspaces(2).label("prefix", "a");
    let other = Exporter::new(&own).label("prefix", "b");
    let publish = move || assert!(exporter.publish() && other.publish());
    let served = serve(scraped(&recorder, publish)).await;
    for (workspace, reads) in [("busy", 9), ("é", 5), ("quiet", 2), ("silent", 1)] {
        for _ in 0..reads {
            let key = Key::workspace(workspace).segment("k");
            assert_eq!(cache.get::<u8>("users", key).await.expect("read"), None);
        }
    }
    let scrape = Scrape::of(served.addr).await;
    let reads =
        |workspace: &str| scrape.sum("cache_workspace_requests_total", &[("workspace", workspace)]);
    assert_eq!((reads("busy"), reads("%C3%A9"), reads("*"), reads("quiet")), (9, 5, 3, 0));
    let of = |prefix| scrape.sum("cache_requests_total", &[("prefix", prefix), ("cache", "users")]);
    assert_eq!((of("a"), of("b")), (17, 0));
}

#[tokio::test]
async fn evictions_and_the_memory_of_single_namespaces() {
    let recorder = recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let few = Namespace::new("few").max_entries(10);
    let cache = Cache::builder().prefix("s-few").memory().namespace(few).build().expect("valid");
    let exporter = Exporter::new(&cache);
    let served = serve(scraped(&recorder, move || assert!(exporter.publish()))).await;
    for n in 0..100 {
        cache.set("few", n.to_string(), "v").await.expect("stored");
        // What takes the place of another of its key has evicted nothing.
        cache.set("many", "1", "v").await.expect("stored");
    }
    cache.delete("few", "99").await.expect("deleted");
    let scrape = Scrape::of(served.addr).await;
    let of = |name, cache| scrape.sum(name, &[("cache", cache)]);
    let (evicted, left) = (of("cache_evictions_total", "few"), of("cache_entries", "few"));
    assert!(left < 10 && evicted + left + 1 == 100, "{evicted} {left}");
    assert_eq!((of("cache_evictions_total", "*"), of("cache_entries", "*")), (0, 1));
    assert_eq!(cache.stats().evictions, evicted);
}

#[tokio::test]
async fn an_outage_shows() {
    let recorder = recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let options = RedisOptions::url(&redis.url_through(proxy.port())).expect("valid");
    let cache = Cache::builder().redis(options).build().expect("valid");
    let exporter = Exporter::new(&cache);
    let served = serve(scraped(&recorder, move || assert!(exporter.publish()))).await;
    cache.set("users", "1", "v").await.expect("stored");
    let scrape = Scrape::of(served.addr).await;
    assert!(scrape.sum("cache_pool_connections", &[]) > 0);
    assert_eq!(scrape.sum("cache_breaker_state", &[]), 0);
    proxy.set(Mode::Refuse).await;
    while cache.set("users", "1", "v").await.is_ok() || !breaker_is_open(&cache) {}
    assert!(!cache.invalidate(cache_core::Tag::new("t")).await.expect("queued").is_complete());
    let scrape = Scrape::of(served.addr).await;
    assert_eq!(scrape.sum("cache_breaker_state", &[]), 1);
    assert_eq!(scrape.sum("cache_queued_invalidations", &[]), 2, "the tag and its family");
    assert_eq!(scrape.sum("cache_invalidations_total", &[("outcome", "queued")]), 1);
    assert!(scrape.sum("cache_errors_total", &[("cache", "users")]) > 0);
    agrees(&scrape, &cache.stats());
}

/// It is spawned once, and forgotten.
#[tokio::test(start_paused = true)]
async fn one_that_runs_by_itself_ends_with_the_cache() {
    let recorder = recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let cache = memory_cache();
    let running = tokio::spawn(Exporter::new(&cache).run(minutes(1)));
    let of_users =
        || recorder.handle().render().contains(r#"cache="users",layer="l1",result="miss"} 1"#);
    assert_eq!(cache.get::<u8>("users", "1").await.expect("read"), None);
    tokio::time::sleep(minutes(2)).await;
    assert!(of_users());
    drop(cache);
    running.await.expect("it ends");
}
