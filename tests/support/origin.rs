//! A scripted HTTP/1.1 origin on a real socket that remembers what it was asked.
//!
//! For what hyper would never send (wrong lengths, broken heads) see [`raw_origin`].
//!
//! [`raw_origin`]: crate::raw_origin

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use crate::acceptor::Acceptor;
use crate::body::Body;

const LIMIT: Duration = Duration::from_secs(10);

/// A request as it arrived at the origin.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its method.
    pub method: Method,
    /// Its target, as sent.
    pub uri: Uri,
    /// Its header fields.
    pub headers: HeaderMap,
}

impl Recorded {
    /// The first value of a field, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A running origin; dropping it closes its port and every connection.
#[derive(Debug)]
pub struct Origin {
    acceptor: Acceptor,
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log {
    requests: Mutex<Vec<Recorded>>,
    count: watch::Sender<usize>,
}

impl Origin {
    /// Starts an origin that answers with `handler`.
    ///
    /// Each request is recorded before `handler` is called. A body that fails cuts the
    /// connection. hyper adds `Date` and, for whole bodies, `Content-Length`.
    pub async fn start<F, Fut>(handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        let log = Arc::new(Log::default());
        let shared = (Arc::new(handler), Arc::clone(&log));
        let acceptor = Acceptor::start(move |stream, _| {
            let (handler, log) = shared.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                log.record(&request);
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            async move {
                // an error here is a client that left or a body that failed by script
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await;
        Self { acceptor, log }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.acceptor.addr()
    }

    /// `http://ADDR` followed by `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr())
    }

    /// Every request so far, in order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.log.requests().clone()
    }

    /// How many requests arrived.
    pub fn count(&self) -> usize {
        self.log.requests().len()
    }

    /// Forgets the requests so far.
    pub fn clear(&self) {
        let mut requests = self.log.requests();
        requests.clear();
        self.log.count.send_replace(0);
    }

    /// Waits until at least `count` requests have arrived; panics after ten seconds.
    pub async fn arrived(&self, count: usize) {
        let mut seen = self.log.count.subscribe();
        let arrived = tokio::time::timeout(LIMIT, seen.wait_for(|now| *now >= count)).await;
        assert!(arrived.is_ok(), "{} of {count} requests arrived at the origin", self.count());
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.acceptor.accepted()
    }

    /// Closes the port and every connection, and waits until that is done.
    pub async fn stop(mut self) {
        self.acceptor.stop().await;
    }
}

impl Log {
    fn record(&self, request: &Request<Incoming>) {
        let mut requests = self.requests();
        requests.push(Recorded {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        });
        self.count.send_replace(requests.len());
    }

    fn requests(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
