//! The service: count, then call the service inside or refuse.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use cache_core::Verdict;
use cache_core::rate::CountedBy;
use http::{Request, Response};
use tower::Service;
use tower::util::Oneshot;

use super::fields::{RATE_LIMIT, RATE_LIMIT_POLICY, limit};
use super::layer::{Rule, WithoutKey, nobody};
use super::refusal::{uncounted, without_key};
use crate::body::CacheBody;

/// The service of [`RateLimitLayer`](crate::RateLimitLayer).
///
/// Always ready: a service inside that is not must not hold up refusals. A clone of it is driven to
/// readiness for each request that is served, and that same clone is called.
#[derive(Clone)]
pub struct RateLimitService<S> {
    inner: S,
    rule: Arc<Rule>,
}

impl<S> RateLimitService<S> {
    pub(super) fn new(inner: S, rule: Arc<Rule>) -> Self {
        Self { inner, rule }
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for RateLimitService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ReqB: Send + 'static,
    ResB: Send + 'static,
{
    type Response = Response<CacheBody<ResB>>;
    type Error = S::Error;
    type Future = RateLimitFuture<Self::Response, S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        let (rule, inner) = (Arc::clone(&self.rule), self.inner.clone());
        let key = match (rule.key(&request), rule.without_key) {
            (None, WithoutKey::Share) => Some(nobody()),
            (None, WithoutKey::Deny) => {
                return RateLimitFuture::new(async move { Ok(without_key()) });
            }
            (key, _) => key,
        };
        let budget = rule.shared.budget(request.extensions_mut());
        RateLimitFuture::new(async move {
            let Some(key) = key else {
                return Ok(Oneshot::new(inner, request).await?.map(CacheBody::origin));
            };
            let check = rule.limiter.check(key, rule.limit, rule.window).cost(rule.cost);
            let verdict = budget.spend(async |by| check.deadline(by).await).await;
            let mut response = if verdict.allowed {
                Oneshot::new(inner, request).await?.map(CacheBody::origin)
            } else {
                rule.refuse(&verdict)
            };
            rule.tell(&verdict, &mut response);
            Ok(response)
        })
    }
}

impl Rule {
    fn refuse<B>(&self, verdict: &Verdict) -> Response<CacheBody<B>> {
        tracing::debug!(policy = self.quoted, counted_by = ?verdict.counted_by, "over the limit");
        match verdict.counted_by {
            CountedBy::Nobody if self.cost.max(1) <= verdict.limit => uncounted(),
            _ => self.over_limit(verdict),
        }
    }

    /// Beside what other limiters say.
    fn tell<B>(&self, verdict: &Verdict, response: &mut Response<B>) {
        let left = limit(&self.quoted, verdict, self.limit, self.window);
        let fields = [(RATE_LIMIT_POLICY, self.policy.clone()), (RATE_LIMIT, left)];
        for (name, value) in fields {
            if let Some(value) = value {
                // Fails where the map is at the limit of the http crate.
                let _ = response.headers_mut().try_append(name, value);
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for RateLimitService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitService")
            .field("inner", &self.inner)
            .field("rule", &self.rule)
            .finish()
    }
}

/// The future of [`RateLimitService`].
pub struct RateLimitFuture<R, E>(Pin<Box<dyn Future<Output = Result<R, E>> + Send>>);

impl<R, E> RateLimitFuture<R, E> {
    fn new(future: impl Future<Output = Result<R, E>> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl<R, E> Future for RateLimitFuture<R, E> {
    type Output = Result<R, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<R, E> fmt::Debug for RateLimitFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitFuture").finish_non_exhaustive()
    }
}
