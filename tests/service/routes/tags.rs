//! Tags that a route gives its responses, with its parameters in them.

use axum::Router;
use cache_axum::{CacheTags, cache_endpoint};
use cache_core::{Tag, minutes};

use super::options::counted;
use super::{App, Calls, HIT, MISS, everywhere, in_memory};

/// The values of a route's parameters are in the tags of its responses.
#[tokio::test]
async fn tags_hold_the_values_of_parameters() {
    for http in everywhere(|builder| builder) {
        let calls = Calls::default();
        let layer = cache_endpoint(&http, minutes(5))
            .tag("campaign:{id}")
            .tag("{workspace_id}:all")
            .tag_in_workspace("stats")
            .tags(|request| CacheTags::new([request.method().as_str()]));
        let inner = Router::new().route("/{id}/stats", counted(&calls).layer(layer));
        let app = App::start(&http, Router::new().nest("/campaigns", inner)).await;
        let all = [("ws1", "42"), ("ws1", "43"), ("ws2", "42")];
        for (tag, gone) in [
            (Tag::new("campaign:42"), [true, false, true]),
            (Tag::new("campaign:4"), [false; 3]),
            (Tag::new("campaign:{id}"), [false; 3]),
            (Tag::new("ws1:all"), [true, true, false]),
            (Tag::in_workspace("ws2", "stats"), [false, false, true]),
            (Tag::new("stats"), [false; 3]),
            (Tag::new("GET"), [true; 3]),
        ] {
            for (workspace, id) in all {
                let (path, lines) =
                    (format!("/campaigns/{id}/stats"), [("x-workspace-id", workspace)]);
                app.get(&path, &lines).await;
                assert_eq!(app.told(&path, &lines).await, HIT);
            }
            assert!(http.cache().invalidate(tag.clone()).await.unwrap().is_complete());
            for ((workspace, id), gone) in all.into_iter().zip(gone) {
                let (path, lines) =
                    (format!("/campaigns/{id}/stats"), [("x-workspace-id", workspace)]);
                let expected = if gone { MISS } else { HIT };
                assert_eq!(
                    app.told(&path, &lines).await,
                    expected,
                    "{workspace} {id} after {tag:?}"
                );
            }
        }
    }
}

/// A tag whose hole nobody fills is no tag: it neither widens nor keeps the others from working.
#[tokio::test]
async fn a_hole_without_a_value_makes_no_tag() {
    let http = in_memory(|builder| builder);
    let layer = cache_endpoint(&http, minutes(5))
        .tag("campaign:{ids}")
        .tag("{workspace_id}")
        .tag("file:{rest}")
        .tag("mine");
    let calls = Calls::default();
    let app =
        App::start(&http, Router::new().route("/f/{*rest}", counted(&calls).layer(layer))).await;
    for (tag, told) in [
        ("campaign:", HIT),
        ("campaign:{ids}", HIT),
        ("", HIT),
        ("{workspace_id}", HIT),
        ("-", HIT),
        ("file:", HIT),
        ("file:a/b", HIT),
        ("mine", MISS),
    ] {
        app.get("/f/a/b", &[]).await;
        assert_eq!(app.told("/f/a/b", &[]).await, HIT);
        http.cache().invalidate(Tag::new(tag)).await.unwrap();
        assert_eq!(app.told("/f/a/b", &[]).await, told, "{tag}");
    }
}
