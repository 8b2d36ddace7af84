//! The table of a router's routes.

use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::routing::{get, post};
use cache_axum::{RoutePolicy, cache_endpoint};
use cache_core::{Tag, minutes};
use cache_tower::{CacheLayer, HttpCache, RouteRule};
use tower::Layer;

use super::options::counted;
use super::{App, Calls, HIT, MISS, NEVER, NO_FRESHNESS, everywhere, in_memory};

/// Each rule of the table, and how often it was met.
fn met(http: &HttpCache) -> Vec<(String, u64)> {
    http.routes().into_iter().map(|rule| (rule.path, rule.requests)).collect()
}

#[tokio::test]
async fn each_route_has_the_policy_of_the_table() {
    for http in everywhere(|builder| {
        let stats = RoutePolicy::new(minutes(5))
            .tag("campaign:{id}")
            .client_cache_control("private, max-age=30");
        builder
            .route("/campaigns/{id}/stats", stats)
            .route("/campaigns", minutes(1))
            .route("/reports/{name}", RoutePolicy::new(minutes(1)).namespace("reports"))
            .route("/reprots/{name}", minutes(1))
    }) {
        let calls = Calls::default();
        let router = Router::new()
            .route("/campaigns", counted(&calls))
            // Another name than the table has.
            .route("/campaigns/{campaign}/stats", counted(&calls))
            .route("/campaigns/{campaign}", counted(&calls))
            .route("/reports/{report}", counted(&calls))
            .layer(CacheLayer::new(&http));
        let app = App::start(&http, router).await;
        for told in [MISS, HIT] {
            for path in ["/campaigns", "/campaigns/42/stats", "/reports/7"] {
                assert_eq!(app.told(path, &[]).await, told, "{path}");
            }
            assert_eq!(app.told("/campaigns/42", &[]).await, NO_FRESHNESS);
        }
        let stats = app.get("/campaigns/42/stats", &[]).await;
        assert_eq!(stats.header("cache-control"), Some("private, max-age=30"));
        assert_eq!(app.get("/campaigns", &[]).await.header("cache-control"), None);
        http.cache().invalidate(Tag::new("campaign:42")).await.unwrap();
        assert_eq!(app.told("/campaigns/42/stats", &[]).await, MISS);
        assert_eq!(app.told("/campaigns", &[]).await, HIT);
        // The typo shows.
        let met = met(&http);
        assert_eq!(met[3], ("/reprots/{name}".into(), 0));
        assert!(met[..3].iter().all(|(_, requests)| *requests >= 2), "{met:?}");
    }
}

/// Never: over a policy, over what the response says, and over an inner layer, of this cache or of
/// another one.
#[tokio::test]
async fn a_rule_that_says_never_wins_over_everything() {
    for http in everywhere(|builder| {
        builder
            .route("/billing/{id}", minutes(5))
            .route("/billing/mine/{id}", minutes(5))
            .never("/billing/{*rest}")
            .never("/me")
            .store_posts(true)
    }) {
        let other = in_memory(|builder| builder);
        let calls = Calls::default();
        let told = || get(async || ([(CACHE_CONTROL, "public, max-age=600")], "x"));
        let endpoint = || cache_endpoint(&http, minutes(5));
        let posted = async || {
            let lines = [(CACHE_CONTROL.as_str(), "max-age=60"), ("content-location", "/me")];
            (lines, "posted")
        };
        let router = Router::new()
            .route("/billing", told())
            .route("/billing/{id}", told())
            .route("/billing/mine/{id}", counted(&calls).layer(endpoint()))
            .route("/billing/other/{id}", counted(&calls).layer(cache_endpoint(&other, minutes(5))))
            .route("/me", told().post(posted).layer(endpoint()))
            .route("/free", told())
            .layer(CacheLayer::new(&http));
        let app = App::start(&http, router).await;
        let paths = ["/billing", "/billing/1", "/billing/mine/1", "/billing/other/1", "/me"];
        for path in paths {
            for method in ["GET", "HEAD", "GET"] {
                let response = app.send(method, path, &[]).await;
                assert_eq!(
                    (response.status, response.cache_status()),
                    (200, NEVER.into()),
                    "{path}"
                );
            }
            let only = [("cache-control", "only-if-cached")];
            assert_eq!(app.told(path, &only).await, NEVER, "as if there were no cache");
        }
        let posted = app.send("POST", "/me", &[]).await;
        assert_eq!(posted.cache_status(), "cache-tower; fwd=method");
        assert_eq!(app.told("/me", &[]).await, NEVER, "nor is its response stored");
        assert_eq!(calls.count(), 2 * 4);
        assert_eq!(other.stats(), cache_tower::HttpStats::default(), "not asked");
        assert_eq!(app.told("/free", &[]).await, MISS);
        assert_eq!(app.told("/free", &[]).await, HIT);
        // One count for each request, though two layers ask.
        let met: Vec<_> = met(&http).into_iter().map(|(_, requests)| requests).collect();
        assert_eq!(met, [0, 0, 4 * 4, 4 + 2]);
    }
}

/// What was stored before a rule said never is not given any more.
#[tokio::test]
async fn what_is_stored_already_is_never_given() {
    let redis = crate::setup::shared_redis().url();
    let prefix = crate::setup::unique_prefix();
    let cache = || {
        let options = cache_core::RedisOptions::url(&redis).unwrap();
        let builder = cache_core::Cache::builder().prefix(&prefix).redis(options);
        builder.operation_budget(cache_core::seconds(10)).build().unwrap()
    };
    let before = HttpCache::builder(cache()).build();
    let after = HttpCache::builder(cache()).never("/a").build();
    let calls = Calls::default();
    let router =
        |http| Router::new().route("/a", counted(&calls).layer(cache_endpoint(http, minutes(5))));
    let (before, after) =
        (App::start(&before, router(&before)).await, App::start(&after, router(&after)).await);
    let host: super::Lines<'_> = &[("host", "shop.example")];
    assert_eq!(before.seen("/a", host).await, ("1".into(), MISS.into()));
    assert_eq!(before.seen("/a", host).await, ("1".into(), HIT.into()));
    assert_eq!(after.seen("/a", host).await, ("2".into(), NEVER.into()));
}

/// An endpoint heeds the table where no layer stands around it.
#[tokio::test]
async fn an_endpoint_alone_heeds_it() {
    let http = in_memory(|builder| builder.never("/a").route("/b", minutes(1)));
    let calls = Calls::default();
    let endpoint = || cache_endpoint(&http, minutes(5));
    let router = Router::new()
        .route("/a", counted(&calls).layer(endpoint()))
        .route("/b", counted(&calls).layer(endpoint().client_cache_control("no-cache")));
    let app = App::start(&http, router).await;
    for told in [MISS, HIT] {
        assert_eq!(app.told("/a", &[]).await, NEVER);
        let b = app.get("/b", &[]).await;
        // Its own policy is the inner one's, and comes first.
        assert_eq!(
            (b.cache_status().as_str(), b.header("cache-control")),
            (told, Some("no-cache"))
        );
    }
    assert_eq!(met(&http), [("/a".into(), 2), ("/b".into(), 0)]);
}

/// Under a layer with a table, an inner endpoint wins over the policy of the table.
#[tokio::test]
async fn an_inner_endpoint_comes_before_the_table() {
    let http = in_memory(|builder| {
        builder.route("/a", RoutePolicy::new(minutes(5)).client_cache_control("max-age=1"))
    });
    let calls = Calls::default();
    let inner = cache_endpoint(&http, minutes(5)).client_cache_control("max-age=2");
    let router =
        Router::new().route("/a", counted(&calls).layer(inner)).layer(CacheLayer::new(&http));
    let app = App::start(&http, router).await;
    for told in [MISS, HIT, HIT] {
        let response = app.get("/a", &[]).await;
        assert_eq!(response.cache_status(), told);
        assert_eq!(response.header("cache-control"), Some("max-age=2"));
    }
}

/// The whole path counts, the prefixes of `nest` included; so it does for a service that is nested
/// as a whole, and for a fallback, where there is no route to go by.
#[tokio::test]
async fn the_table_knows_routes_under_nest_and_paths_without_routes() {
    for http in everywhere(|builder| {
        builder
            .route("/api/teams/{team}/items/{id}", RoutePolicy::new(minutes(5)).tag("item:{id}"))
            .route("/service/{*path}", minutes(5))
            .route("/pages/{page}", minutes(5))
            .never("/service/secret/{*rest}")
            .never("/pages/mine")
    }) {
        let calls = Calls::default();
        let items = Router::new().route("/items/{id}", counted(&calls));
        let api = Router::new().nest("/teams/{team}", items);
        let service = Router::new().route("/{*any}", counted(&calls));
        let fallback = counted(&calls);
        let router = Router::new()
            .nest("/api", api)
            .nest_service("/service", service)
            .fallback_service(fallback)
            .layer(CacheLayer::new(&http));
        let app = App::start(&http, router).await;
        for told in [MISS, HIT] {
            for path in ["/api/teams/a/items/1", "/service/x/y", "/pages/1"] {
                assert_eq!(app.told(path, &[]).await, told, "{path}");
            }
            for path in ["/service/secret/x", "/service/secret", "/pages/mine", "/%70ages/mine"] {
                assert_eq!(app.told(path, &[]).await, NEVER, "{path}");
            }
            assert_eq!(app.told("/elsewhere", &[]).await, NO_FRESHNESS);
        }
        http.cache().invalidate(Tag::new("item:1")).await.unwrap();
        assert_eq!(app.told("/api/teams/a/items/1", &[]).await, MISS);
        let met: Vec<_> = met(&http).into_iter().map(|(_, requests)| requests).collect();
        assert_eq!(met, [3, 2, 2, 4, 4]);
    }
}

/// The layer may stand around the router as a whole, where it sees no routes.
#[tokio::test]
async fn a_layer_around_the_whole_service_goes_by_the_path() {
    use super::clients::{Speaks, serve};

    let http = in_memory(|builder| builder.route("/a/{id}", minutes(5)).never("/a/mine"));
    let calls = Calls::default();
    let router = Router::new().route("/a/{id}", counted(&calls));
    let server = serve(Speaks::Http1, CacheLayer::new(&http).layer(router)).await;
    for told in [MISS, HIT] {
        for (path, told) in [("/a/1", told), ("/a/mine", NEVER), ("/a/min%65", NEVER)] {
            let response = cache_tests::http_client::get(server.addr, path, &[]).await;
            assert_eq!(response.cache_status(), told, "{path}");
            super::at_rest(&http).await;
        }
    }
}

#[tokio::test]
async fn unsafe_requests_are_counted_and_invalidate() {
    let http = in_memory(|builder| builder.route("/a", minutes(5)).never("/b"));
    let calls = Calls::default();
    let router = Router::new()
        .route("/a", counted(&calls).post(async || ()))
        .route("/b", post(async || [("location", "/a")]))
        .layer(CacheLayer::new(&http));
    let app = App::start(&http, router).await;
    for path in ["/a", "/b"] {
        app.get("/a", &[]).await;
        assert_eq!(app.told("/a", &[]).await, HIT);
        assert_eq!(app.send("POST", path, &[]).await.cache_status(), "cache-tower; fwd=method");
        assert_eq!(app.told("/a", &[]).await, MISS, "after a POST of {path}");
    }
    assert_eq!(met(&http), [("/a".into(), 7), ("/b".into(), 1)]);
    let rules: Vec<_> = http.routes().into_iter().map(|rule| rule.rule.to_string()).collect();
    assert_eq!(rules, ["cached", "never"]);
    assert_eq!(http.routes()[1].rule, RouteRule::Never);
}

/// Where there is no table there are no rules.
#[tokio::test]
async fn without_a_table_there_is_nothing_to_list() {
    assert!(in_memory(|builder| builder).routes().is_empty());
}

/// Under a layer of another cache, which has no table, the rules seemed never to be met.
#[tokio::test]
async fn requests_that_another_cache_lets_through_are_counted() {
    let http = in_memory(|builder| builder.route("/a", minutes(5)).never("/b"));
    let other = in_memory(|builder| builder);
    let calls = Calls::default();
    let router = Router::new()
        .route("/a", counted(&calls))
        .route("/b", counted(&calls))
        .layer(CacheLayer::new(&http))
        .layer(CacheLayer::new(&other));
    let app = App::start(&http, router).await;
    assert_eq!(app.told("/a", &[]).await, MISS);
    assert_eq!(app.told("/b", &[]).await, NEVER);
    assert_eq!(met(&http), [("/a".to_owned(), 1), ("/b".to_owned(), 1)]);
}
