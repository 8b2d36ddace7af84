//! `Cache-Groups` and `Cache-Group-Invalidation` (RFC 9875).

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use cache_tests::RedisServer;

use super::super::{Calls, on_redis};
use super::{HIT, Lines, MISS, ask, builder, counted, send, serve, status};
use crate::setup::unique_prefix;

const OURS: Lines<'static> = &[("host", "shop.example"), ("x-workspace-id", "ws1")];

/// Every page is kept, and says of which groups it is.
fn pages(calls: &Calls) -> Router {
    let page = |groups| {
        counted(calls, move |_| [("cache-control", "max-age=60"), ("cache-groups", groups)])
    };
    let says = [("cache-group-invalidation", "\"news\"")];
    let fails = async move || (StatusCode::INTERNAL_SERVER_ERROR, says);
    Router::new()
        .route("/news", page("\"news\""))
        .route("/both", page("\"sport\", \"news\""))
        .route("/sport", page("\"sport\""))
        .route("/none", page(""))
        .route("/publish", post(async move || says).put(fails).get(async move || says))
}

#[tokio::test]
async fn a_write_to_one_page_invalidates_those_of_its_groups() {
    let redis = RedisServer::start();
    let cases = [builder().0.build(), on_redis(&redis.url(), &unique_prefix())];
    for http in cases {
        let calls = Calls::default();
        let addr = serve(&http, pages(&calls)).await;
        let others: [Lines<'_>; 2] = [
            &[("host", "shop.example"), ("x-workspace-id", "ws2")],
            &[("host", "other.example"), ("x-workspace-id", "ws1")],
        ];
        let all = ["/news", "/both", "/sport", "/none"];
        let told = async |path, lines: Lines<'_>| status(&ask(addr, path, lines).await);
        for lines in [OURS, others[0], others[1]] {
            for path in all {
                assert_eq!(told(path, lines).await, MISS, "{path}");
                assert_eq!(told(path, lines).await, HIT, "{path}");
            }
        }
        // Neither a failure nor a safe method says it.
        for method in ["PUT", "GET"] {
            send(addr, method, "/publish", OURS).await;
            assert_eq!(told("/news", OURS).await, HIT, "{method}");
        }
        assert_eq!(calls.count(), 12);
        assert_eq!(send(addr, "POST", "/publish", OURS).await.status, 200);
        for (path, expected) in all.into_iter().zip([MISS, MISS, HIT, HIT]) {
            assert_eq!(told(path, OURS).await, expected, "{path}");
            assert_eq!(told(path, others[0]).await, HIT, "{path}");
            assert_eq!(told(path, others[1]).await, HIT, "{path}");
        }
        assert_eq!(calls.count(), 14);
    }
}
