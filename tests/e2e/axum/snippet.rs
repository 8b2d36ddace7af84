//! The pinned snippet of the design: it compiles as it stands there, and does what it says.

use std::error::Error;

use axum::extract::Path;
use axum::routing::{get, post};
use axum::{Json, Router};
use cache_axum::{cache_endpoint, invalidate_cache};
use cache_core::{Cache, Invalidated, Namespace, Tag, hours, minutes};
use cache_tower::{CacheLayer, HttpCache, Workspace};
use serde::{Deserialize, Serialize};

use super::{Calls, request};
use crate::setup::{FORWARDED, HIT, MISS_STORED};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stats {
    campaign: u64,
    opened: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Profile {
    name: String,
}

#[derive(Clone, Debug)]
struct Database(Calls);

impl Database {
    async fn stats(&self, campaign: u64) -> Result<Stats, std::io::Error> {
        tokio::task::yield_now().await;
        Ok(Stats { campaign, opened: self.0.next() as u64 })
    }
}

const ANALYTICS: Namespace = Namespace::new("analytics").ttl(minutes(5));

#[tokio::test]
async fn the_pinned_snippet_compiles_and_works() -> Result<(), Box<dyn Error>> {
    let db = Database(Calls::default());
    let (served, updated) = (db.clone(), Calls::default());
    let stats = async move |Path(id): Path<u64>| Json(served.stats(id).await.expect("stats"));
    let update = async move || updated.next().to_string();
    let profile = Profile { name: "Ada".into() };

    let cache = Cache::builder().prefix("coldcopy").namespace(ANALYTICS).from_env()?.build()?;
    let http =
        HttpCache::builder(cache.clone()).workspace(Workspace::header("x-workspace-id")).build();

    let app: Router = Router::new()
        .route("/campaigns/{id}/stats", get(stats).layer(cache_endpoint(&http, minutes(5))))
        .route(
            "/campaigns/{id}",
            post(update).layer(invalidate_cache(&http, "{workspace_id}:campaigns:*")),
        )
        .layer(CacheLayer::new(&http));

    let stats: Stats =
        cache.namespace("analytics").get_or_compute("ws1:42", || db.stats(42)).await?;
    cache.set("api_responses", "user:123:profile", &profile).ttl(hours(1)).tag("user:123").await?;
    let found: Option<Profile> = cache.get("api_responses", "user:123:profile").await?;
    assert_eq!(found, Some(profile));
    assert_eq!(cache.invalidate(Tag::new("user:123")).await?, Invalidated::Complete);
    let found: Option<Profile> = cache.get("api_responses", "user:123:profile").await?;
    assert_eq!(found, None);

    assert_eq!(stats, Stats { campaign: 42, opened: 1 });
    let again: Stats =
        cache.namespace("analytics").get_or_compute("ws1:42", || db.stats(42)).await?;
    assert_eq!(again, stats);

    let ws1 = [("x-workspace-id", "ws1")];
    let ask = async || super::call(&app, request("GET", "/campaigns/42/stats", &ws1)).await;
    for (opened, status) in [(2, MISS_STORED), (2, HIT)] {
        let answer = ask().await;
        assert_eq!(answer.cache_status(), status);
        let stats: Stats = serde_json::from_slice(&answer.body)?;
        assert_eq!(stats, Stats { campaign: 42, opened });
    }
    let updated = super::call(&app, request("POST", "/campaigns/7", &ws1)).await;
    assert_eq!((updated.text(), updated.cache_status().as_str()), ("1", FORWARDED));
    assert_eq!(ask().await.cache_status(), MISS_STORED);
    // the value of the application lies elsewhere, and stays
    let kept: Option<Stats> = cache.get("analytics", "ws1:42").await?;
    assert_eq!(kept, Some(stats));
    assert!(cache.shutdown().await);
    Ok(())
}

/// Errors of a computation reach the caller of `get_or_compute` with `?` as well.
#[tokio::test]
async fn errors_pass_with_a_question_mark() {
    async fn failing(cache: &Cache) -> Result<u32, Box<dyn Error>> {
        let fail = async || Err(std::io::Error::other("the database is away"));
        Ok(cache.namespace("analytics").get_or_compute("k", fail).await?)
    }
    let cache = Cache::builder().memory().build().unwrap();
    let error = failing(&cache).await.unwrap_err();
    assert!(error.to_string().contains("the database is away"), "{error}");
}
