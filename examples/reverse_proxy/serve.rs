//! Connections: accepting them, serving a Tower stack on each, letting them end.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tower::{Service, ServiceExt};

use crate::body::BoxError;
use crate::client_io::{ClientIo, ResetOnDrop};
use crate::entrance::admit;
use crate::forward::ClientAddress;

/// How long responses in progress may take once the process was told to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// How long to wait after a failed accept: most often there are no file
/// descriptors left, and trying again at once would only burn the processor.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves `stack` until `stop` resolves, then waits for responses in progress.
/// Returns whether all of them got to their end.
pub(crate) async fn serve<S, B>(
    listener: TcpListener,
    stack: S,
    stop: impl Future<Output = ()>,
) -> bool
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    tokio::spawn(connection(stream, client, stack.clone(), graceful.watcher()));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            () = &mut stop => break,
        }
    }
    // From here on connections are refused, not left waiting.
    drop(listener);
    tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_ok()
}

/// Serves one connection, HTTP/1 or HTTP/2, to its end.
async fn connection<S, B>(stream: TcpStream, client: SocketAddr, stack: S, watcher: Watcher)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    // Only matters for latency; if it is refused, so be it.
    let _ = stream.set_nodelay(true);
    let reset = ResetOnDrop::default();
    let io = TokioIo::new(ClientIo::new(stream, reset.clone()));

    let service = {
        let reset = reset.clone();
        service_fn(move |mut request: Request<Incoming>| {
            reset.set(request.version() <= Version::HTTP_10);
            request.extensions_mut().insert(ClientAddress(client.ip()));
            respond(stack.clone(), request)
        })
    };
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new());
    http.http2().timer(TokioTimer::new());
    let served = watcher.watch(http.serve_connection(io, service).into_owned());

    // An error is the client's or the body's; hyper has told whom it can tell.
    // `served` holds the stream: decide about the reset before it goes.
    let mut served = pin!(served);
    if served.as_mut().await.is_ok() {
        reset.set(false);
    }
}

/// Admits a request, and lets the stack answer it.
async fn respond<S, B>(
    stack: S,
    mut request: Request<Incoming>,
) -> Result<Response<Either<B, Full<Bytes>>>, S::Error>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    match admit(&mut request) {
        Ok(()) => Ok(stack.oneshot(request).await?.map(Either::Left)),
        Err(failure) => Ok(failure.response().map(Either::Right)),
    }
}
