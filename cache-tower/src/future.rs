//! The future of a response: a hit is ready, a bypass is the inner service's own future, and only
//! a miss is boxed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use cache_core::Background;
use http::{Extensions, Request, Response};
use pin_project_lite::pin_project;
use tower::Service;
use tower::util::Oneshot;
use tracing::Span;
use tracing::instrument::{Instrument, Instrumented};

use crate::body::CacheBody;
use crate::config::Shared;
use crate::flow::budget::Budget;
use crate::flow::nested::{Mark, Marked};
use crate::report::status::Decision;
use crate::report::tally::Tally;
use crate::report::warn;

pin_project! {
    /// The future of [`CacheService`](crate::CacheService).
    pub struct ResponseFuture<S, ReqB, ResB>
    where
        S: Service<Request<ReqB>>,
    {
        #[pin]
        state: State<S, ReqB, ResB>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, ReqB, ResB>
    where
        S: Service<Request<ReqB>>,
    {
        Ready { response: Option<Response<CacheBody<ResB>>> },
        Past { #[pin] response: Instrumented<Oneshot<S, Request<ReqB>>>, label: Option<Label> },
        Task { task: Task<Result<Response<CacheBody<ResB>>, S::Error>> },
    }
}

/// What is to be said of a response that goes past the cache.
struct Label {
    tally: Tally,
    _mark: Marked,
    decision: Decision,
}

impl<S, ReqB, ResB> ResponseFuture<S, ReqB, ResB>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    S::Error: Send + 'static,
    ResB: Send + 'static,
{
    pub(crate) fn ready(response: Response<CacheBody<ResB>>) -> Self {
        Self { state: State::Ready { response: Some(response) } }
    }

    /// Past the cache; dropped with the client.
    pub(crate) fn past(
        shared: &Arc<Shared>,
        inner: S,
        mut request: Request<ReqB>,
        decision: Decision,
    ) -> Self {
        let tally = Tally::new(shared, decision);
        let mark = Mark::put(request.extensions_mut(), None, &tally, decision);
        let response = tally.call(inner, request);
        let label = Some(Label { tally, _mark: mark, decision });
        Self { state: State::Past { response, label } }
    }

    /// Just the service inside.
    pub(crate) fn plain(inner: S, request: Request<ReqB>) -> Self {
        let response = Oneshot::new(inner, request).instrument(Span::none());
        Self { state: State::Past { response, label: None } }
    }

    /// A lookup and what may follow; goes on without its client while `fetching` is set.
    pub(crate) fn fetching(
        shared: &Shared,
        fetching: Arc<AtomicBool>,
        task: impl Future<Output = Result<Response<CacheBody<ResB>>, S::Error>> + Send + 'static,
    ) -> Self {
        let background = shared.values.cache().background().clone();
        let limit = Some(FETCH_ALONE);
        let future = Some(Box::pin(task) as BoxedTask<_>);
        let task = Task { future, polled: false, goes_on: fetching, limit, background, go_on };
        Self { state: State::Task { task } }
    }

    /// Something that goes on to its end without its client.
    pub(crate) fn to_the_end(
        shared: &Shared,
        task: impl Future<Output = Result<Response<CacheBody<ResB>>, S::Error>> + Send + 'static,
    ) -> Self {
        let mut this = Self::fetching(shared, Arc::new(AtomicBool::new(true)), task);
        if let State::Task { task } = &mut this.state {
            task.limit = None;
        }
        this
    }
}

impl<S, ReqB, ResB> Future for ResponseFuture<S, ReqB, ResB>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Output = Result<Response<CacheBody<ResB>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Ready { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
            StateProjection::Past { response, label } => {
                response.poll(context).map_ok(|response| {
                    let mut response = response.map(CacheBody::origin);
                    if let Some(label) = label {
                        label.tally.tell(label.decision, &mut response);
                    }
                    response
                })
            }
            StateProjection::Task { task } => Pin::new(task).poll(context),
        }
    }
}

impl Shared {
    /// The budget of a request: what this cache grants, or what earlier layers have left of it.
    pub(crate) fn budget(&self, extensions: &mut Extensions) -> Budget {
        Budget::of(extensions, self.values.cache().operation_budget())
    }
}

/// A boxed future that may go on in the background when its client has left.
struct Task<T> {
    future: Option<BoxedTask<T>>,
    /// What nobody has begun does not go on.
    polled: bool,
    goes_on: Arc<AtomicBool>,
    /// For how long it goes on.
    limit: Option<Duration>,
    background: Background,
    /// A pointer, because what `T` has to be for this is known only where the task is made.
    go_on: fn(BoxedTask<T>, Option<Duration>, &Background),
}

/// A handler that hangs must not keep its place in the background, which others need, for ever.
pub(crate) const FETCH_ALONE: Duration = Duration::from_secs(60);

type BoxedTask<T> = Pin<Box<dyn Future<Output = T> + Send>>;

fn go_on<T: 'static>(task: BoxedTask<T>, limit: Option<Duration>, background: &Background) {
    let to_its_end = async move {
        match limit {
            Some(limit) => drop(tokio::time::timeout(limit, task).await),
            None => drop(task.await),
        }
    };
    if !background.try_spawn(to_its_end) {
        warn::no_place();
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Out of its place while it is polled: if it panics, it has ended.
        let Some(mut future) = self.future.take() else { return Poll::Pending };
        self.polled = true;
        let output = future.as_mut().poll(context);
        if output.is_pending() {
            self.future = Some(future);
        }
        output
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        let Some(future) = self.future.take() else { return };
        if self.polled && self.goes_on.load(Ordering::Acquire) {
            (self.go_on)(future, self.limit, &self.background);
        }
    }
}

impl<S, ReqB, ResB> fmt::Debug for ResponseFuture<S, ReqB, ResB>
where
    S: Service<Request<ReqB>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
