//! Tower middleware: a shared response cache by RFC 9111, for any Tower HTTP service.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use cache_core::Cache;
//! use cache_tower::{CacheLayer, HttpCache, Workspace};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, service_fn};
//!
//! // Entries in this process' memory, or in Redis if `REDIS_URL` is set.
//! let cache = Cache::builder().prefix("shop").from_env()?.build()?;
//! let http = HttpCache::builder(cache).workspace(Workspace::header("x-workspace-id")).build();
//!
//! let service = ServiceBuilder::new().layer(CacheLayer::new(&http)).service(service_fn(
//!     async |_: Request<Full<Bytes>>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hi"))),
//! ));
//! # let _ = service;
//! # Ok::<(), cache_core::Error>(())
//! ```
//!
//! Every response that passed says in `Cache-Status` (RFC 9211) what the cache did:
//!
//! | | |
//! |---|---|
//! | `cache-tower; hit` | answered from what was stored; `Age` says how old it is |
//! | `cache-tower; fwd=uri-miss; stored` | fetched, and being stored |
//! | `cache-tower; fwd=uri-miss; detail=private` | fetched, and not stored: why |
//! | `cache-tower; fwd=uri-miss; collapsed` | answered with what another request was fetching |
//! | `cache-tower; fwd=uri-miss; detail=range` | a part that the origin gave, for this request only |
//! | `cache-tower; fwd=bypass; detail=no-store` | went past the cache: why |
//! | `cache-tower; fwd=method` | went past the cache because of its method |
//! | `cache-tower; fwd=method; stored` | so did this POST, and its response is being stored for GETs |
//! | `cache-tower; fwd=stale; fwd-status=304` | what was stored, after the origin had confirmed it |
//! | `cache-tower; fwd=stale; fwd-status=503; detail=stale-if-error` | what was stored, because the origin failed |
//!
//! `fwd-status` is there where the origin's status is not the client's. [`ttl`] and [`key`] are
//! there if they are asked for.
//!
//! The same words are in one event of `tracing` for each request (target `cache_tower`, level
//! debug: `decision`, `detail`, the `status` of the origin, `namespace`, and as `counted` the field
//! of [`HttpStats`] that it adds to). URI and key are not. While nobody listens that costs nothing.
//!
//! [`ttl`]: HttpCacheBuilder::cache_status_ttl
//! [`key`]: HttpCacheBuilder::cache_status_key
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | `config`, `layer`, `future` | [`HttpCache`]; [`CacheLayer`] and its service; the future |
//! | `options`, `hooks` | what is allowed beyond the defaults; what the application decides |
//! | `query`, `flow::query` | QUERY, whose body is part of the key; reading it |
//! | `routes::policy`, `words` | [`RoutePolicy`]: how a route is cached, in the words of layers, too |
//! | `routes::table`, `paths` | the rules of a router's routes; which of them a path is one of |
//! | `routes::layers`, `template` | what layers of one cache differ in; tags with parameters in them |
//! | `invalidate`, `effects` | [`InvalidateLayer`]; unsafe requests |
//! | `request` | pure: keys, and what an application adds to them; workspaces |
//! | `policy` | pure: the decisions of RFC 9111 |
//! | `flow::entrance` | admission, key, this process' memory |
//! | `flow::lookup`, `answer` | what is stored; a response from it |
//! | `flow::fill`, `fetch`, `collapse`, `keep` | who fetches; fetching; sharing what arrives; storing it |
//! | `flow::revalidate`, `refresh` | what is stale: ask the origin whether it holds; in the background |
//! | `flow::head` | HEAD to the origin, and what it tells of the stored GET |
//! | `flow::post` | POST whose response is stored for later GETs |
//! | `tags` | what a handler gives its response to be invalidated with |
//! | `flow::tags`, `groups` | tags and groups of what is stored; those of RFC 9875, of one workspace and origin |
//! | `flow::nested`, `budget` | caches within caches; how long a request may wait |
//! | `stored` | pure: wire form of responses, of parts of them, and of what is known of variants |
//! | `stored::intern`, `etag` | header lines that come again and again; entity tags for what has none |
//! | `body` | stored, shared and passed-on bodies |
//! | `report` | every request is counted and traced once; `Cache-Status` |
//! | `private` | services that must never be behind a cache; what is stored, for people |
//! | `memo` | small tables |

mod body;
mod config;
mod effects;
mod flow;
mod future;
mod hooks;
mod invalidate;
mod layer;
mod memo;
mod options;
mod policy;
mod private;
mod query;
mod report;
mod request;
mod routes;
mod stored;
mod tags;

pub use body::{BodyError, BoxError, CacheBody, QueryBody};
pub use config::{HttpCache, HttpCacheBuilder};
pub use flow::revalidate::OriginUnreachable;
pub use future::ResponseFuture;
pub use hooks::{CacheTtl, NoStore, RequestHead};
pub use invalidate::{InvalidateLayer, InvalidateService};
pub use layer::{CacheLayer, CacheService};
pub use private::keep_private;
pub use report::status::HttpStats;
pub use request::key::key_segment;
pub use request::partition::Workspace;
pub use request::reflected::ForwardedFields;
pub use routes::policy::RoutePolicy;
pub use routes::table::{RouteRule, RouteUse};
pub use tags::CacheTags;
