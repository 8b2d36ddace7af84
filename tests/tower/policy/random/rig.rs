//! The service that random cases are sent through.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cache_core::Clock;
use cache_tower::HttpCache;
use http::Response;

use super::heads::{Case, Line};
use super::oracle::{Exchange, Later};
use crate::policy::origin::{App, Body, Origin, START, memory, reply, request};

/// A cache whose clock a test moves, in front of an origin that answers as the test says.
pub(super) struct Rig {
    pub(super) app: App,
    next: Arc<Mutex<Option<Answer>>>,
    cases: u64,
}

/// What the origin answers next, once.
struct Answer {
    status: u16,
    lines: Vec<Line>,
    delay: u64,
}

/// What came of a case.
pub(super) struct Outcome {
    pub(super) first: Response<Bytes>,
    pub(super) later: Response<Bytes>,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) asked_again: u64,
}

impl Rig {
    pub(super) fn new() -> Self {
        let clock = Clock::manual(START);
        let next: Arc<Mutex<Option<Answer>>> = Arc::default();
        let (answers, time) = (Arc::clone(&next), clock.clone());
        let origin = Origin::new(move |_| match answers.lock().expect("not poisoned").take() {
            Some(Answer { status, lines, delay }) => {
                time.advance(Duration::from_millis(delay));
                answer(status, &lines)
            }
            None => answer(200, &[("cache-control", "no-store".to_owned())]),
        });
        let http = HttpCache::builder(memory(&clock)).build();
        Self { app: App::layered(&http, &origin), next, cases: 0 }
    }

    pub(super) fn now(&self) -> u64 {
        self.app.clock.now()
    }

    /// Sends what a case has to send, to a URI that no case had before.
    pub(super) async fn run(&mut self, case: &Case) -> Outcome {
        self.cases += 1;
        let uri = format!("/{}", self.cases);
        let sent = self.now();
        self.answer_next(case.status, &case.response, case.delay);
        let first = self.app.send(request(case.method, &uri, &lines(&case.request))).await;
        let received = self.now();
        if let Some((method, status)) = case.write {
            self.answer_next(status, &[], 0);
            self.app.send(request(method, &uri, &[])).await;
        }
        self.app.clock.advance(Duration::from_millis(case.wait));
        let asked_again = self.now();
        *self.next.lock().expect("not poisoned") = None;
        let uri = if case.elsewhere { format!("{uri}?") } else { uri };
        let later = self.app.send(request(case.later_method, &uri, &lines(&case.later))).await;
        Outcome { first, later, sent, received, asked_again }
    }

    fn answer_next(&self, status: u16, lines: &[Line], delay: u64) {
        *self.next.lock().expect("not poisoned") =
            Some(Answer { status, lines: lines.to_vec(), delay });
    }
}

fn lines(head: &[Line]) -> Vec<(&str, &str)> {
    head.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn answer(status: u16, head: &[Line]) -> Response<Body> {
    let has_body = !matches!(status, 100..200 | 204 | 304);
    reply(status, &lines(head), if has_body { "body" } else { "" })
}

pub(super) fn exchange<'a>(case: &'a Case, outcome: &Outcome) -> Exchange<'a> {
    Exchange {
        method: case.method,
        request: &case.request,
        status: case.status,
        response: &case.response,
        sent: outcome.sent,
        received: outcome.received,
    }
}

pub(super) fn later<'a>(case: &'a Case, outcome: &Outcome) -> Later<'a> {
    Later {
        method: case.later_method,
        request: &case.later,
        at: outcome.asked_again,
        same_uri: !case.elsewhere,
        written: case.write.is_some_and(|(_, status)| status < 400),
    }
}
