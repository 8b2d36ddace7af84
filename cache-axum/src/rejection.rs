//! Why a request is refused by an extractor: plain text that says what is wrong with it, as axum's
//! own rejections.
//!
//! ```
//! use axum::response::{IntoResponse, Response};
//! use cache_axum::{WorkspaceId, WorkspaceRejection};
//!
//! // In words of one's own.
//! async fn handler(workspace: Result<WorkspaceId, WorkspaceRejection>) -> Response {
//!     match workspace {
//!         Ok(WorkspaceId(name)) => format!("hello {name}").into_response(),
//!         Err(WorkspaceRejection::Missing(_)) => "who are you?".into_response(),
//!         Err(other) => other.into_response(),
//!     }
//! }
//! # let _ = handler;
//! ```

use std::error::Error;
use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cache_tower::WorkspaceError;

/// What [`WorkspaceId`](crate::WorkspaceId) refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkspaceRejection {
    /// A request that names no workspace.
    Missing(MissingWorkspace),
    /// A request that names what can't be one.
    Invalid(InvalidWorkspace),
}

/// The request names no workspace: `400 Bad Request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingWorkspace {
    pub(crate) place: String,
}

/// What the request names as its workspace can't be one: `400 Bad Request`. The name is not repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidWorkspace {
    pub(crate) error: WorkspaceError,
    pub(crate) place: String,
}

impl WorkspaceRejection {
    /// What the response says.
    pub fn body_text(&self) -> String {
        match self {
            Self::Missing(missing) => missing.body_text(),
            Self::Invalid(invalid) => invalid.body_text(),
        }
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Missing(missing) => missing.status(),
            Self::Invalid(invalid) => invalid.status(),
        }
    }
}

impl MissingWorkspace {
    /// What the response says.
    pub fn body_text(&self) -> String {
        format!("the request names no workspace: {} is missing", self.place)
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }
}

impl InvalidWorkspace {
    /// What is wrong with it.
    pub fn error(&self) -> WorkspaceError {
        self.error
    }

    /// What the response says.
    pub fn body_text(&self) -> String {
        let place = &self.place;
        match self.error {
            WorkspaceError::Empty => format!("the workspace in {place} is empty"),
            WorkspaceError::Repeated => format!("more than one workspace is in {place}"),
            WorkspaceError::Unreadable => format!("the workspace in {place} is not visible ASCII"),
            WorkspaceError::TooLong => {
                format!("the workspace in {place} is longer than 256 bytes")
            }
            _ => format!("no workspace can be had from {place}"),
        }
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }
}

impl From<MissingWorkspace> for WorkspaceRejection {
    fn from(missing: MissingWorkspace) -> Self {
        Self::Missing(missing)
    }
}

impl From<InvalidWorkspace> for WorkspaceRejection {
    fn from(invalid: InvalidWorkspace) -> Self {
        Self::Invalid(invalid)
    }
}

/// Each is a response, and an error that says the same.
macro_rules! rejections {
    ($($name:ident),+) => { $(
        impl IntoResponse for $name {
            fn into_response(self) -> Response {
                (self.status(), self.body_text()).into_response()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.body_text())
            }
        }

        impl Error for $name {}
    )+ };
}

rejections!(WorkspaceRejection, MissingWorkspace, InvalidWorkspace);
