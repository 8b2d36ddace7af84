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
use cache_core::{Event, Events, Key, ScopeKind};
use futures_core::Stream;

use super::builder::Shared;
use super::guard::Who;
use super::model::{self, EventReport, EventScope};
use super::places::Place;
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
    let Some(place) = shared.listeners.take(who.0.scope()) else {
        return Problem::unavailable("as many listen as may").into_response();
    };
    let cache = shared.cache();
    let listener = Listener {
        events: cache.events(),
        closed: Box::pin(cache.closed()),
        who: who.0,
        shared: Arc::clone(&shared),
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
    shared: Arc<Shared>,
    _place: Place,
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
            if !self.is_told(&event) {
                continue;
            }
            if let Some(report) = report(event, &self.who) {
                return Some((report, self));
            }
        }
    }
}

impl Listener {
    fn is_told(&self, event: &Event) -> bool {
        let Some(own) = self.who.scope() else { return true };
        match event {
            Event::Missed { .. } => true,
            Event::Invalidated { scopes, more: 0, .. } if !scopes.is_empty() => {
                let own = Own { workspace: own, first: Key::workspace(own) };
                let responses = self.shared.http.namespaces();
                scopes.iter().all(|scope| own.has(scope, &responses))
            }
            _ => event.is_of_workspace(own),
        }
    }
}

/// What is of a workspace.
struct Own<'w> {
    workspace: &'w str,
    /// How its keys begin.
    first: Key,
}

impl Own<'_> {
    /// The cache itself does not know that patterns over responses begin with a workspace.
    fn has(&self, scope: &cache_core::EventScope, responses: &[String]) -> bool {
        let is_over_responses = || {
            scope.kind == ScopeKind::Pattern
                && scope.namespace.as_ref().is_some_and(|name| responses.contains(name))
        };
        scope.workspace.as_deref() == Some(self.workspace)
            || is_over_responses() && scope.text.split(':').next() == Some(self.first.as_str())
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

/// An event that is for them, as it is told them; `None`: none of those that are told.
fn report(event: Event, who: &Principal) -> Option<EventReport> {
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
