//! Whether a response may be stored (RFC 9111 §3, and more careful than it: guarantee 8).
//!
//! ```text
//! match storable(facts, status, &headers, &rules, exchange) {
//!     Ok(storable) => store(stored_headers(&headers, &storable.strip, received)),
//!     Err(reason) => note(reason.as_str()),
//! }
//! ```

use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, COOKIE, RANGE, SET_COOKIE};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::groups::groups;
use super::headers::is_indispensable;
use super::revalidate::has_validator;
use super::stale::is_of_use;
use super::{
    Assigned, Exchange, FieldForm, Freshness, FreshnessSource, Heuristic, Millis,
    RequestDirectives, ResponseDirectives, Vary, VaryFields, applicable,
};

reasons! {
    /// Why a response was not stored.
    #[expect(clippy::enum_variant_names, reason = "`no-store` is the RFC's word as well as ours")]
    NoStore {
        /// The request isn't a GET.
        Method => "method",
        /// The request said `no-store` (RFC 9111 §5.2.1.5).
        RequestNoStore => "request-no-store",
        /// The request had `Authorization` (RFC 9111 §3.5).
        Authorization => "authorization",
        /// The request had a `Cookie`, and the TTL would be ours rather than the origin's.
        Cookie => "cookie",
        /// The response sets a cookie.
        SetCookie => "set-cookie",
        /// `private` (RFC 9111 §5.2.2.7).
        Private => "private",
        /// `no-store` (RFC 9111 §5.2.2.5).
        NoStoreDirective => "no-store",
        /// `Vary: *`, or a `Vary` that can't be read or is too long (RFC 9111 §4.1).
        VaryAny => "vary-any",
        /// The status is not final, or not one of HTTP.
        Status => "status",
        /// The request asked for a range, and this is not the whole response: 206 and 416, or a
        /// 304 to its own conditions.
        Range => "range",
        /// 206: a part of the response (RFC 9111 §3.3).
        Partial => "partial",
        /// 304: not a response of its own (RFC 9111 §4.3.3).
        NotModified => "not-modified",
        /// Nothing says that it is fresh, or for longer than it is old already; and it is neither
        /// to be validated nor to be used stale.
        NoFreshness => "no-freshness",
        /// `must-understand`, and a status this cache doesn't know (RFC 9111 §5.2.2.3).
        UnknownCacheableStatus => "unknown-status",
        /// More groups, or longer names of groups, than can be kept (RFC 9875 §2).
        Groups => "groups",
        /// The handler gave it more tags, or longer ones, than can be kept.
        Tags => "tags",
        /// The body is over the limit.
        TooLarge => "too-large",
        /// The body is shorter or longer than its `Content-Length` (RFC 9111 §3.3).
        LengthMismatch => "length-mismatch",
        /// The body failed, or was cut.
        BodyFailed => "body-failed",
        /// The body ended with trailers.
        Trailers => "trailers",
        /// The handler said so.
        Handler => "handler",
        /// A function of the application said so.
        Predicate => "should-store",
        /// What was stored has changed since the request began.
        Overtaken => "overtaken",
    }
}

/// What a layer allows beyond the response's own headers. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoreRules {
    /// The lifetime of a response without explicit freshness.
    pub(crate) assigned: Assigned,
    /// How a lifetime is found for a response that has neither that nor one of its own.
    pub(crate) heuristic: Option<Heuristic>,
    /// Requests with credentials may share responses: the key separates them far enough.
    pub(crate) credentials_shared: bool,
    /// What the request's own directives say doesn't count.
    pub(crate) ignore_request_directives: bool,
    /// Store responses that set cookies, without those cookies.
    pub(crate) strip_set_cookie: bool,
    /// The lifetime that the handler gave this response, milliseconds from its reception.
    pub(crate) told_ttl: Option<Millis>,
    /// How long a response may be used stale, in seconds, where it does not say itself.
    pub(crate) grace: Option<u32>,
    /// No response is kept fresh for longer, milliseconds from its reception.
    pub(crate) max_ttl: Option<Millis>,
    /// Fields that take the place of `Cache-Control` here, the first one first (RFC 9213 §2.2).
    pub(crate) targets: Vec<HeaderName>,
}

/// What the decision needs of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestFacts<'a> {
    /// The method as the client sent it.
    pub(crate) method: &'a Method,
    /// The headers as the client sent them.
    pub(crate) headers: &'a HeaderMap,
}

/// A response that may be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Storable {
    /// How long it is fresh.
    pub(crate) freshness: Freshness,
    /// Its directives.
    pub(crate) directives: ResponseDirectives,
    /// Fields that must not be stored with it, beside the hop-by-hop ones.
    pub(crate) strip: Vec<HeaderName>,
    /// The request headers it was selected by; `None`: by none.
    pub(crate) vary: Option<VaryFields>,
    /// To whose requests it may be given.
    pub(crate) audience: Audience,
    /// The groups it belongs to (RFC 9875).
    pub(crate) groups: Vec<String>,
}

/// To whose requests a stored response may be given, among those of its key. More careful than RFC
/// 9111 §3.5, which is about storing only: what the origin told nobody in particular may not be
/// what it would have told somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// To all: the origin has said so, in one of the ways of RFC 9111 §3.5.
    All,
    /// To requests without `Authorization`.
    WithoutAuthorization,
    /// To requests with neither `Authorization` nor `Cookie`: its TTL is ours.
    WithoutCredentials,
}

impl Audience {
    /// Whether a request with these headers belongs to it.
    pub(crate) fn includes(self, headers: &HeaderMap) -> bool {
        match self {
            Self::All => true,
            Self::WithoutAuthorization => !headers.contains_key(AUTHORIZATION),
            Self::WithoutCredentials => {
                !headers.contains_key(AUTHORIZATION) && !headers.contains_key(COOKIE)
            }
        }
    }
}

/// Decides whether a response may be stored, by its head. `headers` are those of the response, as
/// the origin sent them.
pub(crate) fn storable(
    request: RequestFacts<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    rules: &StoreRules,
    exchange: Exchange,
) -> Result<Storable, NoStore> {
    let mut directives = applicable(headers, &rules.targets);
    check_request(request, rules)?;
    // RFC 9111 §3.3: what answers a range is no answer to others. With a Content-Range it may be a
    // part that the origin takes for the whole.
    let is_whole = status == StatusCode::OK && !headers.contains_key(CONTENT_RANGE);
    if request.headers.contains_key(RANGE) && !is_whole {
        return Err(NoStore::Range);
    }
    check_status(status, &directives)?;
    let mut strip = separable_fields(&directives)?;
    let vary = match Vary::parse(headers) {
        Vary::Any => return Err(NoStore::VaryAny),
        Vary::Fields(fields) => Some(fields),
        Vary::None => None,
    };
    if headers.contains_key(SET_COOKIE) {
        if !rules.strip_set_cookie {
            return Err(NoStore::SetCookie);
        }
        strip.push(SET_COOKIE);
    }
    if is_without_content(status) {
        strip.push(CONTENT_LENGTH);
    }
    // RFC 9111 §3.5.
    let shared_by_origin =
        directives.public || directives.must_revalidate || directives.s_maxage.is_some();
    let authorized = request.headers.contains_key(AUTHORIZATION);
    if authorized && !shared_by_origin && !rules.credentials_shared {
        return Err(NoStore::Authorization);
    }

    let assigned = rules.assigned.of(status);
    let mut freshness = Freshness::of(headers, &directives, exchange, assigned);
    if let Some(heuristic) = rules.heuristic {
        freshness = heuristic.apply(freshness, status, headers, &directives, exchange);
    }
    if let Some(ttl) = rules.told_ttl {
        freshness = freshness.told(ttl);
    }
    if let Some(max) = rules.max_ttl {
        freshness = freshness.at_most(max);
    }
    let ttl_is_ours =
        matches!(freshness.source, FreshnessSource::Assigned | FreshnessSource::Heuristic);
    let audience = match () {
        () if ttl_is_ours => Audience::WithoutCredentials,
        () if shared_by_origin => Audience::All,
        () => Audience::WithoutAuthorization,
    };
    let cookie_decides =
        ttl_is_ours && request.headers.contains_key(COOKIE) && !rules.credentials_shared;
    if cookie_decides {
        return Err(NoStore::Cookie);
    }
    if !is_of_use(&freshness, &directives, has_validator(headers)) {
        return Err(NoStore::NoFreshness);
    }
    // For what is fresh for a while: what is stale at once is to be asked for each time.
    if let Some(grace) = rules.grace.filter(|_| freshness.remaining() > 0) {
        directives.stale_while_revalidate.get_or_insert(grace);
        directives.stale_if_error.get_or_insert(grace);
    }
    let groups = groups(headers)?;
    Ok(Storable { freshness, directives, strip, vary, audience, groups })
}

fn check_request(request: RequestFacts<'_>, rules: &StoreRules) -> Result<(), NoStore> {
    if *request.method != Method::GET {
        return Err(NoStore::Method);
    }
    // RFC 9111 §5.2.1.5.
    if !rules.ignore_request_directives && RequestDirectives::parse(request.headers).no_store {
        return Err(NoStore::RequestNoStore);
    }
    Ok(())
}

/// By the status alone: only in a 206 or 416 does `Content-Range` mean anything (RFC 9110 §14.4).
fn check_status(status: StatusCode, directives: &ResponseDirectives) -> Result<(), NoStore> {
    match status.as_u16() {
        206 => Err(NoStore::Partial),
        304 => Err(NoStore::NotModified),
        // RFC 9111 §5.2.2.3: must-understand takes the place of a no-store beside it.
        200..=599 if directives.must_understand => {
            if is_understood(status) {
                Ok(())
            } else {
                Err(NoStore::UnknownCacheableStatus)
            }
        }
        200..=599 if directives.no_store => Err(NoStore::NoStoreDirective),
        // RFC 9111 §3: the status code is final.
        200..=599 => Ok(()),
        _ => Err(NoStore::Status),
    }
}

/// The fields that `private` and `no-cache` forbid to store or reuse; an error where that is the
/// whole response, or leaves nothing that could be understood (RFC 9111 §5.2.2.4, §5.2.2.7).
fn separable_fields(directives: &ResponseDirectives) -> Result<Vec<HeaderName>, NoStore> {
    let mut strip = Vec::new();
    let forms =
        [(&directives.private, NoStore::Private), (&directives.no_cache, NoStore::NoFreshness)];
    for (form, refusal) in forms {
        match form {
            FieldForm::Fields(names) if names.iter().any(is_indispensable) => return Err(refusal),
            FieldForm::Fields(names) => strip.extend_from_slice(names),
            FieldForm::All if refusal == NoStore::Private => return Err(refusal),
            FieldForm::All | FieldForm::Absent => {}
        }
    }
    Ok(strip)
}

/// 204 and 304 have no content: a `Content-Length` among their headers is of something else, or an
/// error of the origin's (RFC 9110 §8.6).
pub(crate) fn is_without_content(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// The final status codes of RFC 9110 §15, whose rules this cache keeps, but for 206 and 304.
fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=205 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505
    )
}

#[cfg(test)]
mod tests;
