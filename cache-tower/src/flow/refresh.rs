//! Refreshing: what was answered stale is fetched again in the background, once at a time.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cache_core::{Joined, Millis};
use http::{Method, Request, Response, header};
use http_body::Body;
use http_body_util::BodyExt;
use tower::Service;

use crate::body::BoxError;
use crate::config::Shared;
use crate::flow::budget::Budget;
use crate::flow::fetch::{Fetch, fetch};
use crate::flow::lookup::{Ask, Found, Vacancy};
use crate::future::FETCH_ALONE;
use crate::memo::Memo;
use crate::policy::{MissReason, Reuse, reuse};
use crate::report::tally::Tally;
use crate::stored::Cached;

/// The responses that are being refreshed, by the hash of their identity.
#[derive(Clone, Debug)]
pub(crate) struct Refreshes {
    running: Arc<Mutex<HashSet<u128>>>,
    /// Those whose refresh has failed: an origin in trouble is not asked all the time.
    failed: Arc<Memo<()>>,
}

/// For so long a response is not refreshed again when that has failed.
const REST: Millis = 1_000;
const REMEMBERED: usize = 4 * 1024;

/// Held while a response is refreshed.
#[derive(Debug)]
pub(crate) struct Refreshing {
    refreshes: Refreshes,
    hash: u128,
}

impl Default for Refreshes {
    fn default() -> Self {
        Self { running: Arc::default(), failed: Arc::new(Memo::new(REMEMBERED)) }
    }
}

impl Refreshes {
    /// `None`: it is being refreshed already, or that has just failed.
    pub(crate) fn begin(&self, hash: u128, now: Millis) -> Option<Refreshing> {
        if self.failed.get(hash, now).is_some() {
            return None;
        }
        let is_first = self.lock().insert(hash);
        if is_first {
            // Until it has gone well: a handler may panic.
            self.failed.remember(hash, (), now + REST);
        }
        // Made only then: it ends the refresh when it is dropped.
        is_first.then(|| Refreshing { refreshes: self.clone(), hash })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<u128>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.refreshes.lock().remove(&self.hash);
    }
}

/// Fetches in the background what the request was answered with stale.
pub(crate) fn spawn<S, ReqB, ResB>(
    mut ask: Box<Ask>,
    inner: S,
    mut request: Request<ReqB>,
    refreshing: Refreshing,
) where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ReqB: Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    ask.tally = Tally::silent(&ask.shared);
    // Whatever part the client wanted, the cache wants the whole.
    ask.ranged = false;
    for name in [header::RANGE, header::IF_RANGE] {
        request.headers_mut().remove(name);
    }
    // RFC 9110 §9.3.2: what HEAD asks for, without its body, is what GET brings.
    if *request.method() == Method::HEAD {
        *request.method_mut() = Method::GET;
    }
    let background = ask.shared.values.cache().background().clone();
    let began = background.try_spawn(async move {
        let done = tokio::time::timeout(FETCH_ALONE, run(&ask, inner, request)).await;
        if matches!(done, Ok(true)) {
            refreshing.refreshes.failed.forget(refreshing.hash);
        } else {
            let now = ask.shared.values.cache().clock().now();
            refreshing.refreshes.failed.remember(refreshing.hash, (), now + REST);
        }
        drop(refreshing);
    });
    if !began {
        tracing::debug!("no place in the background: a stale response is not refreshed");
    }
}

/// False if the origin failed.
async fn run<S, ReqB, ResB>(ask: &Ask, inner: S, request: Request<ReqB>) -> bool
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let shared: &Arc<Shared> = &ask.shared;
    let budget = Budget::new(shared.values.cache().operation_budget());
    let Found::Response { key, slot, marker } = ask.find(request.headers(), &budget).await else {
        return true;
    };
    let now = shared.values.cache().clock().now();
    let still_stale = match slot.decoded::<Cached>() {
        Some(Cached::Response(stored)) => {
            let freshness = stored.freshness.stale_since(slot.stale_since(), now);
            !matches!(reuse(None, &freshness, now), Reuse::Use { .. })
        }
        _ => false,
    };
    let mut vacancy = Vacancy::replacing(&shared.values, (&key, slot, marker), MissReason::Stale);
    let Some(fill) = vacancy.fill.as_mut().filter(|_| still_stale) else {
        return true;
    };
    ask.expect_tags(request.headers(), Some(&mut *fill));
    let Joined::Leader(leader) = shared.flights.join(key.hash(), fill) else {
        // Somebody who would not have it stale is fetching.
        return true;
    };
    let fetching = Fetch { vacancy, leader: Some(leader), budget };
    let Ok(response) = fetch(ask, inner, request, fetching).await else { return false };
    let failed = response.status().is_server_error();
    // The client has its answer: this one is read for the cache.
    let mut body = pin!(response.into_body());
    while let Some(Ok(_)) = body.frame().await {}
    !failed
}
