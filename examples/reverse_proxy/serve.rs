//! Connections: accepting them, serving a Tower stack on each, letting them end.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
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
use tokio::sync::Notify;
use tower::{Service, ServiceExt};

use crate::body::BoxError;
use crate::client_io::{ClientIo, ResetOnDrop};
use crate::entrance::admit;
use crate::forward::ClientAddress;

/// How long responses in progress may take once the process was told to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a new connection may be without a request: hyper's own limits begin with the first byte.
const SILENCE: Duration = Duration::from_secs(30);
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

    let asked = Arc::new(Notify::new());
    let service = {
        let (reset, asked) = (reset.clone(), Arc::clone(&asked));
        service_fn(move |mut request: Request<Incoming>| {
            asked.notify_one();
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
    let silent = async {
        if tokio::time::timeout(SILENCE, asked.notified()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        served = served.as_mut() => if served.is_ok() { reset.set(false) },
        () = silent => {}
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// A connection on which nothing was ever sent stayed open for ever.
    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_ends() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut client = TcpStream::connect(listener.local_addr()?).await?;
        let (stream, address) = listener.accept().await?;
        let stack = tower::service_fn(async |_: Request<Incoming>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let graceful = GracefulShutdown::new();
        tokio::spawn(connection(stream, address, stack, graceful.watcher()));
        let end = tokio::time::timeout(2 * SILENCE, client.read(&mut [0])).await;
        assert_eq!(end.expect("in time")?, 0);
        Ok(())
    }
}
