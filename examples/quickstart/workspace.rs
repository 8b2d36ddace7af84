//! The tenant a request speaks for.
//!
//! A real service takes it from what it has authenticated. This one believes
//! the header, so that `curl` is all one needs to try it.

use axum::extract::{FromRef, FromRequestParts};
use cache_tower::HttpCache;
use http::request::Parts;

use crate::problem::Problem;

/// The field that names the workspace.
pub(crate) const HEADER: &str = "x-workspace-id";

/// The workspace of a request, as the cache has it; of those only the names that this service gives:
/// 1 to 64 letters, digits, `-` or `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkspaceId(pub(crate) String);

impl WorkspaceId {
    fn named(name: String) -> Result<Self, Problem> {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if (1..=64).contains(&name.len()) && name.chars().all(known) {
            Ok(Self(name))
        } else {
            let rule = "X-Workspace-ID must be 1 to 64 letters, digits, `-` or `_`";
            Err(Problem::bad_request(rule))
        }
    }
}

impl<S: Sync> FromRequestParts<S> for WorkspaceId
where
    HttpCache: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = cache_axum::WorkspaceId::from_request_parts(parts, state).await;
        Self::named(found.map_err(|error| Problem::bad_request(error.to_string()))?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_and_nothing_else() {
        assert!(WorkspaceId::named("ws-1_A".into()).is_ok());
        for name in ["", "a b", "ws:1", &"w".repeat(65)] {
            assert!(WorkspaceId::named(name.into()).is_err(), "{name}");
        }
    }
}
