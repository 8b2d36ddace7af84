//! An application that counts how often it is asked, with and without a cache.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use cache_core::{Cache, Clock};
use cache_tower::{CacheLayer, HttpCache};
use http::header::CACHE_CONTROL;
use http_body::Frame;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

/// How every body begins, and how it ends. No header holds them.
pub(crate) const FIRST: &[u8] = b"<first>";
pub(crate) const LAST: &[u8] = b"<last>";

/// What the slow ones take.
pub(crate) const TAKES: Duration = Duration::from_millis(100);

struct Origin {
    calls: AtomicUsize,
    /// A permit for each body that may end.
    ends: Arc<Semaphore>,
}

/// The application, listening.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    origin: Arc<Origin>,
}

impl Server {
    pub(crate) async fn bare() -> Self {
        Self::serve(|app| app).await
    }

    pub(crate) async fn cached(clock: &Clock) -> Self {
        let cache = Cache::builder().memory().clock(clock.clone()).build().unwrap();
        let http = HttpCache::builder(cache).build();
        Self::serve(|app| app.layer(CacheLayer::new(&http))).await
    }

    async fn serve(wrap: impl FnOnce(Router) -> Router) -> Self {
        let origin =
            Arc::new(Origin { calls: AtomicUsize::new(0), ends: Arc::new(Semaphore::new(0)) });
        let app = Router::new()
            .route("/whole/{n}", get(whole))
            .route("/held/{n}", get(held))
            .route("/slow/{n}", get(slow))
            .route("/no-store/{n}", get(no_store))
            .route("/stale/{n}", get(stale))
            .with_state(Arc::clone(&origin));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Else a second piece waits for the client's acknowledgement of the first.
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
        let app = wrap(app);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, origin }
    }

    /// How often it was asked since this was last read.
    pub(crate) fn calls(&self) -> usize {
        self.origin.calls.swap(0, Ordering::SeqCst)
    }

    /// Until it has been asked.
    pub(crate) async fn asked(&self) {
        while self.origin.calls.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets one body come to its end.
    pub(crate) fn let_end(&self) {
        self.origin.ends.add_permits(1);
    }
}

type Asked = State<Arc<Origin>>;

impl Origin {
    fn count(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }
}

/// 1 KiB at once.
async fn whole(State(origin): Asked) -> Response {
    origin.count();
    respond("max-age=3600", all())
}

/// The first half at once, the other when it is allowed to end.
async fn held(State(origin): Asked) -> Response {
    origin.count();
    respond("max-age=3600", halves(&origin))
}

/// The same, later.
async fn slow(State(origin): Asked) -> Response {
    origin.count();
    sleep(TAKES).await;
    respond("max-age=3600", halves(&origin))
}

async fn no_store(State(origin): Asked) -> Response {
    origin.count();
    sleep(TAKES).await;
    respond("no-store", all())
}

async fn stale(State(origin): Asked) -> Response {
    origin.count();
    sleep(TAKES).await;
    respond("max-age=1, stale-while-revalidate=600", all())
}

fn respond(cache_control: &'static str, body: Body) -> Response {
    Response::builder().header(CACHE_CONTROL, cache_control).body(body).unwrap()
}

fn half(mark: &[u8], at_the_end: bool) -> Bytes {
    let filler = [b'x'; 505];
    if at_the_end { [&filler, mark].concat().into() } else { [mark, &filler].concat().into() }
}

fn all() -> Body {
    Body::from([half(FIRST, false), half(LAST, true)].concat())
}

fn halves(origin: &Origin) -> Body {
    let (give, take) = mpsc::channel(2);
    let ends = Arc::clone(&origin.ends);
    tokio::spawn(async move {
        // It fails where nobody reads any more.
        let _ = give.send(half(FIRST, false)).await;
        ends.acquire().await.unwrap().forget();
        let _ = give.send(half(LAST, true)).await;
    });
    Body::new(Pieces(take))
}

/// A body that comes bit by bit.
struct Pieces(mpsc::Receiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
