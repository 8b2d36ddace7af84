//! What a write makes obsolete (RFC 9111 §4.4).
//!
//! ```text
//! let base = Base { scheme: "https", authority: "a.example", path_and_query: "/items?x=1" };
//! let paths = affected(base, StatusCode::CREATED, &headers);   // Location: 7
//! assert_eq!(paths.as_slice(), ["/items?x=1", "/7"]);
//! ```

use http::header::{CONTENT_LOCATION, LOCATION};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, StatusCode};
use smallvec::SmallVec;

/// The effective URI of the request that was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base<'a> {
    /// `http` or `https`, any case.
    pub(crate) scheme: &'a str,
    /// Host and, if given, port; any case.
    pub(crate) authority: &'a str,
    /// As in the request line.
    pub(crate) path_and_query: &'a str,
}

/// The paths and queries, on the request's own authority, whose stored responses a successful
/// response to an unsafe method invalidates: the target first, then `Location` and
/// `Content-Location` where they lie on the same origin. Empty after an error.
pub(crate) fn affected(
    base: Base<'_>,
    status: StatusCode,
    headers: &HeaderMap,
) -> SmallVec<[String; 3]> {
    let mut paths = SmallVec::new();
    // RFC 9111 §4.4: a non-error response is one with a 2xx or 3xx status.
    if !status.is_success() && !status.is_redirection() {
        return paths;
    }
    paths.push(base.path_and_query.to_owned());
    for value in [LOCATION, CONTENT_LOCATION].iter().filter_map(|name| headers.get(name)) {
        if let Some(path) = resolve(base, value)
            && !paths.contains(&path)
        {
            paths.push(path);
        }
    }
    paths
}

/// Resolves a URI reference against the request (RFC 3986 §5.2); `None` if it leads to another
/// origin, can't be read, or isn't a path that a request could have.
pub(super) fn resolve(base: Base<'_>, value: &HeaderValue) -> Option<String> {
    let reference = value.to_str().ok()?.trim_ascii();
    let reference = reference.split('#').next()?;
    let (authority, path) = split_authority(base, reference)?;
    if authority.is_some_and(|authority| !is_same_authority(base, authority)) {
        return None;
    }
    let (path, query) = split_query(path);
    let (base_path, base_query) = split_query(base.path_and_query);
    let resolved = match (path, authority) {
        // RFC 3986 §5.2.2: an empty path is the base's, and so is the query if there is none.
        ("", None) => join(base_path, query.or(base_query)),
        ("", Some(_)) => join("/", query),
        (path, _) if path.starts_with('/') => join(&remove_dot_segments(path), query),
        (_, Some(_)) => return None,
        (path, None) => {
            // RFC 3986 §5.2.3: relative to the last "/" of the base.
            let folder = base_path.rsplit_once('/').map_or("", |(folder, _)| folder);
            join(&remove_dot_segments(&format!("{folder}/{path}")), query)
        }
    };
    let resolved = PathAndQuery::try_from(resolved).ok()?;
    resolved.as_str().starts_with('/').then(|| resolved.as_str().to_owned())
}

/// Splits a reference into authority, if it has one, and the rest; `None` for another scheme, or
/// for one without an authority.
fn split_authority<'a>(base: Base<'_>, reference: &'a str) -> Option<(Option<&'a str>, &'a str)> {
    let first_segment = reference.split(['/', '?']).next()?;
    let (rest, absolute) = match first_segment.split_once(':') {
        Some((scheme, _)) if !scheme.eq_ignore_ascii_case(base.scheme) => return None,
        Some((scheme, _)) => (reference.get(scheme.len() + 1..)?, true),
        None => (reference, false),
    };
    match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end)?;
            Some((Some(authority), path))
        }
        None if absolute => None,
        None => Some((None, rest)),
    }
}

/// RFC 9110 §4.3.1: the same origin is the same scheme, host and port. User information makes an
/// authority another one.
fn is_same_authority(base: Base<'_>, authority: &str) -> bool {
    normal_authority(base.scheme, authority) == normal_authority(base.scheme, base.authority)
}

/// An authority as it is compared: lower case, without the default port (RFC 9110 §4.2.3).
pub(crate) fn normal_authority(scheme: &str, authority: &str) -> String {
    let default = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let host = authority.strip_suffix(default).or_else(|| authority.strip_suffix(':'));
    host.unwrap_or(authority).to_ascii_lowercase()
}

fn split_query(path: &str) -> (&str, Option<&str>) {
    path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)))
}

fn join(path: &str, query: Option<&str>) -> String {
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

/// RFC 3986 §5.2.4, for a path that begins with `/`.
fn remove_dot_segments(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // A dot segment at the end leaves its folder.
                if segments.peek().is_none() {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests;
