//! How the page looks: in the dark, on a phone, to those who want less motion, and to a screen
//! reader.

use cache_core::Key;

use super::board::{Board, OPERATOR};

/// Texts whose contrast with what is behind them is too low (WCAG 2.2, 1.4.3: 4.5, or 3 for large
/// ones), as `text: ratio`.
const TOO_PALE: &str = r"
    const parse = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => {
        const of = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * of(r) + 0.7152 * of(g) + 0.0722 * of(b);
    };
    const over = ([r, g, b, a = 1], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a)];
    const behind = (node) => {
        const layers = [];
        for (let at = node; at; at = at.parentElement) layers.unshift(parse(getComputedStyle(at).backgroundColor));
        return layers.reduce((under, layer) => over(layer.length === 4 ? layer : [...layer, 1], under), [255, 255, 255]);
    };
    const pale = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let seen = 0;
    while (texts.nextNode()) {
        const node = texts.currentNode.parentElement;
        const text = texts.currentNode.data.trim();
        if (!text || !node.checkVisibility() || node.closest('script, style, noscript, :disabled')) continue;
        seen += 1;
        const style = getComputedStyle(node);
        const color = node.namespaceURI.endsWith('svg') ? style.fill : style.color;
        const ground = behind(node);
        const [a, b] = [light(over([...parse(color), 1].slice(0, 4), ground)), light(ground)];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const large = parseFloat(style.fontSize) >= 24;
        if (ratio < (large ? 3 : 4.5)) pale.push(`${text}: ${ratio.toFixed(2)}`);
    }
    return seen > 60 ? pale : [`only ${seen} texts`];
";

async fn busy() -> Board {
    let board = Board::signed_in().await;
    for (workspace, item) in
        [("ws1", "1"), ("a-workspace-with-a-long-name-that-has-no-blank-in-it-0123456789", "2")]
    {
        board.ask(workspace, item, 5).await;
    }
    let key = Key::workspace("ws1").segment("k".repeat(300));
    board.cache.set("users", key.clone(), "x").await.unwrap();
    for _ in 0..20_000 {
        let _: Option<String> = board.cache.get("users", key.clone()).await.unwrap();
    }
    board.cache.invalidate(cache_core::Tag::new("t".repeat(200))).await.unwrap();
    board.until_says("keys", "kkkk").await;
    board.until_says("events", "tttt").await;
    board.until_says("workspaces", "ws1").await;
    board.browser.until("document.querySelectorAll('#chart-ratio path').length > 0").await;
    board
}

#[tokio::test]
async fn by_day_and_by_night_all_text_can_be_read() {
    let board = busy().await;
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        // Without motion: what is half way between two colors is not what one reads.
        let still = ("prefers-reduced-motion", "reduce");
        board.browser.prefer(&[("prefers-color-scheme", scheme), still]).await;
        grounds.push(board.browser.eval(ground).await.to_string());
        let pale = board.browser.eval(TOO_PALE).await;
        assert_eq!(pale, serde_json::json!([]), "{scheme}");
    }
    assert_ne!(grounds[0], grounds[1]);
    board.is_clean().await;
}

/// Not even a long key makes the page wider than a phone.
#[tokio::test]
async fn a_phone_never_scrolls_sideways() {
    let board = busy().await;
    for width in [360, 320, 768, 1920] {
        board.browser.resize(width, 740).await;
        let wide =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(board.browser.eval(wide).await, 0, "at {width}");
    }
    board.browser.resize(360, 740).await;
    let cut = "return [...document.querySelectorAll('main h2, main p, button, label, .value')]
        .filter((node) => node.checkVisibility() && node.getBoundingClientRect().right > innerWidth)
        .map((node) => node.textContent)";
    assert_eq!(board.browser.eval(cut).await, serde_json::json!([]));
    let small =
        "return [...document.querySelectorAll('button, select, input:not([type=checkbox])')]
        .filter((node) => node.checkVisibility() && node.getBoundingClientRect().height < 24)
        .map((node) => node.id)";
    assert_eq!(board.browser.eval(small).await, serde_json::json!([]));
    board.is_clean().await;
}

#[tokio::test]
async fn who_wants_less_motion_has_none() {
    let board = busy().await;
    let moving = "return [...document.querySelectorAll('*')].flatMap((node) => ['', '::before'].map((part) => getComputedStyle(node, part)))
        .some((style) => style.transitionDuration.split(', ').some((time) => time !== '0s') || style.animationName !== 'none')";
    assert_eq!(board.browser.eval(moving).await, true);
    board.browser.prefer(&[("prefers-reduced-motion", "reduce")]).await;
    assert_eq!(board.browser.eval(moving).await, false);
}

#[tokio::test]
async fn everything_has_a_name_for_who_can_not_see_it() {
    let board = Board::open().await;
    board.sign_in(OPERATOR).await;
    for (what, script) in [
        (
            "fields without a label",
            "[...document.querySelectorAll('input, select, textarea')].filter((n) => n.labels.length === 0)",
        ),
        (
            "buttons without a text",
            "[...document.querySelectorAll('button')].filter((n) => !n.textContent.trim())",
        ),
        (
            "sections without a name",
            "[...document.querySelectorAll('section, [role=region]')].filter((n) => !n.getAttribute('aria-label') && !document.getElementById(n.getAttribute('aria-labelledby'))?.textContent.trim())",
        ),
        (
            "tables without heads",
            "[...document.querySelectorAll('table')].filter((n) => n.rows.length > 0 && !n.querySelector('thead th[scope=col]'))",
        ),
        (
            "an order of their own",
            "[...document.querySelectorAll('[tabindex]')].filter((n) => n.tabIndex > 0)",
        ),
        (
            "ids that are there twice",
            "[...document.querySelectorAll('[id]')].filter((n) => document.querySelectorAll(`[id=\"${n.id}\"]`).length > 1)",
        ),
        (
            "names that lead nowhere",
            "[...document.querySelectorAll('[aria-describedby]')].filter((n) => !document.getElementById(n.getAttribute('aria-describedby')))",
        ),
    ] {
        let found = board.browser.eval(&format!("return {script}.map((n) => n.outerHTML)")).await;
        assert_eq!(found, serde_json::json!([]), "{what}");
    }
    let live = "return [...document.querySelectorAll('[aria-live], [role=alert], [role=status]')].map((n) => n.id)";
    assert_eq!(
        board.browser.eval(live).await,
        serde_json::json!(["notice", "sign-in-error", "outcome"])
    );
    assert_eq!(board.browser.eval("return document.documentElement.lang").await, "en");
}
