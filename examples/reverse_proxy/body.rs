//! The bodies that pass through the proxy.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::sync::Notify;

/// Any error of any body.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a response: the upstream's as it arrives, or our own.
pub(crate) type ProxyBody = Either<Incoming, Full<Bytes>>;

/// The body of a request on its way to the upstream.
pub(crate) type Upload = UnsyncBoxBody<Bytes, BoxError>;

/// Makes an upload of any body; `progress` is notified of each part that is
/// read, and of the end.
pub(crate) fn upload<B>(body: B, progress: Arc<Notify>) -> Upload
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    Watched { body, progress }.map_err(Into::into).boxed_unsync()
}

pin_project! {
    /// A body that tells when it moves.
    struct Watched<B> {
        #[pin]
        body: B,
        progress: Arc<Notify>,
    }
}

impl<B: Body> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        this.progress.notify_one();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
