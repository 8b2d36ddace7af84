//! `invalidate_cache`: invalidating what a route changes.

use axum::extract::MatchedPath;
use cache_tower::{HttpCache, InvalidateLayer, key_segment};

/// Invalidates what a pattern covers, once the route has answered an unsafe request with 2xx or
/// 3xx: before the response is released, and even if the client has gone.
///
/// `{workspace_id}` is the request's workspace, other holes are parameters of the path; `*` as the
/// last segment stands for the rest. Values are literals whatever they hold. A hole that has no
/// value, such as a missing workspace, invalidates nothing: it never widens to `*`.
///
/// | pattern, for `ws1` and `/campaigns/42` | covers | does not cover |
/// |---|---|---|
/// | `{workspace_id}:campaigns:*` | of `ws1` the collection `/campaigns`, `/campaigns?page=2`, `/campaigns/42`, `/campaigns/42/stats`, and each variant (`Vary`) of these | `/campaigns-archive`; `ws12` |
/// | `{workspace_id}:campaigns:{id}` | `/campaigns/42` in all query forms and variants | `/campaigns`, `/campaigns/42/stats` |
///
/// ```
/// # use axum::{Router, routing::post};
/// # use cache_core::Cache;
/// # use cache_tower::HttpCache;
/// # let http = HttpCache::builder(Cache::builder().build()?).build();
/// # async fn update() {}
/// let pattern = "{workspace_id}:campaigns:*";
/// let app: Router = Router::new()
///     .route("/campaigns/{id}", post(update).layer(cache_axum::invalidate_cache(&http, pattern)));
/// # Ok::<(), cache_core::Error>(())
/// ```
///
/// # Panics
/// If the pattern is invalid, as a route with an invalid path does.
pub fn invalidate_cache(http: &HttpCache, pattern: &str) -> InvalidateLayer {
    InvalidateLayer::new(http, pattern).values(|uri, extensions, hole| {
        let route = extensions.get::<MatchedPath>()?;
        path_parameter(route.as_str(), uri.path(), hole)
    })
}

/// The value of a parameter: the segment of the path where the route has `{name}`.
fn path_parameter(route: &str, path: &str, name: &str) -> Option<String> {
    let is_hole = |segment: &str| {
        segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(name)
    };
    let mut segments = route.split('/').zip(path.split('/'));
    let (_, value) = segments.find(|(route, _)| is_hole(route))?;
    Some(key_segment(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::path_parameter;

    #[test]
    fn parameters_are_found_by_name_and_decoded() {
        let route = "/api/{team}/campaigns/{id}";
        let get = |name| path_parameter(route, "/api/a%20b/campaigns/42", name);
        assert_eq!(get("team").as_deref(), Some("a b"));
        assert_eq!(get("id").as_deref(), Some("42"));
        assert_eq!(get("campaigns"), None);
        assert_eq!(get("other"), None);
        assert_eq!(path_parameter(route, "/api", "id"), None);
    }

    #[test]
    fn a_rest_of_several_segments_is_no_value() {
        assert_eq!(path_parameter("/files/{*rest}", "/files/a/b", "rest"), None);
    }
}
