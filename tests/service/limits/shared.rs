//! Several instances on one Redis count together.

use axum::Router;
use cache_axum::rate_limit;
use cache_core::{Cache, RedisOptions, hours, seconds};
use cache_tests::http_client::Client;
use tokio::task::JoinSet;

use super::{Calls, WS1};
use crate::setup::{Served, http, serve, shared_redis, unique_prefix};

async fn instance(prefix: &str, calls: &Calls, gcra: bool) -> Served {
    let options = RedisOptions::url(&shared_redis().url()).unwrap();
    let cache = Cache::builder().prefix(prefix).redis(options).operation_budget(seconds(10));
    let http = http(cache.build().unwrap());
    let limit = rate_limit(&http, "api", 77, hours(24));
    let limit = if gcra { limit.gcra() } else { limit };
    serve(Router::new().route("/", calls.route().layer(limit))).await
}

#[tokio::test]
async fn together_they_serve_exactly_the_limit() {
    for gcra in [false, true] {
        let (prefix, calls) = (unique_prefix(), Calls::default());
        let mut served = Vec::new();
        for _ in 0..4 {
            served.push(instance(&prefix, &calls, gcra).await);
        }
        let mut clients = JoinSet::new();
        for addr in served.iter().map(|served| served.addr).cycle().take(16) {
            clients.spawn(async move {
                let mut client = Client::connect(addr).await.unwrap();
                let mut statuses = Vec::new();
                for _ in 0..10 {
                    statuses.push(client.exchange("GET", "/", &WS1, b"").await.unwrap().status);
                }
                statuses
            });
        }
        let statuses: Vec<u16> = clients.join_all().await.into_iter().flatten().collect();
        let of = |status| statuses.iter().filter(|other| **other == status).count();
        assert_eq!((of(200), of(429), calls.count()), (77, 160 - 77, 77), "gcra: {gcra}");
    }
}
