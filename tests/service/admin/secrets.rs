//! No token is told again: not in an answer, not in a log.

use std::fmt::Write;

use super::audit::Logged;
use super::rig::{OPERATOR, WS1, bearer, rig};
use crate::setup::memory_cache;

#[tokio::test]
async fn no_token_is_in_any_answer_or_log() {
    let logged = Logged::begin();
    let rig = rig(memory_cache()).await;
    let mut answers = String::new();
    for token in [OPERATOR, WS1, "a-wrong-token"] {
        for path in ["/stats", "/health", "/entry?key=a", "/nothing", "/openapi.json"] {
            let response = rig.get(path, token).await;
            let _ = write!(answers, "{:?}{}", response.headers, response.text());
        }
        for body in [r#"{"workspace":"ws1"}"#, "{", r#"{"namespace":"x"}"#] {
            answers.push_str(&rig.post("/invalidate", token, body).await.text());
        }
        let both = [bearer(token), bearer(token)];
        let both = [both[0].as_str(), &both[1]];
        answers.push_str(&rig.ask("GET", "/stats", &both, b"").await.text());
    }
    let debug = format!("{:?}", cache_axum::admin(&rig.http).authorize(super::rig::tokens()));
    let logged = logged.end();
    assert!(logged.contains("refused"), "something was logged");
    for text in [&answers, &logged, &debug] {
        for token in [OPERATOR, WS1, "a-wrong-token"] {
            assert!(!text.contains(token), "{token}");
        }
    }
}
