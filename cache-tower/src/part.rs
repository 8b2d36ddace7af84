//! Parts of stored responses: 206 and 416 (RFC 9110 §14).

use http::{HeaderMap, Response, StatusCode};

use crate::body::CacheBody;
use crate::policy::{Ranged, part_headers, ranged, unsatisfiable_headers};
use crate::stored::StoredResponse;

/// The answer to a GET that asks for a range of a stored response; `None`: it gets the whole.
/// `headers` are those of the hit, and become those of the part.
pub(crate) fn part<B>(
    stored: &StoredResponse,
    request: &HeaderMap,
    headers: &mut HeaderMap,
) -> Option<Response<CacheBody<B>>> {
    let length = stored.body.len();
    let (status, headers, body) = match ranged(request, stored.status, &stored.template, length) {
        Ranged::Whole => return None,
        Ranged::Part(part) => {
            // Fails where the map has no room for one line more; without it there is no 206.
            part_headers(headers, &part, length).ok()?;
            let body = CacheBody::stored(stored.body.slice(part));
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
