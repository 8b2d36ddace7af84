//! The long form, `./tests/drills`: every drill at 60 % of what the service can do, and a report.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use cache_core::RedisOptions;
use cache_tests::RedisServer;

use crate::app::App;
use crate::drill::{Drill, Form, all};
use crate::figures::{Figures, is_fetched, is_from_memory};
use crate::judge::{Baseline, Verdict};
use crate::load::{Load, Record, capacity};
use crate::report;
use crate::run::Terms;

const HEALTHY: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(4);

/// What a service can do with its Redis in good health, and 60 % of that.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Requests a second.
    pub(crate) capacity: u32,
    /// Those that come.
    pub(crate) rate: u32,
    /// What it is like then, with a cache and without.
    pub(crate) baseline: Baseline,
}

/// A variable that the command sets.
fn setting(name: &str) -> Option<String> {
    std::env::var(format!("DRILLS_{name}")).ok().filter(|value| !value.is_empty())
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: ./tests/drills"]
async fn run() {
    let Some(command) = setting("COMMAND") else { return };
    let only = setting("ONLY");
    let chosen = |drill: &Drill| only.as_ref().is_none_or(|only| *only == drill.name);
    let names: Vec<String> = all(Form::Long).into_iter().map(|drill| drill.name).collect();
    let drills: Vec<Drill> = all(Form::Long).into_iter().filter(chosen).collect();
    assert!(!drills.is_empty(), "no such drill; there are: {}", names.join(", "));

    let one = of_one_server().await;
    let mut page = report::Page::new(&command, &one);
    say(&page.text());
    let mut missed = Vec::new();
    for drill in drills {
        let own = if drill.several { Some(of_several(&drill).await) } else { None };
        if let Some(own) = &own {
            say(&page.add_measured(&drill, own));
        }
        let Measured { rate, baseline, .. } = own.as_ref().unwrap_or(&one);
        let (rate, lasts) = (*rate, drill.lasts);
        let terms = Terms { rate, healthy: HEALTHY, lasts, after: AFTER, budget: None };
        let outcome = drill.run(terms).await;
        let verdict = Verdict::of(&drill, &outcome, baseline);
        say(&page.add(&drill, &outcome, &verdict));
        if !verdict.missed.is_empty() {
            missed.push(format!("{}: {}", drill.name, verdict.missed.join(", ")));
        }
    }
    if let Some(path) = setting("REPORT") {
        std::fs::write(path, page.text()).expect("the report can be written");
    }
    assert!(missed.is_empty(), "targets missed: {missed:#?}");
}

async fn of_one_server() -> Measured {
    let redis = tokio::task::spawn_blocking(RedisServer::start).await.expect("Redis starts");
    measure(&RedisOptions::url(&redis.url()).expect("valid")).await
}

/// Of the servers that a drill needs.
async fn of_several(drill: &Drill) -> Measured {
    let servers = (drill.start)().await;
    measure(&servers.options()).await
}

async fn measure(options: &RedisOptions) -> Measured {
    let app = Arc::new(App::on(options, None));
    app.warm_up().await;
    // The first round is for pages of memory, and what else is slow only once.
    capacity(&app, Duration::from_secs(1)).await;
    let capacity = capacity(&app, Duration::from_secs(4)).await;
    let rate = capacity * 6 / 10;
    let cached = steady(&app, rate).await;
    let bare = steady(&Arc::new(App::bare()), rate).await;
    let baseline = Baseline {
        bare: Figures::of(bare.iter()),
        misses: Figures::of(cached.iter().filter(is_fetched)),
        hits: Figures::within(cached.iter().filter(is_from_memory)),
    };
    Measured { capacity, rate, baseline }
}

async fn steady(app: &Arc<App>, rate: u32) -> Vec<Record> {
    let load = Load::start(app, rate);
    tokio::time::sleep(HEALTHY).await;
    load.stop().await
}
