//! The page: one document without data, for everybody; what it shows it asks the API for.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_SECURITY_POLICY;
use sha2::{Digest, Sha256};

use super::builder::Shared;

const PAGE: &str = include_str!("page.html");

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
/// attributes. It sends nothing anywhere but to where it came from, and nobody frames it.
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
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
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
        assert!(policy.contains("script-src 'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0=' "));
        assert!(policy.contains("; style-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=';"));
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
}
