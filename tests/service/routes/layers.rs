//! Layers of tower-http around the cache, and within.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::routing::get;
use cache_axum::{RoutePolicy, cache_endpoint};
use cache_core::{minutes, seconds};
use cache_tower::CacheLayer;
use tokio::sync::Notify;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;
use tower_http::timeout::TimeoutLayer;

use super::{App, Calls, HIT, MISS, everywhere, in_memory};

const LONG: &str = "a long text that compression makes shorter; ";

/// Counts, and answers with a text that is worth compressing.
fn long(calls: &Calls) -> axum::routing::MethodRouter {
    let calls = calls.clone();
    get(async move || {
        calls.next();
        ([("content-type", "text/plain")], LONG.repeat(100))
    })
}

fn unpacked(body: &[u8]) -> String {
    use std::io::Read;
    let mut text = String::new();
    flate2::read::GzDecoder::new(body).read_to_string(&mut text).expect("gzip");
    text
}

/// Outside: one entry for all, packed anew for each client that takes it.
#[tokio::test]
async fn compression_outside() {
    for http in everywhere(|builder| builder) {
        let calls = Calls::default();
        let router = Router::new()
            .route("/a", long(&calls).layer(cache_endpoint(&http, minutes(5))))
            .layer(CompressionLayer::new());
        let app = App::start(&http, router).await;
        for (lines, told) in [
            (&[("accept-encoding", "gzip")][..], MISS),
            (&[], HIT),
            (&[("accept-encoding", "gzip")], HIT),
        ] {
            let response = app.get("/a", lines).await;
            assert_eq!(response.cache_status(), told);
            if lines.is_empty() {
                assert_eq!(response.header("content-encoding"), None);
                assert_eq!(response.text(), LONG.repeat(100));
            } else {
                assert_eq!(response.header("content-encoding"), Some("gzip"));
                assert_eq!(unpacked(&response.body), LONG.repeat(100));
            }
        }
        assert_eq!(calls.count(), 1);
    }
}

/// Inside: packed once, and kept so; a client that does not take it has an entry of its own.
#[tokio::test]
async fn compression_inside() {
    for http in everywhere(|builder| builder) {
        let calls = Calls::default();
        let router = Router::new()
            .route("/a", long(&calls))
            .layer(CompressionLayer::new())
            .layer(cache_endpoint(&http, minutes(5)).generate_etags());
        let app = App::start(&http, router).await;
        let gzip: super::Lines<'_> = &[("accept-encoding", "gzip")];
        assert_eq!(app.told("/a", gzip).await, MISS);
        assert_eq!(app.told("/a", &[]).await, "cache-tower; fwd=vary-miss; stored");
        for _ in 0..2 {
            let packed = app.get("/a", gzip).await;
            assert_eq!(
                (packed.cache_status().as_str(), packed.header("vary")),
                (HIT, Some("accept-encoding"))
            );
            assert_eq!(unpacked(&packed.body), LONG.repeat(100));
            let plain = app.get("/a", &[]).await;
            assert_eq!((plain.cache_status().as_str(), plain.text()), (HIT, LONG.repeat(100)));
            // Two representations, two tags.
            assert!(packed.header("etag").is_some());
            assert_ne!(packed.header("etag"), plain.header("etag"));
            let tag = packed.header("etag").unwrap_or_default();
            let same = app.get("/a", &[("accept-encoding", "gzip"), ("if-none-match", tag)]).await;
            assert_eq!(same.status, 304);
        }
        assert_eq!(calls.count(), 2);
    }
}

/// Files: kept by a rule of the table, validated by what `ServeDir` says of them, parts cut here.
#[tokio::test]
async fn serve_dir() {
    let dir = tempfile::tempdir().expect("a directory");
    let write =
        |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    write("page.txt", "first");
    write("secret.txt", "secret");
    for http in everywhere(|builder| {
        builder
            .route("/files/{*path}", minutes(5))
            .route("/page.txt", minutes(5))
            .never("/files/secret.txt")
    }) {
        write("page.txt", "first");
        let files = |dir: &Path| ServeDir::new(dir);
        let router = Router::new()
            .nest_service("/files", files(dir.path()))
            .fallback_service(files(dir.path()))
            .layer(CacheLayer::new(&http));
        let app = App::start(&http, router).await;
        for path in ["/files/page.txt", "/page.txt"] {
            let miss = app.get(path, &[]).await;
            assert_eq!((miss.cache_status().as_str(), miss.text().as_str()), (MISS, "first"));
        }
        write("page.txt", "second");
        for path in ["/files/page.txt", "/page.txt"] {
            let hit = app.get(path, &[]).await;
            assert_eq!((hit.cache_status().as_str(), hit.text().as_str()), (HIT, "first"));
            assert_eq!(hit.header("content-type"), Some("text/plain"));
            let part = app.get(path, &[("range", "bytes=1-3")]).await;
            assert_eq!((part.status, part.text().as_str()), (206, "irs"));
            assert_eq!(part.header("content-range"), Some("bytes 1-3/5"));
            let modified = hit.header("last-modified").expect("of the file");
            let same = app.get(path, &[("if-modified-since", modified)]).await;
            assert_eq!((same.status, same.cache_status().as_str()), (304, HIT));
        }
        // However it is spelt: the file server decodes it.
        for path in ["/files/secret.txt", "/files/s%65cret.txt", "/files//secret.txt"] {
            let secret = app.get(path, &[]).await;
            assert_eq!(
                (secret.text().as_str(), secret.cache_status().as_str()),
                ("secret", super::NEVER),
                "{path}"
            );
        }
        for _ in 0..2 {
            let none = app.get("/files/none.txt", &[]).await;
            assert_eq!(none.status, 404);
            assert!(!none.cache_status().contains("stored"));
        }
    }
}

/// A handler that hangs until it is told.
fn hanging(calls: &Calls, go_on: &Arc<Notify>) -> axum::routing::MethodRouter {
    let (calls, go_on) = (calls.clone(), Arc::clone(go_on));
    get(async move || {
        let call = calls.next();
        go_on.notified().await;
        call.to_string()
    })
}

/// Outside, its time is the client's: what the cache has begun to fetch goes on, and is kept.
#[tokio::test]
async fn timeout_outside() {
    for http in everywhere(|builder| builder) {
        let (calls, go_on) = (Calls::default(), Arc::default());
        let router = Router::new()
            .route("/a", hanging(&calls, &go_on).layer(cache_endpoint(&http, minutes(5))))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::GATEWAY_TIMEOUT,
                std::time::Duration::from_millis(50),
            ));
        let app = App::start(&http, router).await;
        let late = cache_tests::http_client::get(app.served.addr, "/a", &[]).await;
        assert_eq!((late.status, late.cache_status().as_str()), (504, ""));
        go_on.notify_one();
        super::at_rest(&http).await;
        assert_eq!(app.seen("/a", &[]).await, ("1".into(), HIT.into()));
        assert_eq!(calls.count(), 1);
    }
}

/// Inside, its 504 is the origin's answer: never stored, and what is stale does within its grace.
#[tokio::test]
async fn timeout_inside() {
    let clock = cache_core::Clock::manual(1_800_000_000_000);
    let cache = cache_core::Cache::builder().memory().clock(clock.clone()).build().expect("valid");
    let http = cache_tower::HttpCache::builder(cache).build();
    let (calls, go_on) = (Calls::default(), Arc::<Notify>::default());
    let router = Router::new()
        .route("/a", hanging(&calls, &go_on))
        .route("/fresh", get(async || ([(CACHE_CONTROL, "max-age=60")], "x")))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            std::time::Duration::from_millis(50),
        ))
        .layer(cache_endpoint(&http, minutes(5)).grace(minutes(10)));
    let app = App::start(&http, router).await;
    for _ in 0..2 {
        let late = app.get("/a", &[]).await;
        assert_eq!((late.status, late.cache_status().as_str()), (504, super::NO_FRESHNESS));
    }
    go_on.notify_one();
    assert_eq!(app.seen("/a", &[]).await, ("3".into(), MISS.into()));
    clock.advance(minutes(5) + seconds(1));
    let stale = "cache-tower; hit; detail=stale-while-revalidate";
    assert_eq!(app.seen("/a", &[]).await, ("3".into(), stale.into()));
    assert_eq!(app.seen("/a", &[]).await, ("3".into(), stale.into()), "the refresh has timed out");
}

/// Outside or inside, a panic is the one client's 500: nothing is stored, nobody hangs, and the next
/// one is served.
#[tokio::test]
async fn catch_panic() {
    for outside in [true, false] {
        for http in everywhere(|builder| builder) {
            let calls = Calls::default();
            let handler = {
                let calls = calls.clone();
                get(async move || {
                    let call = calls.next();
                    assert!(call != 1, "the handler panics here");
                    call.to_string()
                })
            };
            let endpoint = cache_endpoint(&http, minutes(5));
            let router = Router::new().route("/a", handler);
            let router = if outside {
                router.layer(endpoint).layer(CatchPanicLayer::new())
            } else {
                router.layer(CatchPanicLayer::new()).layer(endpoint)
            };
            let app = App::start(&http, router).await;
            let failed = app.get("/a", &[]).await;
            assert_eq!(failed.status, 500, "outside: {outside}");
            assert!(!failed.cache_status().contains("stored"));
            assert_eq!(app.seen("/a", &[]).await, ("2".into(), MISS.into()));
            assert_eq!(app.seen("/a", &[]).await, ("2".into(), HIT.into()));
            assert_eq!(http.flights(), 0);
            let stats = http.stats();
            assert_eq!((stats.hits, stats.misses), (1, 2), "the one that failed is counted");
        }
    }
}

/// All of them at once, in the order that the docs name.
#[tokio::test]
async fn in_the_order_of_the_guide() {
    let http = in_memory(|builder| {
        builder.route("/a", RoutePolicy::new(minutes(5)).client_cache_control("max-age=5"))
    });
    let calls = Calls::default();
    let router = Router::new()
        .route("/a", long(&calls))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, seconds(10)))
        .layer(CacheLayer::new(&http))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::new());
    let app = App::start(&http, router).await;
    let gzip: super::Lines<'_> = &[("accept-encoding", "gzip")];
    for told in [MISS, HIT] {
        let response = app.get("/a", gzip).await;
        assert_eq!(response.cache_status(), told);
        assert_eq!(unpacked(&response.body), LONG.repeat(100));
        assert_eq!(response.header("cache-control"), Some("max-age=5"));
    }
}
