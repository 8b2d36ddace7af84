//! Decisions, and how they are told: one enum behind `Cache-Status` (RFC 9211), counters and
//! traces.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, StatusCode};

use crate::policy::{BypassReason, MissReason, NoStore};
use crate::report::told::Params;

/// What the cache did with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Decision {
    /// Answered from what is stored.
    Hit,
    /// Answered with what is stored and stale, while it is refreshed (RFC 5861 §3).
    StaleHit,
    /// Answered with what is stored and stale, because the origin failed (RFC 5861 §4).
    StaleOnError(MissReason),
    /// Answered with what is stored, which the origin has confirmed (RFC 9111 §4.3.3).
    Validated(MissReason),
    /// Fetched, and being stored.
    Stored(MissReason),
    /// Fetched, and not stored.
    NotStored(MissReason, NoStore),
    /// Answered with the response that another request was fetching.
    Collapsed(MissReason),
    /// Nothing stored, and the client wanted nothing else (RFC 9111 §5.2.1.7).
    OnlyIfCached,
    /// Looked up in vain, and then there was no response: the service inside failed, or the client
    /// left.
    Unanswered,
    /// Forwarded because of its method.
    Forwarded,
    /// So was this, and its response is being stored for GETs (RFC 9110 §9.3.3).
    ForwardedStored,
    /// So was this, and its response, though it is what a GET would bring, is not stored.
    ForwardedNotStored(NoStore),
    /// Forwarded past the cache.
    Bypass(BypassReason),
}

impl Decision {
    /// Whether it was answered from what is stored, as it is.
    pub(crate) fn is_hit(self) -> bool {
        matches!(self, Self::Hit | Self::StaleHit)
    }

    /// Whether something was looked up in vain.
    pub(crate) fn is_miss(self) -> bool {
        matches!(
            self,
            Self::Stored(_)
                | Self::NotStored(..)
                | Self::Collapsed(_)
                | Self::OnlyIfCached
                | Self::StaleOnError(_)
                | Self::Validated(_)
                | Self::Unanswered
        )
    }

    /// The member that this cache adds to `Cache-Status` of a response with this status.
    pub(crate) fn render(self, cache: &str, params: Params<'_>, status: StatusCode) -> HeaderValue {
        let mut text = cache.to_owned();
        let mut put = |name: &str, value: &dyn fmt::Display| {
            // Writing to a string does not fail.
            let _ = write!(text, "; {name}{value}");
        };
        // RFC 9211 §2.2: one of both, or neither.
        match self.forwarded() {
            Some(why) => {
                put("fwd=", &why);
                let origin_s = match self {
                    Self::Validated(_) => Some(StatusCode::NOT_MODIFIED),
                    // RFC 9211 §2.3: without it, it is the one that is sent.
                    _ => params.fwd_status.filter(|origin_s| *origin_s != status),
                };
                if let Some(origin_s) = origin_s {
                    put("fwd-status=", &origin_s.as_u16());
                }
            }
            None if self.is_hit() => put("hit", &""),
            None => {}
        }
        if let Some(ttl) = params.ttl {
            put("ttl=", &ttl);
        }
        if let Some(also) = self.also() {
            put(also, &"");
        }
        if let Some(key) = params.key {
            put("key=", &quoted(key));
        }
        if let Some(detail) = self.detail() {
            put("detail=", &detail);
        }
        // The name was made a token or a quoted string when the cache was built.
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("cache-tower"))
    }

    /// What became of the response that was fetched (RFC 9211 §2.5, §2.6).
    pub(super) fn also(self) -> Option<&'static str> {
        match self {
            Self::Stored(_) | Self::ForwardedStored => Some("stored"),
            Self::Collapsed(_) => Some("collapsed"),
            _ => None,
        }
    }

    /// Why the request went forward (RFC 9211 §2.2), if it did.
    pub(super) fn forwarded(self) -> Option<&'static str> {
        match self {
            Self::StaleOnError(why)
            | Self::Validated(why)
            | Self::Stored(why)
            | Self::NotStored(why, _)
            | Self::Collapsed(why) => Some(why.as_str()),
            Self::Forwarded
            | Self::ForwardedStored
            | Self::ForwardedNotStored(_)
            | Self::Bypass(BypassReason::Method) => Some("method"),
            Self::Bypass(_) => Some("bypass"),
            // Of what is not answered nothing is seen.
            Self::Hit | Self::StaleHit | Self::OnlyIfCached | Self::Unanswered => None,
        }
    }

    /// What else there is to say (RFC 9211 §2.8).
    pub(super) fn detail(self) -> Option<&'static str> {
        match self {
            Self::StaleHit => Some("stale-while-revalidate"),
            Self::StaleOnError(_) => Some("stale-if-error"),
            Self::NotStored(_, refusal) | Self::ForwardedNotStored(refusal) => {
                Some(refusal.as_str())
            }
            Self::OnlyIfCached => Some("only-if-cached"),
            Self::Bypass(BypassReason::Method)
            | Self::Hit
            | Self::Validated(_)
            | Self::Stored(_)
            | Self::Collapsed(_)
            | Self::Unanswered
            | Self::Forwarded
            | Self::ForwardedStored => None,
            Self::Bypass(reason) => Some(reason.as_str()),
        }
    }
}

/// A cache's name as RFC 8941 lets it stand in `Cache-Status`: a token, or a quoted string.
pub(crate) fn render_name(name: &str) -> String {
    let mut characters = name.chars();
    let starts_token = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '*');
    if starts_token && characters.all(|c| c.is_ascii_alphanumeric() || "-._:/*+".contains(c)) {
        return name.to_owned();
    }
    quoted(name)
}

/// A text as a String of RFC 9651, without the characters that none may have.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars().filter(|c| (' '..='~').contains(c)) {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// How many requests met which decision: `hits + misses + bypasses` is the number of requests.
/// A request that a cache inside has taken over (see `cache_endpoint` of cache-axum) is that one's to
/// count. Each is told to `tracing` as it is counted: target `cache_tower`, level debug.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpStats {
    /// Answered from what was stored.
    pub hits: u64,
    /// Looked up in vain; fetched, or answered with what another request was fetching. Those that
    /// were not answered at all, because the service failed or the client left, are among them.
    pub misses: u64,
    /// Of the misses, those that shared another request's fetch.
    pub collapsed: u64,
    /// Of all, those answered with what was stale: while it was refreshed, or because the origin
    /// failed.
    pub stale: u64,
    /// Of the misses, those answered with what was stored, after the origin had confirmed it.
    pub validated: u64,
    /// Forwarded without being looked up, unsafe methods among them.
    pub bypasses: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    collapsed: AtomicU64,
    stale: AtomicU64,
    validated: AtomicU64,
    bypasses: AtomicU64,
}

impl Counters {
    pub(crate) fn count(&self, decision: Decision) {
        let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match decision {
            Decision::Hit => add(&self.hits),
            Decision::StaleHit => {
                add(&self.stale);
                add(&self.hits)
            }
            Decision::StaleOnError(_) => {
                add(&self.stale);
                add(&self.misses)
            }
            Decision::Validated(_) => {
                add(&self.validated);
                add(&self.misses)
            }
            Decision::Collapsed(_) => {
                add(&self.collapsed);
                add(&self.misses)
            }
            Decision::Stored(_)
            | Decision::NotStored(..)
            | Decision::OnlyIfCached
            | Decision::Unanswered => add(&self.misses),
            Decision::Forwarded
            | Decision::ForwardedStored
            | Decision::ForwardedNotStored(_)
            | Decision::Bypass(_) => add(&self.bypasses),
        };
    }

    pub(crate) fn snapshot(&self) -> HttpStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HttpStats {
            hits: get(&self.hits),
            misses: get(&self.misses),
            collapsed: get(&self.collapsed),
            stale: get(&self.stale),
            validated: get(&self.validated),
            bypasses: get(&self.bypasses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(decision: Decision, name: &str) -> HeaderValue {
        decision.render(name, Params::default(), StatusCode::OK)
    }

    #[test]
    fn parameters_stand_where_they_mean_something() {
        let all = Params { fwd_status: Some(StatusCode::OK), ttl: Some(-3), key: Some("p:\"a\\") };
        let uri_miss = MissReason::UriMiss;
        for (decision, status, text) in [
            // Nothing was forwarded.
            (Decision::Hit, 304, r#"c; hit; ttl=-3; key="p:\"a\\""#),
            (
                Decision::StaleHit,
                200,
                r#"c; hit; ttl=-3; key="p:\"a\\"; detail=stale-while-revalidate"#,
            ),
            (Decision::Stored(uri_miss), 200, r#"c; fwd=uri-miss; ttl=-3; stored; key="p:\"a\\""#),
            (
                Decision::Stored(uri_miss),
                304,
                r#"c; fwd=uri-miss; fwd-status=200; ttl=-3; stored; key="p:\"a\\""#,
            ),
            // What the origin says to a validation is told even where it is what the client gets.
            (
                Decision::Validated(MissReason::Stale),
                304,
                r#"c; fwd=stale; fwd-status=304; ttl=-3; key="p:\"a\\""#,
            ),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(decision.render("c", all, status), text);
        }
        let failed = Params::default().forwarded(StatusCode::BAD_GATEWAY);
        let stale = Decision::StaleOnError(MissReason::Stale);
        let text = stale.render("c", failed, StatusCode::OK);
        assert_eq!(text, "c; fwd=stale; fwd-status=502; detail=stale-if-error");
    }

    #[test]
    fn decisions_read_as_rfc_9211_has_them() {
        for (decision, text) in [
            (Decision::Hit, "c; hit"),
            (Decision::Stored(MissReason::UriMiss), "c; fwd=uri-miss; stored"),
            (
                Decision::NotStored(MissReason::VaryMiss, NoStore::SetCookie),
                "c; fwd=vary-miss; detail=set-cookie",
            ),
            (Decision::StaleHit, "c; hit; detail=stale-while-revalidate"),
            (Decision::StaleOnError(MissReason::Stale), "c; fwd=stale; detail=stale-if-error"),
            (Decision::Validated(MissReason::Stale), "c; fwd=stale; fwd-status=304"),
            (Decision::Collapsed(MissReason::UriMiss), "c; fwd=uri-miss; collapsed"),
            (Decision::Bypass(BypassReason::NoStore), "c; fwd=bypass; detail=no-store"),
            (Decision::Bypass(BypassReason::Method), "c; fwd=method"),
            (Decision::Forwarded, "c; fwd=method"),
            (Decision::ForwardedStored, "c; fwd=method; stored"),
            (Decision::ForwardedNotStored(NoStore::Overtaken), "c; fwd=method; detail=overtaken"),
        ] {
            assert_eq!(plain(decision, "c"), text);
        }
    }

    #[test]
    fn any_name_makes_a_valid_member() {
        for (name, rendered) in [
            ("cache-tower", "cache-tower"),
            ("edge.example:8080", "edge.example:8080"),
            ("two words", "\"two words\""),
            ("7", "\"7\""),
            ("a\"b\\c\r\n", "\"a\\\"b\\\\c\""),
            ("", "\"\""),
        ] {
            assert_eq!(render_name(name), rendered);
            assert_eq!(
                plain(Decision::Hit, &render_name(name)),
                format!("{rendered}; hit").as_str()
            );
        }
    }
}
