//! QUERY (RFC 10008): its body is read first, because it is part of the key.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use tower::Service;

use crate::body::{BoxError, CacheBody, QueryBody};
use crate::config::Shared;
use crate::flow::entrance::{self, Entrance, look};
use crate::flow::fetch::pass;
use crate::flow::{fill, refresh};
use crate::layer::SiteRules;
use crate::policy::{Admitted, BypassReason};
use crate::report::status::Decision;
use crate::report::tally::Tally;
use crate::request::content::ContentDigest;
use crate::request::partition::Resolved;

/// A QUERY whose body is to be read.
pub(crate) struct Query {
    pub(crate) admitted: Admitted,
    pub(crate) partition: Resolved<'static>,
    /// As [`Ask::fetching`](crate::flow::lookup::Ask::fetching).
    pub(crate) fetching: Arc<AtomicBool>,
    /// A client that leaves while it sends the body is counted too.
    pub(crate) tally: Tally,
}

impl Query {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        admitted: Admitted,
        partition: Resolved<'static>,
    ) -> Self {
        let tally = Tally::new(shared, Decision::Unanswered);
        Self { admitted, partition, fetching: Arc::default(), tally }
    }
}

/// A body that was read as far as it goes into the key.
pub(crate) enum Gathered<B> {
    Whole { digest: ContentDigest, body: B },
    Past { why: BypassReason, body: B },
}

/// Reads a body of up to `limit` bytes.
pub(crate) async fn gather<B>(
    source: B,
    limit: usize,
    body: impl Fn(QueryBody<B>) -> B,
) -> Gathered<B>
where
    B: Body<Data = Bytes>,
{
    if source.size_hint().lower() > limit as u64 {
        return Gathered::Past { why: BypassReason::QueryTooLarge, body: source };
    }
    let mut source = Box::pin(source);
    // One piece: many small ones may each hold a large buffer.
    let mut read = BytesMut::new();
    let (why, next) = loop {
        let Some(frame) = source.frame().await else {
            let digest = Sha256::digest(&read).into();
            return Gathered::Whole { digest, body: body(QueryBody::whole(read.freeze())) };
        };
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) if data.len() <= limit.saturating_sub(read.len()) => {
                read.extend_from_slice(&data);
            }
            Ok(Ok(data)) => break (BypassReason::QueryTooLarge, Ok(Frame::data(data))),
            Ok(Err(trailers)) => break (BypassReason::QueryTrailers, Ok(trailers)),
            Err(error) => break (BypassReason::QueryFailed, Err(error)),
        }
    };
    Gathered::Past { why, body: body(QueryBody::begun(read.freeze(), next, source)) }
}

/// Reads the body of a QUERY, then answers it as a GET is answered.
pub(crate) async fn serve<S, ReqB, ResB>(
    shared: Arc<Shared>,
    site: Arc<SiteRules>,
    inner: S,
    request: Request<ReqB>,
    query: Box<Query>,
) -> Result<Response<CacheBody<ResB>>, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ReqB: Body + Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let reading = match &shared.options.queries {
        Some(queries) => queries.read(body),
        None => Err(body),
    };
    let gathered = match reading {
        Ok(reading) => reading.await,
        Err(body) => Gathered::Past { why: BypassReason::QueryType, body },
    };
    let Query { admitted, partition, fetching, tally } = *query;
    tally.hand_over();
    let (digest, body) = match gathered {
        Gathered::Whole { digest, body } => (digest, body),
        Gathered::Past { why, body } => {
            let asked = admitted.seen.directives.then_some(&parts.headers);
            if let Entrance::Answered(response) = entrance::past(&shared, why, asked) {
                return Ok(response);
            }
            let request = Request::from_parts(parts, body);
            let decision = Decision::Bypass(why);
            return pass(&Tally::new(&shared, decision), inner, request, decision).await;
        }
    };
    let request = Request::from_parts(parts, body);
    match look(&shared, &site, &request, admitted, partition, Some(&digest)) {
        Entrance::Answered(response) => Ok(response),
        Entrance::Stale(response, refresh) => {
            if let Some((ask, refreshing)) = refresh {
                refresh::spawn(ask, inner, request, refreshing);
            }
            Ok(response)
        }
        Entrance::Lookup(mut ask) => {
            ask.fetching = fetching;
            fill::serve(ask, inner, request).await
        }
        Entrance::Past(decision) => {
            pass(&Tally::new(&shared, decision), inner, request, decision).await
        }
        // What is not found by looking.
        Entrance::Unsafe(_) | Entrance::Post(..) | Entrance::Query(_) => {
            let decision = Decision::Bypass(BypassReason::Method);
            pass(&Tally::new(&shared, decision), inner, request, decision).await
        }
    }
}
