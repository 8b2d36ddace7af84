//! Parts of stored responses: 206 and 416 (RFC 9110 §14).

use http::{HeaderMap, Response, StatusCode};

use crate::body::CacheBody;
use crate::policy::{Part, Ranged, part_headers, ranged, unsatisfiable_headers};
use crate::stored::StoredResponse;

/// The answer to a GET that asks for a range of a stored response; `None`: it gets the whole.
/// `headers` are those of the hit, and become those of the part.
pub(crate) fn part<B>(
    stored: &StoredResponse,
    request: &HeaderMap,
    headers: &mut HeaderMap,
) -> Option<Response<CacheBody<B>>> {
    let length = stored.body.len();
    part_of(stored, &Part { range: 0..length, complete: length }, request, headers)
}

/// As [`part`], where the body is only `held` of the response; `None` too where that is not enough.
pub(crate) fn part_of<B>(
    stored: &StoredResponse,
    held: &Part,
    request: &HeaderMap,
    headers: &mut HeaderMap,
) -> Option<Response<CacheBody<B>>> {
    let length = held.complete;
    let (status, headers, body) = match ranged(request, stored.status, &stored.template, length) {
        Ranged::Whole => return None,
        Ranged::Part(part) => {
            let start = part.start.checked_sub(held.range.start)?;
            let end = start.checked_add(part.len()).filter(|end| *end <= stored.body.len())?;
            // Fails where the map has no room for one line more; without it there is no 206.
            part_headers(headers, &part, length).ok()?;
            let body = CacheBody::stored(stored.body.slice(start..end));
            (StatusCode::PARTIAL_CONTENT, std::mem::take(headers), body)
        }
        Ranged::Unsatisfiable => {
            let headers = unsatisfiable_headers(headers, length);
            (StatusCode::RANGE_NOT_SATISFIABLE, headers, CacheBody::empty())
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Some(response)
}
