//! Where requests go: the parts of the upstream's URL.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};

/// The server behind the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upstream {
    authority: Authority,
    /// What all paths get in front; no slash at its end, so often empty.
    base: String,
}

/// Why a URL can't be that of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidUpstream(&'static str);

impl fmt::Display for InvalidUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for Upstream {
    type Err = InvalidUpstream;

    fn from_str(url: &str) -> Result<Self, InvalidUpstream> {
        let parts = url
            .parse::<Uri>()
            .map_err(|_| InvalidUpstream("not a URL like http://HOST[:PORT][/BASE]"))?
            .into_parts();
        if parts.scheme != Some(Scheme::HTTP) {
            return Err(InvalidUpstream("the URL must begin with http://"));
        }
        let authority = parts.authority.ok_or(InvalidUpstream("the host is missing"))?;
        if authority.as_str().contains('@') {
            return Err(InvalidUpstream("credentials in the URL would not be used"));
        }
        let base = parts.path_and_query.as_ref().map_or("", PathAndQuery::as_str);
        if base.contains('?') {
            return Err(InvalidUpstream("a query in the URL would not be used"));
        }
        Ok(Self { authority, base: base.trim_end_matches('/').to_owned() })
    }
}

impl Upstream {
    /// The URI at the upstream for the path and query of `target`; `None` if
    /// base and path together are longer than a URI may be.
    pub(crate) fn uri_for(&self, target: &Uri) -> Option<Uri> {
        let path = target.path_and_query().cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let mut parts = Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        // `OPTIONS *` asks about the server as a whole: no path to extend.
        parts.path_and_query = if self.base.is_empty() || path == "*" {
            Some(path)
        } else {
            Some(PathAndQuery::try_from(format!("{}{path}", self.base)).ok()?)
        };
        Uri::from_parts(parts).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(upstream: &str, target: &str) -> String {
        let upstream: Upstream = upstream.parse().expect("valid upstream");
        let target = target.parse().expect("valid target");
        upstream.uri_for(&target).expect("short enough").to_string()
    }

    #[test]
    fn only_scheme_authority_and_base_change() {
        for (upstream, target, expected) in [
            ("http://a:8000", "/x//y/../%2F?q=1&q=%20", "http://a:8000/x//y/../%2F?q=1&q=%20"),
            ("http://a/", "/", "http://a/"),
            ("http://a/base/", "/x?", "http://a/base/x?"),
            ("http://[::1]:1/b", "/?q", "http://[::1]:1/b/?q"),
        ] {
            assert_eq!(rewritten(upstream, target), expected);
        }
    }

    #[test]
    fn refuses_what_it_could_not_honour() {
        for (url, why) in [
            ("localhost:8000", "http://"),
            ("https://a", "http://"),
            ("http://", "not a URL"),
            ("http://user:pw@a", "credentials"),
            ("http://a/?q", "query"),
        ] {
            let InvalidUpstream(error) = url.parse::<Upstream>().expect_err(url);
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}
