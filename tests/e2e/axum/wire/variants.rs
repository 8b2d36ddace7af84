//! Responses that vary: which requests share one, and how many are kept.

use axum::Router;

use super::{Calls, HIT, Lines, MISS, VARY_MISS, ask, builder, counted, seen, serve, status};

/// Numbers its calls.
fn varying(calls: &Calls) -> Router {
    let lines = [("cache-control", "max-age=60"), ("vary", "accept-encoding, accept-language")];
    Router::new().route("/text", counted(calls, move |call| (lines, call.to_string())))
}

#[tokio::test]
async fn requests_that_accept_the_same_share_a_response_on_demand() {
    let cases: [(Lines<'_>, &str, &str); 7] = [
        (&[("accept-encoding", "br, gzip;q=0.5"), ("accept-language", "de, en")], "1", MISS),
        (&[("accept-encoding", "GZIP;q=0.50,br"), ("accept-language", "EN,  de")], "1", HIT),
        // In several lines.
        (
            &[
                ("accept-language", "en"),
                ("accept-encoding", "gzip ; q=0.5"),
                ("accept-encoding", "br"),
                ("accept-language", "de"),
            ],
            "1",
            HIT,
        ),
        (&[("accept-encoding", "br, gzip"), ("accept-language", "de, en")], "2", VARY_MISS),
        (&[("accept-encoding", "br, gzip"), ("accept-language", "de, en;q=0.9")], "3", VARY_MISS),
        (&[("accept-encoding", "gzip, BR"), ("accept-language", "en;q=0.9,de")], "3", HIT),
        (&[], "4", VARY_MISS),
    ];
    let calls = Calls::default();
    let http = builder().0.normalize_accept_encoding().normalize_accept_language().build();
    let addr = serve(&http, varying(&calls)).await;
    for (lines, body, told) in cases {
        let response = ask(addr, "/text", lines).await;
        assert_eq!(seen(&response), (200, body.into(), told.into()), "{lines:?}");
    }
    // Else only those that say it in the same words.
    let calls = Calls::default();
    let addr = serve(&builder().0.build(), varying(&calls)).await;
    for (nth, (lines, ..)) in cases.iter().enumerate() {
        let told = if nth == 0 { MISS } else { VARY_MISS };
        assert_eq!(status(&ask(addr, "/text", lines).await), told, "{lines:?}");
    }
    assert_eq!(calls.count(), cases.len());
}

#[tokio::test]
async fn the_variant_that_was_not_used_for_longest_goes_first() {
    let calls = Calls::default();
    let addr = serve(&builder().0.max_variants(2).build(), varying(&calls)).await;
    for (language, body, told) in [
        ("de", "1", MISS),
        ("en", "2", VARY_MISS),
        ("de", "1", HIT),
        ("en", "2", HIT),
        ("de", "1", HIT),
        // No room for three.
        ("fr", "3", VARY_MISS),
        ("de", "1", HIT),
        ("en", "4", VARY_MISS),
        ("fr", "5", VARY_MISS),
        ("en", "4", HIT),
    ] {
        let response = ask(addr, "/text", &[("accept-language", language)]).await;
        assert_eq!(seen(&response), (200, body.into(), told.into()), "{language}");
    }
}
