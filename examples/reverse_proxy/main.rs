//! A reverse proxy on plain hyper, to put in front of any HTTP server.
//!
//! ```text
//! cargo run --release --example reverse_proxy -- \
//!     --listen 127.0.0.1:8080 --upstream http://127.0.0.1:3000
//! ```
//!
//! A request passes, in this order:
//!
//! - `serve.rs`: connections, and their end (`client_io.rs`)
//! - `entrance.rs`: one form for all requests, whatever way they were written,
//!   so that what follows and the upstream see the same request
//! - the cache layer, as `cache.rs` sets it up
//! - `forward.rs`: to the upstream and back (`upstream.rs`, `body.rs`)
//!
//! `headers.rs` has what RFC 9110 wants of an intermediary, `failure.rs` the
//! answers of the proxy itself, `args.rs` the command line. Connections that
//! change protocol (`Upgrade`, `CONNECT`) are out of its scope.

mod args;
mod body;
mod cache;
mod client_io;
mod entrance;
mod failure;
mod forward;
mod headers;
mod serve;
mod upstream;

use std::error::Error;
use std::process::ExitCode;

use cache_examples::process::{complain, listen, say, stop_signal};
use cache_tower::CacheLayer;
use tower::ServiceBuilder;

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
    match run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Serves until asked to stop, and lets responses in progress finish.
async fn run(settings: args::Settings) -> Result<(), Box<dyn Error>> {
    let stop = stop_signal().map_err(|e| format!("can't listen for signals: {e}"))?;
    let (listener, address) = listen(settings.listen).await?;

    let http = cache::build(settings.cache)?;
    let forward = forward::Forward::new(settings.upstream);
    let stack = ServiceBuilder::new().layer(CacheLayer::new(&http)).service(forward);

    say(format_args!("listening on {address}"));
    if !serve::serve(listener, stack, stop).await {
        complain("stopped with responses still in progress");
    }
    http.cache().shutdown().await;
    Ok(())
}
