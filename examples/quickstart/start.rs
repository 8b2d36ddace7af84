//! The start page: how to try the service, what there is to look at, and a button that makes load.
//!
//! `curl` gets the guide as text, a browser gets it as a page.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

const PAGE: &str = include_str!("start/page.html");
const STYLE: &str = include_str!("start/style.css");
const SCRIPT: &str = include_str!("start/load.js");
/// Nothing but what is served here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'";

/// The routes of the start page. `guide` is the text; `admin`: whether there is an admin page.
pub(crate) fn router(guide: String, admin: bool) -> Router {
    let page = page(&guide, admin);
    let start = move |headers: HeaderMap| {
        let response = if wants_html(&headers) {
            of_type("text/html; charset=utf-8", page.clone())
        } else {
            of_type("text/plain; charset=utf-8", guide.clone())
        };
        async move { response }
    };
    Router::new()
        .route("/", get(start))
        .route("/start/style.css", get(async || of_type("text/css", STYLE)))
        .route("/start/load.js", get(async || of_type("text/javascript", SCRIPT)))
}

fn of_type(kind: &'static str, body: impl IntoResponse) -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (VARY, HeaderValue::from_static("accept")),
    ];
    (headers, body).into_response()
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.into_iter().any(|value| value.contains("text/html"))
}

fn page(guide: &str, admin: bool) -> String {
    let escaped = guide.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let admin = if admin {
        "<a href=\"/api/cache\">The admin page</a>: what the cache does right now. It asks for the \
         token in <code>CACHE_ADMIN_TOKEN</code>."
    } else {
        "The admin page is not mounted: start the quickstart with a token of your choice in \
         <code>CACHE_ADMIN_TOKEN</code>."
    };
    PAGE.replace("{guide}", &escaped).replace("{admin}", admin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_a_page_and_curl_gets_text() {
        for (accept, html) in
            [("text/html,application/xhtml+xml;q=0.9", true), ("*/*", false), ("text/plain", false)]
        {
            let headers = [(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
            assert_eq!(wants_html(&headers), html, "{accept}");
        }
    }

    #[test]
    fn the_guide_is_in_it_as_text() {
        let page = page("curl 'a&b' <c>", true);
        assert!(page.contains("curl 'a&amp;b' &lt;c&gt;") && page.contains("href=\"/api/cache\""));
        assert!(!page.contains('{'), "a hole is left");
    }
}
