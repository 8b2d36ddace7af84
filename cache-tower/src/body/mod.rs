//! Response bodies.
//!
//! - [`CacheBody`]: what a response has: stored bytes, the origin's own body, or a place at a
//!   shared one;
//! - `shared`: an origin's body that is being stored while its client, and those who follow,
//!   read it as it arrives; `reader`: a place at one;
//! - [`QueryBody`]: of requests, where it is part of the key.

mod query;
mod reader;
mod shared;
mod wakers;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pub use query::QueryBody;
pub(crate) use reader::Reader;
pub(crate) use shared::{GiveUp, Keeper, NoPlace, SharedBody};

/// Anything that can be an error's source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// The body of a response that passed the cache.
    #[derive(Debug)]
    pub struct CacheBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    #[derive(Debug)]
    enum Kind<B> {
        Stored { bytes: Option<Bytes> },
        Origin { #[pin] body: B },
        Shared { reader: Reader },
        None,
    }
}

impl<B> CacheBody<B> {
    pub(crate) fn stored(bytes: Bytes) -> Self {
        let bytes = (!bytes.is_empty()).then_some(bytes);
        Self { kind: Kind::Stored { bytes } }
    }

    pub(crate) fn empty() -> Self {
        Self { kind: Kind::Stored { bytes: None } }
    }

    /// Of a response that has none (204, 304). It says nothing of its length, so that no server
    /// says that it is 0: that would be the length of what the client has (RFC 9110 §8.6).
    pub(crate) fn none() -> Self {
        Self { kind: Kind::None }
    }

    pub(crate) fn origin(body: B) -> Self {
        Self { kind: Kind::Origin { body } }
    }

    pub(crate) fn shared(reader: Reader) -> Self {
        Self { kind: Kind::Shared { reader } }
    }
}

impl<B> Body for CacheBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.project().kind.project() {
            KindProjection::Stored { bytes } => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            KindProjection::Origin { body } => {
                body.poll_frame(context).map_err(|error| BodyError::origin(error.into()))
            }
            KindProjection::Shared { reader } => reader.poll_frame(context),
            KindProjection::None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Stored { bytes } => bytes.is_none(),
            Kind::Origin { body } => body.is_end_stream(),
            Kind::Shared { reader } => reader.is_end(),
            Kind::None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Stored { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::Origin { body } => body.size_hint(),
            Kind::Shared { reader } => reader.size_hint(),
            Kind::None => SizeHint::new(),
        }
    }
}

/// Why a body ended early.
#[derive(Clone, Debug)]
pub struct BodyError(Cause);

#[derive(Clone, Debug)]
enum Cause {
    Origin(Arc<dyn std::error::Error + Send + Sync>),
    Cut(&'static str),
}

impl BodyError {
    /// The origin's body failed.
    pub(crate) fn origin(error: BoxError) -> Self {
        Self(Cause::Origin(error.into()))
    }

    /// The cache ends it.
    pub(crate) fn cut(why: &'static str) -> Self {
        Self(Cause::Cut(why))
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Origin(error) => write!(f, "the response body failed: {error}"),
            Cause::Cut(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Cause::Origin(error) => Some(&**error),
            Cause::Cut(_) => None,
        }
    }
}

/// What ends a body after its data.
pub(crate) type Trailers = HeaderMap;
