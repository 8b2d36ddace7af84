//! Tags that a handler gives its response, and another one invalidates.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Extension, Router};
use cache_axum::{CacheTags, cache_endpoint};
use cache_core::{Cache, Tag, minutes};
use cache_tests::RedisServer;
use cache_tower::{CacheLayer, HttpCache};
use http::StatusCode;

use super::{Calls, in_memory, on_redis};
use crate::setup::{HIT, MISS_STORED};

/// The orders of a customer: they go when the customer changes, or the workspace's orders do.
fn app(http: &HttpCache, calls: &Calls) -> Router {
    let calls = calls.clone();
    let orders = async move |Path(customer): Path<u32>| {
        let tags = CacheTags::new([format!("customer:{customer}")]).and_in_workspace(["orders"]);
        (Extension(tags), calls.next().to_string())
    };
    Router::new()
        .route("/customers/{id}/orders", get(orders).layer(cache_endpoint(http, minutes(5))))
        .route("/customers/{id}", post(customer_changed))
        .route("/orders", post(orders_changed))
        .layer(CacheLayer::new(http))
        .with_state(http.cache().clone())
}

async fn customer_changed(State(cache): State<Cache>, Path(customer): Path<u32>) -> StatusCode {
    done(&cache, Tag::new(format!("customer:{customer}"))).await
}

async fn orders_changed(State(cache): State<Cache>, headers: HeaderMap) -> StatusCode {
    let workspace = headers["x-workspace-id"].to_str().expect("text");
    done(&cache, Tag::in_workspace(workspace, "orders")).await
}

async fn done(cache: &Cache, tag: Tag) -> StatusCode {
    cache.invalidate(tag).await.expect("complete");
    StatusCode::NO_CONTENT
}

async fn a_handler_tags_and_another_invalidates(http: HttpCache) {
    let calls = Calls::default();
    let app = app(&http, &calls);
    let all = [("ws1", "1"), ("ws1", "2"), ("ws2", "1")];
    let ask = async |(workspace, customer): (&str, &str)| {
        let path = format!("/customers/{customer}/orders");
        super::get(&app, workspace, &path).await.cache_status()
    };
    for (workspace, changed, gone) in [
        ("ws1", "/orders", [true, true, false]),
        ("ws1", "/customers/1", [true, false, true]),
        ("ws2", "/orders", [false, false, true]),
        ("ws3", "/orders", [false; 3]),
    ] {
        for one in all {
            ask(one).await;
            assert_eq!(ask(one).await, HIT);
        }
        let update = super::post(&app, workspace, changed).await;
        assert_eq!(update.status, StatusCode::NO_CONTENT);
        for (one, gone) in all.into_iter().zip(gone) {
            let expected = if gone { MISS_STORED } else { HIT };
            assert_eq!(ask(one).await, expected, "{one:?} after {changed} in {workspace}");
        }
    }
    assert_eq!(calls.count(), 8);
}

#[tokio::test]
async fn in_this_process() {
    a_handler_tags_and_another_invalidates(in_memory()).await;
}

#[tokio::test]
async fn on_a_redis() {
    let redis = RedisServer::start();
    a_handler_tags_and_another_invalidates(on_redis(&redis.url(), "tags")).await;
}
