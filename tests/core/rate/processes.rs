//! Ten processes on one Redis: together they are allowed exactly the limit.

use std::time::Duration;

use cache_tests::{RedisServer, Twin, eventually};

use super::worker::{self, DONE, Orders, READY};

const PROCESSES: usize = 10;
/// For what takes seconds on a machine that does other things too.
const LONG: Duration = Duration::from_secs(120);

async fn allowed(orders: Orders) -> u64 {
    let redis = RedisServer::start();
    let begin = redis.dir().join("begin");
    let log = |number: usize| redis.dir().join(format!("allowed-{number}"));
    let text = |path: std::path::PathBuf| path.to_str().expect("a plain name").to_owned();
    let twins: Vec<Twin> = (0..PROCESSES)
        .map(|number| {
            let orders = Orders {
                redis: redis.url(),
                begin: text(begin.clone()),
                log: text(log(number)),
                ..orders.clone()
            };
            let orders = serde_json::to_string(&orders).unwrap();
            Twin::start(worker::ENTRY, &[(worker::VARIABLE, &orders)])
        })
        .collect();
    let all_are = |progress| twins.iter().all(|twin| twin.progress() >= progress || !twin.runs());
    eventually(LONG, "the processes are ready", || all_are(READY)).await;
    std::fs::write(&begin, "").unwrap();
    eventually(LONG, "the processes are done", || all_are(DONE)).await;
    for twin in twins {
        twin.finish(LONG);
    }
    let allowed = |number| -> u64 {
        std::fs::read_to_string(log(number)).expect("what it was allowed").parse().unwrap()
    };
    let allowed: Vec<u64> = (0..PROCESSES).map(allowed).collect();
    assert!(
        allowed.iter().filter(|allowed| **allowed > 0).count() > 1,
        "one was first: {allowed:?}"
    );
    allowed.iter().sum()
}

#[tokio::test]
async fn ten_processes_are_allowed_the_limit() {
    for gcra in [false, true] {
        for without_scripts in [false, true] {
            if gcra && without_scripts {
                continue;
            }
            let orders =
                Orders { gcra, without_scripts, checks: 400, limit: 1_234, ..Orders::default() };
            assert_eq!(allowed(orders).await, 1_234, "gcra {gcra}, {without_scripts}");
        }
    }
}
