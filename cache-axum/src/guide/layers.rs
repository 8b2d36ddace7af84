//! The order of layers.
//!
//! A hit is answered where the cache stands: nothing inside it runs. So the question of each layer
//! is whether it should run for a hit (outside) or only for what is fetched (inside). In axum the
//! layer that is added last is the outermost.
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::http::StatusCode;
//! use axum::middleware::from_fn;
//! use axum::routing::{get, post};
//! use axum::{Router, extract::Request, middleware::Next, response::Response};
//! use cache_axum::{CacheLayer, HttpCache, RoutePolicy, Workspace, cache_endpoint, invalidate_cache};
//! use cache_core::{Cache, minutes};
//! use tower_http::catch_panic::CatchPanicLayer;
//! use tower_http::compression::CompressionLayer;
//! use tower_http::timeout::TimeoutLayer;
//!
//! #[derive(Clone)]
//! struct Tenant(String);
//! # async fn authenticate(request: Request, next: Next) -> Response { next.run(request).await }
//! # async fn list() {}
//! # async fn stats() {}
//! # async fn update() {}
//!
//! let http = HttpCache::builder(Cache::builder().build()?)
//!     .workspace(Workspace::from_extension(|tenant: &Tenant| &tenant.0))
//!     .share_within_workspace()
//!     .route("/campaigns", RoutePolicy::new(minutes(1)).grace(minutes(5)))
//!     .never("/billing/{*rest}")
//!     .build();
//!
//! let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(10));
//! let app: Router = Router::new()
//!     .route("/campaigns", get(list))
//!     .route("/campaigns/{id}/stats", get(stats).layer(cache_endpoint(&http, minutes(5))))
//!     .route(
//!         "/campaigns/{id}",
//!         post(update).layer(invalidate_cache(&http, "{workspace_id}:campaigns:*")),
//!     )
//!     .layer(timeout)                       // inside: only what is fetched takes time
//!     .layer(CacheLayer::new(&http))
//!     .layer(CompressionLayer::new())       // outside: one entry, packed for who takes it
//!     .layer(from_fn(authenticate))         // outside: a hit is only for who may see it
//!     .layer(CatchPanicLayer::new());       // outermost: whatever panics
//! # Ok::<(), cache_core::Error>(())
//! ```
//!
//! | layer | place | why |
//! |---|---|---|
//! | authentication, authorization | **outside** | what is inside does not run for a hit. It also sets the extension that the workspace is read from, for requests that change something too |
//! | rate limits, CORS, request ids, access logs, `TraceLayer` | outside | they are about each request. What they add to a response differs from client to client, and must not be stored |
//! | `CatchPanicLayer` | outside | a handler's panic is the client's 500; the cache lets go of those who waited, and stores nothing. Inside is as good: its 500 is not stored |
//! | `CompressionLayer` | outside: one entry for all, packed for each client; the `ETag` of a packed response is the compression's business. Inside: packed once, an entry for each `Accept-Encoding` (see [`normalize_accept_encoding`]) | processor or memory. With [`generate_etags`], inside |
//! | `TimeoutLayer` | inside | the time of one fetch: its 504 is not stored, and what is stale may be used instead ([`grace`]). Outside it is the client's time: a fetch that the cache has begun goes on without the client, and is kept |
//! | layers that change bodies or `Vary` by a request header | inside, or outside with what they vary by in the key | a stored response is what came out of what stands inside |
//! | `invalidate_cache` | anywhere | it acts before its response is released |
//!
//! [`generate_etags`]: cache_tower::RoutePolicy::generate_etags
//! [`grace`]: cache_tower::RoutePolicy::grace
//! [`normalize_accept_encoding`]: cache_tower::HttpCacheBuilder::normalize_accept_encoding
//!
//! # Ways to put routers together
//!
//! | | what the cache makes of it |
//! |---|---|
//! | `get(..).layer(cache_endpoint(..))` | that method router, and no other. Under a `CacheLayer` around the router this inner one wins |
//! | `Router::layer` | all routes so far, and the fallback; it runs after routing, so that it knows the route (`MatchedPath`) |
//! | `Router::route_layer` | all routes so far, without the fallback: 404 are not the cache's business |
//! | `nest` | the key is the whole original URI, and the route the whole path: `/api/campaigns/{id}` |
//! | `nest_service`, `fallback_service`, a layer around the router as a whole | there is no route; the table goes by the path of the request |
//! | `merge` | each router's own layers, as if it stood alone |
//! | `ServeDir` | like a handler that says `Last-Modified`: stored by a rule of the table or by [`heuristic_freshness`]; parts and validations are answered from what is stored |
//! | WebSockets | an upgrade goes past every cache (`detail=upgrade`) |
//! | Server-sent events | each event passes as it comes; axum says `no-cache` of them, so that none is stored |
//!
//! [`heuristic_freshness`]: cache_tower::HttpCacheBuilder::heuristic_freshness
//!
//! # Which rule counts
//!
//! 1. [`never`](cache_tower::HttpCacheBuilder::never): nothing is stored or answered from the cache.
//! 2. The innermost `cache_endpoint`, by its own policy.
//! 3. [`route`](cache_tower::HttpCacheBuilder::route): the policy that the table has for the route.
//! 4. `CacheLayer`: what `Cache-Control` allows.
//!
//! In each of them, what a response says against being stored (`no-store`, `private`, `Set-Cookie`)
//! and the safety of credentials hold. [`HttpCache::routes`](cache_tower::HttpCache::routes) lists the
//! rules of the table with how many requests met each: one that none has ever met is likely a typo.
