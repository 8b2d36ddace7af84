//! The log of a service: what each request met and why, what a handler says within the span of its
//! request, faults once and not with each request, and neither keys above debug nor secrets.

use axum::Router;
use axum::routing::{get, post};
use cache_axum::{cache_endpoint, invalidate_cache};
use cache_core::{Cache, Keyring, Namespace, RedisOptions, Tag, minutes};
use cache_tests::http_client::{self, get as fetch};
use cache_tests::{FaultProxy, Mode, RedisServer};
use cache_tower::{CacheLayer, HttpCache};

use super::{WS1, breaker_is_open, drained};
use crate::log::Log;
use crate::setup::{http, memory_cache, serve};

const ALL: &str = "cache_core=debug,cache_tower=debug,shop=debug";

/// A handler that says something.
fn app(http: &HttpCache) -> Router {
    let stats = async || {
        tracing::info!(target: "shop", "reading 42 rows");
        "stats"
    };
    Router::new()
        .route("/stats", get(stats).layer(cache_endpoint(http, minutes(5))))
        .route("/change", post(stats).layer(invalidate_cache(http, "{workspace_id}:stats:*")))
        .layer(CacheLayer::new(http))
}

/// Of the log, what the cache says of requests, and the handler.
fn of_requests(log: &Log) -> Vec<String> {
    let told = |line: &String| line.contains("cache_tower: ") || line.contains("shop: ");
    log.lines().into_iter().filter(told).collect()
}

#[tokio::test]
async fn it_reads_well() {
    let http = http(memory_cache());
    let served = serve(app(&http)).await;
    let log = Log::begin(ALL);
    fetch(served.addr, "/stats", &WS1).await;
    let call = r#"cache{cache=cache-tower namespace="api_responses" fwd="uri-miss"}:"#;
    assert_eq!(
        of_requests(&log),
        [
            // The outer cache has let it through to the inner one, and that to the handler.
            format!("INFO {call}{call} shop: reading 42 rows"),
            format!(
                "DEBUG {call} cache_tower: decision=fwd=uri-miss; stored counted=\"misses\" \
                 status=200 namespace=\"api_responses\""
            ),
        ]
    );
    fetch(served.addr, "/stats", &WS1).await;
    fetch(served.addr, "/stats", &[WS1[0], ("cache-control", "no-store")]).await;
    let lines = of_requests(&log);
    // The outer cache remembers that there is an inner one, and looks nothing up.
    let past = r#"cache{cache=cache-tower namespace="api_responses" fwd="bypass"}:"#;
    assert_eq!(
        lines,
        [
            format!(
                "DEBUG {past} cache_tower: decision=hit counted=\"hits\" namespace=\"api_responses\""
            ),
            format!("INFO {past}{past} shop: reading 42 rows"),
            format!(
                "DEBUG {past} cache_tower: decision=fwd=bypass detail=\"no-store\" \
                 counted=\"bypasses\" status=200 namespace=\"api_responses\""
            ),
        ]
    );
    let done = http_client::request(served.addr, "POST", "/change", &WS1, b"").await;
    assert_eq!(done.expect("an answer").status, 200);
    let lines = log.lines();
    let method = r#"INFO cache{cache=cache-tower namespace="api_responses" fwd="method"}: shop: "#;
    assert!(lines[0].starts_with(method), "{lines:#?}");
    let invalidated = "cache_core: invalidated keys=0 scopes=1 outcome=\"complete\" soft=false";
    assert!(lines.iter().any(|line| line.contains(invalidated)), "{lines:#?}");
}

/// Whoever records spans learns there what came of each call.
#[tokio::test]
async fn a_span_is_told_the_decision() {
    let http = http(memory_cache());
    let served = serve(app(&http)).await;
    let at_end = tracing_subscriber::fmt::format::FmtSpan::CLOSE;
    let log = Log::begin_with_spans(ALL, at_end);
    let lines = [WS1[0], ("cache-control", "no-store")];
    fetch(served.addr, "/stats", &lines).await;
    let closed: Vec<_> = log.lines().into_iter().filter(|line| line.contains("close")).collect();
    let told = r#"fwd="bypass" decision=fwd=bypass detail="no-store" status=200}"#;
    assert!(closed.iter().any(|line| line.contains(told)), "{closed:#?}");
    fetch(served.addr, "/stats", &WS1).await;
    log.lines();
    fetch(served.addr, "/stats", &WS1).await;
    let lines = log.lines();
    let calls = lines.iter().filter(|line| line.contains("close")).count();
    assert_eq!(calls, 1, "the outer cache's; a hit calls nothing: {lines:#?}");
}

#[tokio::test]
async fn values_computations_and_writes() {
    let cache = Cache::builder().prefix("shop").memory().build().expect("valid");
    let log = Log::begin(ALL);
    for _ in 0..2 {
        let user = cache.get_or_compute("users", "42", async || Ok::<_, ()>("Ada".to_owned()));
        assert_eq!(user.await.expect("computed"), "Ada");
    }
    assert_eq!(cache.get::<String>("users", "43:é").await.expect("read"), None);
    let lines = log.lines();
    let took = lines[1].split("took_us=").nth(1).and_then(|rest| rest.split(' ').next());
    assert_eq!(
        lines,
        [
            r#"DEBUG cache_core: miss namespace="users" key="shop:users:v1:42""#.to_owned(),
            format!(
                "DEBUG cache_core: computed namespace=\"users\" took_us={} succeeded=true",
                took.expect("a number")
            ),
            r#"DEBUG cache_core: hit namespace="users" key="shop:users:v1:42" layer="l1""#
                .to_owned(),
            r#"DEBUG cache_core: miss namespace="users" key="shop:users:v1:43:%C3%A9""#.to_owned(),
        ]
    );
}

#[tokio::test]
async fn keys_of_sensitive_namespaces_are_hashed_and_no_other_stands_above_debug() {
    let keyring = Keyring::new(1, [7; 32]);
    let patients = Namespace::new("patients").sensitive();
    let builder = Cache::builder().memory().namespace(patients).keyring(keyring);
    let cache = builder.build().expect("valid");
    for (filter, namespace) in [("trace", "patients"), ("info", "users")] {
        let log = Log::begin(filter);
        for _ in 0..2 {
            let compute = async || Ok::<_, ()>("value-7".to_owned());
            assert!(cache.get_or_compute(namespace, "name-7", compute).await.is_ok());
        }
        cache.delete(namespace, "name-7").await.expect("deleted");
        assert_eq!(cache.get::<String>(namespace, "name-7").await.expect("read"), None);
        let text = log.lines().join("\n");
        assert!(!text.contains("name-7") && !text.contains("value-7"), "{text}");
        assert_eq!(text.is_empty(), namespace == "users");
    }
}

/// A thousand requests during an outage, and a few lines.
#[tokio::test]
async fn faults_are_told_once_and_without_secrets() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::start(redis.port()).await;
    let url = redis.url_through(proxy.port()).replace("redis://", "redis://:hunter2@");
    let options = RedisOptions::url(&url).expect("valid");
    let cache = Cache::builder().redis(options).build().expect("valid");
    let http = http(cache.clone());
    let served = serve(app(&http)).await;
    let log = Log::begin("cache_core=info,cache_tower=info");
    proxy.set(Mode::Refuse).await;
    while !breaker_is_open(&cache) {
        let _ = cache.set("users", "1", "v").await;
    }
    for n in 0..300 {
        fetch(served.addr, &format!("/stats?{n}"), &WS1).await;
        let _ = http_client::request(served.addr, "POST", "/change", &WS1, b"").await;
        let _ = cache.invalidate(Tag::new(n.to_string())).await;
    }
    drained(&cache).await;
    let lines = log.lines();
    let away: Vec<_> = lines.iter().filter(|line| line.contains("Redis is away")).collect();
    assert_eq!(away.len(), 1, "{lines:#?}");
    assert!(away[0].starts_with("WARN cache_core: Redis is away; going on without it error="));
    assert!(lines.len() < 10, "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("hunter2")), "{lines:#?}");
}
