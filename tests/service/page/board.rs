//! A service with an admin page, and a browser that looks at it.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use cache_axum::admin::{BearerToken, Principal};
use cache_axum::cache_endpoint;
use cache_core::{Cache, minutes};
use cache_tests::{Browser, http_client};
use cache_tower::{CacheLayer, HttpCache, RoutePolicy, Workspace};

use crate::setup::{Served, memory_cache, serve};

pub(super) const OPERATOR: &str = "the-token-of-operators";
pub(super) const OF_WS1: &str = "the-token-of-ws1";

/// Where the admin router is.
pub(super) const AT: &str = "/api/cache";

pub(super) struct Board {
    pub(super) browser: Browser,
    pub(super) cache: Cache,
    pub(super) served: Served,
}

impl Board {
    /// In memory, the page open and nobody signed in.
    pub(super) async fn open() -> Self {
        Self::of(memory_cache()).await
    }

    /// The same over this cache.
    pub(super) async fn of(cache: Cache) -> Self {
        let served = serve(app(&response_cache(cache.clone()))).await;
        let browser = Browser::start().await;
        let board = Self { browser, cache, served };
        board.browser.open(&board.url()).await;
        board
    }

    /// The same, signed in as an operator.
    pub(super) async fn signed_in() -> Self {
        let board = Self::open().await;
        board.sign_in(OPERATOR).await;
        board
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.served.addr
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}{AT}", self.addr())
    }

    pub(super) async fn sign_in(&self, token: &str) {
        self.browser.fill("#token", token).await;
        self.browser.click("#sign-in-form button").await;
        self.browser.until("!document.getElementById('board').hidden").await;
        self.browser.until("document.getElementById('state').innerText === 'Live'").await;
    }

    /// Asks the service for an item, so often.
    pub(super) async fn ask(&self, workspace: &str, item: &str, times: usize) {
        for _ in 0..times {
            let headers = [("x-workspace-id", workspace)];
            let response = http_client::get(self.addr(), &format!("/items/{item}"), &headers).await;
            assert_eq!(response.status, 200);
        }
    }

    /// Waits until an element has this text somewhere in it.
    pub(super) async fn until_says(&self, id: &str, text: &str) {
        let text = serde_json::to_string(text).expect("text");
        let said = format!("document.getElementById('{id}').innerText.includes({text})");
        self.browser.until(&said).await;
    }

    /// Whether an element is to be seen.
    pub(super) async fn shows(&self, id: &str) -> bool {
        let script = format!("return document.getElementById('{id}').checkVisibility()");
        self.browser.eval(&script).await == true
    }

    /// Nothing was refused by the page's policy, nothing failed, and all that was asked for is the
    /// page and the API beside it.
    pub(super) async fn is_clean(&self) {
        let console = self.browser.console().await;
        assert_eq!(console, Vec::<String>::new());
        let ours = format!("http://{}{AT}", self.addr());
        for url in self.browser.requests().await {
            let own = url == ours || url.starts_with(&format!("{ours}/"));
            assert!(own || url.starts_with("data:"), "{url}");
        }
    }
}

/// With rules of which one is mistyped.
fn response_cache(cache: Cache) -> HttpCache {
    HttpCache::builder(cache)
        .workspace(Workspace::header("x-workspace-id"))
        .route("/itmes/{id}", RoutePolicy::new(minutes(5)))
        .route("/lists/{id}", RoutePolicy::new(minutes(5)))
        .never("/billing/{*rest}")
        .build()
}

fn app(http: &HttpCache) -> Router {
    let tokens = BearerToken::new(OPERATOR).and(OF_WS1, Principal::workspace("ws1"));
    let admin = cache_axum::admin(http).authorize(tokens).build().expect("valid");
    let item = async |Path(id): Path<String>| id;
    Router::new()
        .route("/items/{id}", get(item).layer(cache_endpoint(http, minutes(5))))
        .route("/lists/{id}", get(item))
        .layer(CacheLayer::new(http))
        .nest(AT, admin)
}
