//! Signing in and out.

use cache_tests::browser::keys;

use super::board::{Board, OPERATOR};

const KEPT: &str =
    "return JSON.stringify(sessionStorage) + JSON.stringify(localStorage) + document.cookie";

#[tokio::test]
async fn a_wrong_token_shows_nothing_and_the_right_one_all() {
    let board = Board::open().await;
    let browser = &board.browser;
    board.ask("ws1", "1", 3).await;
    assert!(board.shows("sign-in").await && !board.shows("board").await);
    for wrong in ["wrong", "the-token-of-operator", "tö ken"] {
        browser.fill("#token", wrong).await;
        browser.click("#sign-in-form button").await;
        board.until_says("sign-in-error", "not accepted").await;
        assert!(!board.shows("board").await, "{wrong}");
        assert_eq!(browser.eval(KEPT).await, "{}{}", "{wrong}");
    }
    // A refused request is told of in the console, by the browser itself.
    let console = browser.console().await;
    assert!(console.iter().all(|line| line.contains("401")), "{console:?}");

    board.sign_in(OPERATOR).await;
    board.until_says("workspaces", "ws1").await;
    assert!(!board.shows("sign-in").await);
    assert_eq!(browser.eval("return document.getElementById('token').value").await, "");
    board.is_clean().await;
}

#[tokio::test]
async fn the_token_is_kept_in_the_tab_until_one_signs_out() {
    let board = Board::signed_in().await;
    let browser = &board.browser;
    board.ask("ws1", "1", 3).await;
    board.until_says("workspaces", "ws1").await;
    let kept = browser.eval(KEPT).await;
    assert_eq!(kept, format!("{{\"cache-admin-token\":\"{OPERATOR}\"}}{{}}"));
    browser.open(&board.url()).await;
    board.until_says("workspaces", "ws1").await;

    browser.click("#sign-out").await;
    browser.until("document.activeElement.id === 'token'").await;
    assert!(board.shows("sign-in").await && !board.shows("board").await);
    assert_eq!(browser.eval(KEPT).await, "{}{}");
    // What was shown is gone, not only hidden.
    let text = browser.eval("return document.body.textContent.includes('ws1\\n')").await;
    let rows = browser.eval("return document.querySelectorAll('td').length").await;
    assert_eq!((text, rows), (false.into(), 0.into()));
    browser.open(&board.url()).await;
    browser.until("!document.getElementById('sign-in').hidden").await;
    board.is_clean().await;
}

/// A service that was started with another token.
#[tokio::test]
async fn who_is_no_longer_known_is_signed_out() {
    let board = Board::signed_in().await;
    let browser = &board.browser;
    browser.eval("sessionStorage.setItem('cache-admin-token', 'another')").await;
    browser.until("!document.getElementById('sign-in').hidden").await;
    assert_ne!(board.browser.text("#sign-in-error").await, "");
    assert_eq!(browser.eval(KEPT).await, "{}{}");
}

#[tokio::test]
async fn by_keyboard_alone() {
    let board = Board::open().await;
    let browser = &board.browser;
    browser.until("document.activeElement.id === 'token'").await;
    browser.press(&[OPERATOR, keys::ENTER].concat()).await;
    browser.until("!document.getElementById('board').hidden").await;
    browser.until("document.activeElement.id === 'main'").await;
    // From the top: the skip link comes first, is seen when it has the focus, and leads to the figures.
    browser.eval("document.activeElement.blur(); scrollTo(0, 0)").await;
    let focused = "return document.activeElement.id || document.activeElement.className";
    browser.eval("document.querySelector('.skip').focus()").await;
    let left = "return document.querySelector('.skip').getBoundingClientRect().left >= 0";
    assert_eq!(browser.eval(left).await, true);
    browser.press(keys::TAB).await;
    assert_eq!(browser.eval(focused).await, "pause");
    browser.press(keys::SPACE).await;
    board.until_says("state", "Paused").await;
    browser.press(&[keys::TAB, keys::ENTER].concat()).await;
    browser.until("document.activeElement.id === 'token'").await;
    board.is_clean().await;
}
