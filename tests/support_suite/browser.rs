//! A real Chromium: what tests of pages rely on.

use cache_tests::browser::keys;
use cache_tests::{Browser, Origin, body, eventually};
use rustix::process::{Pid, test_kill_process_group};

use crate::SOON;

const PAGE: &str = "<!doctype html><title>A page</title>
    <style>p { color: rgb(1, 2, 3) } @media (prefers-color-scheme: dark) { p { color: rgb(4, 5, 6) } }</style>
    <label>Name <input id=name></label> <button id=greet>Greet</button> <p id=said></p>
    <script>
        greet.onclick = () => { said.textContent = `Hello ${document.querySelector('input').value}` }
        const image = new Image(); image.src = '/refused.png'
        console.error('something is wrong')
    </script>";
const POLICY: &str = "default-src 'unsafe-inline'; img-src 'none'";

async fn page() -> (Origin, String) {
    let headers = [("content-type", "text/html"), ("content-security-policy", POLICY)];
    let origin = Origin::start(move |_| async move { body::fixed(200, &headers, PAGE) }).await;
    let url = format!("http://{}/page", origin.addr());
    (origin, url)
}

#[tokio::test]
async fn a_page_is_used_by_pointer_and_by_keyboard() {
    let (_origin, url) = page().await;
    let browser = Browser::start().await;
    browser.open(&url).await;
    browser.fill("#name", "Ada").await;
    browser.click("#greet").await;
    browser.until("said.textContent === 'Hello Ada'").await;
    browser.fill("#name", "").await;
    browser.press(&["Grace", keys::TAB, keys::ENTER].concat()).await;
    assert_eq!(browser.text("#said").await, "Hello Grace");
    browser.press(&[keys::SHIFT, keys::TAB].concat()).await;
    assert_eq!(browser.eval("return document.activeElement.id").await, "name");
}

#[tokio::test]
async fn it_tells_what_was_refused_and_what_was_asked_for() {
    let (_origin, url) = page().await;
    let browser = Browser::start().await;
    browser.open(&url).await;
    let console = browser.console().await.join("\n");
    assert!(console.contains("something is wrong"), "{console}");
    assert!(
        console.contains("refused.png") && console.contains("Content Security Policy"),
        "{console}"
    );
    assert_eq!(browser.console().await, Vec::<String>::new());
    let requests = browser.requests().await;
    assert!(requests.contains(&url), "{requests:?}");
}

#[tokio::test]
async fn it_has_the_size_and_the_preferences_of_a_user() {
    let (_origin, url) = page().await;
    let browser = Browser::start().await;
    browser.open(&url).await;
    let color = "return getComputedStyle(said).color";
    assert_eq!(browser.eval(color).await, "rgb(1, 2, 3)");
    browser.prefer(&[("prefers-color-scheme", "dark")]).await;
    assert_eq!(browser.eval(color).await, "rgb(4, 5, 6)");
    browser.resize(360, 740).await;
    assert_eq!(browser.eval("return innerWidth").await, 360);
    assert!(browser.screenshot().await.starts_with(b"\x89PNG"));
}

/// A driver that is killed leaves its browser behind.
#[tokio::test]
async fn all_its_processes_end_with_it() {
    let browser = Browser::start().await;
    let group = Pid::from_raw(i32::try_from(browser.group()).unwrap()).unwrap();
    assert!(test_kill_process_group(group).is_ok());
    drop(browser);
    eventually(SOON, "the group is gone", || test_kill_process_group(group).is_err()).await;
}
