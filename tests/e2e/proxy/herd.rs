//! A thousand callers on a thousand connections want the same cold URL.

use std::net::SocketAddr;

use cache_tests::http_client::Client;
use cache_tests::{Example, Gate, Origin, body, eventually};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::task::JoinSet;

use crate::setup::{HIT, MISS_STORED, PATIENCE, get, proxy, proxy_on, shared_redis, unique_prefix};

const CALLERS: usize = 1000;
const PIECES: [&str; 3] = ["first ", "second ", "third"];

/// Room for as many sockets, here and in the processes that are started from now on.
fn allow_many_sockets() {
    let wanted = 8192;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
        setrlimit(Resource::Nofile, limit).expect("a process may raise its own limit");
    }
    let enough = limit.current.is_none_or(|current| current >= 3 * CALLERS as u64);
    assert!(enough, "at least {} file descriptors are needed: ulimit -n", 3 * CALLERS);
}

/// An origin that waits at the first gate with its head, at the second with each piece.
async fn gated_origin(cache_control: &'static str) -> (Origin, Gate, Gate) {
    let (head, pieces) = (Gate::new(), Gate::new());
    let script = (head.clone(), pieces.clone());
    let origin = Origin::start(move |_| {
        let (head, pieces) = script.clone();
        async move {
            head.pass().await;
            let body = body::gated(&pieces, PIECES);
            body::respond(200, &[("cache-control", cache_control)], body)
        }
    })
    .await;
    (origin, head, pieces)
}

/// Connections with a request on each.
async fn callers(addr: SocketAddr, count: usize) -> Vec<Client> {
    let mut callers = Vec::new();
    for _ in 0..count {
        let mut client = Client::connect(addr).await.expect("the proxy listens");
        client.send("GET", "/cold", &[("host", "herd.test")], b"").await.expect("sent");
        callers.push(client);
    }
    callers
}

/// Reads every response, all at once; returns how each was answered.
async fn answers(callers: Vec<Client>) -> Vec<String> {
    let mut reading = JoinSet::new();
    for mut caller in callers {
        reading.spawn(async move {
            let response = caller.read_response().await.expect("a whole response");
            assert_eq!((response.status, response.text()), (200, PIECES.concat()));
            response.cache_status()
        });
    }
    reading.join_all().await
}

fn count(answers: &[String], status: &str) -> usize {
    answers.iter().filter(|answer| *answer == status).count()
}

async fn a_thousand_callers(start: impl FnOnce(&Origin) -> Example) {
    allow_many_sockets();
    let (origin, head, pieces) = gated_origin("max-age=60").await;
    let proxy = start(&origin);
    let callers = callers(proxy.addr(), CALLERS).await;
    origin.arrived(1).await;
    head.open_for_good();
    pieces.open(1);
    let reading = tokio::spawn(answers(callers));
    pieces.open_for_good();
    let answers = tokio::time::timeout(3 * PATIENCE, reading).await.expect("in time").unwrap();
    let collapsed = count(&answers, "cache-tower; fwd=uri-miss; collapsed");
    let (stored, hits) = (count(&answers, MISS_STORED), count(&answers, HIT));
    assert_eq!((stored, stored + collapsed + hits), (1, CALLERS), "{collapsed} {hits}");
    assert!(collapsed > 0);
    assert_eq!(origin.count(), 1);
    assert_eq!(get(proxy.addr(), "/cold", &[("host", "herd.test")]).await.1, HIT);
    assert_eq!(origin.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_of_one_cold_url_cause_one_call() {
    a_thousand_callers(|origin| proxy(origin.addr(), &[])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_of_one_cold_url_cause_one_call_on_redis() {
    // A busy machine is no outage.
    let flags = ["--budget", "10000"];
    a_thousand_callers(|origin| {
        proxy_on(&shared_redis().url(), &unique_prefix(), origin.addr(), &flags)
    })
    .await;
}

/// The first and half of the rest leave, some before the response begins, some within it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_leave_change_nothing_for_the_rest() {
    let (origin, head, pieces) = gated_origin("max-age=60").await;
    let proxy = proxy(origin.addr(), &[]);
    let first = callers(proxy.addr(), 1).await;
    origin.arrived(1).await;
    let (early, mut late) = (callers(proxy.addr(), 60).await, callers(proxy.addr(), 60).await);
    let staying = callers(proxy.addr(), 60).await;
    for caller in first.into_iter().chain(early) {
        caller.disconnect();
    }
    head.open(1);
    pieces.open(1);
    for caller in &mut late {
        caller.read_head().await.unwrap();
        assert_eq!(caller.read_chunk().await.unwrap().unwrap(), PIECES[0]);
    }
    late.into_iter().for_each(Client::disconnect);
    pieces.open_for_good();
    let answers = answers(staying).await;
    assert_eq!(count(&answers, MISS_STORED), 0, "the one who fetched has left");
    assert_eq!(answers.len(), 60);
    assert_eq!(origin.count(), 1);
}

/// What may not be shared is fetched for each, all at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_that_are_not_for_sharing_are_fetched_for_each() {
    let (origin, head, pieces) = gated_origin("private, max-age=60").await;
    let proxy = proxy(origin.addr(), &[]);
    let callers = callers(proxy.addr(), 50).await;
    origin.arrived(1).await;
    // One has to come back before the others know.
    head.open(1);
    head.waiting(49).await;
    head.open_for_good();
    pieces.open_for_good();
    let answers = answers(callers).await;
    assert_eq!(count(&answers, "cache-tower; fwd=uri-miss; detail=private"), 50);
    assert_eq!(origin.count(), 50);
    // and from now on nobody waits for another
    let again = self::callers(proxy.addr(), 50).await;
    eventually(PATIENCE, "each goes himself", || origin.count() == 100).await;
    self::answers(again).await;
}

/// Tenants wait for nobody else's response.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_workspace_has_its_own_call() {
    let gate = Gate::new();
    let script = gate.clone();
    let origin = Origin::start(move |request| {
        let gate = script.clone();
        async move {
            gate.pass().await;
            let workspace = request.headers()["x-workspace-id"].to_str().unwrap().to_owned();
            body::fixed(200, &[("cache-control", "max-age=60")], workspace)
        }
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    let mut reading = JoinSet::new();
    for number in 0..200 {
        let workspace = format!("ws{}", number % 10);
        let mut client = Client::connect(proxy.addr()).await.unwrap();
        client.send("GET", "/", &[("x-workspace-id", &workspace)], b"").await.unwrap();
        reading.spawn(async move {
            assert_eq!(client.read_response().await.unwrap().text(), workspace);
        });
    }
    gate.waiting(10).await;
    gate.open_for_good();
    reading.join_all().await;
    assert_eq!(origin.count(), 10);
}
