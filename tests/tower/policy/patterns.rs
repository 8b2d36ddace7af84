//! `InvalidateLayer`, and the counters.

use cache_core::Clock;
use cache_tests::RedisServer;
use cache_tower::{CacheLayer, HttpCache, InvalidateLayer, Workspace};
use http_body_util::BodyExt;
use tower::Layer;

use super::origin::{App, HIT, Lines, Origin, START, field, in_redis, memory, reply, request};

const OURS: Lines<'static> = &[("x-workspace-id", "ws123")];
const PATTERN: &str = "{workspace_id}:campaigns:*";

/// GETs are fresh for a minute and vary by language; other methods are answered as asked.
fn origin() -> Origin {
    Origin::new(|request| match request.method().as_str() {
        "POST" | "PUT" | "DELETE" => {
            let status = &request.headers()["x-status"];
            reply(status.to_str().expect("text").parse().expect("a status"), &[], "")
        }
        _ => reply(200, &[("cache-control", "max-age=60"), ("vary", "accept-language")], "body"),
    })
}

/// A cache around a layer that invalidates this pattern.
fn app(http: &HttpCache, layer: &InvalidateLayer) -> App {
    App::of(http, CacheLayer::new(http).layer(layer.layer(origin())))
}

fn in_memory(pattern: &str) -> App {
    let http = HttpCache::builder(memory(&Clock::manual(START))).build();
    app(&http, &InvalidateLayer::new(&http, pattern))
}

async fn stored(app: &App, uri: &str, lines: Lines<'_>) {
    app.get(uri, lines).await;
    assert_eq!(app.told(uri, lines).await, HIT, "{uri}");
}

/// A request to somewhere else, which is answered with this status.
async fn change(app: &App, method: &str, lines: Lines<'_>, status: &str) {
    let lines = [lines, &[("x-status", status)]].concat();
    app.send(request(method, "/jobs", &lines)).await;
}

/// Whether it is stored, without fetching it.
async fn is_stored(app: &App, uri: &str, lines: Lines<'_>) -> bool {
    let lines = [lines, &[("cache-control", "only-if-cached")]].concat();
    app.get(uri, &lines).await.status() == 200
}

#[tokio::test]
async fn only_what_succeeded_invalidates() {
    let app = in_memory(PATTERN);
    for (status, goes) in [
        ("200", true),
        ("204", true),
        ("303", true),
        ("404", false),
        ("409", false),
        ("500", false),
    ] {
        for method in ["POST", "PUT", "DELETE"] {
            stored(&app, "/campaigns", OURS).await;
            change(&app, method, OURS, status).await;
            assert_eq!(is_stored(&app, "/campaigns", OURS).await, !goes, "{method} {status}");
        }
    }
}

#[tokio::test]
async fn safe_methods_do_nothing() {
    let app = in_memory(PATTERN);
    stored(&app, "/campaigns", OURS).await;
    for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
        change(&app, method, OURS, "200").await;
        assert!(is_stored(&app, "/campaigns", OURS).await, "{method}");
    }
}

#[tokio::test]
async fn all_of_the_pattern_goes_and_neighbours_stay() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    for cache in [memory(&clock), in_redis(&redis, &clock)] {
        let http = HttpCache::builder(cache).build();
        let app = app(&http, &InvalidateLayer::new(&http, PATTERN));
        let german = &[OURS, &[("accept-language", "de")]].concat()[..];
        let longer: Lines<'_> = &[("x-workspace-id", "ws1234")];
        let glob: Lines<'_> = &[("x-workspace-id", "*")];
        let inside = [
            ("/campaigns", OURS),
            ("/campaigns", german),
            ("/campaigns/", OURS),
            ("/campaigns?page=2", OURS),
            ("/campaigns?page=2", german),
            ("/campaigns/42", OURS),
            ("/campaigns/42/items", OURS),
        ];
        let outside = [
            ("/campaigns-archive", OURS),
            ("/campaign", OURS),
            ("/", OURS),
            ("/x/campaigns", OURS),
            ("/campaigns", longer),
            ("/campaigns/42", longer),
            ("/campaigns", &[]),
            ("/ws123/campaigns", &[]),
            ("/campaigns", glob),
        ];
        for round in 0..2 {
            for (uri, lines) in inside.iter().chain(&outside) {
                stored(&app, uri, lines).await;
            }
            change(&app, "POST", if round == 0 { glob } else { OURS }, "200").await;
            for (uri, lines) in inside {
                assert_eq!(is_stored(&app, uri, lines).await, round == 0, "{uri} {lines:?}");
            }
            for (uri, lines) in &outside[..outside.len() - 1] {
                assert!(is_stored(&app, uri, lines).await, "{uri} {lines:?}");
            }
            assert_eq!(is_stored(&app, "/campaigns", glob).await, round == 1);
        }
    }
}

#[tokio::test]
async fn without_a_workspace_nothing_goes() {
    let cache = memory(&Clock::manual(START));
    let required = Workspace::header("x-workspace-id");
    let http = HttpCache::builder(cache).workspace(required).build();
    let app = app(&http, &InvalidateLayer::new(&http, PATTERN));
    stored(&app, "/campaigns", OURS).await;
    let no_workspaces: [Lines<'_>; 4] = [
        &[],
        &[("x-workspace-id", "")],
        &[("x-workspace-id", "ws123,ws123")],
        &[("x-workspace-id", "ws123"), ("x-workspace-id", "ws123")],
    ];
    for lines in no_workspaces {
        change(&app, "POST", lines, "200").await;
        assert!(is_stored(&app, "/campaigns", OURS).await, "{lines:?}");
    }
    change(&app, "POST", OURS, "200").await;
    assert!(!is_stored(&app, "/campaigns", OURS).await);
}

#[tokio::test]
async fn other_holes_are_filled_from_the_request_or_refused() {
    let http = HttpCache::builder(memory(&Clock::manual(START))).build();
    let layer =
        InvalidateLayer::new(&http, "{workspace_id}:campaigns:{id}:*").values(|uri, _, name| {
            assert_eq!(name, "id");
            let id = uri.query()?.strip_prefix("id=")?;
            Some(id.to_owned())
        });
    let app = app(&http, &layer);
    for (uri, goes) in
        [("/jobs?id=42", true), ("/jobs", false), ("/jobs?id=4", false), ("/jobs?id=*", false)]
    {
        stored(&app, "/campaigns/42", OURS).await;
        stored(&app, "/campaigns/42/items", OURS).await;
        stored(&app, "/campaigns/43", OURS).await;
        app.send(request("POST", uri, &[OURS, &[("x-status", "200")]].concat())).await;
        assert_eq!(is_stored(&app, "/campaigns/42", OURS).await, !goes, "{uri}");
        assert_eq!(is_stored(&app, "/campaigns/42/items", OURS).await, !goes, "{uri}");
        assert!(is_stored(&app, "/campaigns/43", OURS).await, "{uri}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_add_up_exactly() {
    const REQUESTS: u64 = 2_000;
    let app = in_memory(PATTERN);
    let mut tasks = tokio::task::JoinSet::new();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..REQUESTS {
        let method = ["GET", "GET", "GET", "GET", "HEAD", "POST", "OPTIONS"][random.usize(..7)];
        let uri = format!("/campaigns/{}", random.u8(..20));
        let mut lines = vec![("x-status", ["200", "500"][random.usize(..2)])];
        lines.extend(match random.u8(..8) {
            0 => Some(("range", "bytes=0-1")),
            1 => Some(("cache-control", "no-cache")),
            2 => Some(("cache-control", "only-if-cached")),
            3 => Some(("authorization", "Bearer a")),
            4 => Some(("x-workspace-id", "")),
            5 => Some(("accept-language", "de")),
            _ => None,
        });
        let (app, request) = (app.clone(), request(method, &uri, &lines));
        tasks.spawn(async move {
            let (parts, body) = app.call(request).await.into_parts();
            body.collect().await.expect("a whole body");
            field(&http::Response::from_parts(parts, ()), "cache-status")
        });
    }
    let (mut hits, mut misses, mut collapsed, mut bypasses) = (0, 0, 0, 0);
    while let Some(told) = tasks.join_next().await {
        let told = told.expect("no panic");
        let counter = match told.strip_prefix("cache-tower; ").expect("one member") {
            HIT => &mut hits,
            "fwd=method" => &mut bypasses,
            said if said.starts_with("fwd=bypass") => &mut bypasses,
            said => {
                collapsed += u64::from(said.ends_with("collapsed"));
                &mut misses
            }
        };
        *counter += 1;
    }
    let stats = app.http.stats();
    let counted = (stats.hits, stats.misses, stats.collapsed, stats.bypasses);
    assert_eq!(counted, (hits, misses, collapsed, bypasses));
    assert_eq!(hits + misses + bypasses, REQUESTS);
    assert!(hits > 0 && misses > 0 && bypasses > 0, "{stats:?}");
    assert_eq!(app.http.flights(), 0);
}
