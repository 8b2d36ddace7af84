//! Responses to requests that are not served, as problem details (RFC 9457).

use bytes::Bytes;
use cache_core::Verdict;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use super::fields::{retry_after, seconds};
use super::layer::Rule;
use crate::body::CacheBody;

/// draft-ietf-httpapi-ratelimit-headers §5.1.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

impl Rule {
    /// 429: over the limit.
    pub(super) fn over_limit<B>(&self, verdict: &Verdict) -> Response<CacheBody<B>> {
        let (limit, window) = (self.limit, self.window.as_secs_f64());
        let again = match verdict.retry_after {
            Some(wait) => format!("; try again in {} s", seconds(wait)),
            None => String::new(),
        };
        let title = "Request cannot be satisfied as assigned quota has been exceeded";
        let problem = format!(
            "{{\"type\":\"{QUOTA_EXCEEDED}\",\"title\":\"{title}\",\"status\":429,\
             \"detail\":\"The limit is {limit} in {window} s{again}.\",\
             \"violated-policies\":[{}]}}",
            self.quoted
        );
        let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, problem);
        if let Some(wait) = verdict.retry_after {
            response.headers_mut().insert(RETRY_AFTER, retry_after(wait));
        }
        response
    }
}

/// 503: nobody can say whether it is over the limit, and it was chosen to refuse then.
pub(super) fn uncounted<B>() -> Response<CacheBody<B>> {
    let mut response = refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\
         \"detail\":\"Requests can't be counted at the moment.\"}",
    );
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// 403: nothing tells whose request it is, and it was chosen to refuse then.
pub(super) fn without_key<B>() -> Response<CacheBody<B>> {
    refusal(
        StatusCode::FORBIDDEN,
        "{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,\
         \"detail\":\"Nothing tells whom to count this request for.\"}",
    )
}

fn refusal<B>(status: StatusCode, problem: impl Into<Bytes>) -> Response<CacheBody<B>> {
    let mut response = Response::new(CacheBody::stored(problem.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
