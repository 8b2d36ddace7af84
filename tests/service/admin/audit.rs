//! Each change, and each that was refused, is an event: who, what, and what came of it.

use std::fmt::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use cache_core::{Cache, Keyring, Namespace};
use tracing::dispatcher::{DefaultGuard, Dispatch};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use super::rig::{OPERATOR, WS1, bearer, rig};
use crate::setup::{memory_cache, unique_prefix};

/// What is logged in this thread, where the tests' servers run, too.
pub(super) struct Logged {
    lines: Arc<Mutex<String>>,
    _guard: DefaultGuard,
}

impl Logged {
    pub(super) fn begin() -> Self {
        // With one listener alone `tracing` would ask whichever thread comes first whether anybody
        // listens, and keep the answer.
        static OTHERS: LazyLock<[Dispatch; 2]> =
            LazyLock::new(|| [(); 2].map(|()| Dispatch::new(Lines::default())));
        LazyLock::force(&OTHERS);
        let lines = Lines::default();
        let text = Arc::clone(&lines.0);
        Self { lines: text, _guard: tracing::dispatcher::set_default(&Dispatch::new(lines)) }
    }

    /// All of it.
    pub(super) fn end(self) -> String {
        self.lines.lock().unwrap().clone()
    }

    /// What was said to the audit since this was asked last.
    fn audited(&self) -> Vec<String> {
        let all = std::mem::take(&mut *self.lines.lock().unwrap());
        let audit = |line: &&str| line.starts_with("cache_axum::admin::audit ");
        all.lines().filter(audit).map(str::to_owned).collect()
    }
}

/// One line for each event.
#[derive(Default)]
struct Lines(Arc<Mutex<String>>);

impl Subscriber for Lines {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("cache_")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        let mut all = self.0.lock().unwrap();
        all.push_str(&line.0);
        all.push('\n');
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if !["took_us", "left_out"].contains(&field.name()) {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}

#[tokio::test]
async fn who_has_changed_what_and_what_came_of_it() {
    let rig = rig(memory_cache()).await;
    let logged = Logged::begin();
    for (path, json, line) in [
        (
            "/invalidate",
            r#"{"patterns":["ws1:*"],"tags":["t"],"soft":true}"#,
            r#"action="invalidate" what=softly pattern "ws1:*" in "api_responses", tag "t" outcome="complete""#,
        ),
        (
            "/invalidate",
            r#"{"namespace":"api_responses","keys":["a:b"],"workspace":"ws2"}"#,
            r#"action="invalidate" what=key "a:b" in "api_responses", workspace "ws2" outcome="complete""#,
        ),
        (
            "/clear?namespace=api_responses",
            "",
            r#"action="clear" what=namespace "api_responses" outcome="complete""#,
        ),
        ("/clear?all=true", "", r#"action="clear" what=everything outcome="complete""#),
        (
            "/version/bump?namespace=api_responses",
            "",
            r#"action="bump" what=namespace "api_responses" outcome="complete""#,
        ),
    ] {
        assert_eq!(rig.post(path, OPERATOR, json).await.status, 200, "{path}");
        let expected = format!("cache_axum::admin::audit message=change principal=operator {line}");
        assert_eq!(logged.audited(), [expected]);
    }
    rig.post("/invalidate", WS1, r#"{"workspace":"ws1"}"#).await;
    assert!(logged.audited()[0].contains(r#"principal=workspace "ws1" action="invalidate""#));
    // Questions are none.
    rig.post("/invalidate", OPERATOR, r#"{"workspace":"ws1","dry_run":true}"#).await;
    rig.get("/stats", OPERATOR).await;
    rig.get("/stats", "wrong").await;
    assert!(logged.audited().is_empty());
}

#[tokio::test]
async fn what_is_refused_is_told_as_well() {
    let rig = rig(memory_cache()).await;
    let logged = Logged::begin();
    let json = "Content-Type: application/json";
    for (fields, path, body, line) in [
        (
            &[json][..],
            "/clear?all=true",
            "",
            "refused principal=\"nobody\" path=\"/clear\" status=401",
        ),
        (
            &[json, &bearer("wrong")],
            "/invalidate",
            "",
            "refused principal=\"nobody\" path=\"/invalidate\" status=401",
        ),
        (
            &[&bearer(OPERATOR), "Content-Type: text/plain"],
            "/invalidate",
            "",
            "refused principal=\"operator\" path=\"/invalidate\" status=415",
        ),
        (
            &[&bearer(WS1), json, "Origin: https://evil.example"],
            "/invalidate",
            "",
            r#"refused principal="workspace \"ws1\"" path="/invalidate" status=403"#,
        ),
        (
            &[&bearer(WS1), json],
            "/clear?all=true",
            "",
            r#"change principal=workspace "ws1" action="clear" what=everything outcome="forbidden""#,
        ),
        (
            &[&bearer(WS1), json],
            "/invalidate",
            r#"{"workspace":"ws2"}"#,
            r#"change principal=workspace "ws1" action="invalidate" what=not told outcome="403""#,
        ),
        (
            &[&bearer(OPERATOR), json],
            "/clear?namespace=unknown",
            "",
            r#"change principal=operator action="clear" what=namespace "unknown" outcome="not found""#,
        ),
    ] {
        rig.ask("POST", path, fields, body.as_bytes()).await;
        let line = format!("cache_axum::admin::audit message={line}");
        assert_eq!(logged.audited(), [line]);
    }
}

/// Anybody can be refused as often as they like: the log must not be theirs to fill.
#[tokio::test]
async fn of_many_refusals_a_few_are_told() {
    let rig = rig(memory_cache()).await;
    let logged = Logged::begin();
    for _ in 0..300 {
        rig.post("/clear?all=true", "wrong", "").await;
    }
    let told = logged.audited().len();
    assert!((50..150).contains(&told), "{told}");
}

/// A line of the audit is one line, whatever names it is about.
#[tokio::test]
async fn nobody_writes_lines_of_their_own() {
    let rig = rig(memory_cache()).await;
    let logged = Logged::begin();
    let path = "/clear?namespace=a%0Acache_axum::admin::audit%20message=forged";
    assert_eq!(rig.post(path, OPERATOR, "").await.status, 404);
    let lines = logged.audited();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(r"a\ncache_axum"), "{lines:?}");
}

/// A line was as long as the path: anybody could write some hundred kilobytes each second.
#[tokio::test]
async fn a_long_path_is_cut() {
    let rig = rig(memory_cache()).await;
    let logged = Logged::begin();
    assert_eq!(rig.post(&format!("/{}", "x".repeat(8_000)), "wrong", "").await.status, 401);
    let lines = logged.audited();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].len() < 1_000 && lines[0].contains("/xxx"), "{lines:?}");
}

#[tokio::test]
async fn keys_of_sensitive_namespaces_are_not_told() {
    const SECRETS: Namespace = Namespace::new("secrets").sensitive();
    let cache = Cache::builder().prefix(unique_prefix()).namespace(SECRETS).memory();
    let rig = rig(cache.keyring(Keyring::new(1, [7; 32])).build().unwrap()).await;
    let logged = Logged::begin();
    let asked = r#"{"namespace":"secrets","keys":["patient:ada"],"patterns":["patient:b*"]}"#;
    assert_eq!(rig.post("/invalidate", OPERATOR, asked).await.status, 200);
    let all = logged.end();
    assert!(all.contains(r#"a key in "secrets", a pattern in "secrets""#), "{all}");
    assert!(!all.contains("patient"), "{all}");
}
