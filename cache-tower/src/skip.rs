//! Clients that ask to go past the cache, where the application lets them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use percent_encoding::percent_decode_str;

use crate::config::HttpCacheBuilder;
use crate::hooks::RequestHead;
use crate::request::partition::header_name;

/// How a client asks to go past the cache, and who may.
///
/// Asked for is what is there and says so: `?fresh`, `?fresh=1`, `?fresh=true`; `X-Fresh: 1`. With
/// `0`, `false` or anything else it is not.
///
/// ```
/// use cache_core::Cache;
/// use cache_tower::{HttpCache, SkipRule};
///
/// #[derive(Clone)]
/// struct Staff;
///
/// let rule = SkipRule::query("fresh")
///     .or_header("x-fresh")
///     .only_if(|request| request.extensions().get::<Staff>().is_some());
/// let http = HttpCache::builder(Cache::builder().build()?).allow_skip(rule).build();
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Clone)]
pub struct SkipRule {
    asked_by: Vec<Asked>,
    permitted: Option<Arc<Permitted>>,
}

type Permitted = dyn Fn(&RequestHead<'_>) -> bool + Send + Sync;

#[derive(Clone, Debug)]
enum Asked {
    Query(String),
    Header(HeaderName),
}

impl SkipRule {
    /// By a parameter of the query.
    pub fn query(name: impl Into<String>) -> Self {
        Self { asked_by: vec![Asked::Query(name.into())], permitted: None }
    }

    /// By a header.
    ///
    /// # Panics
    /// If this is no name for a header.
    pub fn header(name: &str) -> Self {
        Self { asked_by: vec![Asked::Header(header_name(name))], permitted: None }
    }

    /// Also by a parameter of the query.
    #[must_use]
    pub fn or_query(mut self, name: impl Into<String>) -> Self {
        self.asked_by.push(Asked::Query(name.into()));
        self
    }

    /// Also by a header.
    ///
    /// # Panics
    /// If this is no name for a header.
    #[must_use]
    pub fn or_header(mut self, name: &str) -> Self {
        self.asked_by.push(Asked::Header(header_name(name)));
        self
    }

    /// Only these requests may; of others it is ignored. Without this all may, so that any client can
    /// have everything computed for it, again and again.
    #[must_use]
    pub fn only_if(
        mut self,
        permitted: impl Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.permitted = Some(Arc::new(permitted));
        self
    }

    /// Whether it is asked for, and permitted.
    pub(crate) fn applies(&self, request: &RequestHead<'_>) -> bool {
        let permitted = || self.permitted.as_ref().is_none_or(|permitted| permitted(request));
        self.asked_by.iter().any(|asked| asked.is_in(request)) && permitted()
    }
}

impl Asked {
    fn is_in(&self, request: &RequestHead<'_>) -> bool {
        match self {
            Self::Query(name) => {
                let query = request.uri().query().unwrap_or_default();
                query.split('&').any(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    decoded(key) == name.as_str() && (value.is_empty() || is_yes(value.as_bytes()))
                })
            }
            Self::Header(name) => {
                let mut values = request.headers().get_all(name).iter();
                values.any(|value| is_yes(value.as_bytes()))
            }
        }
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn is_yes(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    value == b"1" || value.eq_ignore_ascii_case(b"true")
}

impl HttpCacheBuilder {
    /// Clients may ask to go past the cache: neither answered from it, nor stored. `Cache-Status`
    /// says `skip-requested`. Default: they may not; what they ask is ignored.
    ///
    /// (What RFC 9111 gives clients for that, `Cache-Control: no-cache` and `no-store` of requests,
    /// they have anyway, unless [that is ignored](Self::ignore_request_directives).)
    pub fn allow_skip(mut self, rule: SkipRule) -> Self {
        self.options.skip = Some(rule);
        self
    }
}

impl fmt::Debug for SkipRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SkipRule")
            .field("asked_by", &self.asked_by)
            .field("permitted", &self.permitted.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn asks(rule: &SkipRule, uri: &str, lines: &[(&str, &str)]) -> bool {
        let mut request = Request::get(uri);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        rule.applies(&RequestHead::new(
            &parts.method,
            &parts.uri,
            &parts.headers,
            &parts.extensions,
        ))
    }

    #[test]
    fn it_has_to_be_said_and_in_so_many_words() {
        let rule = SkipRule::query("fresh").or_header("x-fresh");
        for uri in ["/?fresh", "/?a=b&fresh=1", "/?fresh=", "/?fresh=TRUE", "/?fr%65sh=1"] {
            assert!(asks(&rule, uri, &[]), "{uri}");
        }
        for uri in ["/", "/?fresh=0", "/?fresh=false", "/?fresh=no", "/?fresher=1", "/?a=fresh"] {
            assert!(!asks(&rule, uri, &[]), "{uri}");
        }
        assert!(
            asks(&rule, "/", &[("x-fresh", "1")]) && asks(&rule, "/", &[("x-fresh", " true ")])
        );
        assert!(!asks(&rule, "/", &[("x-fresh", "")]) && !asks(&rule, "/", &[("x-fresh", "0")]));
    }

    #[test]
    fn and_permitted() {
        let rule =
            SkipRule::query("fresh").only_if(|request| request.headers().contains_key("x-staff"));
        assert!(!asks(&rule, "/?fresh", &[]));
        assert!(asks(&rule, "/?fresh", &[("x-staff", "1")]));
        assert!(!asks(&rule, "/", &[("x-staff", "1")]));
    }
}
