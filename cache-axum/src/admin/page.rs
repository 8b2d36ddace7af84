//! The page at the root of the admin API: one document that loads nothing, and asks only the API
//! beside it. It holds no figures itself, so it needs no credentials.
//!
//! Its parts lie in `page/` and are put together when this crate is compiled. What may run and how
//! it may look is allowed by hash (Content-Security-Policy), worked out from what is served.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

const DOCUMENT: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = concat!(
    include_str!("page/dom.js"),
    include_str!("page/api.js"),
    include_str!("page/history.js"),
    include_str!("page/chart.js"),
    include_str!("page/tables.js"),
    include_str!("page/board.js"),
    include_str!("page/invalidate.js"),
    include_str!("page/main.js"),
);

struct Page {
    html: String,
    policy: HeaderValue,
}

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let html = DOCUMENT.replace("/*style*/", STYLE).replace("/*script*/", SCRIPT);
    Page { html, policy: policy(STYLE, SCRIPT) }
});

/// The page.
pub(super) async fn page() -> Response {
    let headers: [(HeaderName, HeaderValue); 6] = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, PAGE.policy.clone()),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    (headers, PAGE.html.as_str()).into_response()
}

/// Nothing but this style and this script, which may ask where the page comes from, and may not
/// make HTML of text.
fn policy(style: &str, script: &str) -> HeaderValue {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(script),
        hash(style)
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands between two tags in the page that is served.
    fn between<'a>(html: &'a str, open: &str, close: &str) -> &'a str {
        let (_, rest) = html.split_once(open).expect(open);
        rest.split_once(close).expect(close).0
    }

    #[test]
    fn what_is_served_is_what_its_policy_allows() {
        let style = between(&PAGE.html, "<style>", "</style>");
        let script = between(&PAGE.html, "<script type=\"module\">", "</script>");
        assert_eq!((style, script), (STYLE, SCRIPT));
        assert_eq!(PAGE.policy, policy(style, script));
        assert_ne!(PAGE.policy, policy(style, &format!("{script} ")));
    }

    /// One document: nothing in it is fetched, and nothing is written as HTML or run from text.
    #[test]
    fn it_loads_nothing_and_makes_no_html_of_text() {
        let markup = DOCUMENT.replace("data:image/svg+xml", "").replace("http://www.w3.org", "");
        for source in ["src=", "url(", "http://", "https://", " style=", "onclick=", "<link rel=\"s"] {
            assert!(!markup.contains(source), "{source} in the document");
        }
        for source in ["url(", "@import"] {
            assert!(!STYLE.contains(source), "{source} in the style");
        }
        let sinks = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("];
        for sink in sinks {
            assert!(!SCRIPT.contains(sink), "{sink} in the script");
        }
        let addresses = SCRIPT.matches("://").count();
        assert_eq!(addresses, 1, "the name of SVG alone");
    }

    /// Every element that the script asks for by its id is in the document.
    #[test]
    fn what_the_script_asks_for_is_there() {
        for part in SCRIPT.split("$('").skip(1) {
            let id = part.split('\'').next().unwrap_or_default();
            assert!(DOCUMENT.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
}
