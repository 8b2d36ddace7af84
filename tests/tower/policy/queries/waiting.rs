//! Who waits for whom.

use cache_tests::Gate;
use cache_tests::body::{channel, full};

use super::*;

/// Bug: where nothing was stored for a URI yet, queries with other content waited for the response
/// to the first of them, which was not for them.
#[tokio::test]
async fn other_content_does_not_wait() {
    let gate = Gate::new();
    let mut origin = Origin::new(FRESH);
    origin.gate = Some(gate.clone());
    let app = App::over(&origin);
    let contents = ["one", "two", "three", "two"];
    let going: Vec<_> =
        contents.iter().map(|content| app.start(query("/a", &[], full(*content)))).collect();
    gate.waiting(3).await;
    gate.open_for_good();
    for (going, content) in going.into_iter().zip(contents) {
        let response = ended(&app.http, going).await;
        assert!(response.body().ends_with(content.as_bytes()), "{content}");
    }
    assert_eq!(origin.calls(), 3);
    // Of those that came at once, one made the marker that stands: the others are asked for again.
    for content in contents {
        app.told(content, &[]).await;
    }
    for content in contents {
        let response = app.send(query("/a", &[], full(content))).await;
        assert_eq!(told(&response), HIT, "{content}");
        assert!(response.body().ends_with(content.as_bytes()), "{content}");
    }
    let stats = app.http.stats();
    assert_eq!((stats.hits + stats.misses, stats.bypasses), (12, 0));
}

#[tokio::test]
async fn a_body_that_never_ends_holds_nobody_up() {
    let app = App::new(FRESH);
    let (writer, body) = channel();
    let slow = app.start(query("/a", &[], body));
    assert!(writer.send("on").await && writer.send("e").await);
    assert_eq!(app.told("one", &[]).await, MISS);
    assert_eq!(app.told("two", &[]).await, OTHER);
    assert_eq!(app.http.flights(), 0);
    drop(writer);
    assert_eq!(told(&ended(&app.http, slow).await), HIT);
}
