//! What handlers take and answer: every refusal is a [`Problem`].

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The query.
pub(super) struct Params<T>(pub(super) T);

/// The parameter `{id}` of the path; the one under which the router is nested may have others.
pub(super) struct Named(pub(super) String);

/// The body, read as JSON; an empty one as an empty object.
pub(super) struct Taken<T>(pub(super) T);

/// An answer as JSON.
pub(super) struct Answer<T>(pub(super) StatusCode, pub(super) T);

const MOST: usize = 64 * 1024;
const IN_TIME: Duration = Duration::from_secs(10);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|no| Problem::bad_request(no.body_text()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = RawPathParams::from_request_parts(parts, state).await;
        let path = path.map_err(|_| Problem::not_found())?;
        // The last: that of the router itself.
        let found = path.iter().filter(|(name, _)| *name == "id").last();
        found.map(|(_, value)| Self(value.to_owned())).ok_or_else(Problem::not_found)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Taken<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let told = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if told.and_then(|told| told.parse().ok()).is_some_and(|told: u64| told > MOST as u64) {
            return Err(Problem::too_large(MOST));
        }
        let reading = tokio::time::timeout(IN_TIME, to_bytes(request.into_body(), MOST)).await;
        let body = reading.map_err(|_| Problem::too_slow())?;
        let body = body.map_err(|_| Problem::too_large(MOST))?;
        let json = if body.is_empty() { &b"{}"[..] } else { &body };
        // A list would do for serde: its first for the first field, and so on.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::bad_request("the body is no JSON object"));
        }
        // serde_json's own words name places, not contents.
        let taken = serde_json::from_slice(json);
        taken.map(Self).map_err(|error| Problem::bad_request(format!("not as expected: {error}")))
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let Ok(json) = serde_json::to_vec(&self.1) else {
            // What is answered is plain: it always can be.
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = self.0;
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

/// 200.
pub(super) fn ok<T>(answer: T) -> Answer<T> {
    Answer(StatusCode::OK, answer)
}
