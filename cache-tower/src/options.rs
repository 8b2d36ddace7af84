//! What a response cache may be allowed beyond its defaults.
//!
//! ```
//! use cache_core::{Cache, hours};
//! use cache_tower::HttpCache;
//!
//! let http = HttpCache::builder(Cache::builder().build()?).heuristic_freshness(hours(24)).build();
//! # Ok::<(), cache_core::Error>(())
//! ```

use std::time::Duration;

use http::StatusCode;

use crate::config::HttpCacheBuilder;
use crate::hooks::Hooks;
use crate::policy::{Assigned, Heuristic, Millis, Normalize, is_risky_error};
use crate::query::Queries;
use crate::report::told::Told;
use crate::request::key_rules::KeyRules;
use crate::skip::SkipRule;

/// The options of one cache.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Its `ttl` is the layer's.
    pub(crate) assigned: Assigned,
    pub(crate) heuristic: Option<Heuristic>,
    pub(crate) ignore_request_directives: bool,
    pub(crate) grace: Option<u32>,
    pub(crate) normalize: Normalize,
    pub(crate) max_variants: usize,
    pub(crate) generate_etags: bool,
    pub(crate) store_posts: bool,
    pub(crate) hooks: Hooks,
    pub(crate) key: KeyRules,
    pub(crate) told: Told,
    pub(crate) queries: Option<Queries>,
    pub(crate) skip: Option<SkipRule>,
}

/// So many tell languages and codings apart; more are noise, or somebody's intent.
const MAX_VARIANTS: usize = 64;

impl Default for Options {
    fn default() -> Self {
        Self {
            assigned: Assigned::default(),
            heuristic: None,
            ignore_request_directives: false,
            grace: None,
            normalize: Normalize::default(),
            max_variants: MAX_VARIANTS,
            generate_etags: false,
            store_posts: false,
            hooks: Hooks::default(),
            key: KeyRules::default(),
            told: Told::default(),
            queries: None,
            skip: None,
        }
    }
}

impl HttpCacheBuilder {
    /// Responses that say nothing of how long they are fresh, but when they were last modified,
    /// are fresh for a tenth of the time since then, `max` at most (RFC 9111 §4.2.2). Default: they
    /// are not stored.
    ///
    /// It takes a status that is heuristically cacheable (RFC 9110 §15.1) and no error that a
    /// client can bring about for others (405, 414, 501), or `Cache-Control: public`. A TTL that
    /// a layer assigns comes first; as with such a TTL, requests with credentials get responses of
    /// their own.
    pub fn heuristic_freshness(mut self, max: Duration) -> Self {
        self.options.heuristic = Some(Heuristic { max: millis(max) });
        self
    }

    /// How long past their TTL responses may be used stale: while they are refreshed in the
    /// background, and when the origin fails. For responses that say nothing of that themselves
    /// (`stale-while-revalidate`, `stale-if-error`: RFC 5861) and don't forbid it
    /// (`must-revalidate`, `proxy-revalidate`, `s-maxage`, `no-cache`). Default: none.
    ///
    /// ```
    /// use cache_core::{Cache, minutes};
    /// use cache_tower::HttpCache;
    ///
    /// let http = HttpCache::builder(Cache::builder().build()?).grace(minutes(10)).build();
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options.grace = Some(whole_seconds(grace));
        self
    }

    /// Responses that say that there is nothing (404, 410) and nothing of how long they are fresh,
    /// are fresh for this time, so that requests for what is not there don't all reach the origin.
    /// Default: they are not stored.
    ///
    /// As with any TTL of ours, requests with credentials get responses of their own.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.options.assigned.negative_ttl = Some(millis(ttl));
        self
    }

    /// Which statuses take the [`negative_ttl`](Self::negative_ttl). Default: 404 and 410.
    ///
    /// # Panics
    /// If one of them is an error that a client can bring about for others (400, 401, 403, 405,
    /// 413, 414, 431), or a server's trouble (5xx). Those are stored only if the origin itself
    /// says for how long.
    pub fn negative_statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.options.assigned.negative_statuses = storable_statuses(statuses);
        self
    }

    /// Stored 200 responses with neither `ETag` nor `Last-Modified` get a strong `ETag`, made of their
    /// bytes, so that clients that have them are answered with 304. It is on what comes from the
    /// store; the response that is being stored has gone out before its bytes are known. Default:
    /// they have none. Not where something behind this cache changes bodies (compression, say).
    pub fn generate_etags(mut self) -> Self {
        self.options.generate_etags = true;
        self
    }

    /// Whether the response to a POST is stored for later `GET`s of its URI, if it says that it is
    /// what they would bring (RFC 9110 §9.3.3): a 200 that says itself for how long it is fresh
    /// (`max-age`, `s-maxage`, `Expires`), with a `Content-Location` that is the URI of the request.
    /// All that forbids to store the response to a `GET` forbids it here too. A POST itself is never
    /// answered from the cache. Default: `false`.
    ///
    /// It is stored only if nothing else has changed what is stored for the URI since the POST came;
    /// to know that, the store is asked before the service inside is.
    ///
    /// ```
    /// # use cache_core::Cache;
    /// # use cache_tower::HttpCache;
    /// let http = HttpCache::builder(Cache::builder().build()?).store_posts(true).build();
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    pub fn store_posts(mut self, store: bool) -> Self {
        self.options.store_posts = store;
        self
    }

    /// Whether `Cache-Control` and `Pragma` of requests don't count, as with most reverse proxies:
    /// a client can then neither go past the cache (`no-store`), nor have a response fetched anew
    /// (`no-cache`, `max-age=0`), nor ask for what is stored only. Default: they count (RFC 9111
    /// §5.2.1, §5.4).
    pub fn ignore_request_directives(mut self, ignore: bool) -> Self {
        self.options.ignore_request_directives = ignore;
        self
    }

    /// Where responses vary by `Accept-Encoding`, requests that accept the same share one: order,
    /// case and white space make no difference, weights do (`br, gzip;q=0.5` is `GZIP;q=0.50,br`).
    /// Default: only equal values share one. For origins that take the order of codings for
    /// nothing (RFC 9110 §12.5.3).
    pub fn normalize_accept_encoding(mut self) -> Self {
        self.options.normalize.encoding = true;
        self
    }

    /// The same for `Accept-Language`. Not for an origin that takes the order of languages of equal
    /// weight for a preference (RFC 9110 §12.5.4 says that nobody can rely on it): `de, en` and
    /// `en, de` share a response.
    pub fn normalize_accept_language(mut self) -> Self {
        self.options.normalize.language = true;
        self
    }

    /// How many variants of one URI are kept where responses vary by request headers, or by what
    /// [`key_by`](Self::key_by) and its like choose; the least recently used ones go first. At
    /// least 1; default: 64.
    ///
    /// Exact in memory. In Redis each instance counts what it has stored or served itself, for an
    /// hour after it last met the URI there, so that there may be more for as long as they are
    /// fresh.
    pub fn max_variants(mut self, variants: usize) -> Self {
        self.options.max_variants = variants;
        self
    }
}

pub(crate) fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

pub(crate) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// # Panics
/// If one of them is never to be stored on our word alone.
pub(crate) fn storable_statuses(
    statuses: impl IntoIterator<Item = StatusCode>,
) -> Box<[StatusCode]> {
    let statuses: Box<[_]> = statuses.into_iter().collect();
    if let Some(risky) = statuses.iter().find(|status| is_risky_error(**status)) {
        panic!("{risky} is stored only if the origin says for how long");
    }
    statuses
}
