//! Before and after each request: who may, how often, and what no response goes without.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method};

use super::builder::Shared;
use super::csrf;
use super::principal::{Denied, Principal};
use super::problem::Problem;

/// Fields by which another path or method than that of the request line is asked for. Nothing here
/// takes them; but who sends them hopes that somebody does.
const OVERRIDES: [&str; 6] = [
    "x-original-url",
    "x-rewrite-url",
    "x-original-uri",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Around everything.
pub(super) async fn sealed(request: Request, next: Next) -> Response {
    cache_tower::keep_private(request.extensions());
    let mut response = match refused(&request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(CACHE_CONTROL, fixed("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(REFERRER_POLICY, fixed("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, fixed("DENY"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), fixed("same-origin"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(fixed("default-src 'none'; frame-ancestors 'none'"));
    response
}

fn refused(request: &Request) -> Option<Problem> {
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return Some(Problem::method("GET, POST"));
    }
    let overridden = OVERRIDES.into_iter().find(|name| request.headers().contains_key(*name));
    overridden.map(|name| Problem::bad_request(format!("a request with `{name}` is not answered")))
}

/// Around what needs credentials.
pub(super) async fn authorized(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let changes = parts.method == Method::POST;
    let refused = |who: Option<&Principal>, problem: Problem| {
        if changes {
            shared.refusals.tell(who, parts.uri.path(), problem.status());
        }
        problem.into_response()
    };
    let who = match shared.authorizer.authorize(&parts).await {
        Ok(who) => who,
        Err(denied) => return refused(None, denied.into()),
    };
    if let Err(problem) = admitted(&shared, &who, changes, &parts.headers) {
        return refused(Some(&who), problem);
    }
    parts.extensions.insert(who);
    next.run(Request::from_parts(parts, body)).await
}

fn admitted(
    shared: &Shared,
    who: &Principal,
    changes: bool,
    headers: &http::HeaderMap,
) -> Result<(), Problem> {
    let shown = who.shown();
    shared.requests.take(&shown).map_err(Problem::too_many)?;
    if changes {
        csrf::check(headers, &shared.origins).map_err(|refusal| match refusal {
            csrf::Refusal::CrossSite => Problem::cross_site(),
            csrf::Refusal::NotJson => Problem::not_json(),
        })?;
        shared.changes.take(&shown).map_err(Problem::too_many)?;
    }
    Ok(())
}

/// Who asks, as [`authorized`] has found out.
pub(super) struct Who(pub(super) Principal);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Problem> {
        let who = parts.extensions.get::<Principal>().cloned();
        who.map(Self).ok_or_else(|| Denied::NoCredentials.into())
    }
}

impl Who {
    /// For operators only.
    pub(super) fn operator(&self) -> Result<(), Problem> {
        if self.0.is_operator() {
            return Ok(());
        }
        Err(Problem::forbidden("this is for operators"))
    }
}
