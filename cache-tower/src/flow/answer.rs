//! Answers from what is stored: the whole, a part, or that the client has it already.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::body::CacheBody;
use crate::layer::SiteRules;
use crate::policy::{is_without_content, not_modified, not_modified_headers};
use crate::report::status::Decision;
use crate::report::tally::Tally;
use crate::stored::StoredResponse;
use crate::stored::part::part;

/// The response to a request that a stored one answers: 304 if the client has it already, 206 if
/// it wants a part of it, by the `conditions` among its headers.
pub(crate) fn answer<B>(
    stored: &StoredResponse,
    site: &SiteRules,
    method: &Method,
    conditions: Option<&HeaderMap>,
    age_secs: u64,
) -> Response<CacheBody<B>> {
    let response = |status, headers, body| {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    };
    let mut stored_headers = stored.headers(age_secs);
    site.tell_client(stored.status, &mut stored_headers);
    if let Some(conditions) = conditions
        && not_modified(conditions, stored.status, &stored.template, stored.freshness.received)
    {
        let headers = not_modified_headers(&stored_headers);
        return response(StatusCode::NOT_MODIFIED, headers, CacheBody::none());
    }
    // RFC 9110 §13.2.2: after the other conditions. §14.2: only for GET.
    if *method == Method::GET
        && let Some(conditions) = conditions
        && let Some(part) = part(stored, conditions, &mut stored_headers)
    {
        return part;
    }
    let body = match *method {
        _ if is_without_content(stored.status) => CacheBody::none(),
        Method::HEAD => CacheBody::empty(),
        _ => CacheBody::stored(stored.body.clone()),
    };
    response(stored.status, stored_headers, body)
}

/// What the client gets that wants a stored response or none (RFC 9111 §5.2.1.7).
pub(crate) fn not_cached<B>(tally: &Tally) -> Response<CacheBody<B>> {
    let mut response = Response::new(CacheBody::empty());
    *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    tally.tell(Decision::OnlyIfCached, &mut response);
    response
}
