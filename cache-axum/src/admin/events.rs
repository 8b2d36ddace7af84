//! `GET /events`: what happens, as it happens (server-sent events).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use cache_core::store::BoxFuture;
use cache_core::{Event, Events};
use futures_core::Stream;
use tokio::sync::OwnedSemaphorePermit;

use super::builder::Shared;
use super::guard::Who;
use super::model::{self, EventReport, EventScope};
use super::principal::Principal;
use super::problem::Problem;

/// What keeps proxies from taking a quiet stream for a dead one.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What happens: invalidations, versions, the breaker, a sample of decisions about requests.
#[utoipa::path(
    get,
    path = "/events",
    tag = "events",
    responses(
        (status = 200, description = "One `EventReport` after the other, until the cache is shut down", body = EventReport, content_type = "text/event-stream"),
        (status = 503, description = "Too many listen", body = model::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(State(shared): State<Arc<Shared>>, who: Who) -> Response {
    let Ok(place) = Arc::clone(&shared.listeners).try_acquire_owned() else {
        return Problem::unavailable("as many listen as may").into_response();
    };
    let cache = shared.cache();
    let listener = Listener {
        events: cache.events(),
        closed: Box::pin(cache.closed()),
        who: who.0,
        _place: place,
    };
    let told = Told { next: Some(Box::pin(listener.next())) };
    Sse::new(told).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// Somebody who is told.
struct Listener {
    events: Events,
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
    who: Principal,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next event that is for them; `None` at the end.
    async fn next(mut self) -> Option<(EventReport, Self)> {
        loop {
            let event = tokio::select! {
                biased;
                () = &mut self.closed => return None,
                event = self.events.next() => event?,
            };
            if let Some(report) = report(event, &self.who) {
                return Some((report, self));
            }
        }
    }
}

/// All that they are told.
struct Told {
    next: Option<BoxFuture<'static, Option<(EventReport, Listener)>>>,
}

impl Stream for Told {
    type Item = Result<Sent, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(next) = &mut self.next else { return Poll::Ready(None) };
            let told = ready!(next.as_mut().poll(context));
            self.next = None;
            let Some((report, listener)) = told else { return Poll::Ready(None) };
            self.next = Some(Box::pin(listener.next()));
            // One line, since JSON escapes the ends of others.
            if let Ok(json) = serde_json::to_string(&report) {
                let sent = Sent::default().event(name(&report)).data(json);
                return Poll::Ready(Some(Ok(sent)));
            }
        }
    }
}

fn name(report: &EventReport) -> &'static str {
    match report {
        EventReport::Invalidated { .. } => "invalidated",
        EventReport::VersionBumped { .. } => "version_bumped",
        EventReport::Breaker { .. } => "breaker",
        EventReport::Decision { .. } => "decision",
        EventReport::Missed { .. } => "missed",
    }
}

/// An event as it is told them; `None`: it is not for them.
fn report(event: Event, who: &Principal) -> Option<EventReport> {
    if let Some(own) = who.scope()
        && !event.is_of_workspace(own)
        && !matches!(event, Event::Missed { .. })
    {
        return None;
    }
    let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    Some(match event {
        Event::Invalidated { at, scopes, more, outcome, soft, removed, took_us } => {
            let scope = |scope: cache_core::EventScope| EventScope {
                kind: scope.kind.as_str().to_owned(),
                namespace: scope.namespace,
                workspace: scope.workspace,
                text: scope.text,
            };
            EventReport::Invalidated {
                at,
                scopes: scopes.into_iter().map(scope).collect(),
                more: size(more),
                outcome: outcome.as_str().to_owned(),
                soft,
                removed,
                took_us,
            }
        }
        Event::VersionBumped { at, namespace, version } => {
            EventReport::VersionBumped { at, namespace, version }
        }
        Event::Breaker { at, state, reason } => {
            EventReport::Breaker { at, state: state.into(), reason }
        }
        Event::Decision { at, namespace, layer, decision, detail, workspace, left_out } => {
            // How much the others do is not theirs to know.
            let left_out = if who.is_operator() { left_out } else { 0 };
            EventReport::Decision { at, namespace, layer, decision, detail, workspace, left_out }
        }
        // Of whom they were, is lost with them.
        Event::Missed { count } => {
            EventReport::Missed { count: if who.is_operator() { count } else { 0 } }
        }
        _ => return None,
    })
}
