//! The body of a request whose content is part of the key: read ahead, then given on as it came.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The body of a QUERY that the cache has read, or begun to read: what was read, then the rest.
///
/// It gives the same bytes, trailers and errors as the body it was made of; its pieces may be
/// others. The service inside gets it in the form that
/// [`query_bodies_with`](crate::HttpCacheBuilder::query_bodies_with) makes of it.
pub struct QueryBody<B: Body<Data = Bytes>> {
    read: Option<Bytes>,
    /// With which reading ended early.
    next: Option<Result<Frame<Bytes>, B::Error>>,
    rest: Option<Pin<Box<B>>>,
}

// None of it is pinned in place.
impl<B: Body<Data = Bytes>> Unpin for QueryBody<B> {}

impl<B: Body<Data = Bytes>> QueryBody<B> {
    /// It was read to its end.
    pub(crate) fn whole(read: Bytes) -> Self {
        Self { read: Some(read).filter(|read| !read.is_empty()), next: None, rest: None }
    }

    /// Reading ended with `next`, and goes on in `rest`.
    pub(crate) fn begun(
        read: Bytes,
        next: Result<Frame<Bytes>, B::Error>,
        rest: Pin<Box<B>>,
    ) -> Self {
        Self { next: Some(next), rest: Some(rest), ..Self::whole(read) }
    }
}

impl<B: Body<Data = Bytes>> Body for QueryBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(read) = self.read.take() {
            return Poll::Ready(Some(Ok(Frame::data(read))));
        }
        if let Some(next) = self.next.take() {
            return Poll::Ready(Some(next));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let frame = ready!(rest.as_mut().poll_frame(context));
        if frame.is_none() {
            self.rest = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_none()
            && self.next.is_none()
            && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let next = self.next.as_ref().and_then(|next| next.as_ref().ok()?.data_ref());
        let read = self.read.as_ref().map_or(0, Bytes::len) + next.map_or(0, Bytes::len);
        let read = read as u64;
        let rest = self.rest.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(read.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(read.saturating_add(upper));
        }
        hint
    }
}

impl<B: Body<Data = Bytes>> fmt::Debug for QueryBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryBody")
            .field("read", &self.read.as_ref().map_or(0, Bytes::len))
            .field("whole", &self.rest.is_none())
            .finish_non_exhaustive()
    }
}
