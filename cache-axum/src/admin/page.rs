//! The page: one document without data, for everybody; what it shows it asks the API for.
//!
//! Its parts lie in `page/` and are put together when this crate is compiled. What may run, and how
//! it may look, is allowed by the digests of what is served.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_SECURITY_POLICY;
use sha2::{Digest, Sha256};

use super::builder::Shared;

const PAGE: &str = concat!(
    include_str!("page/top.html"),
    include_str!("page/style.css"),
    include_str!("page/body.html"),
    include_str!("page/dom.js"),
    include_str!("page/api.js"),
    include_str!("page/history.js"),
    include_str!("page/chart.js"),
    include_str!("page/tables.js"),
    include_str!("page/board.js"),
    include_str!("page/invalidate.js"),
    include_str!("page/main.js"),
    include_str!("page/end.html"),
);

/// The page's policy: its own scripts and styles, by their digests, and nothing else.
pub(super) struct Page {
    policy: HeaderValue,
}

impl Page {
    pub(super) fn new() -> Self {
        let policy = HeaderValue::try_from(policy(PAGE));
        // Of ASCII, as it is made below; without any, nothing runs.
        let nothing = || HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        Self { policy: policy.unwrap_or_else(|_| nothing()) }
    }
}

/// The page.
#[utoipa::path(
    get,
    path = "/",
    tag = "page",
    security(()),
    responses((status = 200, description = "The page, without any data", content_type = "text/html"))
)]
pub(super) async fn page(State(shared): State<Arc<Shared>>) -> Response {
    let mut response = Html(PAGE).into_response();
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, shared.page.policy.clone());
    response
}

/// Scripts and styles are those that stand in the page as `<script>` and `<style>`, without
/// attributes. It sends nothing anywhere but to where it came from, nobody frames it, and it makes no
/// HTML of text (`trusted-types`).
fn policy(page: &str) -> String {
    let sources = |element: &str| {
        let mut sources = String::new();
        for content in contents(page, element) {
            let _ = write!(sources, " 'sha256-{}'", base64(&Sha256::digest(content)));
        }
        if sources.is_empty() { " 'none'".to_owned() } else { sources }
    };
    format!(
        "default-src 'none'; script-src{}; style-src{}; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        sources("script"),
        sources("style"),
    )
}

fn contents<'p>(page: &'p str, element: &str) -> impl Iterator<Item = &'p str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let mut rest = page;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (content, after) = after.split_once(&close)?;
        rest = after;
        Some(content)
    })
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |n: usize| u32::from(three.get(n).copied().unwrap_or_default());
        let all = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..4 {
            let six = usize::try_from(all >> (18 - 6 * n) & 0x3f).unwrap_or_default();
            let digit = DIGITS.get(six).copied().map_or('A', char::from);
            text.push(if n <= three.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_as_csp_wants_them() {
        // The vectors of RFC 4648 §10.
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        let policy = policy("<style>a</style><script>b</script><script>c</script>");
        // printf b | openssl dgst -sha256 -binary | base64
        assert!(
            policy.contains("script-src 'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0=' ")
        );
        assert!(
            policy.contains("; style-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=';")
        );
    }

    #[test]
    fn the_page_has_nothing_that_its_policy_would_not_let_run() {
        for element in ["script", "style"] {
            let all = PAGE.matches(&format!("<{element}")).count();
            assert_eq!(all, contents(PAGE, element).count(), "{element} with attributes");
        }
        for never in ["style=\"", "onclick=", "onload=", "onsubmit=", "javascript:", "src=\"http"] {
            assert!(!PAGE.contains(never), "{never}");
        }
        assert!(!policy(PAGE).contains("unsafe"));
    }

    /// What comes from data is text, whatever it looks like.
    #[test]
    fn the_page_makes_no_html_of_text() {
        for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!PAGE.contains(sink), "{sink}");
        }
    }

    /// Every element that the script asks for by its id is in the document.
    #[test]
    fn what_the_script_asks_for_is_there() {
        let asked: Vec<&str> =
            PAGE.split("$('").skip(1).filter_map(|part| part.split('\'').next()).collect();
        assert!(asked.len() > 50, "only {asked:?}");
        for id in asked {
            assert!(PAGE.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }

    /// It loads nothing: addresses are those of the namespace of SVG alone.
    #[test]
    fn the_page_names_no_other_place() {
        let addresses = PAGE.matches("://").count();
        assert_eq!(addresses, PAGE.matches("http://www.w3.org/2000/svg").count());
    }
}
