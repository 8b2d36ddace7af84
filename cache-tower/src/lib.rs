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
//! | `cache-tower; fwd=stale; fwd-status=304` | what was stored, after the origin had confirmed it |
//! | `cache-tower; fwd=stale; fwd-status=503; detail=stale-if-error` | what was stored, because the origin failed |
//!
//! `fwd-status` is there where the origin's status is not the client's. [`ttl`] and [`key`] are
//! there if they are asked for.
//!
//! [`ttl`]: HttpCacheBuilder::cache_status_ttl
//! [`key`]: HttpCacheBuilder::cache_status_key
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | `config`, `layer`, `future` | [`HttpCache`]; [`CacheLayer`] and its service; the future |
//! | `lookup` | admission, key, what is stored |
//! | `answer` | a response from what is stored |
//! | `fill`, `fetch`, `keep`, `collapse` | who fetches; fetching; storing; sharing what arrives |
//! | `revalidate`, `refresh` | what is stale: ask the origin whether it holds; in the background |
//! | `head` | HEAD to the origin, and what it tells of the stored GET |
//! | `keep` | a body that has arrived goes into the store |
//! | `part`, `partial` | ranges of stored responses; responses of which only a part is stored |
//! | `body` | stored, shared and passed-on bodies |
//! | `policy` | pure: the decisions of RFC 9111 |
//! | `options`, `hooks` | what is allowed beyond the defaults; what the application decides |
//! | `key`, `key_rules`, `partition`, `stored`, `status` | pure: keys, and what an application adds to them; workspaces; wire form; `Cache-Status` |
//! | `tally`, `told` | every request is counted once; what `Cache-Status` says beside the decision |
//! | `invalidate` | unsafe requests; [`InvalidateLayer`] |
//! | `etag` | entity tags for what has none |
//! | `groups` | the groups of RFC 9875, of one workspace and origin |
//! | `intern` | header lines that come again and again |
//! | `variants` | how many variants of a URI are kept |
//! | `nested`, `budget`, `memo` | caches within caches; how long a request may wait; small tables |

mod answer;
mod body;
mod budget;
mod collapse;
mod config;
mod etag;
mod fetch;
mod fill;
mod future;
mod groups;
mod head;
mod hooks;
mod intern;
mod invalidate;
mod keep;
mod key;
mod key_rules;
mod layer;
mod lookup;
mod memo;
mod nested;
mod options;
mod part;
mod partial;
mod partition;
mod policy;
mod refresh;
mod revalidate;
mod status;
mod stored;
mod tally;
mod told;
mod variants;

pub use body::{BodyError, BoxError, CacheBody};
pub use config::{HttpCache, HttpCacheBuilder};
pub use future::ResponseFuture;
pub use hooks::{CacheTtl, NoStore, RequestHead};
pub use invalidate::{InvalidateLayer, InvalidateService};
pub use key::key_segment;
pub use layer::{CacheLayer, CacheService};
pub use partition::Workspace;
pub use revalidate::OriginUnreachable;
pub use status::HttpStats;
