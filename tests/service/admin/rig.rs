//! A service with a cached route and the admin API, and those who ask it.

use std::fmt::Write;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::Path;
use axum::response::IntoResponse;
use axum::routing::get;
use cache_axum::admin::{Admin, Authorized, BearerToken, Principal};
use cache_axum::{CacheTags, cache_endpoint};
use cache_core::{Cache, Namespace, minutes};
use cache_tests::http_client;
use cache_tests::message::Response;
use cache_tower::{CacheLayer, HttpCache};
use serde_json::Value;

use crate::setup::{Served, http, serve};

pub(super) const OPERATOR: &str = "token-of-the-operator";
pub(super) const WS1: &str = "token-of-workspace-1";
pub(super) const WS2: &str = "token-of-workspace-2";

pub(super) const REPORTS: Namespace = Namespace::new("reports").by_workspace();

pub(super) struct Rig {
    pub(super) served: Served,
    pub(super) cache: Cache,
    pub(super) http: HttpCache,
}

/// Those three.
pub(super) fn tokens() -> BearerToken {
    BearerToken::new(OPERATOR)
        .and(WS1, Principal::workspace("ws1"))
        .and(WS2, Principal::workspace("ws2"))
}

/// All by their defaults, but that tests may ask as often as they like.
pub(super) async fn rig(cache: Cache) -> Rig {
    rig_with(cache, |admin| admin.requests_per_second(100_000).changes_per_minute(100_000)).await
}

pub(super) async fn rig_with(
    cache: Cache,
    settings: impl FnOnce(Admin<Authorized>) -> Admin<Authorized>,
) -> Rig {
    let http = http(cache.clone());
    let admin = settings(cache_axum::admin(&http).authorize(tokens())).build().expect("valid");
    let campaign = async |Path(id): Path<String>| {
        let tags = CacheTags::new(["campaigns"]).and_in_workspace(["own"]);
        (axum::Extension(tags), format!("campaign {id}")).into_response()
    };
    let app = Router::new()
        .route("/campaigns/{id}", get(campaign).layer(cache_endpoint(&http, minutes(5))))
        .nest("/api/cache", admin)
        .layer(CacheLayer::new(&http));
    Rig { served: serve(app).await, cache, http }
}

impl Rig {
    pub(super) fn addr(&self) -> SocketAddr {
        self.served.addr
    }

    /// What a client of the service gets.
    pub(super) async fn visit(&self, path: &str, workspace: &str) -> Response {
        let headers = [("x-workspace-id", workspace)];
        http_client::request(self.addr(), "GET", path, &headers, b"").await.expect("answered")
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> Response {
        self.ask("GET", path, &[bearer(token).as_str()], b"").await
    }

    pub(super) async fn post(&self, path: &str, token: &str, json: &str) -> Response {
        let fields = [&*bearer(token), "Content-Type: application/json"];
        self.ask("POST", path, &fields, json.as_bytes()).await
    }

    /// With header fields as `Name: value`.
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        fields: &[&str],
        body: &[u8],
    ) -> Response {
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|field| field.split_once(": ").expect("a field")).collect();
        let path = format!("/api/cache{path}");
        http_client::request(self.addr(), method, &path, &fields, body).await.expect("answered")
    }

    /// The key in the store of what is in memory under it, as the API wants it.
    pub(super) async fn key_of(&self, path: &str, workspace: &str) -> String {
        let http = HttpCache::builder(self.cache.clone())
            .workspace(cache_tower::Workspace::header("x-workspace-id"))
            .cache_status_key()
            .build();
        let origin = get(async || "from the origin").layer(cache_endpoint(&http, minutes(5)));
        let served = serve(Router::new().route(path, origin)).await;
        let host = self.addr().to_string();
        let headers = [("x-workspace-id", workspace), ("host", host.as_str())];
        let response = http_client::request(served.addr, "GET", path, &headers, b"").await.unwrap();
        let status = response.cache_status();
        let (_, key) = status.split_once("key=\"").expect("the key is told");
        key.split_once('"').expect("it ends").0.to_owned()
    }
}

pub(super) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// The body as JSON.
#[track_caller]
pub(super) fn json(response: &Response) -> Value {
    let text = response.text();
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A value in a query.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}
