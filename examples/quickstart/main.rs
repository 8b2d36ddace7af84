//! A campaign service on axum and SQLite, the kind that wants a cache:
//! several workspaces, cheap lists, and statistics that take a while.
//!
//! ```text
//! cargo run --example quickstart -- --listen 127.0.0.1:3000
//! ```
//!
//! - `args.rs`: the command line
//! - `api.rs`: routes and handlers; **the cache layers go there**
//! - `workspace.rs`, `problem.rs`: the tenant of a request; errors as JSON
//! - `campaigns.rs`, `stats.rs`, `overview.rs`: the quick queries; the slow ones
//! - `observe.rs`, `start.rs`: the admin API and metrics; the start page
//! - `db.rs`, `seed.rs`: a few SQLite connections; what they find

mod api;
mod args;
mod campaigns;
mod db;
mod observe;
mod overview;
mod problem;
mod seed;
mod start;
mod stats;
mod workspace;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use cache_core::Cache;
use cache_examples::process::{complain, listen, say, stop_signal};
use cache_tower::{HttpCache, Workspace};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

/// How long requests in progress may take once the process was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    let settings = match args::Settings::from_env() {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            say(args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            complain(format_args!("error: {error}\n\n{}", args::HELP));
            return ExitCode::from(2);
        }
    };
    log_what_is_asked_for();
    match run(&settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Events as `RUST_LOG` chooses them, to standard error; without it, errors.
fn log_what_is_asked_for() {
    let chosen = EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(chosen).with_writer(std::io::stderr).init();
}

/// Opens the database, serves until asked to stop, and lets requests finish.
async fn run(settings: &args::Settings) -> Result<(), Box<dyn Error>> {
    let stop = stop_signal().map_err(|e| format!("can't listen for signals: {e}"))?;
    let (listener, address) = listen(settings.listen).await?;

    // Removed with everything in it when this function returns.
    let directory = tempfile::Builder::new()
        .prefix("quickstart-")
        .tempdir()
        .map_err(|e| format!("can't create a temporary directory: {e}"))?;
    let file = directory.path().join("campaigns.db");
    let db = db::Db::create(file, seed::fill)
        .await
        .map_err(|e| format!("can't prepare the database: {e}"))?;

    let cache =
        Cache::builder().prefix("quickstart").namespace(overview::ANALYTICS).from_env()?.build()?;
    let http = HttpCache::builder(cache.clone())
        .workspace(Workspace::header(workspace::HEADER))
        .route("/overview", overview::responses())
        .build();
    let admin = observe::admin(&http)?;
    let app = api::router(db, &http)
        .merge(start::router(api::guide(address), admin.is_some()))
        .merge(observe::metrics(&http)?);
    say(api::guide(address));
    say(format_args!("metrics: http://{address}/metrics"));
    let app = if let Some(admin) = admin {
        say(format_args!("admin: http://{address}{}", observe::ADMIN));
        app.nest(observe::ADMIN, admin)
    } else {
        say("admin: not mounted (CACHE_ADMIN_TOKEN is not set)");
        app
    };
    let health = cache.health().await;
    let place = if health.enabled { health.store } else { "nothing (ENABLE_CACHING is off)" };
    say(format_args!("cached in: {place}"));
    say(format_args!("listening on {address}"));

    let (stopping, stopped) = oneshot::channel();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        stop.await;
        // Nobody listens any more only if the server is already gone.
        let _ = stopping.send(());
    });
    let out_of_patience = async {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        result = server => result.map_err(|e| format!("the server failed: {e}"))?,
        () = out_of_patience => complain("stopped with requests still in progress"),
    }
    cache.shutdown().await;
    Ok(())
}
