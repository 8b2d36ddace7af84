//! tonic: a gRPC service under the layer. Its calls are POSTs of HTTP/2 whose outcome is in their
//! trailers: all of it passes untouched, and nothing of it is kept.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use cache_core::minutes;
use cache_tower::{CacheLayer, HttpCache};
use futures_core::Stream;
use http::uri::PathAndQuery;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};
use tower::{Service, ServiceBuilder, service_fn};

use super::clients::{Server, Speaks, connect, serve};
use super::{Calls, HIT, MISS, at_rest, in_memory};

/// Messages as they are, so that no compiler of protocol buffers is needed.
#[derive(Clone, Copy, Debug, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}

/// Messages that the test sends.
struct Messages(mpsc::UnboundedReceiver<Result<Bytes, Status>>);

impl Stream for Messages {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

type Streams = mpsc::UnboundedSender<mpsc::UnboundedSender<Result<Bytes, Status>>>;

/// `/shop.Shop/Count` answers with the request and which call it is, `/shop.Shop/Watch` with what
/// the test sends; a GET is no gRPC.
async fn shop(http: &HttpCache, calls: &Calls, streams: Streams) -> Server {
    let calls = calls.clone();
    let answer = move |request: Request<Incoming>| {
        let (calls, streams) = (calls.clone(), streams.clone());
        async move {
            if request.method() == Method::GET {
                let body = format!("page {}", calls.next());
                return Ok(Response::new(tonic::body::Body::new(http_body_util::Full::from(body))));
            }
            let mut grpc = tonic::server::Grpc::new(Plain);
            let answer = if request.uri().path() == "/shop.Shop/Count" {
                let count = service_fn(move |asked: tonic::Request<Bytes>| {
                    let call = calls.next();
                    async move {
                        if asked.get_ref().is_empty() {
                            return Err(Status::invalid_argument("nothing asked"));
                        }
                        let text = String::from_utf8_lossy(asked.get_ref());
                        Ok(tonic::Response::new(Bytes::from(format!("{text} {call}"))))
                    }
                });
                grpc.unary(count, request).await
            } else {
                let watch = service_fn(move |_: tonic::Request<Bytes>| {
                    let (sender, messages) = mpsc::unbounded_channel();
                    streams.send(sender).expect("the test listens");
                    async move { Ok(tonic::Response::new(Messages(messages))) }
                });
                grpc.server_streaming(watch, request).await
            };
            Ok::<_, std::convert::Infallible>(answer)
        }
    };
    let service = ServiceBuilder::new().layer(CacheLayer::new(http)).service(service_fn(answer));
    serve(Speaks::Http2, service).await
}

/// tonic's client on a connection of hyper's.
async fn client(
    server: &Server,
) -> tonic::client::Grpc<
    impl Service<
        Request<tonic::body::Body>,
        Response = Response<Incoming>,
        Error = hyper::Error,
        Future: Send,
    >,
> {
    let sender = connect::<tonic::body::Body>(server.addr).await;
    let send = service_fn(move |request| sender.clone().send_request(request));
    let origin = format!("http://{}", server.addr).parse().expect("a URI");
    tonic::client::Grpc::with_origin(send, origin)
}

fn path(path: &'static str) -> PathAndQuery {
    PathAndQuery::from_static(path)
}

#[tokio::test]
async fn calls_pass_with_their_trailers_and_are_never_kept() {
    // Though everything that could be kept is.
    let http = in_memory(|builder| builder.route("/{*any}", minutes(5)).store_posts(true));
    let calls = Calls::default();
    let server = shop(&http, &calls, mpsc::unbounded_channel().0).await;
    let mut client = client(&server).await;
    for call in 1..=3 {
        client.ready().await.expect("ready");
        let asked = tonic::Request::new(Bytes::from("tea"));
        let answer = client.unary(asked, path("/shop.Shop/Count"), Plain).await.expect("status 0");
        assert_eq!(*answer.get_ref(), format!("tea {call}"));
        // tonic puts what it has of headers and trailers together.
        let metadata = answer.metadata();
        assert_eq!(metadata.get("grpc-status").expect("a trailer"), "0");
        assert_eq!(metadata.get("cache-status").expect("told"), "cache-tower; fwd=method");
    }
    client.ready().await.expect("ready");
    let asked = tonic::Request::new(Bytes::new());
    let status = client.unary(asked, path("/shop.Shop/Count"), Plain).await.expect_err("refused");
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "nothing asked"));
    assert_eq!((http.stats().hits, http.stats().bypasses), (0, 4));
}

#[tokio::test]
async fn streams_of_messages_come_one_by_one() {
    let http = in_memory(|builder| builder.route("/{*any}", minutes(5)));
    let (streams, mut opened) = mpsc::unbounded_channel();
    let server = shop(&http, &Calls::default(), streams).await;
    let mut client = client(&server).await;
    client.ready().await.expect("ready");
    let asked = tonic::Request::new(Bytes::from("tea"));
    let answer = client.server_streaming(asked, path("/shop.Shop/Watch"), Plain).await;
    let mut messages = answer.expect("answered").into_inner();
    let sender = opened.recv().await.expect("a call");
    for text in ["one", "two"] {
        sender.send(Ok(Bytes::from(text))).expect("somebody listens");
        assert_eq!(messages.message().await.expect("no error").expect("a message"), text);
    }
    sender.send(Err(Status::resource_exhausted("no tea"))).expect("somebody listens");
    let status = messages.message().await.expect_err("in the trailers");
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "no tea"));
}

/// What is no call, on the same port, is cached as ever.
#[tokio::test]
async fn pages_beside_the_calls_are_cached() {
    let http = in_memory(|builder| builder.route("/pages/{page}", minutes(5)));
    let calls = Calls::default();
    let server = shop(&http, &calls, mpsc::unbounded_channel().0).await;
    let mut sender = connect::<http_body_util::Empty<Bytes>>(server.addr).await;
    for told in [MISS, HIT] {
        let request = Request::get(format!("http://{}/pages/1", server.addr));
        let request = request.body(http_body_util::Empty::new()).expect("valid");
        let response = sender.send_request(request).await.expect("answered");
        assert_eq!(response.headers()["cache-status"], told);
        let body = response.into_body().collect().await.expect("a whole body").to_bytes();
        assert_eq!(body, "page 1");
        at_rest(&http).await;
    }
}
