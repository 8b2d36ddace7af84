//! The picture in the README: `./examples/ops/screenshot`.

use std::path::PathBuf;

use cache_tests::{Browser, RedisServer};

use super::ops::{load, quickstart};

const TOKEN: &str = "a-token-for-the-screenshot";

/// Load for a while, so that the charts have something to show.
#[tokio::test]
#[ignore = "writes docs/admin.png"]
async fn of_the_page_under_load() {
    let redis = RedisServer::start();
    let service = quickstart(&redis, TOKEN);
    let addr = service.addr();
    let browser = Browser::start().await;
    browser.resize(1280, 1180).await;
    browser.open(&format!("http://{addr}/api/cache")).await;
    let mut load = load(addr, 100);
    browser.fill("#token", TOKEN).await;
    browser.click("#sign-in-form button").await;
    load.wait().await.expect("it ends");
    browser.eval("document.activeElement.blur(); scrollTo(0, 0)").await;
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/admin.png");
    std::fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
    std::fs::write(&file, browser.screenshot().await).expect("a file");
}
