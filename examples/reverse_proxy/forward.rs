//! To the upstream and back, as a Tower service.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use http_body_util::Either;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Notify;
use tower::Service;

use crate::body::{BoxError, ProxyBody, Upload, upload};
use crate::failure::Failure;
use crate::headers::{
    append_forwarded_for, append_via, has_unknown_coding, join_lengths, strip_hop_by_hop,
};
use crate::upstream::Upstream;

/// How long the upstream may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may then be silent before the head of its response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Idle connections go before the upstream closes them (5 s is a common limit):
/// a request on a connection that is just being closed is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How many idle connections to keep.
const IDLE_CONNECTIONS: usize = 256;

/// Who sent a request; an extension of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Sends requests to the upstream; cheap to clone.
///
/// Bodies stream in both directions. It never fails: where there is no response
/// to pass on, it makes one (see [`Failure`]). Requests are expected to be in
/// the form that `entrance.rs` gives them.
#[derive(Debug, Clone)]
pub(crate) struct Forward {
    client: Client<HttpConnector, Upload>,
    upstream: Arc<Upstream>,
}

impl Forward {
    /// Makes a pool of connections to `upstream`; it opens them when needed.
    pub(crate) fn new(upstream: Upstream) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Self { client, upstream: Arc::new(upstream) }
    }

    async fn exchange(
        self,
        mut request: Request<Upload>,
        progress: Arc<Notify>,
    ) -> Result<Response<Incoming>, Failure> {
        prepare(&mut request, &self.upstream)?;
        let mut response = pin!(self.client.request(request));
        loop {
            tokio::select! {
                result = &mut response => {
                    return result.map_err(|error| reason(&error)).and_then(pass_on);
                }
                // As long as the upload moves, it isn't the upstream's turn.
                () = progress.notified() => {}
                () = tokio::time::sleep(RESPONSE_TIMEOUT) => return Err(Failure::ResponseTimeout),
            }
        }
    }
}

impl<B> Service<Request<B>> for Forward
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ProxyBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        let progress = Arc::new(Notify::new());
        let request = request.map(|body| upload(body, Arc::clone(&progress)));
        Box::pin(async move {
            Ok(match this.exchange(request, progress).await {
                Ok(response) => response.map(Either::Left),
                Err(failure) => failure.response().map(Either::Right),
            })
        })
    }
}

/// Turns a request to us into one to the upstream.
fn prepare<B: Body>(request: &mut Request<B>, upstream: &Upstream) -> Result<(), Failure> {
    let uri = upstream.uri_for(request.uri()).ok_or(Failure::BadTarget)?;
    let version = std::mem::replace(request.version_mut(), Version::HTTP_11);
    *request.uri_mut() = uri;
    let client = request.extensions().get::<ClientAddress>().copied();

    // hyper takes it that a GET without a length has no body.
    let body = request.body();
    let chunked = !body.is_end_stream() && body.size_hint().exact().is_none();
    let headers = request.headers_mut();
    if chunked && !headers.contains_key(CONTENT_LENGTH) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    append_via(headers, version);
    if let Some(ClientAddress(address)) = client {
        append_forwarded_for(headers, address);
    }
    Ok(())
}

/// Turns the upstream's response into ours.
fn pass_on(mut response: Response<Incoming>) -> Result<Response<Incoming>, Failure> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failure::UnexpectedUpgrade);
    }
    if has_unknown_coding(response.headers()) {
        return Err(Failure::CodedResponse);
    }
    // Ours is HTTP/1.1 even if the upstream's is older: the body then goes out
    // in chunks, and its end can be told from a broken connection.
    let version = std::mem::replace(response.version_mut(), Version::HTTP_11);
    strip_hop_by_hop(response.headers_mut());
    join_lengths(response.headers_mut());
    append_via(response.headers_mut(), version);
    Ok(response)
}

/// What an error of the client means for a request.
fn reason(error: &ClientError) -> Failure {
    if error.is_connect() {
        let timed_out = causes(error).any(|cause| {
            cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut)
        });
        return if timed_out { Failure::ConnectTimeout } else { Failure::Unreachable };
    }
    // What hyper calls the user's fault is an upload that failed.
    let by_upload = causes(error)
        .any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_user));
    if by_upload { Failure::UploadFailed } else { Failure::BadResponse }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_layer_can_wrap_it() {
        fn layered<S>(_: &S)
        where
            S: Service<Request<Incoming>, Response = Response<ProxyBody>, Error = Infallible>
                + Service<Request<Upload>>
                + Clone
                + Send
                + Sync
                + 'static,
        {
        }
        let upstream = "http://a".parse().expect("valid");
        layered(&Forward::new(upstream));
    }
}
