//! Refusals: `application/problem+json` (RFC 9457).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use cache_core::{Error, ErrorKind};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};

use super::model;
use super::principal::Denied;

/// A refusal: a status, and a sentence that says what was wrong.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    field: Option<(HeaderName, HeaderValue)>,
}

/// What to authenticate with.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"cache admin\"");

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), field: None }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.field = Some((name, value));
        self
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// Nothing is here; or nothing that the caller may know of.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing here")
    }

    pub(super) fn method(allowed: &'static str) -> Self {
        let detail = format!("only {allowed} is answered here");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, detail)
            .with(ALLOW, HeaderValue::from_static(allowed))
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let detail = format!("a body has at most {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub(super) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
    }

    pub(super) fn not_json() -> Self {
        let detail = "what changes something has to say `Content-Type: application/json`";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    pub(super) fn cross_site() -> Self {
        Self::forbidden("the request comes from a page of another origin")
    }

    pub(super) fn too_many(seconds: u64) -> Self {
        let detail = format!("too many requests: try again in {seconds} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).with(RETRY_AFTER, seconds.into())
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(RETRY_AFTER, 1.into())
    }

    /// Of the cache, told to somebody who operates it, or not.
    pub(super) fn of_cache(error: &Error, operator: bool) -> Self {
        let detail = if operator { error.to_string() } else { "the store is away".to_owned() };
        match error.kind() {
            ErrorKind::Config => Self::unprocessable(detail),
            _ => Self::unavailable(detail),
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let unauthorized = |detail: &str| {
            Self::new(StatusCode::UNAUTHORIZED, detail).with(WWW_AUTHENTICATE, CHALLENGE)
        };
        match denied {
            Denied::NoCredentials => unauthorized("this needs credentials"),
            Denied::WrongCredentials => unauthorized("these credentials are not right"),
            Denied::Forbidden => Self::forbidden("this is not for you"),
            Denied::Unavailable => Self::unavailable("credentials can't be checked now"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let problem = model::Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response.headers_mut().extend(self.field);
        response
    }
}
