//! From `cargo new` to a service that is cached, invalidated and observed.
//!
//! Each step is compiled and run with the tests of this crate, so what stands here works. It takes about
//! a quarter of an hour.
//!
//! # 1. A service
//!
//! ```text
//! cargo new shop && cd shop
//! cargo add axum
//! cargo add tokio --features macros,net,rt-multi-thread
//! cargo add metrics-exporter-prometheus --no-default-features
//! cargo add --git https://github.com/coldcopy/cache cache-core --features metrics
//! cargo add --git https://github.com/coldcopy/cache cache-tower
//! cargo add --git https://github.com/coldcopy/cache cache-axum --features admin
//! ```
//!
//! It sells something, and asks a database for prices. Here that is a map which counts how often it is
//! asked:
//!
//! ```
//! # #![allow(dead_code)]
//! use std::collections::HashMap;
//! use std::sync::atomic::{AtomicU64, Ordering};
//! use std::sync::{Arc, Mutex};
//!
//! use axum::Router;
//! use axum::extract::{Path, State};
//! use axum::http::StatusCode;
//! use axum::routing::{get, post};
//!
//! #[derive(Clone, Default)]
//! struct Shop {
//!     prices: Arc<Mutex<HashMap<u64, u64>>>,
//!     queries: Arc<AtomicU64>,
//! }
//!
//! impl Shop {
//!     /// Slow, in real life.
//!     async fn price(&self, id: u64) -> u64 {
//!         self.queries.fetch_add(1, Ordering::Relaxed);
//!         *self.prices.lock().unwrap().get(&id).unwrap_or(&100)
//!     }
//!
//!     async fn set_price(&self, id: u64, cents: u64) {
//!         self.prices.lock().unwrap().insert(id, cents);
//!     }
//! }
//!
//! async fn product(State(shop): State<Shop>, Path(id): Path<u64>) -> String {
//!     format!("product {id}: {} cents", shop.price(id).await)
//! }
//!
//! async fn change(State(shop): State<Shop>, Path(id): Path<u64>, cents: String) -> StatusCode {
//!     let Ok(cents) = cents.trim().parse() else { return StatusCode::BAD_REQUEST };
//!     shop.set_price(id, cents).await;
//!     StatusCode::NO_CONTENT
//! }
//!
//! let app: Router = Router::new()
//!     .route("/products/{id}", get(product).post(change))
//!     .with_state(Shop::default());
//! ```
//!
//! # 2. One line to cache a route
//!
//! A [`Cache`](cache_core::Cache) is what everything is kept in: in memory, or in Redis where the
//! environment has a `REDIS_URL` (step 8). An [`HttpCache`](cache_tower::HttpCache) keeps responses in
//! it, and [`cache_endpoint`](crate::cache_endpoint) is the line at the route:
//!
//! ```
//! # use std::collections::HashMap;
//! # use std::sync::atomic::{AtomicU64, Ordering};
//! # use std::sync::{Arc, Mutex};
//! #
//! # use axum::Router;
//! # use axum::extract::{Path, State};
//! # use axum::http::StatusCode;
//! # use axum::routing::{get, post};
//! # #[derive(Clone, Default)]
//! # struct Shop {
//! #     prices: Arc<Mutex<HashMap<u64, u64>>>,
//! #     queries: Arc<AtomicU64>,
//! # }
//! #
//! # impl Shop {
//! #     /// Slow, in real life.
//! #     async fn price(&self, id: u64) -> u64 {
//! #         self.queries.fetch_add(1, Ordering::Relaxed);
//! #         *self.prices.lock().unwrap().get(&id).unwrap_or(&100)
//! #     }
//! #
//! #     async fn set_price(&self, id: u64, cents: u64) {
//! #         self.prices.lock().unwrap().insert(id, cents);
//! #     }
//! # }
//! #
//! # async fn product(State(shop): State<Shop>, Path(id): Path<u64>) -> String {
//! #     format!("product {id}: {} cents", shop.price(id).await)
//! # }
//! #
//! # async fn change(State(shop): State<Shop>, Path(id): Path<u64>, cents: String) -> StatusCode {
//! #     let Ok(cents) = cents.trim().parse() else { return StatusCode::BAD_REQUEST };
//! #     shop.set_price(id, cents).await;
//! #     StatusCode::NO_CONTENT
//! # }
//! # async fn ask(app: &Router, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
//! #     use tower::ServiceExt;
//! #     let mut request = axum::http::Request::builder().method(method).uri(path);
//! #     for (name, value) in headers { request = request.header(*name, *value) }
//! #     let request = request.body(axum::body::Body::from(body.to_owned())).unwrap();
//! #     let response = app.clone().oneshot(request).await.unwrap();
//! #     let status = response.headers().get("cache-status").map_or("", |value| value.to_str().unwrap()).to_owned();
//! #     let code = response.status().as_u16();
//! #     let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
//! #     (code, status, String::from_utf8_lossy(&body).into_owned())
//! # }
//! use cache_axum::cache_endpoint;
//! use cache_core::{Cache, minutes};
//! use cache_tower::HttpCache;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let cache = Cache::builder().prefix("shop").from_env()?.build()?;
//! let http = HttpCache::builder(cache).build();
//! let shop = Shop::default();
//!
//! let app = Router::new()
//!     .route("/products/{id}", get(product).layer(cache_endpoint(&http, minutes(5))))
//!     .with_state(shop.clone());
//! # let (_, status, body) = ask(&app, "GET", "/products/42", &[], "").await;
//! # assert_eq!((status.as_str(), body.as_str()), ("cache-tower; fwd=uri-miss; stored", "product 42: 100 cents"));
//! # assert_eq!(ask(&app, "GET", "/products/42", &[], "").await.1, "cache-tower; hit");
//!
//! // Two requests later:
//! assert_eq!(shop.queries.load(Ordering::Relaxed), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! Every response says in `Cache-Status` what the cache did:
//!
//! ```text
//! $ curl -si localhost:3000/products/42 | grep cache-status
//! cache-status: cache-tower; fwd=uri-miss; stored
//! $ curl -si localhost:3000/products/42 | grep cache-status
//! cache-status: cache-tower; hit
//! ```
//!
//! # 3. Tenants
//!
//! If your service has several customers, say how a request names its own. The workspace is part of each
//! key: nobody is given another's response. A request that names none is not cached.
//!
//! ```
//! # use std::collections::HashMap;
//! # use std::sync::atomic::{AtomicU64, Ordering};
//! # use std::sync::{Arc, Mutex};
//! #
//! # use axum::Router;
//! # use axum::extract::{Path, State};
//! # use axum::http::StatusCode;
//! # use axum::routing::{get, post};
//! # #[derive(Clone, Default)]
//! # struct Shop {
//! #     prices: Arc<Mutex<HashMap<u64, u64>>>,
//! #     queries: Arc<AtomicU64>,
//! # }
//! #
//! # impl Shop {
//! #     /// Slow, in real life.
//! #     async fn price(&self, id: u64) -> u64 {
//! #         self.queries.fetch_add(1, Ordering::Relaxed);
//! #         *self.prices.lock().unwrap().get(&id).unwrap_or(&100)
//! #     }
//! #
//! #     async fn set_price(&self, id: u64, cents: u64) {
//! #         self.prices.lock().unwrap().insert(id, cents);
//! #     }
//! # }
//! #
//! # async fn product(State(shop): State<Shop>, Path(id): Path<u64>) -> String {
//! #     format!("product {id}: {} cents", shop.price(id).await)
//! # }
//! #
//! # async fn change(State(shop): State<Shop>, Path(id): Path<u64>, cents: String) -> StatusCode {
//! #     let Ok(cents) = cents.trim().parse() else { return StatusCode::BAD_REQUEST };
//! #     shop.set_price(id, cents).await;
//! #     StatusCode::NO_CONTENT
//! # }
//! # async fn ask(app: &Router, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
//! #     use tower::ServiceExt;
//! #     let mut request = axum::http::Request::builder().method(method).uri(path);
//! #     for (name, value) in headers { request = request.header(*name, *value) }
//! #     let request = request.body(axum::body::Body::from(body.to_owned())).unwrap();
//! #     let response = app.clone().oneshot(request).await.unwrap();
//! #     let status = response.headers().get("cache-status").map_or("", |value| value.to_str().unwrap()).to_owned();
//! #     let code = response.status().as_u16();
//! #     let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
//! #     (code, status, String::from_utf8_lossy(&body).into_owned())
//! # }
//! use cache_core::Cache;
//! use cache_tower::{HttpCache, Workspace};
//! # use cache_axum::cache_endpoint;
//! # use cache_core::minutes;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let cache = Cache::builder().prefix("shop").from_env()?.build()?;
//! let http = HttpCache::builder(cache).workspace(Workspace::header("x-workspace-id")).build();
//! # let app = Router::new()
//! #     .route("/products/{id}", get(product).layer(cache_endpoint(&http, minutes(5))))
//! #     .with_state(Shop::default());
//! # for workspace in ["ws1", "ws2"] {
//! #     let headers = [("x-workspace-id", workspace)];
//! #     assert_eq!(ask(&app, "GET", "/products/42", &headers, "").await.1, "cache-tower; fwd=uri-miss; stored");
//! #     assert_eq!(ask(&app, "GET", "/products/42", &headers, "").await.1, "cache-tower; hit");
//! # }
//! # assert!(ask(&app, "GET", "/products/42", &[], "").await.1.starts_with("cache-tower; fwd=bypass"));
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! A header is for services behind a gateway that sets it. Where the application itself knows whose a
//! request is, take that: [`Workspace::from_extension`](cache_tower::Workspace::from_extension).
//!
//! # 4. One line to invalidate
//!
//! What changes a product invalidates the responses that show it, before it is answered itself. The
//! pattern is a list of segments: the workspace, then those of the path.
//!
//! ```
//! # use std::collections::HashMap;
//! # use std::sync::atomic::{AtomicU64, Ordering};
//! # use std::sync::{Arc, Mutex};
//! #
//! # use axum::Router;
//! # use axum::extract::{Path, State};
//! # use axum::http::StatusCode;
//! # use axum::routing::{get, post};
//! # #[derive(Clone, Default)]
//! # struct Shop {
//! #     prices: Arc<Mutex<HashMap<u64, u64>>>,
//! #     queries: Arc<AtomicU64>,
//! # }
//! #
//! # impl Shop {
//! #     /// Slow, in real life.
//! #     async fn price(&self, id: u64) -> u64 {
//! #         self.queries.fetch_add(1, Ordering::Relaxed);
//! #         *self.prices.lock().unwrap().get(&id).unwrap_or(&100)
//! #     }
//! #
//! #     async fn set_price(&self, id: u64, cents: u64) {
//! #         self.prices.lock().unwrap().insert(id, cents);
//! #     }
//! # }
//! #
//! # async fn product(State(shop): State<Shop>, Path(id): Path<u64>) -> String {
//! #     format!("product {id}: {} cents", shop.price(id).await)
//! # }
//! #
//! # async fn change(State(shop): State<Shop>, Path(id): Path<u64>, cents: String) -> StatusCode {
//! #     let Ok(cents) = cents.trim().parse() else { return StatusCode::BAD_REQUEST };
//! #     shop.set_price(id, cents).await;
//! #     StatusCode::NO_CONTENT
//! # }
//! # async fn ask(app: &Router, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
//! #     use tower::ServiceExt;
//! #     let mut request = axum::http::Request::builder().method(method).uri(path);
//! #     for (name, value) in headers { request = request.header(*name, *value) }
//! #     let request = request.body(axum::body::Body::from(body.to_owned())).unwrap();
//! #     let response = app.clone().oneshot(request).await.unwrap();
//! #     let status = response.headers().get("cache-status").map_or("", |value| value.to_str().unwrap()).to_owned();
//! #     let code = response.status().as_u16();
//! #     let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
//! #     (code, status, String::from_utf8_lossy(&body).into_owned())
//! # }
//! use cache_axum::{cache_endpoint, invalidate_cache};
//! # use cache_core::{Cache, minutes};
//! # use cache_tower::{HttpCache, Workspace};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let cache = Cache::builder().prefix("shop").from_env()?.build()?;
//! # let http = HttpCache::builder(cache.clone()).workspace(Workspace::header("x-workspace-id")).build();
//! let app = Router::new()
//!     .route("/products/{id}", get(product).layer(cache_endpoint(&http, minutes(5))))
//!     .route("/products/{id}", post(change).layer(invalidate_cache(&http, "{workspace_id}:products:*")))
//!     .with_state(Shop::default());
//! # let ws1 = [("x-workspace-id", "ws1")];
//! # let ws2 = [("x-workspace-id", "ws2")];
//! # for headers in [&ws1, &ws2] {
//! #     ask(&app, "GET", "/products/42", headers, "").await;
//! #     assert_eq!(ask(&app, "GET", "/products/42", headers, "").await.1, "cache-tower; hit");
//! # }
//! # assert_eq!(ask(&app, "POST", "/products/42", &ws1, "250").await.0, 204);
//!
//! // A price is changed by ws1. Whoever reads it then reads the new one; others keep theirs.
//! # let (_, status, body) = ask(&app, "GET", "/products/42", &ws1, "").await;
//! assert_eq!((status.as_str(), body.as_str()), ("cache-tower; fwd=uri-miss; stored", "product 42: 250 cents"));
//! # assert_eq!(ask(&app, "GET", "/products/42", &ws2, "").await.1, "cache-tower; hit");
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # 5. Values of your own
//!
//! What several responses are made of is better cached itself. However many ask at once, one computes;
//! a tag says what the value depends on.
//!
//! ```
//! # use std::collections::HashMap;
//! # use std::sync::atomic::{AtomicU64, Ordering};
//! # use std::sync::{Arc, Mutex};
//! #
//! # use axum::Router;
//! # use axum::extract::{Path, State};
//! # use axum::http::StatusCode;
//! # use axum::routing::{get, post};
//! # async fn ask(app: &Router, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
//! #     use tower::ServiceExt;
//! #     let mut request = axum::http::Request::builder().method(method).uri(path);
//! #     for (name, value) in headers { request = request.header(*name, *value) }
//! #     let request = request.body(axum::body::Body::from(body.to_owned())).unwrap();
//! #     let response = app.clone().oneshot(request).await.unwrap();
//! #     let status = response.headers().get("cache-status").map_or("", |value| value.to_str().unwrap()).to_owned();
//! #     let code = response.status().as_u16();
//! #     let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
//! #     (code, status, String::from_utf8_lossy(&body).into_owned())
//! # }
//! use cache_core::{Cache, Namespace, Tag, minutes};
//!
//! const REPORTS: Namespace = Namespace::new("reports").ttl(minutes(10));
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let cache = Cache::builder().prefix("shop").namespace(REPORTS).from_env()?.build()?;
//!
//! let total: u64 = cache
//!     .get_or_compute(REPORTS, "total", async || Ok::<_, std::io::Error>(12_345))
//!     .tag("products")
//!     .await?;
//! assert_eq!(total, 12_345);
//!
//! // A product has changed:
//! cache.invalidate(Tag::new("products")).await?;
//! # let gone: Option<u64> = cache.get(REPORTS, "total").await?;
//! # assert_eq!(gone, None);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # 6. Look at it: the admin page
//!
//! The admin API is a router of its own. It is not built without somebody who says who may use it:
//!
//! ```
//! # use std::collections::HashMap;
//! # use std::sync::atomic::{AtomicU64, Ordering};
//! # use std::sync::{Arc, Mutex};
//! #
//! # use axum::Router;
//! # use axum::extract::{Path, State};
//! # use axum::http::StatusCode;
//! # use axum::routing::{get, post};
//! # #[derive(Clone, Default)]
//! # struct Shop {
//! #     prices: Arc<Mutex<HashMap<u64, u64>>>,
//! #     queries: Arc<AtomicU64>,
//! # }
//! #
//! # impl Shop {
//! #     /// Slow, in real life.
//! #     async fn price(&self, id: u64) -> u64 {
//! #         self.queries.fetch_add(1, Ordering::Relaxed);
//! #         *self.prices.lock().unwrap().get(&id).unwrap_or(&100)
//! #     }
//! #
//! #     async fn set_price(&self, id: u64, cents: u64) {
//! #         self.prices.lock().unwrap().insert(id, cents);
//! #     }
//! # }
//! #
//! # async fn product(State(shop): State<Shop>, Path(id): Path<u64>) -> String {
//! #     format!("product {id}: {} cents", shop.price(id).await)
//! # }
//! #
//! # async fn change(State(shop): State<Shop>, Path(id): Path<u64>, cents: String) -> StatusCode {
//! #     let Ok(cents) = cents.trim().parse() else { return StatusCode::BAD_REQUEST };
//! #     shop.set_price(id, cents).await;
//! #     StatusCode::NO_CONTENT
//! # }
//! # async fn ask(app: &Router, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
//! #     use tower::ServiceExt;
//! #     let mut request = axum::http::Request::builder().method(method).uri(path);
//! #     for (name, value) in headers { request = request.header(*name, *value) }
//! #     let request = request.body(axum::body::Body::from(body.to_owned())).unwrap();
//! #     let response = app.clone().oneshot(request).await.unwrap();
//! #     let status = response.headers().get("cache-status").map_or("", |value| value.to_str().unwrap()).to_owned();
//! #     let code = response.status().as_u16();
//! #     let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
//! #     (code, status, String::from_utf8_lossy(&body).into_owned())
//! # }
//! use cache_axum::admin::BearerToken;
//! # use cache_axum::cache_endpoint;
//! # use cache_core::{Cache, minutes};
//! # use cache_tower::{HttpCache, Workspace};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let cache = Cache::builder().prefix("shop").from_env()?.build()?;
//! # let http = HttpCache::builder(cache.clone()).workspace(Workspace::header("x-workspace-id")).build();
//! # let app = Router::new()
//! #     .route("/products/{id}", get(product).layer(cache_endpoint(&http, minutes(5))))
//! #     .with_state(Shop::default());
//! # let token = || Ok::<_, std::env::VarError>("a-long-random-text".to_owned());
//! # /*
//! let token = std::env::var("CACHE_ADMIN_TOKEN")?;
//! # */
//! # let token = token()?;
//! let admin = cache_axum::admin(&http).authorize(BearerToken::new(token)).build()?;
//! let app = app.nest("/api/cache", admin);
//! # let ws1 = [("x-workspace-id", "ws1")];
//! # for _ in 0..2 { ask(&app, "GET", "/products/42", &ws1, "").await; }
//! # assert_eq!(ask(&app, "GET", "/api/cache/stats", &[], "").await.0, 401);
//! # let operator = [("authorization", "Bearer a-long-random-text")];
//! # let (code, _, stats) = ask(&app, "GET", "/api/cache/stats", &operator, "").await;
//! # assert!(code == 200 && stats.contains("\"workspaces\":{\"ws1\":"), "{code} {stats}");
//! # let (code, _, page) = ask(&app, "GET", "/api/cache", &[], "").await;
//! # assert!(code == 200 && page.contains("Sign in"));
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! Open `http://localhost:3000/api/cache`, give it the token, and ask for some products: the hit ratio
//! over time, each namespace and workspace, what was invalidated last, and a form that invalidates, after
//! a dry run that says how many entries it would be. For scripts:
//!
//! ```text
//! $ curl -s -H "Authorization: Bearer $CACHE_ADMIN_TOKEN" localhost:3000/api/cache/stats
//! $ curl -s -H "Authorization: Bearer $CACHE_ADMIN_TOKEN" -H 'Content-Type: application/json' \
//!        -d '{"patterns": ["ws1:products:*"], "dry_run": true}' localhost:3000/api/cache/invalidate
//! ```
//!
//! Who else may see what (a tenant its own figures, say) is in [`admin`](mod@crate::admin).
//!
//! # 7. Watch it: metrics
//!
//! An [`Exporter`](cache_core::metrics::Exporter) hands over what the cache has counted when it is asked,
//! so that a hit costs nothing more:
//!
//! ```
//! # use std::collections::HashMap;
//! # use std::sync::atomic::{AtomicU64, Ordering};
//! # use std::sync::{Arc, Mutex};
//! #
//! # use axum::Router;
//! # use axum::extract::{Path, State};
//! # use axum::http::StatusCode;
//! # use axum::routing::{get, post};
//! # #[derive(Clone, Default)]
//! # struct Shop {
//! #     prices: Arc<Mutex<HashMap<u64, u64>>>,
//! #     queries: Arc<AtomicU64>,
//! # }
//! #
//! # impl Shop {
//! #     /// Slow, in real life.
//! #     async fn price(&self, id: u64) -> u64 {
//! #         self.queries.fetch_add(1, Ordering::Relaxed);
//! #         *self.prices.lock().unwrap().get(&id).unwrap_or(&100)
//! #     }
//! #
//! #     async fn set_price(&self, id: u64, cents: u64) {
//! #         self.prices.lock().unwrap().insert(id, cents);
//! #     }
//! # }
//! #
//! # async fn product(State(shop): State<Shop>, Path(id): Path<u64>) -> String {
//! #     format!("product {id}: {} cents", shop.price(id).await)
//! # }
//! #
//! # async fn change(State(shop): State<Shop>, Path(id): Path<u64>, cents: String) -> StatusCode {
//! #     let Ok(cents) = cents.trim().parse() else { return StatusCode::BAD_REQUEST };
//! #     shop.set_price(id, cents).await;
//! #     StatusCode::NO_CONTENT
//! # }
//! # async fn ask(app: &Router, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
//! #     use tower::ServiceExt;
//! #     let mut request = axum::http::Request::builder().method(method).uri(path);
//! #     for (name, value) in headers { request = request.header(*name, *value) }
//! #     let request = request.body(axum::body::Body::from(body.to_owned())).unwrap();
//! #     let response = app.clone().oneshot(request).await.unwrap();
//! #     let status = response.headers().get("cache-status").map_or("", |value| value.to_str().unwrap()).to_owned();
//! #     let code = response.status().as_u16();
//! #     let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
//! #     (code, status, String::from_utf8_lossy(&body).into_owned())
//! # }
//! use cache_core::metrics::{BUCKETS_SECONDS, Exporter};
//! use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
//! # use cache_axum::cache_endpoint;
//! # use cache_core::{Cache, minutes};
//! # use cache_tower::{HttpCache, Workspace};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let cache = Cache::builder().prefix("shop").from_env()?.build()?;
//! # let http = HttpCache::builder(cache.clone()).workspace(Workspace::header("x-workspace-id")).build();
//! # let app = Router::new()
//! #     .route("/products/{id}", get(product).layer(cache_endpoint(&http, minutes(5))))
//! #     .with_state(Shop::default());
//! let prometheus = PrometheusBuilder::new()
//!     .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_SECONDS)?
//!     .install_recorder()?;
//! let exporter = Arc::new(Exporter::new(&cache));
//!
//! let app = app.route(
//!     "/metrics",
//!     get(async move || {
//!         exporter.publish();
//!         prometheus.render()
//!     }),
//! );
//! # let ws1 = [("x-workspace-id", "ws1")];
//! # for _ in 0..2 { ask(&app, "GET", "/products/42", &ws1, "").await; }
//! # let (code, _, metrics) = ask(&app, "GET", "/metrics", &[], "").await;
//! # assert_eq!(code, 200);
//! # let line = "cache_requests_total{cache=\"api_responses\",layer=\"l1\",result=\"hit\"} 1";
//! # assert!(metrics.lines().any(|found| found == line), "{metrics}");
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! A configuration for Prometheus, alert rules and a dashboard for Grafana lie in `examples/ops` of the
//! repository. What each metric means is in [`cache_core::metrics`].
//!
//! # 8. All of it
//!
//! ```no_run
//! # mod shop {
//! # use std::collections::HashMap;
//! # use std::sync::atomic::{AtomicU64, Ordering};
//! # use std::sync::{Arc, Mutex};
//! # use axum::extract::{Path, State};
//! # use axum::http::StatusCode;
//! # #[derive(Clone, Default)]
//! # pub(crate) struct Shop {
//! #     prices: Arc<Mutex<HashMap<u64, u64>>>,
//! #     queries: Arc<AtomicU64>,
//! # }
//! #
//! # impl Shop {
//! #     /// Slow, in real life.
//! #     async fn price(&self, id: u64) -> u64 {
//! #         self.queries.fetch_add(1, Ordering::Relaxed);
//! #         *self.prices.lock().unwrap().get(&id).unwrap_or(&100)
//! #     }
//! #
//! #     async fn set_price(&self, id: u64, cents: u64) {
//! #         self.prices.lock().unwrap().insert(id, cents);
//! #     }
//! # }
//! #
//! # pub(crate) async fn product(State(shop): State<Shop>, Path(id): Path<u64>) -> String {
//! #     format!("product {id}: {} cents", shop.price(id).await)
//! # }
//! #
//! # pub(crate) async fn change(State(shop): State<Shop>, Path(id): Path<u64>, cents: String) -> StatusCode {
//! #     let Ok(cents) = cents.trim().parse() else { return StatusCode::BAD_REQUEST };
//! #     shop.set_price(id, cents).await;
//! #     StatusCode::NO_CONTENT
//! # }
//! # }
//! # use shop::{Shop, change, product};
//! use std::sync::Arc;
//!
//! use axum::Router;
//! use axum::routing::{get, post};
//! use cache_axum::admin::BearerToken;
//! use cache_axum::{cache_endpoint, invalidate_cache};
//! use cache_core::metrics::{BUCKETS_SECONDS, Exporter};
//! use cache_core::{Cache, minutes};
//! use cache_tower::{HttpCache, Workspace};
//! use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let cache = Cache::builder().prefix("shop").from_env()?.build()?;
//!     let http = HttpCache::builder(cache.clone()).workspace(Workspace::header("x-workspace-id")).build();
//!
//!     let prometheus = PrometheusBuilder::new()
//!         .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_SECONDS)?
//!         .install_recorder()?;
//!     let exporter = Arc::new(Exporter::new(&cache));
//!     let metrics = async move || {
//!         exporter.publish();
//!         prometheus.render()
//!     };
//!     let token = BearerToken::new(std::env::var("CACHE_ADMIN_TOKEN")?);
//!     let admin = cache_axum::admin(&http).authorize(token).build()?;
//!
//!     let app = Router::new()
//!         .route("/products/{id}", get(product).layer(cache_endpoint(&http, minutes(5))))
//!         .route("/products/{id}", post(change).layer(invalidate_cache(&http, "{workspace_id}:products:*")))
//!         .with_state(Shop::default())
//!         .route("/metrics", get(metrics))
//!         .nest("/api/cache", admin);
//!
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).await?;
//!     cache.shutdown().await;
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! $ CACHE_ADMIN_TOKEN=$(openssl rand -hex 16) cargo run
//! $ REDIS_URL=redis://127.0.0.1:6379 CACHE_ADMIN_TOKEN=$(openssl rand -hex 16) cargo run
//! ```
//!
//! The second keeps everything in Redis, too, and shares it with as many instances as you start: an
//! invalidation in one holds in all. Redis may be away when they start, and may go away; requests are
//! answered without it, and the admin page says so.
//!
//! # 9. Where to go from here
//!
//! - Options of a route (grace, tags, what clients are told) and the table of all routes:
//!   [`cache_endpoint`](crate::cache_endpoint), and the head of [this crate](crate).
//! - Where other layers should stand: [`guide::layers`](crate::guide::layers).
//! - What is cached without a line at the route, by `Cache-Control`: [`CacheLayer`](cache_tower::CacheLayer).
//! - A larger service with all of this: `cargo run --example quickstart` in the repository.
