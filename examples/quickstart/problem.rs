//! Errors as clients see them: `application/problem+json` (RFC 9457).

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use cache_core::ComputeError;
use cache_examples::process::complain;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::db::DbError;

/// A refusal: a status and a sentence that says what to do about it.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    /// The request can't be understood.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, detail: detail.into() }
    }

    /// The request is understood, but its content isn't acceptable.
    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, detail: detail.into() }
    }

    /// There is nothing here.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, detail: detail.into() }
    }
}

impl Problem {
    fn unavailable(detail: &str) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, detail: detail.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Json(json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        }))
        .into_response();
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl From<DbError> for Problem {
    /// The reason is for our log, not for clients.
    fn from(error: DbError) -> Self {
        complain(format_args!("database: {error}"));
        Self::unavailable("the database can't answer right now")
    }
}

impl From<ComputeError<DbError>> for Problem {
    /// Whoever waited for the value is told the same.
    fn from(error: ComputeError<DbError>) -> Self {
        complain(format_args!("computing: {error}"));
        Self::unavailable("this can't be worked out right now")
    }
}

impl From<cache_core::Error> for Problem {
    /// The cache refuses. (That it is away is no error.)
    fn from(error: cache_core::Error) -> Self {
        complain(format_args!("cache: {error}"));
        Self::unavailable("what has changed may not be seen everywhere yet")
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self { status: rejection.status(), detail: rejection.body_text() }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self { status: rejection.status(), detail: rejection.body_text() }
    }
}

impl From<PathRejection> for Problem {
    /// What isn't a number can't be the id of a campaign.
    fn from(_: PathRejection) -> Self {
        Self::not_found("the id of a campaign is a whole number")
    }
}
