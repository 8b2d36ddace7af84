//! Names that tenants choose, and what tenants may see.

use cache_core::{Key, Tag};

use super::board::{Board, OF_WS1};

const EVIL: &str =
    "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>";

/// Whatever workspaces, keys, tags and patterns are called, they are shown and nothing else.
#[tokio::test]
async fn names_are_text() {
    let board = Board::signed_in().await;
    let (browser, cache) = (&board.browser, &board.cache);
    board.ask(EVIL, "1", 3).await;
    let key = Key::workspace(EVIL).segment(EVIL);
    cache.set("users", key.clone(), "x").await.unwrap();
    for _ in 0..20_000 {
        let _: Option<String> = cache.get("users", key.clone()).await.unwrap();
    }
    cache.invalidate(Tag::new(EVIL)).await.unwrap();
    board.until_says("workspaces", EVIL).await;
    board.until_says("events", EVIL).await;
    board.until_says("keys", "img").await;
    browser.fill("#tags", EVIL).await;
    browser.fill("#workspace", EVIL).await;
    browser.click("#dry-run").await;
    board.until_says("outcome", EVIL).await;
    browser.click("#really").await;
    board.until_says("outcome", "Invalidated").await;
    let found = browser.eval("return document.querySelectorAll('img').length").await;
    assert_eq!(found, 0);
    assert_ne!(browser.eval("return document.title").await, "pwned");
    // Nor could it be otherwise: the policy takes no text for HTML.
    let sink =
        "try { document.body.innerHTML = '<b>x</b>'; return 'done' } catch (e) { return e.name }";
    board.is_clean().await;
    assert_eq!(browser.eval(sink).await, "TypeError");
}

/// A tenant's token: its own figures and nothing of others, nor of the service.
#[tokio::test]
async fn a_workspace_sees_only_its_own() {
    let board = Board::open().await;
    let browser = &board.browser;
    board.ask("ws1", "1", 4).await;
    board.ask("ws2-of-others", "1", 40).await;
    board.sign_in(OF_WS1).await;
    board.until_says("viewer", "workspace ws1").await;
    board.until_says("workspaces", "ws1").await;
    board.until_says("now-reads-note", "4 in all").await;
    for hidden in ["health", "namespaces", "routes", "find-workspace", "now-memory"] {
        assert!(!board.shows(hidden).await, "{hidden}");
    }
    board.cache.invalidate(Tag::in_workspace("ws2-of-others", "theirs")).await.unwrap();
    board.cache.invalidate(Tag::in_workspace("ws1", "ours")).await.unwrap();
    board.until_says("events", "ours").await;

    browser.fill("#patterns", "ws2-of-others:items:*").await;
    browser.click("#dry-run").await;
    browser.until("document.querySelector('#outcome .error')").await;
    browser.fill("#patterns", "ws1:items:*").await;
    browser.click("#dry-run").await;
    board.until_says("outcome", "ws1:items:*").await;
    browser.eval("document.getElementById('patterns').value = ''").await;
    let text = browser.eval("return document.body.textContent").await.to_string();
    assert!(!text.contains("of-others") && !text.contains("theirs"), "{text}");
}
