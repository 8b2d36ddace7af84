//! The service: pages that take their origin a few milliseconds, under `CacheLayer`.
//!
//! Of ten requests five are for pages that are in this process' memory, three for pages that only
//! Redis has, and two for pages that nobody has asked for before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::OriginalUri;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use cache_core::{BreakerState, Cache, CoherenceMode, Namespace, RedisOptions};
use cache_tests::wait::eventually_some;
use cache_tower::{CacheLayer, HttpCache};
use tower::ServiceExt;

/// How long the origin takes for a page.
pub(crate) const ORIGIN_TAKES: Duration = Duration::from_millis(5);
/// A page, in bytes.
const PAGE: usize = 1024;
/// Who has waited that long has noticed.
const PATIENCE: Duration = Duration::from_secs(10);
/// For what takes milliseconds, on a machine that does other things too.
const WARMED_WITHIN: Duration = Duration::from_secs(30);

/// Keys that are written: so many that each primary of a Cluster has some.
pub(crate) const PROBES: u64 = 16;

const HOT: u64 = 64;
const WARM: u64 = 512;

/// A service, with a cache or without.
#[derive(Debug)]
pub(crate) struct App {
    router: Router,
    cache: Option<Cache>,
    /// Of an instance that has less to do.
    other: Option<Cache>,
}

/// Which kind of page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Known to all, and kept in this process' memory.
    Hot,
    /// Kept in Redis only.
    Warm,
    /// Never asked for before.
    Cold,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Hit,
    /// From the origin.
    Fetched,
    Failed(Failure),
}

/// What nobody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Status(u16),
    /// The page of somebody else, or a part of one.
    WrongPage,
    /// No answer.
    Hung,
    /// There were too many before it.
    NotSent,
    /// Nothing more was heard of it.
    Lost,
}

/// A request for a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) kind: Kind,
    number: u64,
}

impl Ask {
    /// The next of many.
    pub(crate) fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let (kind, number) = match count % 10 {
            0 | 2 | 4 | 6 | 8 => (Kind::Hot, fastrand::u64(..HOT)),
            1 | 5 | 9 => (Kind::Warm, fastrand::u64(..WARM)),
            _ => (Kind::Cold, count),
        };
        Self { kind, number }
    }

    fn path(self) -> String {
        let kind = match self.kind {
            Kind::Hot => "hot",
            Kind::Warm => "warm",
            Kind::Cold => "cold",
        };
        format!("/{kind}/{}", self.number)
    }
}

impl App {
    /// Without a cache.
    pub(crate) fn bare() -> Self {
        Self { router: hot().merge(others()), cache: None, other: None }
    }

    /// With a cache on this Redis; `budget`: other than the default one.
    pub(crate) fn on(redis: &RedisOptions, budget: Option<Duration>) -> Self {
        let build = || {
            let builder = Cache::builder()
                .prefix("drill")
                .namespace(Namespace::new("shared").l1(false))
                .namespace(Namespace::new("probe").l1(false))
                .redis(redis.clone());
            let builder = match budget {
                Some(budget) => builder.operation_budget(budget),
                None => builder,
            };
            builder.build().expect("valid settings")
        };
        let (cache, other) = (build(), build());
        let in_memory = HttpCache::builder(cache.clone()).build();
        let in_redis = HttpCache::builder(cache.clone()).namespace("shared").build();
        let router = hot()
            .layer(CacheLayer::new(&in_memory))
            .merge(others().layer(CacheLayer::new(&in_redis)));
        Self { router, cache: Some(cache), other: Some(other) }
    }

    /// Until every page that is not new is a hit.
    pub(crate) async fn warm_up(&self) {
        let hot = (0..HOT).map(|number| Ask { kind: Kind::Hot, number });
        let warm = (0..WARM).map(|number| Ask { kind: Kind::Warm, number });
        let pages: Vec<Ask> = hot.chain(warm).collect();
        eventually_some(WARMED_WITHIN, "all pages are kept", async || {
            let mut all = true;
            // All at once would be more than a busy machine gets from Redis within the budget.
            for some in pages.chunks(16) {
                let mut asking = tokio::task::JoinSet::new();
                for ask in some {
                    asking.spawn(self.ask(*ask));
                }
                all &= asking.join_all().await.iter().all(|answer| *answer == Answer::Hit);
            }
            (all && self.is_back().await && self.hears().await).then_some(())
        })
        .await;
    }

    /// One request, and what became of it.
    pub(crate) fn ask(&self, ask: Ask) -> impl Future<Output = Answer> + Send + use<> {
        answer(self.router.clone(), ask)
    }

    /// Whether Redis takes what is written to it, under one of [`PROBES`] keys.
    pub(crate) async fn writes(&self, probe: u64) -> bool {
        match &self.cache {
            Some(cache) => cache.set("probe", format!("written:{probe}"), &1).await.is_ok(),
            None => true,
        }
    }

    /// Whether what one instance writes to Redis another reads from it, and a page comes from there.
    pub(crate) async fn is_back(&self) -> bool {
        let (Some(cache), Some(other)) = (&self.cache, &self.other) else { return true };
        let value = fastrand::u64(..);
        cache.set("probe", "1", &value).await.is_ok()
            && matches!(other.get::<u64>("probe", "1").await, Ok(Some(found)) if value == found)
            && self.ask(Ask { kind: Kind::Warm, number: 0 }).await == Answer::Hit
    }

    /// Whether it is told of all that changes in Redis.
    pub(crate) async fn hears(&self) -> bool {
        let Some(cache) = &self.cache else { return true };
        let coherence = cache.health().await.coherence;
        // What was proven before a connection was lost holds on for a while.
        coherence.proven && coherence.since.is_some() && coherence.mode == CoherenceMode::Tracking
    }

    /// Whether all instances have noticed that Redis is another than it was.
    pub(crate) async fn knows_another(&self) -> bool {
        let (Some(cache), Some(other)) = (&self.cache, &self.other) else { return false };
        cache.health().await.store_changes > 0 && other.health().await.store_changes > 0
    }

    /// How many lookups Redis has been asked for so far, whatever came of them.
    pub(crate) fn lookups(&self) -> u64 {
        self.cache.as_ref().map_or(0, |cache| cache.stats().operations.read.count())
    }

    /// Whether Redis is given up for now.
    pub(crate) fn is_without(&self) -> bool {
        let breaker = self.cache.as_ref().and_then(|cache| cache.gauges().breaker);
        breaker.is_some_and(|breaker| breaker != BreakerState::Closed)
    }
}

async fn answer(router: Router, ask: Ask) -> Answer {
    let path = ask.path();
    let request = Request::get(&path).header(header::HOST, "drill.test").body(Body::empty());
    let answering = async {
        let response = router.oneshot(request.expect("valid")).await.unwrap_or_else(|e| match e {});
        let status = response.status();
        if status != StatusCode::OK {
            return Answer::Failed(Failure::Status(status.as_u16()));
        }
        let told = response.headers().get("cache-status");
        let hit = told.is_some_and(|told| told.as_bytes().ends_with(b"; hit"));
        match to_bytes(response.into_body(), 2 * PAGE).await {
            Ok(body) if body == page(&path) => {
                if hit {
                    Answer::Hit
                } else {
                    Answer::Fetched
                }
            }
            _ => Answer::Failed(Failure::WrongPage),
        }
    };
    let answered = tokio::time::timeout(PATIENCE, answering).await;
    answered.unwrap_or(Answer::Failed(Failure::Hung))
}

fn hot() -> Router {
    Router::new().route("/hot/{number}", get(origin))
}

fn others() -> Router {
    Router::new().route("/warm/{number}", get(origin)).route("/cold/{number}", get(origin))
}

async fn origin(OriginalUri(uri): OriginalUri) -> Response {
    tokio::time::sleep(ORIGIN_TAKES).await;
    // What is never asked for again need not be kept for long.
    let keep = if uri.path().starts_with("/cold") { "max-age=20" } else { "max-age=600" };
    ([(header::CACHE_CONTROL, keep)], page(uri.path())).into_response()
}

fn page(path: &str) -> String {
    format!("{path:x<PAGE$}")
}
