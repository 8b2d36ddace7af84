//! What the tests share: a cache in memory, and an origin that does what the test tells it to.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cache_core::{Cache, Clock};
use cache_tests::body::{self, Body, BodyWriter};
use cache_tower::{BodyError, CacheBody, CacheLayer, CacheService, HttpCache};
use http::{Request, Response};
use http_body_util::{BodyExt, Collected, Empty};
use tokio::sync::{mpsc, oneshot};
use tower::{Layer, Service, ServiceExt};

/// Nothing here takes this long.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

pub(crate) type Ask = Request<Empty<Bytes>>;
pub(crate) type Answered = Response<CacheBody<Body>>;
pub(crate) type App = CacheService<Origin>;

/// A cache in this process' memory, whose clock stands still.
pub(crate) fn memory() -> Cache {
    Cache::builder().memory().clock(Clock::manual(1_800_000_000_000)).build().expect("valid")
}

/// A response cache with the default settings.
pub(crate) fn http(cache: &Cache) -> HttpCache {
    HttpCache::builder(cache.clone()).build()
}

/// A cached service, and the calls that reach the origin.
pub(crate) fn app(http: &HttpCache) -> (App, Calls) {
    let (origin, calls) = origin();
    (CacheLayer::new(http).layer(origin), calls)
}

pub(crate) fn get(path: &str) -> Ask {
    Request::get(path).header("host", "shop.example").body(Empty::new()).expect("valid")
}

/// The service error of the origin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the origin is down")
    }
}

impl std::error::Error for Down {}

/// An origin: each call waits for the test to answer it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    calls: mpsc::UnboundedSender<Call>,
    count: Arc<AtomicUsize>,
}

/// The calls that reach an origin.
#[derive(Debug)]
pub(crate) struct Calls {
    calls: mpsc::UnboundedReceiver<Call>,
    count: Arc<AtomicUsize>,
}

/// A call that waits for its answer. Dropped, it fails.
#[derive(Debug)]
pub(crate) struct Call {
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
enum Answer {
    Response(Response<Body>),
    Panic,
}

pub(crate) fn origin() -> (Origin, Calls) {
    let (sender, calls) = mpsc::unbounded_channel();
    let count = Arc::<AtomicUsize>::default();
    (Origin { calls: sender, count: Arc::clone(&count) }, Calls { calls, count })
}

impl Service<Ask> for Origin {
    type Response = Response<Body>;
    type Error = Down;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Down>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Down>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Ask) -> Self::Future {
        self.count.fetch_add(1, Ordering::SeqCst);
        let (answer, answered) = oneshot::channel();
        let _ = self.calls.send(Call { answer });
        Box::pin(async move {
            match answered.await {
                Ok(Answer::Response(response)) => Ok(response),
                Ok(Answer::Panic) => panic!("the scripted handler panics here"),
                Err(_) => Err(Down),
            }
        })
    }
}

impl Calls {
    /// The next call.
    pub(crate) async fn next(&mut self) -> Call {
        let call = tokio::time::timeout(LIMIT, self.calls.recv()).await;
        call.expect("a call in time").expect("a service")
    }

    /// How many calls there were.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Answers every call from now on with a cacheable response in these pieces.
    pub(crate) fn answer_all(mut self, pieces: impl IntoIterator<Item = &'static str>) {
        let pieces: Vec<_> = pieces.into_iter().collect();
        tokio::spawn(async move {
            while let Some(call) = self.calls.recv().await {
                let body = call.stream();
                for &piece in &pieces {
                    body.send(piece).await;
                }
            }
        });
    }
}

impl Call {
    pub(crate) fn answer(self, response: Response<Body>) {
        let _ = self.answer.send(Answer::Response(response));
    }

    /// A cacheable response whose body the test writes.
    pub(crate) fn stream(self) -> BodyWriter {
        let (writer, body) = body::channel();
        self.answer(fresh(body));
        writer
    }

    pub(crate) fn fail(self) {
        drop(self);
    }

    pub(crate) fn panic(self) {
        let _ = self.answer.send(Answer::Panic);
    }

    /// Whether somebody still waits for the answer.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }
}

/// A response that may be stored.
pub(crate) fn fresh(body: Body) -> Response<Body> {
    body::respond(200, &[("cache-control", "max-age=600")], body)
}

/// As [`fresh`], with a length of the test's choosing.
pub(crate) fn announced(length: usize, body: Body) -> Response<Body> {
    let length = length.to_string();
    body::respond(200, &[("cache-control", "max-age=600"), ("content-length", &length)], body)
}

/// A request on its way, as a task.
pub(crate) type Going = tokio::task::JoinHandle<Result<Answered, Down>>;

/// Sends a request.
pub(crate) fn send(app: &App, request: Ask) -> Going {
    tokio::spawn(app.clone().oneshot(request))
}

/// The response to a request that was sent.
pub(crate) async fn head(going: Going) -> Answered {
    let response = tokio::time::timeout(LIMIT, going).await.expect("in time");
    response.expect("no panic").expect("no error")
}

/// The next piece of a body; `None` at a clean end.
pub(crate) async fn chunk(response: &mut Answered) -> Option<Result<Bytes, String>> {
    let frame = tokio::time::timeout(LIMIT, response.body_mut().frame()).await.expect("in time")?;
    Some(match frame {
        Ok(frame) => Ok(frame.into_data().unwrap_or_default()),
        Err(error) => Err(error.to_string()),
    })
}

/// A whole body, or why it is none.
pub(crate) fn whole(response: Answered) -> impl Future<Output = Result<Bytes, String>> + Send {
    // Boxed here: within an async function the compiler can't tell that it is `Send`.
    let body: Pin<Box<dyn Future<Output = Result<Collected<Bytes>, BodyError>> + Send>> =
        Box::pin(response.into_body().collect());
    async move {
        let body = tokio::time::timeout(LIMIT, body).await.expect("in time");
        body.map(Collected::to_bytes).map_err(|error| error.to_string())
    }
}

/// What the cache did.
pub(crate) fn cache_status<B>(response: &Response<B>) -> &str {
    let mut fields = response.headers().get_all("cache-status").iter();
    let status = fields.next_back().expect("a Cache-Status");
    status.to_str().expect("text").strip_prefix("cache-tower; ").expect("by this cache")
}

/// Lets all tasks run that can.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Waits until all tables are as they were before the first request.
pub(crate) async fn at_rest(http: &HttpCache) {
    cache_tests::wait::eventually_some(LIMIT, "tables at rest", async || {
        let health = http.cache().health().await;
        let idle = health.in_flight == 0 && health.background_tasks == 0;
        (http.flights() == 0 && idle).then_some(())
    })
    .await;
}
