//! Requests that a page of somebody else makes a browser send. Pure.
//!
//! Bearer tokens are no cookies, so a browser adds none by itself; but authorizers of an application
//! may look at cookies. So what changes something must not come from elsewhere.

use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another page's.
    CrossSite,
    /// What a form could send.
    NotJson,
}

/// Whether a request that changes something is a page's of this origin, or no page's at all.
pub(super) fn check(headers: &HeaderMap, trusted: &[String]) -> Result<(), Refusal> {
    if is_cross_site(headers, trusted) {
        return Err(Refusal::CrossSite);
    }
    if is_json(headers) { Ok(()) } else { Err(Refusal::NotJson) }
}

fn is_cross_site(headers: &HeaderMap, trusted: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let (origin, more) = (origins.next(), origins.next());
    if more.is_some() {
        return true;
    }
    let origin = origin.map(|origin| origin.to_str().unwrap_or("null"));
    if origin.is_some_and(|origin| trusted.iter().any(|known| known == origin)) {
        return false;
    }
    // What the browser itself says (no page can set it), whatever host a proxy has put in.
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    if let Some(site) = sites.next() {
        return !(matches!(site.as_bytes(), b"same-origin" | b"none") && sites.next().is_none());
    }
    let Some(origin) = origin else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let of_origin = origin.split_once("://").map(|(_, authority)| authority);
    !host.zip(of_origin).is_some_and(|(host, origin)| host.eq_ignore_ascii_case(origin))
}

/// A form can send three content types; this is none of them.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let Ok(text) = only.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(fields: &[(&'static str, &str)]) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        check(&headers, &["https://admin.example".to_owned()])
    }

    const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
    const HOST: (&str, &str) = ("host", "a.example:8080");

    #[test]
    fn what_comes_from_here_or_from_no_page_is_let_in() {
        for fields in [
            &[JSON, HOST][..],
            &[JSON, HOST, ("sec-fetch-site", "same-origin")],
            &[JSON, HOST, ("sec-fetch-site", "none")],
            &[JSON, HOST, ("origin", "http://a.example:8080")],
            // Behind a proxy that changes the host.
            &[JSON, HOST, ("origin", "https://b.example"), ("sec-fetch-site", "same-origin")],
            &[JSON, HOST, ("origin", "https://admin.example")],
            &[JSON, HOST, ("origin", "https://admin.example"), ("sec-fetch-site", "cross-site")],
        ] {
            assert_eq!(checked(fields), Ok(()), "{fields:?}");
        }
    }

    #[test]
    fn what_comes_from_elsewhere_is_not() {
        for fields in [
            &[JSON, HOST, ("sec-fetch-site", "cross-site")][..],
            &[JSON, HOST, ("sec-fetch-site", "same-site")],
            &[JSON, HOST, ("sec-fetch-site", "")],
            &[JSON, HOST, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[JSON, HOST, ("sec-fetch-site", "cross-site"), ("origin", "http://a.example:8080")],
            &[JSON, HOST, ("origin", "http://b.example")],
            &[JSON, HOST, ("origin", "http://a.example")],
            &[JSON, HOST, ("origin", "null")],
            &[JSON, HOST, ("origin", "")],
            &[JSON, HOST, ("origin", "http://a.example:8080"), ("origin", "http://b.example")],
            &[JSON, ("origin", "http://a.example:8080")],
        ] {
            assert_eq!(checked(fields), Err(Refusal::CrossSite), "{fields:?}");
        }
    }

    #[test]
    fn what_a_form_could_send_is_not() {
        for fields in [
            &[HOST][..],
            &[HOST, ("content-type", "text/plain")],
            &[HOST, ("content-type", "text/plain; application/json")],
            &[HOST, ("content-type", "application/x-www-form-urlencoded")],
            &[HOST, ("content-type", "multipart/form-data")],
            &[HOST, ("content-type", "application/jsonp")],
            &[HOST, JSON, JSON],
        ] {
            assert_eq!(checked(fields), Err(Refusal::NotJson), "{fields:?}");
        }
    }
}
