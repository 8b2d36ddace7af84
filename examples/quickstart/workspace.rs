//! The tenant a request speaks for.
//!
//! A real service takes it from what it has authenticated. This one believes
//! the header, so that `curl` is all one needs to try it.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;

use crate::problem::Problem;

/// The field that names the workspace.
pub(crate) const HEADER: &str = "x-workspace-id";

/// The workspace of a request: 1 to 64 letters, digits, `-` or `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkspaceId(pub(crate) String);

impl WorkspaceId {
    fn from_headers(headers: &HeaderMap) -> Result<Self, &'static str> {
        let mut values = headers.get_all(HEADER).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Err("the header X-Workspace-ID is missing"),
            (Some(_), Some(_)) => return Err("there is more than one X-Workspace-ID"),
            (Some(value), None) => value.to_str().unwrap_or_default(),
        };
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if (1..=64).contains(&value.len()) && value.chars().all(known) {
            Ok(Self(value.to_owned()))
        } else {
            Err("X-Workspace-ID must be 1 to 64 letters, digits, `-` or `_`")
        }
    }
}

impl<S: Sync> FromRequestParts<S> for WorkspaceId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::from_headers(&parts.headers).map_err(Problem::bad_request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn workspace(values: &[&'static str]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_static(value));
        }
        WorkspaceId::from_headers(&headers).map(|workspace| workspace.0)
    }

    #[test]
    fn one_plain_name_and_nothing_else() {
        assert_eq!(workspace(&["ws1"]), Ok("ws1".into()));
        for values in [&[][..], &[""], &["a b"], &["ws1", "ws1"], &["ws:1"]] {
            assert!(workspace(values).is_err(), "{values:?}");
        }
    }
}
