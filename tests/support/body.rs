//! Response bodies that a scripted origin gives: whole, in steps, failing.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tokio::sync::mpsc;

use crate::gate::Gate;

/// What a body may fail with.
pub type BoxError = Box<dyn Error + Send + Sync>;
/// The body of a scripted response.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A whole body; sent with its Content-Length.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A response with a status, header fields (repeated names are kept) and a body.
pub fn respond(status: u16, headers: &[(&str, &str)], body: Body) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body).expect("a valid response")
}

/// [`respond`] with a whole body.
pub fn fixed(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Body> {
    respond(status, headers, full(body))
}

/// A body that the test writes piece by piece, and the end it writes to.
///
/// Sent in chunks unless the response declares a Content-Length.
pub fn channel() -> (BodyWriter, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (BodyWriter(sender), ChannelBody(receiver).boxed_unsync())
}

/// A body of which each chunk waits for `gate` to let it through.
pub fn gated<C: Into<Bytes>>(gate: &Gate, chunks: impl IntoIterator<Item = C>) -> Body {
    let (writer, body) = channel();
    let gate = gate.clone();
    let chunks: Vec<Bytes> = chunks.into_iter().map(Into::into).collect();
    tokio::spawn(async move {
        for chunk in chunks {
            tokio::select! {
                () = gate.pass() => {}
                () = writer.closed() => return,
            }
            if !writer.send(chunk).await {
                return;
            }
        }
    });
    body
}

/// A body that gives `chunks` and then fails, which cuts the connection.
pub fn failing<C: Into<Bytes>>(chunks: impl IntoIterator<Item = C>) -> Body {
    let (writer, body) = channel();
    let chunks: Vec<Bytes> = chunks.into_iter().map(Into::into).collect();
    tokio::spawn(async move {
        for chunk in chunks {
            if !writer.send(chunk).await {
                return;
            }
        }
        writer.fail("the scripted body fails here").await;
    });
    body
}

/// The writing end of a [`channel`]; dropping it ends the body well.
#[derive(Debug)]
pub struct BodyWriter(mpsc::Sender<Result<Bytes, BoxError>>);

impl BodyWriter {
    /// Gives the next piece; false when nobody reads any more.
    pub async fn send(&self, chunk: impl Into<Bytes>) -> bool {
        self.0.send(Ok(chunk.into())).await.is_ok()
    }

    /// Ends the body with an error.
    pub async fn fail(self, why: &str) {
        let _ = self.0.send(Err(why.into())).await;
    }

    /// Waits until the reader has dropped the body.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

struct ChannelBody(mpsc::Receiver<Result<Bytes, BoxError>>);

impl http_body::Body for ChannelBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(context).map(|next| next.map(|chunk| chunk.map(Frame::data)))
    }
}
